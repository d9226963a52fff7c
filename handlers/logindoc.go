package handlers

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// describeLogin puts into the OpenAPI document where browsers sign in: they are
// sent there, and programs read how.
func (s *Server) describeLogin() {
	sent := func(about string) *huma.Response {
		return &huma.Response{Description: about, Headers: map[string]*huma.Header{"Location": header("Where the browser goes on."), "Set-Cookie": header("HttpOnly and SameSite=Lax; Secure where there is https.")}}
	}
	describe := func(path, id, summary, about, status string, then *huma.Response, parameters ...*huma.Param) {
		s.api.OpenAPI().AddOperation(&huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{"Signing in"}, Summary: summary, Description: about, Parameters: parameters,
			Responses: map[string]*huma.Response{status: then, "default": s.problemResponse()},
		})
	}
	describe("/auth/login", "login", "Sign in with a browser",
		"Sends the browser to where it signs in: the identity provider, or a page of this server in development. It has ten minutes to come back.",
		"302", sent("To the identity provider, with a cookie for the return."),
		queryParam("returnTo", "Where the browser goes afterwards: a path of this origin. Anything else, and what is longer, means the first page.", maxReturnTo))
	describe(callbackPath, "loginCallback", "Come back from the identity provider",
		"For the identity provider, which sends the browser here once. What is refused is recorded. Parameters that it may add are not looked at.",
		"303", sent("To the path of returnTo, with the cookie that signs the browser in."),
		queryParam("state", "What the browser was sent with.", maxReturned),
		queryParam("code", "What the tokens are asked for with.", maxReturned),
		queryParam("error", "Why nobody was signed in, in place of code.", maxReturned))
}

func queryParam(name, about string, maxLength int) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: about, Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &maxLength}}
}
