package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"connvo/auth"
	"connvo/domain"
)

const (
	// maxReturnTo bounds the path that a browser comes back to, in bytes: it
	// travels in a cookie of every tab that signs in.
	maxReturnTo = 1024
	// maxTabs is how many tabs of a browser may be signing in at once. The oldest
	// gives way, so that their cookies do not outgrow what servers take.
	maxTabs = 5
	// maxAgent bounds what WorkOS is told about the browser, in bytes.
	maxAgent = 512
)

// The cookies of a browser: one that signs it in, and one for each tab that is
// signing in, named by its state. Where there is https no other host can set
// them, which __Host- promises.
const (
	sessionName = "connvo_session"
	attemptName = "connvo_login_"
	hostOnly    = "__Host-"
)

// maxReturned bounds each of what WorkOS sends back by a browser, in bytes: codes
// and states have a few dozen.
const maxReturned = 2048

// loginRoutes are for browsers, which are sent around, and not part of the API.
func (s *Server) loginRoutes() {
	s.describeLogin()
	s.mux.HandleFunc("GET /auth/login", s.login)
	s.mux.HandleFunc("GET "+callbackPath, s.callback)
}

// callbackPath is where WorkOS sends a browser back to.
const callbackPath = "/auth/callback"

// login sends a browser to where it signs in.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	returnTo := s.ownPath(r.URL.Query().Get("returnTo"))
	if s.Dev != nil {
		http.Redirect(w, r, "/dev/login?"+url.Values{"returnTo": {returnTo}}.Encode(), http.StatusFound)
		return
	}
	a, err := s.Browsers.Begin(returnTo)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	tabs := s.attempts(r)
	for _, name := range tabs[:max(0, len(tabs)-maxTabs+1)] {
		http.SetCookie(w, s.cookie(name, "", -1))
	}
	http.SetCookie(w, s.cookie(s.named(attemptName)+a.State, a.Sealed, int(auth.AttemptTime/time.Second)))
	http.Redirect(w, r, a.URL, http.StatusFound)
}

// attempts returns the names of the cookies of tabs that are signing in, as a
// browser sends them: the oldest first.
func (s *Server) attempts(r *http.Request) (names []string) {
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, s.named(attemptName)) && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// callback takes a browser back from WorkOS. Parameters that WorkOS may add are
// not looked at.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	q := r.URL.Query()
	for _, name := range []string{"state", "code", "error"} {
		if len(q.Get(name)) > maxReturned {
			s.refuse(w, r, domain.FailField("query."+name, "must have at most %d bytes", maxReturned))
			return
		}
	}
	back := auth.Return{
		State: q.Get("state"), Code: q.Get("code"), Refusal: q.Get("error"),
		From: auth.Browser{Address: callOf(r.Context()).address, Agent: r.UserAgent()[:min(len(r.UserAgent()), maxAgent)]},
	}
	name := s.named(attemptName) + back.State
	if c, err := r.Cookie(name); err == nil {
		back.Sealed = c.Value
		http.SetCookie(w, s.cookie(c.Name, "", -1))
	}
	cookie, who, returnTo, err := s.Browsers.Finish(r.Context(), back)
	if err != nil {
		s.meter.disbelieved("return", err)
		callOf(r.Context()).who = who // where it is somebody
		s.refuse(w, r, err)
		return
	}
	s.signedIn(w, r, cookie, who, returnTo)
}

// signedIn gives the browser its cookie and sends it on to a path of ours.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, c auth.Cookie, who domain.Actor, path string) {
	if err := s.recordSession(r, who); err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.SetCookie(w, s.cookie(s.cookieName(), c.Value, max(1, int(c.Ends.Sub(s.DB.Now())/time.Second))))
	http.Redirect(w, r, path, http.StatusSeeOther)
}

// named returns the name of a cookie of ours.
func (s *Server) named(name string) string {
	if s.Secure {
		return hostOnly + name
	}
	return name
}

// cookieName is that of the cookie that signs a browser in.
func (s *Server) cookieName() string { return s.named(sessionName) }

// cookie returns a cookie that no script can read and no other site can send
// along with a write; it lasts for so many seconds, and with -1 it is taken away.
func (s *Server) cookie(name, value string, seconds int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode}
}

// sessionCookie returns the cookie that signs the request in. It is for pages of
// our own: admitPage takes it away from those of others.
func (s *Server) sessionCookie(r *http.Request) (string, error) {
	c, err := r.Cookie(s.cookieName())
	if err != nil || c.Value == "" {
		return "", domain.Fail(domain.Unauthenticated, "sign in first: the request has no token")
	}
	return c.Value, nil
}

// ownPath returns the path if it is one of this origin, else the first page, and
// counts that somebody was to be sent elsewhere.
func (s *Server) ownPath(path string) string {
	if !isOwnPath(path) {
		if path != "" {
			s.meter.redirect()
		}
		return "/"
	}
	return path
}

func isOwnPath(path string) bool {
	bad := func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f }
	return len(path) <= maxReturnTo && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsFunc(path, bad)
}
