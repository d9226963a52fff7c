package handlers

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"connvo/auth"
)

// browserHeaders is what browsers are told with every answer. Pages have a
// Content-Security-Policy of their own.
var browserHeaders = http.Header{
	"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
	"Referrer-Policy":              {"no-referrer"},
	"Permissions-Policy":           {"camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=()"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
}

const (
	// strictTransport keeps a browser on https for a year.
	strictTransport = "max-age=31536000"
	// corsMaxAge is how long a browser remembers a preflight, in seconds: the
	// longest that all of them take.
	corsMaxAge = "7200"
	// What pages of the listed origins may send and see. Authorization is a
	// bearer token; cookies are not among it.
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer"
	corsExposed = "Connvo-Commit, ETag, Idempotency-Replayed, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"
)

// CheckOrigin refuses what is no origin that may be listed: a site over https,
// or one of this machine.
func CheckOrigin(origin string) error {
	if strings.Contains(origin, "*") {
		return errors.New("every site would be let in; list origins, such as https://app.example.com")
	}
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin:
		return errors.New("write an origin as browsers send it: scheme, host and, unless it is the usual one, port, in lower case, such as https://app.example.com")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return errors.New("leave out the port: browsers do, where it is the usual one")
	case u.Scheme != "https" && !(u.Scheme == "http" && auth.LocalHost(u.Host)):
		return errors.New("only https, or http on localhost")
	}
	return nil
}

// tellBrowser sets the headers with which a browser protects the answer and who
// reads it, and those that let a page of a listed origin read it.
func (s *Server) tellBrowser(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	maps.Copy(h, browserHeaders)
	if s.Secure {
		h["Strict-Transport-Security"] = []string{strictTransport}
	}
	if len(s.Origins) == 0 {
		return
	}
	h["Vary"] = []string{"Origin"}
	if s.listed(r) {
		h["Access-Control-Allow-Origin"] = []string{r.Header.Get("Origin")}
		h["Access-Control-Expose-Headers"] = []string{corsExposed}
	}
}

// listed reports whether a page of a listed origin asks.
func (s *Server) listed(r *http.Request) bool {
	return len(r.Header["Origin"]) == 1 && slices.Contains(s.Origins, r.Header["Origin"][0])
}

// preflight answers the question of a browser whether a page of a listed origin
// may send a request.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || !s.listed(r) || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// admitPage reports whether the page that sends the request may. That of another
// origin may read, and write where its origin is listed, but by a token or ticket
// of its own: its requests have no cookie, and their answers set none.
func (s *Server) admitPage(r *http.Request, c *call) bool {
	// The check lets every safe method through; here it says what is foreign.
	asWrite := http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: r.URL}
	if s.cross.Check(&asWrite) == nil {
		return true
	}
	reads := s.cross.Check(r) == nil
	if reads && !strings.HasPrefix(r.URL.Path, apiPrefix) {
		return true // somebody follows a link to one of our pages
	}
	r.Header.Del("Cookie")
	c.cookieless = true
	return reads || s.listed(r)
}
