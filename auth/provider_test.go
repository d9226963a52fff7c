package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"connvo/auth"
	"connvo/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://id.example"
	clientID = "client_ours"
	jwksURL  = issuer + "/sso/jwks/" + clientID
)

// The keys of the tests: keyA is what the provider starts with. They are made
// once, since each takes a tenth of a second.
var (
	keyA = sync.OnceValue(newKey)
	keyB = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// clock is a clock that stands still until it is told otherwise.
type clock struct {
	mu sync.Mutex // guards t
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// provider is an identity provider's JWKS endpoint: the transport of an HTTP
// client.
type provider struct {
	mu      sync.Mutex // guards the rest
	keys    map[string]*rsa.PrivateKey
	alg     jwkset.ALG // what the keys are for, as the document says
	answer  answer     // instead of the document, unless nil
	fetches int
}

// answer is what the provider answers; document is what it would have.
type answer func(r *http.Request, document string) (*http.Response, error)

func newProvider() *provider {
	return &provider{keys: map[string]*rsa.PrivateKey{"a": keyA()}, alg: jwkset.AlgRS256}
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches++
	answer, keys := p.answer, maps.Clone(p.keys)
	p.mu.Unlock()
	if r.URL.String() != jwksURL {
		return nil, errors.New("no such address: " + r.URL.String())
	}
	var set jwkset.JWKSMarshal
	for kid, key := range keys {
		jwk, err := jwkset.NewJWKFromKey(&key.PublicKey, jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{ALG: p.alg, KID: kid, USE: jwkset.UseSig},
		})
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk.Marshal())
	}
	document, err := json.Marshal(set)
	if answer != nil {
		return answer(r, string(document))
	}
	return respond(http.StatusOK, string(document)), err
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func (p *provider) set(keys map[string]*rsa.PrivateKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) answerWith(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = a
}

// down is the answer of a provider that cannot be reached.
func down(*http.Request, string) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func (p *provider) fetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *provider) config(now func() time.Time) auth.Config {
	return auth.Config{
		JWKSURL:  jwksURL,
		Issuers:  []string{issuer, issuer + "/"},
		ClientID: clientID,
		Client:   &http.Client{Transport: p},
		Now:      now,
		Log:      slog.New(slog.DiscardHandler),
	}
}

// verifier returns a verifier of p's tokens that is closed when the test ends.
func (p *provider) verifier(t testing.TB, now func() time.Time) *auth.Verifier {
	t.Helper()
	v, err := auth.NewVerifier(t.Context(), p.config(now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// claims returns what a good token says at now, with changes; a nil value takes
// a claim away.
func claims(now time.Time, changes ...jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss":    issuer,
		"sub":    "user_1",
		"sid":    "session_1",
		"org_id": "org_1",
		"role":   "member",
		"jti":    rand.Text(),
		"iat":    now.Unix(),
		"exp":    now.Add(5 * time.Minute).Unix(),
	}
	for _, change := range changes {
		for name, value := range change {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	return c
}

// sign returns a token signed by the method and key, naming the key kid unless
// it is nil.
func sign(t testing.TB, method jwt.SigningMethod, key, kid any, c jwt.Claims, header ...map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	if kid != nil {
		token.Header["kid"] = kid
	}
	for _, h := range header {
		maps.Copy(token.Header, h)
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// good returns a token that p's verifiers accept at now.
func good(t testing.TB, now time.Time, changes ...jwt.MapClaims) string {
	t.Helper()
	return sign(t, jwt.SigningMethodRS256, keyA(), "a", claims(now, changes...))
}

// wantKind fails the test unless err has the kind and a sentence that contains
// text.
func wantKind(t testing.TB, err error, kind domain.Kind, text string) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v of kind %d, want %q of kind %d", err, domain.KindOf(err), text, kind)
	}
}
