package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/notes"
	"connvo/domain/participants"
	"connvo/domain/users"
	"connvo/ratelimit"
	"connvo/realtime"
)

// detailed is the input of a write of which the record keeps more than where it
// was sent: what it changed about somebody's rights, never content or addresses. A nil
// detail says that there is nothing to record.
type detailed interface{ detail() map[string]string }

// meetingsPrefix is what the paths of what is in a meeting begin with.
const meetingsPrefix = apiPrefix + "meetings/"

// usersPrefix is what the paths of what is about one person begin with.
const usersPrefix = apiPrefix + "users/"

// resourceOf returns what the record calls that which a path is about: the
// meeting where it is in one, else the path, which has no parameters.
func resourceOf(path string) string {
	if rest, inside := strings.CutPrefix(path, meetingsPrefix); inside {
		meeting, _, _ := strings.Cut(rest, "/")
		return meeting
	}
	return path
}

// doneTo is resourceOf for what is done or was to be: also the person where it is done
// to one.
func doneTo(path string) string {
	if rest, found := strings.CutPrefix(path, usersPrefix); found {
		person, _, _ := strings.Cut(rest, "/")
		return person
	}
	return resourceOf(path)
}

// discreet returns how a path was spelled, as admins are told it: of one in a
// meeting without the parameters. The words that somebody looks for in a chat are
// for its members.
func discreet(path, spelled string) string {
	if resourceOf(path) != path {
		spelled, _, _ = strings.Cut(spelled, "?")
	}
	return shown(spelled)
}

// owner returns whose admins may read what the record says of the resource: those
// of a meeting's organization, where it has one, else those of the one that the caller
// belongs to now, which may have changed since a stream began.
func (c *call) owner(tx db.Reader, resource string) (string, error) {
	if strings.HasPrefix(resource, domain.MeetingPrefix) {
		if org, err := meetings.OrgOf(tx, domain.MeetingID(resource)); org != "" || (err != nil && !errors.Is(err, db.ErrNone)) {
			return org, err
		}
	}
	return users.OrgOf(tx, c.who.User)
}

// note records what no write carries.
func (s *Server) note(r *http.Request, c *call, action audit.Action, outcome audit.Outcome, resource string, detail any) error {
	e := c.entry(r, action, outcome, resource, detail)
	if err := s.DB.Read(r.Context(), func(tx db.Reader) (err error) {
		e.Org, err = c.owner(tx, resource)
		return err
	}); err != nil {
		return err
	}
	return s.Audit.Note(e)
}

// entry returns what the record says of a request.
func (c *call) entry(r *http.Request, action audit.Action, outcome audit.Outcome, resource string, detail any) audit.Entry {
	text, _ := json.Marshal(detail) // texts always encode
	return audit.Entry{
		Actor: c.who.User, Org: c.who.Org, Session: c.who.Session, Action: action, Resource: resource, Outcome: outcome,
		Detail: c.inPlace(string(text)), Request: c.id, Address: c.address, Agent: r.UserAgent(),
	}
}

// inPlace returns a detail, which is a JSON object or null, with who acts in the
// caller's place, if somebody does: the actor alone would be blamed.
func (c *call) inPlace(detail string) string {
	if c.who.Impersonator == "" {
		return detail
	}
	by, _ := json.Marshal(map[string]string{"impersonator": c.who.Impersonator}) // texts always encode
	if rest, more := strings.CutPrefix(detail, "{"); more && rest != "}" {
		return string(by[:len(by)-1]) + "," + rest
	}
	return string(by)
}

// recordWrite records a write that has changed something, in its transaction. at
// is where what it made is found, or "".
func (c *call) recordWrite(tx *db.WriteTx, r *http.Request, in any, at string) (err error) {
	if c.audits == "" || !tx.Changed() {
		return nil
	}
	if at == "" {
		at = r.URL.Path
	}
	detail := map[string]string{"path": shown(r.URL.Path)}
	if d, more := in.(detailed); more {
		kept := d.detail()
		if kept == nil {
			return nil
		}
		for name, value := range kept {
			detail[name] = value
		}
	}
	e := c.entry(r, c.audits, audit.Allowed, doneTo(at), detail)
	if e.Org, err = c.owner(tx, e.Resource); err != nil {
		return err
	}
	return audit.Record(tx, e)
}

// noteRead records a plain GET of something in a meeting, or in many, or of what only
// admins may see, unless it was told lately. What cannot be recorded is not answered.
func (s *Server) noteRead(r *http.Request) error {
	c := callOf(r.Context())
	action, resource := audit.MeetingRead, resourceOf(r.URL.Path)
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/admin/"):
		action = audit.AdminRead
	case r.URL.Path == insightsPath:
	case resource == r.URL.Path:
		return nil
	}
	if !s.reads.First(c.who.User, resource, s.DB.Now()) {
		return nil
	}
	err := s.note(r, c, action, audit.Allowed, resource, map[string]string{"path": discreet(r.URL.Path, r.URL.RequestURI())})
	if err != nil {
		s.reads.Undo(c.who.User, resource)
	}
	return err
}

// noteRefusal records a request that was refused for who asks: without right, or
// with a credential that is not believed. It is refused whether it can be
// recorded or not.
func (s *Server) noteRefusal(r *http.Request, err error, p *problem) {
	c := callOf(r.Context())
	if c == nil {
		return
	}
	if signsIn(r.URL.Path) {
		s.noteRefusedSession(r, c, p)
		return
	}
	switch {
	case !strings.HasPrefix(r.URL.Path, apiPrefix):
		return
	case p.Status == http.StatusUnauthorized && s.presents(r): // whoever shows nothing is nobody, and learns nothing
	case !withheld(err, p):
		return
	}
	if !s.hasRoom(c) {
		return
	}
	action := c.audits
	if action == "" {
		action = audit.RequestMade
	}
	_ = s.note(r, c, action, audit.Refused, doneTo(r.URL.Path), map[string]string{"method": r.Method, "path": shown(r.URL.Path), "code": p.Code}) // see above
}

// hasRoom reports whether a refusal is recorded: that of somebody who is known is, and
// of others as many as the policy allows, which the figures count all of.
func (s *Server) hasRoom(c *call) bool {
	return c.who.User != "" || s.Limits == nil || s.Limits.Take(ratelimit.Unknown, "all").Allowed
}

// editsOfNotes is the route of which the record has what was wrong, too.
const editsOfNotes = http.MethodPost + " " + notesPath + "/ops"

// noteWrong records edits of notes that could not be ones. Many write one text by an
// algorithm that trusts what it is given: who tries what it takes is known. They are
// refused whether it can be recorded or not.
func (s *Server) noteWrong(r *http.Request, c *call, status int) {
	if c.route != editsOfNotes || c.who.User == "" {
		return
	}
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		detail := map[string]string{"method": r.Method, "path": shown(r.URL.Path), "code": codes[status]}
		_ = s.note(r, c, audit.RequestMade, audit.Refused, resourceOf(r.URL.Path), detail) // see above
	}
}

// speakersOf is what the paths of a meeting's speakers have before the label.
const speakersOf = "/speakers/"

// shown returns the beginning of a path, which has the ids in it however they are
// spelled: nobody fills the disk with parameters that they make up. It is without the
// label of a speaker, which may be a name.
func shown(path string) string {
	if before, _, names := strings.Cut(path, speakersOf); names && strings.HasPrefix(path, meetingsPrefix) {
		path = before + speakersOf + "…"
	}
	return path[:min(len(path), audit.MaxResource)]
}

// withheld reports whether err, and p which tells of it, says that the caller has
// no right. Who is no member of a meeting is told that there is none; a lock takes
// the right to write notes from everybody.
func withheld(err error, p *problem) bool {
	return p.Status == http.StatusForbidden || errors.Is(err, participants.ErrNoMember) || errors.Is(err, notes.ErrLocked)
}

// noteRefusedPath records that a stream was asked to follow a path to which the
// caller has no right. It is refused whether it can be recorded or not.
func (s *Server) noteRefusedPath(r *http.Request, asked audit.Action, p realtime.Path, err error) {
	if withheld(err, problemOf(err)) {
		_ = s.noteStream(r, asked, audit.Refused, []realtime.Path{p}) // see above
	}
}

// presents reports whether the request shows a credential.
func (s *Server) presents(r *http.Request) bool {
	_, err := r.Cookie(s.cookieName())
	return err == nil || r.Header.Get("Authorization") != "" || r.URL.Query().Has("ticket")
}

// noteStream records that the caller has asked for a stream of the paths, or added
// them to one, and how that ended: an entry for each meeting, and one for what is
// in none, or as many as their names need.
func (s *Server) noteStream(r *http.Request, action audit.Action, outcome audit.Outcome, paths []realtime.Path) error {
	c := callOf(r.Context())
	var resources []string
	of := map[string][]string{}
	for _, p := range paths {
		resource := resourceOf(p.About)
		if resource == p.About {
			resource = r.URL.Path
		}
		if of[resource] == nil {
			resources = append(resources, resource)
		}
		of[resource] = append(of[resource], discreet(p.About, p.Name))
	}
	for _, resource := range resources {
		for names := of[resource]; len(names) > 0; {
			n := fitting(names)
			if err := s.note(r, c, action, outcome, resource, map[string][]string{"paths": names[:n]}); err != nil {
				return err
			}
			names = names[n:]
		}
	}
	return nil
}

// fitting returns how many of the names, at least one, one entry holds.
func fitting(names []string) int {
	size := len(`{"paths":[],"impersonator":""}`) + quotedImpersonator
	for i, name := range names {
		text, _ := json.Marshal(name) // a string always encodes
		if size += len(text) + 1; size > audit.MaxDetail && i > 0 {
			return i
		}
	}
	return len(names)
}

// quotedImpersonator is the most that the name of who acts in somebody's place
// takes in a detail.
const quotedImpersonator = users.MaxEmail * len(`\u0000`)

// signsIn reports whether somebody signs in by asking for the path.
func signsIn(path string) bool {
	return path == callbackPath || path == devTokenPath || path == devLoginPath
}

// noteRefusedSession records that somebody was not signed in, and why. They are
// not, whether it can be recorded or not.
func (s *Server) noteRefusedSession(r *http.Request, c *call, p *problem) {
	if (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden) && s.hasRoom(c) {
		detail := map[string]string{"code": p.Code, "reason": p.Detail}
		_ = s.Audit.Note(c.entry(r, audit.SessionStarted, audit.Refused, r.URL.Path, detail)) // see above
	}
}

// noteFirstUse records the first request with a token of a session as a sign-in:
// where somebody signs in without our pages, it is all that we see of it. It is
// recorded before anything is answered.
func (s *Server) noteFirstUse(r *http.Request, c *call) error {
	return s.Users.Begins(r.Context(), c.who.Session, func() audit.Entry {
		return c.entry(r, audit.SessionStarted, audit.Allowed, r.URL.Path, map[string]string{})
	})
}

// recordSession records that who has signed in. Whoever is not told, for want of it,
// has no credential.
func (s *Server) recordSession(r *http.Request, who domain.Actor) error {
	return s.DB.Write(r.Context(), func(tx *db.WriteTx) error {
		return audit.Record(tx, sessionEntry(r, audit.SessionStarted, who))
	})
}

// sessionEntry returns what the record says of who has signed in or out.
func sessionEntry(r *http.Request, action audit.Action, who domain.Actor) audit.Entry {
	c := *callOf(r.Context())
	c.who = who
	return c.entry(r, action, audit.Allowed, r.URL.Path, map[string]string{})
}
