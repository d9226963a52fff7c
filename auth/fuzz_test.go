package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/domain"
)

// FuzzVerify looks for a token that is accepted and was never signed: any text,
// and a good token with a part replaced.
func FuzzVerify(f *testing.F) {
	c := newClock()
	v := newProvider().verifier(f, c.Now)
	signed := good(f, c.Now())
	last := uint16(len(signed) - 1)
	f.Add("", uint16(0), uint8(0), "")
	f.Add("", last, uint8(1), "A")
	f.Add("", last, uint8(0), "\n")
	f.Add("", last, uint8(0), ".")
	f.Add("", uint16(0), uint8(strings.IndexByte(signed, '.')), "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9")
	f.Add(sign(f, jwt.SigningMethodHS256, []byte("secret"), "a", claims(c.Now())), uint16(0), uint8(0), "")
	f.Add("eyJhbGciOiJub25lIn0.e30.", uint16(0), uint8(0), "")
	f.Fuzz(func(t *testing.T, token string, at uint16, cut uint8, insert string) {
		if token == "" {
			from := min(int(at), len(signed))
			token = signed[:from] + insert + signed[min(from+int(cut), len(signed)):]
		}
		_, err := v.Verify(t.Context(), token)
		switch {
		case err == nil && token != signed:
			t.Errorf("accepted %q", token)
		case err != nil && token == signed:
			t.Errorf("refused a good token: %v", err)
		case err != nil && domain.KindOf(err) != domain.Unauthenticated:
			t.Errorf("got %v of kind %d", err, domain.KindOf(err))
		}
	})
}

// FuzzClaims signs any claims: whatever they are, an accepted token has a
// subject, has not expired and is from our issuer.
func FuzzClaims(f *testing.F) {
	c := newClock()
	v := newProvider().verifier(f, c.Now)
	f.Add(`{"iss":"https://id.example","sub":"user_1","iat":1772366400,"exp":1772366460}`)
	f.Add(`{"iss":"https://id.example","sub":"user_1","iat":1e308,"exp":1e308,"aud":null}`)
	f.Add(`{"aud":[],"exp":"1","nbf":-1}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, payload string) {
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"a"}`))
		text := head + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		signature, err := jwt.SigningMethodRS256.Sign(text, keyA())
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), text+"."+base64.RawURLEncoding.EncodeToString(signature))
		var said struct {
			Issuer string `json:"iss"`
		}
		_ = json.Unmarshal([]byte(payload), &said) // what cannot be read has no issuer
		if err == nil && (got.Subject == "" || !got.Expires.Add(30*time.Second).After(c.Now()) || strings.TrimSuffix(said.Issuer, "/") != issuer) {
			t.Errorf("accepted %s as %+v", payload, got)
		}
		if err != nil && domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("got %v of kind %d", err, domain.KindOf(err))
		}
	})
}
