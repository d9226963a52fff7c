package users

import (
	"encoding/json"
	"errors"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
)

// maxGone is how many people lose an organization at once when it is deleted: a
// few milliseconds of the writer's time.
const maxGone = 100

// Membership is what the identity provider tells about a person in an
// organization.
type Membership struct {
	Subject string // the provider's name for the person, who need not be known here
	Org     string
	Role    string // a slug
	Active  bool   // false takes organization and role away
	At      time.Time
}

// profile is what the provider told of a person.
type profile struct {
	name, avatar string
	at           time.Time
}

// known is what a person looks like here.
type known struct {
	user    domain.UserID
	active  bool
	email   string
	address string
	name    string
	avatar  string
}

// Renew stores what the provider tells about a person since something about them
// has changed: the e-mail address, whether it is verified, and the name and the
// picture unless they have chosen their own. What is older than what was told
// before is ignored, and so are people who were never seen. It joins the
// caller's transaction and asks for no rights: the provider has been believed.
func (s *Store) Renew(tx *db.WriteTx, id Identity) error {
	k, err := db.One(tx, scanKnown, selectKnown, id.Subject)
	if errors.Is(err, db.ErrNone) {
		return nil // their first token asks about them
	}
	if err != nil {
		return err
	}
	told, err := db.One(tx, scanProfile, selectProfile, k.user)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return err
	}
	if !id.At.After(told.at) {
		return nil
	}
	name := displayName(id)
	if _, err := tx.Exec(upsertProfile, k.user, id.At.UnixMilli(), name, id.AvatarURL); err != nil {
		return err
	}
	now := k
	now.email = id.Email
	if k.name == told.name {
		now.name = name
	}
	if k.avatar == told.avatar {
		now.avatar = id.AvatarURL
	}
	if address, ok := Address(id.Email); !ok || !id.EmailVerified || address != k.address {
		now.address = "" // which verified may set
	}
	if now != k {
		_, err := tx.Exec(updateKnown, now.email, now.address, now.name, nameKey(now.name), now.avatar, tx.Now.UnixMilli(), k.user)
		if err != nil {
			return err
		}
	}
	return s.verified(tx, Account{User: k.user, Active: k.active}, id)
}

// SetMembership stores a membership unless something newer is known of it. Who
// acts for the organization gets the role at once, or loses both; whoever acts
// for another, or for none, is left alone. It joins the caller's transaction and
// asks for no rights.
func (s *Store) SetMembership(tx *db.WriteTx, m Membership) error {
	if !m.Active {
		m.Role = ""
	}
	if fresh, err := m.store(tx); err != nil || !fresh {
		return err
	}
	a, err := db.One(tx, scanAccount, selectAccount, m.Subject, "")
	switch {
	case errors.Is(err, db.ErrNone):
		return nil
	case err != nil, a.Org != m.Org:
		return err
	}
	org := m.Org
	if !m.Active {
		org = ""
	}
	if org == a.Org && m.Role == a.OrgRole {
		_, err := tx.Exec(updateClaimsAt, m.At.UnixMilli(), a.User)
		return err
	}
	if _, err := tx.Exec(updateClaims, org, m.Role, max(m.At.UnixMilli(), a.ClaimsAt.UnixMilli()), tx.Now.UnixMilli(), a.User); err != nil {
		return err
	}
	return m.record(tx, a.User)
}

// store stores the membership; false where something newer is known of it.
func (m Membership) store(tx *db.WriteTx) (fresh bool, err error) {
	n, err := tx.Exec(upsertMembership, m.Subject, m.Org, m.Active, m.At.UnixMilli(), m.Role)
	return n > 0, err
}

// record records that the user acts for the organization now, or does no more;
// for "", which has no admins, nothing.
func (m Membership) record(tx *db.WriteTx, user domain.UserID) error {
	if m.Org == "" {
		return nil
	}
	detail, _ := json.Marshal(struct {
		Active bool   `json:"active"`
		Role   string `json:"role,omitempty"`
	}{m.Active, m.Role}) // which always encodes
	return audit.Record(tx, audit.Entry{Org: m.Org, Action: audit.MembershipChanged, Resource: string(user), Outcome: audit.Allowed, Detail: string(detail)})
}

// Remove deactivates the person whom the provider has deleted, for good: from the
// commit on no token and no session of theirs is worth anything. It joins the
// caller's transaction and asks for no rights.
func (s *Store) Remove(tx *db.WriteTx, subject string, at time.Time) error {
	if _, err := tx.Exec(insertDeparted, subject, at.UnixMilli()); err != nil {
		return err
	}
	a, err := db.One(tx, scanAccount, selectAccount, subject, "")
	switch {
	case errors.Is(err, db.ErrNone):
		return nil
	case err != nil, !a.Active:
		return err
	}
	if _, err := tx.Exec(deactivateUser, tx.Now.UnixMilli(), a.User); err != nil {
		return err
	}
	if err := leave(tx, Departure{User: a.User}); err != nil {
		return err
	}
	return audit.Record(tx, audit.Entry{Org: a.Org, Action: audit.UserDeactivated, Resource: string(a.User), Outcome: audit.Allowed})
}

// RemoveOrganization ends the memberships of an organization that the provider
// has deleted, a portion of them, and says whether there are more. It joins the
// caller's transaction and asks for no rights.
func (s *Store) RemoveOrganization(tx *db.WriteTx, org string, at time.Time) (more bool, err error) {
	if _, err := tx.Exec(insertDeparted, org, at.UnixMilli()); err != nil {
		return false, err
	}
	members, err := db.All(tx, scanMember, selectMembers, org, maxGone)
	if err != nil {
		return false, err
	}
	for _, m := range members {
		if m.At.Before(at) {
			m.At = at
		}
		if err := s.SetMembership(tx, Membership{Subject: m.Subject, Org: org, At: m.At}); err != nil {
			return false, err
		}
	}
	return len(members) == maxGone, nil
}

// departed reports whether the provider has deleted the person or organization.
func departed(tx db.Reader, id string) (bool, error) {
	n, err := db.One(tx, db.Int, selectDeparted, id)
	return n > 0, err
}

const selectKnown = `
SELECT id, active, email, address, display_name, avatar_url
FROM users
WHERE subject = ?1
-- scope: users.subject=?1`

const updateKnown = `
UPDATE users
SET email = ?, address = ?, display_name = ?, name_key = ?, avatar_url = ?, updated_at = ?
WHERE id = ?`

const deactivateUser = `
UPDATE users
SET active = 0, updated_at = ?
WHERE id = ?`

const selectProfile = `
SELECT told_at, display_name, avatar_url
FROM provider_profiles
WHERE user_id = ?1
-- scope: provider_profiles.user_id=?1`

const upsertProfile = `
INSERT INTO provider_profiles (user_id, told_at, display_name, avatar_url)
VALUES (?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE
SET told_at = excluded.told_at, display_name = excluded.display_name, avatar_url = excluded.avatar_url`

const selectMembership = `
SELECT subject, active, told_at, role
FROM memberships
WHERE subject = ?1 AND org_id = ?2
-- scope: memberships.subject=?1`

const selectMembers = `
SELECT subject, active, told_at, role
FROM memberships
WHERE org_id = ?1 AND active = 1
ORDER BY subject
LIMIT ?2
-- scope: memberships.org_id=?1`

// upsertMembership keeps what is newer. Of what was told in the same millisecond
// the end of a membership counts.
const upsertMembership = `
INSERT INTO memberships (subject, org_id, active, told_at, role)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (subject, org_id) DO UPDATE
SET active = excluded.active, told_at = excluded.told_at, role = excluded.role
WHERE excluded.told_at > told_at OR (excluded.told_at = told_at AND excluded.active <= active)`

const selectDeparted = `
SELECT count(*)
FROM departed
WHERE id = ?1
-- scope: departed.id=?1`

const insertDeparted = `
INSERT INTO departed (id, departed_at)
VALUES (?, ?)
ON CONFLICT (id) DO NOTHING`

func scanKnown(r db.Row) (known, error) {
	var k known
	err := r.Scan(&k.user, &k.active, &k.email, &k.address, &k.name, &k.avatar)
	return k, err
}

func scanProfile(r db.Row) (profile, error) {
	var p profile
	var at int64
	err := r.Scan(&at, &p.name, &p.avatar)
	p.at = time.UnixMilli(at).UTC()
	return p, err
}

// scanMember leaves the organization, which the statement was asked for.
func scanMember(r db.Row) (Membership, error) {
	var m Membership
	var at int64
	err := r.Scan(&m.Subject, &m.Active, &at, &m.Role)
	m.At = time.UnixMilli(at).UTC()
	return m, err
}
