package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestDevelopmentLoginHonoursOrganizationAndRole(t *testing.T) {
	s := newServer(t)
	login := func(values url.Values) answer {
		return s.nobody().do("POST", "/dev/login", values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	a := login(url.Values{"email": {"ada@example.com"}, "org": {" org_1 "}, "role": {"admin"}, "returnTo": {"/docs"}})
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/docs" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	if me := s.nobody().must("GET", "/v1/me", nil, "Cookie", cookie); !strings.Contains(string(me.Body), `"orgId":"org_1","orgRole":"admin"`) {
		t.Errorf("%s", me.Body)
	}
	for name, values := range map[string]url.Values{
		"a role that is none": {"email": {"ada@example.com"}, "org": {"org_1"}, "role": {"king"}},
		"a role in nothing":   {"email": {"ada@example.com"}, "role": {"admin"}},
	} {
		if a := login(values); a.Status != http.StatusUnprocessableEntity || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if page := s.nobody().must("GET", "/dev/login", nil); !strings.Contains(string(page.Body), `name="org"`) || !strings.Contains(string(page.Body), `name="role"`) {
		t.Errorf("%s", page.Body)
	}
}

func TestDevelopmentTokenKnowsTwoRoles(t *testing.T) {
	s := newServer(t)
	for role, status := range map[string]int{"admin": 200, "member": 200, "": 200, "king": 422, "Admin": 422} {
		a := s.nobody().do("POST", "/dev/token", map[string]string{"email": "ada@example.com", "orgId": "org_1", "orgRole": role})
		if a.Status != status || (status == 422 && !strings.Contains(string(a.Body), `"location":"body.orgRole"`)) {
			t.Errorf("%q: %d %s", role, a.Status, a.Body)
		}
	}
}

// What is wrong with an instant is told without words of the language that we
// write in.
func TestInstantsInParametersAreExplained(t *testing.T) {
	s := newServer(t)
	boss := s.signInAs("boss", "org_1", "admin")
	for _, path := range []string{"/v1/admin/audit?from=", "/v1/admin/audit/export?to=", "/v1/meetings?scheduledFrom=", "/v1/meetings?scheduledTo="} {
		a := boss.do("GET", path+"yesterday", nil)
		if a.Status != 422 || !strings.Contains(string(a.Body), "such as 2026-03-01T12:00:00Z") || strings.Contains(string(a.Body), "2006") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		for _, instant := range []string{"2026-03-01T12:00:00Z", "2026-03-01T12:00:00.123%2B02:00"} {
			if a := boss.do("GET", path+instant, nil); a.Status != http.StatusOK {
				t.Errorf("%s%s: %d %s", path, instant, a.Status, a.Body)
			}
		}
	}
}

func TestTheDocumentNamesTheActionsOfTheRecord(t *testing.T) {
	s := newServer(t)
	about, _ := part(s.document(), "paths", "/v1/admin/audit", "get", "description").(string)
	for _, action := range []string{"session.started", "meeting.read", "audit.exported", "request.made"} {
		if !strings.Contains(about, action) {
			t.Errorf("%q does not name %s", about, action)
		}
	}
}

func TestWhatABrowserComesBackWithIsBounded(t *testing.T) {
	s, e := newWorkOS(t)
	for _, name := range []string{"state", "code", "error"} {
		a := s.nobody().do("GET", "/auth/callback?"+name+"="+strings.Repeat("x", 2049), nil)
		if a.Status != 422 || !strings.Contains(string(a.Body), "query."+name) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if n := e.Count(authenticatePath); n != 0 {
		t.Errorf("WorkOS was asked %d times", n)
	}
}
