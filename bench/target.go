package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

const maxMembers = 100 // participants one request may invite, the organizer not counted

// target is the server under load.
type target struct {
	addr  string        // host:port
	pid   int           // 0 when not known: no processor time and no memory then
	late  time.Duration // to wait for what is still to be delivered; lateTime when 0
	power *power        // nil for a server that was started by someone else
}

// power ends the server as an operator does, and starts it again on the same database and port.
type power struct {
	off func() error
	on  func(ctx context.Context) error
}

// user is someone signed in.
type user struct {
	id, token string
}

// room is an active meeting that its members have joined.
type room struct {
	path    string // of the meeting
	members []user
}

func (r room) messages() string {
	return r.path + "/messages"
}

// parseURL takes the address out of a plain http URL without a path.
func parseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("%q is not of the form http://host:port", raw)
	}
	if u.Port() == "" {
		return u.Host + ":80", nil
	}
	return u.Host, nil
}

// line returns a new line to the target, not yet connected.
func (t *target) line() *line {
	return &line{addr: t.addr}
}

// lines returns n connected lines, so that dialling is no part of what is measured.
func (t *target) lines(ctx context.Context, n int) ([]*line, error) {
	all := make([]*line, 0, n)
	for range n {
		l := t.line()
		if err := l.connect(ctx); err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func closeAll(lines []*line) {
	for _, l := range lines {
		l.close()
	}
}

// person is whom the development identity provider is asked for a token of.
type person struct {
	Email   string `json:"email"`
	Name    string `json:"name"`
	OrgID   string `json:"orgId"`
	OrgRole string `json:"orgRole"`
}

// signIn signs in the first n users of the bench.
func (t *target) signIn(ctx context.Context, n int) ([]user, error) {
	l := t.line()
	defer l.close()
	users := make([]user, 0, n)
	for i := range n {
		var got struct {
			AccessToken string
			User        struct{ ID string }
		}
		in := person{Email: fmt.Sprintf("bench-%d@example.com", i), Name: fmt.Sprintf("Bench %d", i), OrgID: organization, OrgRole: "member"}
		if err := l.call(ctx, request{method: "POST", path: "/dev/token"}, in, &got); err != nil {
			return nil, err
		}
		if got.AccessToken == "" || got.User.ID == "" {
			return nil, fmt.Errorf("POST /dev/token: no accessToken or no user.id in the answer")
		}
		users = append(users, user{id: got.User.ID, token: got.AccessToken})
	}
	return users, nil
}

type invitation struct {
	UserID string `json:"userId"`
	Role   string `json:"role"`
}

// open makes a meeting of the members, starts it as the first and joins it as the others.
func (t *target) open(ctx context.Context, members []user) (room, error) {
	if len(members) == 0 || len(members) > maxMembers+1 {
		return room{}, fmt.Errorf("a meeting of %d", len(members))
	}
	in := struct {
		Title           string       `json:"title"`
		MaxParticipants int          `json:"maxParticipants"`
		Participants    []invitation `json:"participants"`
	}{"Bench " + time.Now().UTC().Format(time.DateTime), 1000, []invitation{}}
	for _, m := range members[1:] {
		in.Participants = append(in.Participants, invitation{m.id, "participant"})
	}
	l := t.line()
	defer l.close()
	var made struct{ ID string }
	err := l.call(ctx, request{method: "POST", path: "/v1/meetings", token: members[0].token}, in, &made)
	if err != nil {
		return room{}, err
	}
	r := room{path: "/v1/meetings/" + url.PathEscape(made.ID), members: members}
	for i, m := range members {
		step := "/join"
		if i == 0 {
			step = "/start"
		}
		if err := l.call(ctx, request{method: "POST", path: r.path + step, token: m.token}, nil, nil); err != nil {
			return room{}, err
		}
	}
	return r, nil
}

// stage signs in users and opens rooms that all of them are in.
func (t *target) stage(ctx context.Context, users, rooms int) ([]room, error) {
	members, err := t.signIn(ctx, users)
	if err != nil {
		return nil, err
	}
	all := make([]room, 0, rooms)
	for range rooms {
		r, err := t.open(ctx, members)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
