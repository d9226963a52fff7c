package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// devLifetime is how long a development token is valid: a working day.
const devLifetime = 12 * time.Hour

// TokenRequest asks the development identity provider to sign somebody in.
type TokenRequest struct {
	Email   string // required; its case does not matter
	Name    string // "" keeps the one told before
	OrgID   string // "" for no organization
	OrgRole string // domain.OrgAdmin or OrgMember, "" for none; needs an organization
}

// Grant is a token and whose it is.
type Grant struct {
	AccessToken string
	ExpiresIn   time.Duration
	User        users.User
	Actor       domain.Actor // whom the token speaks for, for the record
}

// Token signs in the person with the e-mail address, making them at the first
// time. Organization and role become what the request says, at each call. The
// caller records that the session of the token has begun.
//
// Errors: Invalid for a wrong field; Forbidden for a deactivated user, whose Actor
// is returned all the same.
func (p *DevProvider) Token(ctx context.Context, r TokenRequest) (Grant, error) {
	r.Email, r.Name = strings.ToLower(r.Email), strings.TrimSpace(r.Name)
	if err := r.check(); err != nil {
		return Grant{}, err
	}
	var subject string
	var account users.Account
	var now time.Time
	session := "session_" + rand.Text()
	err := p.db.Write(ctx, func(tx *db.WriteTx) error {
		u, err := enroll(tx, r)
		if err != nil {
			return err
		}
		subject, now = u.subject, tx.Now
		// The token alone would not do: it tells seconds, and one of the same
		// second is no news.
		account, err = p.people.SignIn(db.Join(ctx, tx), users.Identity{
			Subject:       u.subject,
			Email:         u.email,
			EmailVerified: true,
			Name:          u.name,
			Org:           r.OrgID,
			OrgRole:       r.OrgRole,
			At:            tx.Now,
		})
		if err != nil {
			return err
		}
		_, err = users.Begun(tx, session)
		return err
	})
	if err != nil {
		return Grant{}, err
	}
	who := actorOf(account, Claims{Session: session, Expires: now.Add(devLifetime)})
	user, err := p.people.Me(ctx, who)
	if err != nil {
		return Grant{Actor: who}, err
	}
	token, err := p.sign(subject, session, r, now)
	return Grant{AccessToken: token, ExpiresIn: devLifetime, User: user, Actor: who}, err
}

// enroll returns the person with the e-mail address of the request, made or
// renamed as it says.
func enroll(tx *db.WriteTx, r TokenRequest) (devUser, error) {
	u, err := db.One(tx, scanDevUser, selectByEmail, r.Email)
	switch {
	case errors.Is(err, db.ErrNone):
		u = devUser{email: r.Email, subject: "user_" + tx.ULID(), name: r.Name}
		_, err = tx.Exec(insertDevUser, u.email, u.subject, u.name)
	case err == nil && r.Name != "" && r.Name != u.name:
		u.name = r.Name
		_, err = tx.Exec(updateDevUser, u.name, u.email)
	}
	return u, err
}

// sign returns a token with the claims of WorkOS.
func (p *DevProvider) sign(subject, session string, r TokenRequest, now time.Time) (string, error) {
	claims := jwt.MapClaims{
		"iss":       devIssuer,
		"sub":       subject,
		"sid":       session,
		"client_id": devClientID,
		"jti":       rand.Text(),
		"iat":       now.Unix(),
		"exp":       now.Add(devLifetime).Unix(),
	}
	if r.OrgID != "" {
		claims["org_id"] = r.OrgID
	}
	if r.OrgRole != "" {
		claims["role"] = r.OrgRole
	}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = p.kid
	return t.SignedString(p.key)
}

// orgName is the shape of an organization's id, with room to spare for the 30
// characters of a WorkOS id.
var orgName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (r TokenRequest) check() error {
	switch {
	case r.Email == "":
		return domain.FailField("body.email", "must not be empty")
	case len(r.Email) > users.MaxEmail:
		return domain.FailField("body.email", "must have at most %d bytes", users.MaxEmail)
	case !bareAddress(r.Email):
		return domain.FailField("body.email", "must be an e-mail address without a name, such as ada@example.com")
	case utf8.RuneCountInString(r.Name) > users.MaxDisplayName:
		return domain.FailField("body.name", "must have at most %d characters", users.MaxDisplayName)
	case r.OrgID != "" && !orgName.MatchString(r.OrgID):
		return domain.FailField("body.orgId", "must have 1 to 64 letters, digits, _ or -")
	case r.OrgRole != "" && r.OrgRole != domain.OrgAdmin && r.OrgRole != domain.OrgMember:
		return domain.FailField("body.orgRole", "must be %s or %s", domain.OrgAdmin, domain.OrgMember)
	case r.OrgRole != "" && r.OrgID == "":
		return domain.FailField("body.orgRole", "needs an organization in orgId")
	}
	return nil
}

// bareAddress reports whether s is an e-mail address and nothing around it.
func bareAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}
