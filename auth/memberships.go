package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"connvo/domain/users"
)

const (
	// membershipPage is how many memberships are read at a time: the most that
	// WorkOS gives.
	membershipPage = 100
	// maxMemberships is how many of a person's memberships are read at their first
	// sight, the newest: more than anybody acts for, and a few milliseconds of the
	// writer's time. Of others the events tell, and the token that is for one.
	maxMemberships = 5 * membershipPage
	// maxMembershipPage bounds a page in bytes: each may have the whole user in it.
	maxMembershipPage = membershipPage * (maxPerson / 2)
)

// wireMemberships is a page of the list of memberships.
type wireMemberships struct {
	Data     []wireSubject `json:"data"`
	Metadata struct {
		After string `json:"after"` // "" at the end
	} `json:"list_metadata"`
}

// Memberships returns where the person with the subject belongs, or did: the newest
// maxMemberships. One that was deleted is not among them.
//
// Errors: Unavailable, also when only a part of them could be read.
func (d *WorkOSDirectory) Memberships(ctx context.Context, subject string) ([]users.Membership, error) {
	ctx, cancel := context.WithTimeout(ctx, personTimeout)
	defer cancel()
	var all []users.Membership
	for after := ""; ; {
		p, err := d.membershipsAfter(ctx, subject, after)
		if err != nil {
			return nil, unavailable(err)
		}
		for _, m := range p.Data {
			if m.UserID != subject {
				return nil, unavailable(errors.New("WorkOS tells of the memberships of somebody else"))
			}
			// It must not keep the person out for ever.
			if m.UpdatedAt.IsZero() || !named(m.OrgID) || (m.Role.Slug != "" && !named(m.Role.Slug)) {
				d.log.Error("a membership of WorkOS cannot be read")
				continue
			}
			all = append(all, m.membership())
		}
		switch next := p.Metadata.After; {
		case next == "", next == after, len(p.Data) == 0:
			return all, nil
		case len(all) >= maxMemberships:
			d.log.Warn("somebody has more memberships than are read at their first sight", "read", len(all))
			return all, nil
		default:
			after = next
		}
	}
}

// membership returns the membership that the data are of.
func (w wireSubject) membership() users.Membership {
	m := users.Membership{Subject: w.UserID, Org: w.OrgID, Active: w.Status == "active", At: w.UpdatedAt}
	if m.Active {
		m.Role = w.Role.Slug
	}
	return m
}

// membershipsAfter returns the page of the list of the subject's memberships that
// follows the one with the id after, the first for "".
func (d *WorkOSDirectory) membershipsAfter(ctx context.Context, subject, after string) (wireMemberships, error) {
	q := url.Values{"user_id": {subject}, "statuses": {"active,inactive,pending"}, "order": {"desc"}, "limit": {strconv.Itoa(membershipPage)}}
	if after != "" {
		q.Set("after", after)
	}
	r, err := d.policies.WithContext(ctx).Get(func() (reply, error) { return d.ask(ctx, d.memberships+"?"+q.Encode(), maxMembershipPage) })
	if err != nil {
		return wireMemberships{}, fmt.Errorf("ask WorkOS for memberships: %w", err)
	}
	if r.status != http.StatusOK {
		return wireMemberships{}, fmt.Errorf("WorkOS answered %d to a question about memberships, in answer %q", r.status, r.id)
	}
	var p wireMemberships
	if err := json.Unmarshal(r.body, &p); err != nil {
		return wireMemberships{}, fmt.Errorf("the memberships of WorkOS, in answer %q: %w", r.id, err)
	}
	return p, nil
}
