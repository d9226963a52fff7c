package handlers

import "github.com/danielgtaylor/huma/v2"

// Document returns what the API is described as, for the tests that compare answers
// with it.
func (s *Server) Document() *huma.OpenAPI { return s.api.OpenAPI() }
