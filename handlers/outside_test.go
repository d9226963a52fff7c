package handlers_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// outside are the routes that are not of the API, as they stand in the source, each
// with a request for it, and what whoever sends that is answered: they ask for no
// token.
var outside = map[string]struct {
	method, path string
	status       int
}{
	`"GET /{$}"`:           {"GET", "/", 200},
	`"GET /docs"`:          {"GET", "/docs", 200},
	`"GET /assets/{file}"`: {"GET", "/assets/connvo.css", 200},
	`"GET /openapi.json"`:  {"GET", "/openapi.json", 200},
	`"GET /healthz"`:       {"GET", "/healthz", 200},
	`"GET /readyz"`:        {"GET", "/readyz", 200},
	`"GET /auth/login"`:    {"GET", "/auth/login", 302},
	`"GET "+callbackPath`:  {"GET", "/auth/callback", 404}, // nobody is sent there in development
	`"GET /dev/login"`:     {"GET", "/dev/login", 200},
	`"POST "+devLoginPath`: {"POST", "/dev/login", 422}, // of nobody; who is signed in is in token_test.go
	`"POST "+workosPath`:   {"POST", workosPath, 401},   // unsigned
}

var handled = regexp.MustCompile(`mux\.Handle(?:Func)?\(([^,]+),`)

func TestEveryRouteOutsideTheAPIIsKnown(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range handled.FindAllSubmatch(source, -1) {
			if found[string(m[1])] = true; outside[string(m[1])].path == "" {
				t.Errorf("%s: %s: who may, and who may not? Add it to the table", file, m[1])
			}
		}
	}
	s := newServer(t)
	gone := s.signIn("gone")
	gone.deactivate()
	for name, want := range outside {
		if !found[name] {
			t.Errorf("%s: there is no such route; take it from the table", name)
		}
		for _, who := range []*person{s.nobody(), s.signIn("ada"), gone} {
			if a := who.do(want.method, want.path, nil); a.Status != want.status {
				t.Errorf("%s, %q: %d %s", name, who.Name, a.Status, a.Body)
			}
		}
	}
}
