package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/domain"
)

const (
	// MaxToken bounds an access token, in bytes: what many proxies allow for a
	// header line, and several times what the claims of WorkOS take.
	MaxToken = 8 << 10
	// leeway is how far our clock and the provider's may differ.
	leeway = 30 * time.Second
	// signing is the one algorithm that WorkOS signs with. No other is looked
	// at, so that a token cannot choose a weaker one.
	signing = "RS256"
)

// Config says whose tokens a Verifier believes. All fields but Now and Log are
// required.
type Config struct {
	JWKSURL  string   // where the provider publishes our client's keys
	Issuers  []string // the values of iss that are accepted
	ClientID string   // our client, which aud and client_id must name where present
	// Client fetches the keys; redirects are not followed.
	Client *http.Client
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Log receives why keys could not be fetched; slog.Default() when nil.
	Log *slog.Logger
}

// WorkOSConfig returns the configuration for the WorkOS client clientID, with
// the issuers that WorkOS documents. apiURL is https://api.workos.com, the
// custom domain, or an emulator. The caller adds Client.
func WorkOSConfig(apiURL, clientID string) Config {
	base := strings.TrimRight(apiURL, "/")
	return Config{
		JWKSURL:  base + "/sso/jwks/" + url.PathEscape(clientID),
		Issuers:  []string{base, base + "/", base + "/user_management/" + clientID},
		ClientID: clientID,
	}
}

func (c Config) check() error {
	u, err := url.Parse(c.JWKSURL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the address of the keys, %q, is not an http or https URL", c.JWKSURL)
	case len(c.Issuers) == 0, slices.Contains(c.Issuers, ""):
		return errors.New("tokens need at least one issuer, and no empty one")
	case c.ClientID == "":
		return errors.New("tokens need a client id")
	case c.Client == nil:
		return errors.New("tokens need an HTTP client to fetch keys with")
	}
	return nil
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	issuers  []string
	clientID string
	now      func() time.Time
	parser   *jwt.Parser
	keys     *keySet
	verified *verifiedTokens
}

// NewVerifier returns a verifier that has tried to fetch the keys once, within
// ctx. When that fails it goes on all the same, and tries again when a token
// comes: a provider that is down keeps nobody from starting. Close it after
// use.
func NewVerifier(ctx context.Context, c Config) (*Verifier, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	v := &Verifier{
		issuers:  slices.Clone(c.Issuers),
		clientID: c.ClientID,
		now:      c.Now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{signing}),
			jwt.WithLeeway(leeway),
			jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(c.Now),
			// Else other last characters of a signature decode to the same bytes.
			jwt.WithStrictDecoding(),
		),
		keys:     newKeySet(c),
		verified: newVerifiedTokens(),
	}
	select {
	case <-v.keys.refresh(refreshEvery):
	case <-ctx.Done():
	}
	return v, nil
}

// Close ends what still runs. Keys that are known stay so.
func (v *Verifier) Close() { v.keys.close() }

// Verify returns what the token tells.
//
// Errors: Unauthenticated, with one sentence that says what is wrong with the
// token; Unavailable when its key is unknown and the keys cannot be fetched
// now, or ctx ends before they have come.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > MaxToken {
		return Claims{}, refuse(Malformed, "the token is longer than %d bytes", MaxToken)
	}
	if !compact(token) {
		return Claims{}, refuse(Malformed, "the token is not a signed JWT")
	}
	sum := sha256.Sum256([]byte(token))
	if c, found := v.verified.get(sum, v.now()); found {
		return c, nil
	}
	c, err := v.verify(ctx, token)
	if err != nil {
		return Claims{}, err
	}
	v.verified.put(sum, c, v.now())
	return c, nil
}

func (v *Verifier) verify(ctx context.Context, token string) (Claims, error) {
	var c wireClaims
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		return v.keys.find(ctx, t)
	})
	switch {
	case err != nil:
		return Claims{}, refusal(err)
	case !slices.Contains(v.issuers, c.Issuer):
		return Claims{}, refuse(Foreign, "the token is from an issuer that is not trusted here")
	case !c.Audience.allow(v.clientID), !c.ClientID.allow(v.clientID):
		return Claims{}, refuse(Foreign, "the token is for another client")
	case c.Subject == "":
		return Claims{}, refuse(Malformed, "the token does not say whom it speaks for")
	case c.IssuedAt == nil:
		return Claims{}, refuse(Malformed, "the token does not say when it was issued")
	}
	return Claims{
		Subject:      c.Subject,
		Session:      c.Session,
		Org:          c.Org,
		OrgRole:      c.Role,
		Impersonator: c.impersonator(),
		IssuedAt:     c.IssuedAt.UTC(),
		Expires:      c.ExpiresAt.UTC(),
	}, nil
}

// compact reports whether the token has the characters of a JWS only. Decoders
// skip line breaks, so that a token with some would pass for another one.
func compact(token string) bool {
	for i := range len(token) {
		b := token[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_', b == '.':
		default:
			return false
		}
	}
	return token != ""
}

// refusals are the sentences for what the parser refuses, the first that fits.
var refusals = []struct {
	err      error
	reason   Reason
	sentence string
}{
	{jwt.ErrTokenMalformed, Malformed, "the token is not a signed JWT"},
	{jwt.ErrTokenSignatureInvalid, BadSign, "the token's signature is wrong"},
	{jwt.ErrTokenUnverifiable, BadSign, "the token's signature is wrong"},
	{jwt.ErrTokenExpired, Expired, "the token has expired"},
	{jwt.ErrTokenNotValidYet, Early, "the token is not valid yet"},
	{jwt.ErrTokenRequiredClaimMissing, Malformed, "the token does not say when it expires"},
}

// refusal turns the parser's error into one for the caller, without the parts
// of the token that it may quote.
func refusal(err error) error {
	if e, found := errors.AsType[*domain.Error](err); found {
		return e
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return refuse(r.reason, "%s", r.sentence)
		}
	}
	return refuse(Other, "the token is not valid")
}
