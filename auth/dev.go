package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/MicahParks/jwkset"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

const (
	// devClientID and devIssuer are what the tokens of the development identity
	// provider carry; the issuer has the form of WorkOS. The name does not
	// resolve anywhere: its one address is served inside the process.
	devClientID = "client_development"
	devOrigin   = "http://identity.invalid"
	devIssuer   = devOrigin + "/user_management/" + devClientID
	devJWKSURL  = devOrigin + "/sso/jwks/" + devClientID

	// devKeyID is the row of the one key, and devKeyBits its length: what WorkOS
	// uses too.
	devKeyID   = "signing"
	devKeyBits = 2048
)

// DevProvider is the development identity provider: it signs a token for
// whoever asks, with the claims of WorkOS, so that everything after it is as in
// production. CheckDevelopment says where it may run.
type DevProvider struct {
	db     *db.DB
	people *users.Store
	key    *rsa.PrivateKey
	kid    string
	jwks   []byte
}

type devUser struct {
	email   string // in lower case
	subject string
	name    string // "" when it was never told
}

// NewDevProvider returns the provider whose key and people are in d. The key is
// made at the first time.
func NewDevProvider(ctx context.Context, d *db.DB, people *users.Store) (*DevProvider, error) {
	key, err := devKey(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("development signing key: %w", err)
	}
	p := &DevProvider{db: d, people: people, key: key, kid: keyID(&key.PublicKey)}
	if p.jwks, err = p.document(); err != nil {
		return nil, fmt.Errorf("development key set: %w", err)
	}
	return p, nil
}

// devKey returns the key in d, which it makes when there is none.
func devKey(ctx context.Context, d *db.DB) (*rsa.PrivateKey, error) {
	var stored []byte
	err := d.Read(ctx, func(tx db.Reader) (err error) {
		stored, err = db.One(tx, scanKey, selectKey, devKeyID)
		return err
	})
	if errors.Is(err, db.ErrNone) {
		stored, err = makeDevKey(ctx, d)
	}
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(stored)
	if err != nil {
		return nil, err
	}
	key, isRSA := parsed.(*rsa.PrivateKey)
	if !isRSA {
		return nil, fmt.Errorf("it is a %T", parsed)
	}
	return key, nil
}

// makeDevKey stores a new key, unless somebody was faster, and returns the one
// that is stored. It is made before the write, which has no time for that.
func makeDevKey(ctx context.Context, d *db.DB) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, devKeyBits)
	if err != nil {
		return nil, err
	}
	fresh, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var stored []byte
	err = d.Write(ctx, func(tx *db.WriteTx) (err error) {
		stored, err = db.One(tx, scanKey, selectKey, devKeyID)
		if !errors.Is(err, db.ErrNone) {
			return err
		}
		stored = fresh
		_, err = tx.Exec(insertKey, devKeyID, fresh, tx.Now.UnixMilli())
		return err
	})
	return stored, err
}

// keyID names a key by its contents, so that the keys of two databases are
// never taken for one another.
func keyID(key *rsa.PublicKey) string {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return "dev_" + base64.RawURLEncoding.EncodeToString(sum[:12])
}

func (p *DevProvider) document() ([]byte, error) {
	jwk, err := jwkset.NewJWKFromKey(&p.key.PublicKey, jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgRS256, KID: p.kid, USE: jwkset.UseSig},
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
}

// JWKS serves the public key as WorkOS does.
func (p *DevProvider) JWKS(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(p.jwks) // a reader that has gone needs no answer
}

// Config returns the configuration of a Verifier that believes this provider's
// tokens. It fetches the keys by HTTP, as from WorkOS, but inside the process.
func (p *DevProvider) Config(now func() time.Time) Config {
	return Config{
		JWKSURL:  devJWKSURL,
		Issuers:  []string{devIssuer},
		ClientID: devClientID,
		Client:   &http.Client{Transport: handlerTransport{http.HandlerFunc(p.JWKS)}},
		Now:      now,
	}
}

// Person returns the person with the subject; it makes the provider a
// Directory.
func (p *DevProvider) Person(ctx context.Context, subject string) (Person, error) {
	var u devUser
	err := p.db.Read(ctx, func(tx db.Reader) (err error) {
		u, err = db.One(tx, scanDevUser, selectBySubject, subject)
		return err
	})
	if errors.Is(err, db.ErrNone) {
		return Person{}, domain.Fail(domain.NotFound, "the development identity provider has no such person")
	}
	return Person{Email: u.email, EmailVerified: true, Name: u.name}, err
}

// Memberships returns none: organization and role are in the token, which knows no
// other.
func (p *DevProvider) Memberships(context.Context, string) ([]users.Membership, error) {
	return nil, nil
}

// handlerTransport answers requests by calling the handler.
type handlerTransport struct{ handler http.Handler }

// RoundTrip returns what the handler writes.
func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }() // the contract of a RoundTripper
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a := answer{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(&a, r)
	return &http.Response{
		Status:        http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          io.NopCloser(&a.body),
		ContentLength: int64(a.body.Len()),
		Request:       r,
	}, nil
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header that will be sent.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write adds to the body.
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
