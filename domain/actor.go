package domain

import "time"

// Actor is who asks: the caller of a Store method, as the token and the users
// table tell. It is passed by value and never kept in a context.
type Actor struct {
	User    UserID
	Org     string // the organization, or ""
	OrgRole string // OrgAdmin, OrgMember, or ""
	Session string // the session the token belongs to, or ""
	// Impersonator is who acts in the user's place, as the identity provider calls
	// them: somebody of the support, by e-mail. Else "".
	Impersonator string
	Expires      time.Time // when the token ends; open streams end then too
}

// The roles in an organization that mean something here. Others are kept as the
// identity provider sends them and give no right.
const (
	OrgAdmin  = "admin"
	OrgMember = "member"
)
