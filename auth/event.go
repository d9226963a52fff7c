package auth

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"connvo/domain"
	"connvo/domain/users"
)

// The events of WorkOS that change something here. All others are ignored.
const (
	userCreated       = "user.created"
	userUpdated       = "user.updated"
	userDeleted       = "user.deleted"
	membershipCreated = "organization_membership.created"
	membershipUpdated = "organization_membership.updated"
	membershipDeleted = "organization_membership.deleted"
	orgDeleted        = "organization.deleted"
	sessionRevoked    = "session.revoked"
)

// followedEvents is what the list of events is asked for.
var followedEvents = strings.Join([]string{
	userCreated, userUpdated, userDeleted,
	membershipCreated, membershipUpdated, membershipDeleted,
	orgDeleted, sessionRevoked,
}, ",")

// toldName is the shape of ids and slugs of WorkOS, which have 30 characters or
// so: a job's payload has room for them, however they are written.
var toldName = regexp.MustCompile(`^[A-Za-z0-9_:.-]{1,100}$`)

// event is what we keep of an event of WorkOS: the payload of the job that
// applies it.
type event struct {
	ID      string
	Kind    string
	At      time.Time // of the state that it tells
	Subject string    `json:",omitempty"`
	Org     string    `json:",omitempty"`
	Role    string    `json:",omitempty"`
	Active  bool      `json:",omitempty"`
	Session string    `json:",omitempty"`
	Person  Person    `json:",omitzero"`
}

// wireEvent is an event as WorkOS sends it.
type wireEvent struct {
	ID        string          `json:"id"`
	Kind      string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	CreatedAt time.Time       `json:"created_at"`
}

// wireSubject is what all data have that we read, each with some of it. A user
// has its own id only, so have a session and an organization.
type wireSubject struct {
	ID     string `json:"id"`
	UserID string `json:"user_id"`
	OrgID  string `json:"organization_id"`
	Status string `json:"status"`
	Role   struct {
		Slug string `json:"slug"`
	} `json:"role"`
	UpdatedAt time.Time `json:"updated_at"`
}

// parseEvent reads an event; false for one that changes nothing here.
//
// Errors: Malformed, in a sentence that repeats nothing of the body.
func parseEvent(body []byte) (event, bool, error) {
	var w wireEvent
	if err := json.Unmarshal(body, &w); err != nil {
		return event{}, false, domain.Because(domain.Malformed, err, "the body is no event of WorkOS")
	}
	return w.event()
}

func (w wireEvent) event() (event, bool, error) {
	e := event{ID: w.ID, Kind: w.Kind}
	if !named(w.ID) || w.Kind == "" {
		return e, false, domain.Fail(domain.Malformed, "the event has no id or no name")
	}
	switch w.Kind {
	case userCreated, userUpdated, userDeleted, membershipCreated, membershipUpdated, membershipDeleted, orgDeleted, sessionRevoked:
	default:
		return e, false, nil
	}
	var d wireSubject
	if err := json.Unmarshal(w.Data, &d); err != nil {
		return e, false, domain.Because(domain.Malformed, err, "the data of the event cannot be read")
	}
	e.At = d.UpdatedAt
	switch w.Kind {
	case userDeleted, membershipDeleted, orgDeleted:
		// The data are of before, and so is their instant.
		if w.CreatedAt.After(e.At) {
			e.At = w.CreatedAt
		}
	}
	complete, err := e.take(d, w.Data)
	switch {
	case err != nil:
		return e, false, domain.Because(domain.Malformed, err, "the data of the event cannot be read")
	case !complete, e.At.IsZero():
		return e, false, domain.Fail(domain.Malformed, "the data of the event lack an id or an instant")
	}
	return e, true, nil
}

// take takes what the event is about; false when a part is missing or too long.
func (e *event) take(d wireSubject, data json.RawMessage) (complete bool, err error) {
	switch e.Kind {
	case userCreated, userUpdated:
		var u wireUser
		if err := json.Unmarshal(data, &u); err != nil {
			return false, err
		}
		e.Subject = u.ID
		e.Person, err = u.person()
		e.Person.Name = users.ShortName(e.Person.Name)
		return named(e.Subject), err
	case userDeleted:
		e.Subject = d.ID
		return named(e.Subject), nil
	case orgDeleted:
		e.Org = d.ID
		return named(e.Org), nil
	case sessionRevoked:
		e.Session = d.ID
		if named(d.UserID) {
			e.Subject = d.UserID // for the record
		}
		return named(e.Session), nil
	default: // of a membership
		e.Subject, e.Org, e.Role = d.UserID, d.OrgID, d.Role.Slug
		e.Active = e.Kind != membershipDeleted && d.Status == "active"
		return named(e.Subject) && named(e.Org) && (e.Role == "" || named(e.Role)), nil
	}
}

func named(id string) bool { return toldName.MatchString(id) }
