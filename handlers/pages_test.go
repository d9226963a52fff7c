package handlers_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// reference finds what a page or a style sheet makes a browser load.
var reference = regexp.MustCompile(`(?i)\b(?:src|href|action|srcset|poster)\s*=\s*["']?([^"'\s>]+)|url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)`)

// references returns what the text refers to.
func references(text string) (all []string) {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1]+m[2]+m[3])
	}
	return all
}

func TestPagesAndTheirFilesComeFromHereOnly(t *testing.T) {
	s := newServer(t)
	files := map[string]bool{}
	for _, path := range []string{"/", "/docs", "/dev/login"} {
		a := s.nobody().must("GET", path, nil)
		if a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", path, a.Header)
		}
		policy := a.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q has no %s", path, policy, part)
			}
		}
		for source := range strings.FieldsSeq(policy) {
			if strings.Contains(source, "//") || source == "*" || (strings.Contains(policy, "script-src") && source == "'unsafe-inline'") {
				t.Errorf("%s: the policy allows %s", path, source)
			}
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if a.Header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, a.Header.Get(name))
			}
		}
		text := string(a.Body)
		if regexp.MustCompile(`(?i)<script[^>]*>[^<]|\son\w+\s*=|<style`).MatchString(text) {
			t.Errorf("%s has a script or a style within it, which its policy forbids", path)
		}
		for _, to := range references(text) {
			switch {
			case strings.HasPrefix(to, "/assets/"):
				files[to] = true
			case strings.HasPrefix(to, "data:"):
			case strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//"):
				if a := s.nobody().do("GET", to, nil); a.Status != http.StatusOK && a.Status != http.StatusMethodNotAllowed {
					t.Errorf("%s refers to %s: %d", path, to, a.Status)
				}
			default:
				t.Errorf("%s refers to %s", path, to)
			}
		}
	}
	if len(files) < 4 {
		t.Errorf("the pages load %v only", files)
	}
	for file := range files {
		checkFile(t, s, file)
	}
}

func checkFile(t *testing.T, s *server, file string) {
	t.Helper()
	plain := s.nobody().must("GET", file, nil)
	want := map[string]string{"css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}[file[len(file)-3:]]
	if got := plain.Header.Get("Content-Type"); got != want || plain.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: %v", file, plain.Header)
	}
	if len(plain.Body) == 0 || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("%s: %d bytes, %v", file, len(plain.Body), plain.Header)
	}
	packed := s.nobody().must("GET", file, nil, "Accept-Encoding", "gzip")
	if e := packed.Header.Get("Content-Encoding"); e != "" && (e != "gzip" || len(packed.Body) >= len(plain.Body) || packed.Header.Get("Vary") != "Accept-Encoding") {
		t.Errorf("%s compressed: %d of %d bytes, %v", file, len(packed.Body), len(plain.Body), packed.Header)
	}
	if strings.HasSuffix(file, ".css") {
		for _, to := range references(string(plain.Body)) {
			if !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "/assets/") {
				t.Errorf("%s refers to %s", file, to)
			}
		}
	}
	if strings.Contains(string(plain.Body), "sourceMappingURL=http") {
		t.Errorf("%s refers to a map elsewhere", file)
	}
}

func TestUnknownFilesAreNotFound(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{
		"/assets/", "/assets/home.html", "/assets/..%2fserver.go", "/assets/%2e%2e/pages/home.html", "/assets/swagger-ui.css.gz",
		"/assets/connvo.css/", "/pages/home.html", "/docs/", "/index.html", "/openapi.yaml", "/schemas/Problem.json",
	} {
		if a := s.nobody().do("GET", path, nil); a.Status != http.StatusNotFound || a.code() != "not_found" {
			t.Errorf("%s: %d %.100s", path, a.Status, a.Body)
		}
	}
}
