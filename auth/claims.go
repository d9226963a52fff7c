package auth

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/domain/users"
)

// Claims is what a verified token tells.
type Claims struct {
	Subject string // the provider's name for the person
	Session string // the provider's session, or ""
	Org     string // the organization that was selected, or ""
	OrgRole string // the role in it, or ""
	// Impersonator is who acts in the subject's place, or "".
	Impersonator string
	IssuedAt     time.Time
	Expires      time.Time
}

// wireClaims is the claims of WorkOS as they stand in a token. Its Audience
// hides the registered one, which cannot tell an empty aud from none.
type wireClaims struct {
	jwt.RegisteredClaims
	Audience names  `json:"aud"`
	ClientID names  `json:"client_id"`
	Session  string `json:"sid"`
	Org      string `json:"org_id"`
	Role     string `json:"role"`
	Act      struct {
		Subject string `json:"sub"`
	} `json:"act"`
}

// impersonator is the act claim, cut to what is recorded of it: tokens of RFC 8693
// may say more than the e-mail address that WorkOS writes.
func (c wireClaims) impersonator() string {
	by := c.Act.Subject
	return strings.ToValidUTF8(by[:min(len(by), users.MaxEmail)], "")
}

// names is a claim that holds one name or an array of them.
type names struct {
	present bool
	list    []string
}

// UnmarshalJSON reads a string or an array of strings; null is present and
// names nobody.
func (n *names) UnmarshalJSON(b []byte) error {
	n.present, n.list = true, nil
	var one string
	if b[0] == '"' {
		err := json.Unmarshal(b, &one)
		n.list = []string{one}
		return err
	}
	return json.Unmarshal(b, &n.list)
}

// allow reports whether the claim names client, or is not there.
func (n names) allow(client string) bool {
	return !n.present || slices.Contains(n.list, client)
}
