package auth_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/domain"
)

func TestAcceptedTokens(t *testing.T) {
	c := newClock()
	v := newProvider().verifier(t, c.Now)
	now := c.Now()
	for name, change := range map[string]jwt.MapClaims{
		"as WorkOS sends it":             {},
		"issuer with a slash":            {"iss": issuer + "/"},
		"aud names our client":           {"aud": clientID},
		"aud is an array with ours":      {"aud": []string{"other", clientID}},
		"client_id names our client":     {"client_id": clientID},
		"expired, within leeway":         {"exp": now.Add(-29 * time.Second).Unix()},
		"not yet valid, within leeway":   {"nbf": now.Add(30 * time.Second).Unix()},
		"claims that we do not know":     {"permissions": []string{"x"}, "act": map[string]any{"sub": "y"}},
		"issued by a clock that is fast": {"iat": now.Add(20 * time.Second).Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Verify(t.Context(), good(t, now, change)); err != nil {
				t.Error(err)
			}
		})
	}
	got, err := v.Verify(t.Context(), good(t, now))
	want := auth.Claims{
		Subject: "user_1", Session: "session_1", Org: "org_1", OrgRole: "member",
		IssuedAt: now, Expires: now.Add(5 * time.Minute),
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// refused is a token that must be refused, and a part of the sentence.
type refused struct{ token, sentence string }

func refusedClaims(t *testing.T, now time.Time) map[string]refused {
	token := func(name string, value any) string { return good(t, now, jwt.MapClaims{name: value}) }
	return map[string]refused{
		"expired":                      {token("exp", now.Add(-30*time.Second).Unix()), "has expired"},
		"expired long ago":             {token("exp", 0), "has expired"},
		"never expires":                {token("exp", nil), "when it expires"},
		"exp is no number":             {token("exp", "soon"), "not a signed JWT"},
		"not valid yet":                {token("nbf", now.Add(31*time.Second).Unix()), "not valid yet"},
		"foreign issuer":               {token("iss", "https://evil.example"), "issuer"},
		"issuer that begins like ours": {token("iss", issuer+".evil.example"), "issuer"},
		"no issuer":                    {token("iss", nil), "issuer"},
		"aud of another":               {token("aud", "client_theirs"), "another client"},
		"aud array without ours":       {token("aud", []string{"client_theirs", "x"}), "another client"},
		"empty aud array":              {token("aud", []string{}), "another client"},
		"empty aud":                    {token("aud", ""), "another client"},
		"aud is a number":              {token("aud", 1), "not a signed JWT"},
		"client_id of another":         {token("client_id", "client_theirs"), "another client"},
		"empty client_id":              {token("client_id", ""), "another client"},
		"aud ours, client_id not":      {good(t, now, jwt.MapClaims{"aud": clientID, "client_id": "client_theirs"}), "another client"},
		"no subject":                   {token("sub", nil), "whom it speaks for"},
		"empty subject":                {token("sub", ""), "whom it speaks for"},
		"not issued":                   {token("iat", nil), "when it was issued"},
	}
}

func refusedSignatures(t *testing.T, now time.Time) map[string]refused {
	key, c := keyA(), claims(now)
	rs256 := jwt.SigningMethodRS256
	der := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	own := map[string]any{"jwk": map[string]any{"kty": "RSA", "kid": "a", "e": "AQAB",
		"n": base64.RawURLEncoding.EncodeToString(keyB().N.Bytes())}, "jku": "https://evil.example/keys"}
	return map[string]refused{
		"alg none":                     {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "a", c), "signature"},
		"alg None":                     {sign(t, rs256, key, "a", c, map[string]any{"alg": "None"}), "signature"},
		"HS256 with the public key":    {sign(t, jwt.SigningMethodHS256, text, "a", c), "signature"},
		"HS256 with the key's DER":     {sign(t, jwt.SigningMethodHS256, der, "a", c), "signature"},
		"HS256 with the modulus":       {sign(t, jwt.SigningMethodHS256, key.N.Bytes(), "a", c), "signature"},
		"RS512":                        {sign(t, jwt.SigningMethodRS512, key, "a", c), "signature"},
		"PS256":                        {sign(t, jwt.SigningMethodPS256, key, "a", c), "signature"},
		"another key under our kid":    {sign(t, rs256, keyB(), "a", c), "signature"},
		"brings its own key":           {sign(t, rs256, keyB(), "a", c, own), "signature"},
		"unknown kid":                  {sign(t, rs256, key, "zzz", c), "does not have"},
		"no kid":                       {sign(t, rs256, key, nil, c), "does not name the key"},
		"empty kid":                    {sign(t, rs256, key, "", c), "does not name the key"},
		"kid is a number":              {sign(t, rs256, key, 1, c), "does not name the key"},
		"critical extension":           {sign(t, rs256, key, "a", c, map[string]any{"crit": []string{"b64"}, "b64": false}), "extensions"},
		"expired and of another key":   {sign(t, rs256, keyB(), "a", claims(now, jwt.MapClaims{"exp": 1})), "signature"},
		"foreign and of another key":   {sign(t, rs256, keyB(), "a", claims(now, jwt.MapClaims{"iss": "x"})), "signature"},
		"no algorithm":                 {sign(t, rs256, key, "a", c, map[string]any{"alg": nil}), "signature"},
		"an algorithm that is no text": {sign(t, rs256, key, "a", c, map[string]any{"alg": 256}), "signature"},
	}
}

func refusedTexts(t *testing.T, now time.Time) map[string]refused {
	token := good(t, now)
	parts := strings.Split(token, ".")
	other := strings.Split(good(t, now, jwt.MapClaims{"sub": "user_2"}), ".")
	return map[string]refused{
		"empty":                       {"", "not a signed JWT"},
		"oversize":                    {good(t, now, jwt.MapClaims{"x": strings.Repeat("x", auth.MaxToken)}), "longer than"},
		"truncated by one":            {token[:len(token)-1], ""},
		"truncated by half":           {token[:len(token)/2], ""},
		"no signature":                {parts[0] + "." + parts[1] + ".", "signature"},
		"two parts":                   {parts[0] + "." + parts[1], "not a signed JWT"},
		"four parts":                  {token + ".", "not a signed JWT"},
		"dots":                        {"..", "not a signed JWT"},
		"claims of another token":     {parts[0] + "." + other[1] + "." + parts[2], "signature"},
		"garbage":                     {strings.Repeat("garbage", 40), "not a signed JWT"},
		"garbage in three parts":      {"garbage.garbage.garbage", "not a signed JWT"},
		"a line break at the end":     {token + "\n", "not a signed JWT"},
		"a line break inside":         {token[:len(token)-8] + "\r\n" + token[len(token)-8:], "not a signed JWT"},
		"padding":                     {token + "==", "not a signed JWT"},
		"other bits after the last":   {token[:len(token)-1] + string(token[len(token)-1]+1), ""},
		"a scheme before it":          {"Bearer " + token, "not a signed JWT"},
		"a header that is no object":  {"W10." + parts[1] + "." + parts[2], "not a signed JWT"},
		"claims that are null":        {parts[0] + ".bnVsbA." + parts[2], "signature"},
		"bytes that are not a letter": {"\x00\xff", "not a signed JWT"},
	}
}

func TestRefusedTokens(t *testing.T) {
	c := newClock()
	v := newProvider().verifier(t, c.Now)
	for _, table := range []func(*testing.T, time.Time) map[string]refused{refusedClaims, refusedSignatures, refusedTexts} {
		for name, r := range table(t, c.Now()) {
			t.Run(name, func(t *testing.T) {
				_, err := v.Verify(t.Context(), r.token)
				wantKind(t, err, domain.Unauthenticated, r.sentence)
				wantPlain(t, err, r.token)
			})
		}
	}
}

func TestOtherAlgorithmsAreRefusedWhateverTheKeyAllows(t *testing.T) {
	c, p := newClock(), newProvider()
	p.alg = "" // any
	v := p.verifier(t, c.Now)
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256} {
		_, err := v.Verify(t.Context(), sign(t, method, keyA(), "a", claims(c.Now())))
		wantKind(t, err, domain.Unauthenticated, "signature")
	}
	if _, err := v.Verify(t.Context(), good(t, c.Now())); err != nil {
		t.Error(err)
	}
}

// wantPlain fails the test if any error of the chain quotes the token or says
// what it was verified with.
func wantPlain(t *testing.T, err error, token string) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, quoted := range append(strings.Split(token, "."), "crypto/", "keyfunc", "jwkset", "base64", "json:", "user_1", "zzz") {
			if len(quoted) > 2 && strings.Contains(err.Error(), quoted) {
				t.Errorf("%q says %q", err, quoted)
			}
		}
	}
}

// A token that was verified is believed without its key, but not for longer
// than it is valid, and not for longer than five minutes.
func TestVerifiedTokenIsRememberedForAWhile(t *testing.T) {
	for name, test := range map[string]struct{ lifetime, remembered time.Duration }{
		"until it expires":      {time.Minute, time.Minute},
		"at most five minutes":  {time.Hour, 5 * time.Minute},
		"expired, not at all":   {-time.Second, 0},
		"for less than a fetch": {20 * time.Second, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := newClock(), newProvider()
			v := p.verifier(t, c.Now)
			token := good(t, c.Now(), jwt.MapClaims{"exp": c.Now().Add(test.lifetime).Unix()})
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			start := c.Now()
			p.set(map[string]*rsa.PrivateKey{"b": keyB()})
			c.advance(10 * time.Second)
			if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, keyB(), "b", claims(c.Now()))); err != nil {
				t.Fatal(err)
			}
			if test.remembered > 0 {
				c.advance(start.Add(test.remembered - time.Millisecond).Sub(c.Now()))
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Errorf("just before: %v", err)
				}
				c.advance(time.Millisecond)
			}
			_, err := v.Verify(t.Context(), token)
			wantKind(t, err, domain.Unauthenticated, "")
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*auth.Config){
		"no address":    func(c *auth.Config) { c.JWKSURL = "" },
		"a file":        func(c *auth.Config) { c.JWKSURL = "file:///keys" },
		"no issuer":     func(c *auth.Config) { c.Issuers = nil },
		"empty issuer":  func(c *auth.Config) { c.Issuers = []string{issuer, ""} },
		"no client":     func(c *auth.Config) { c.ClientID = "" },
		"no connection": func(c *auth.Config) { c.Client = nil },
	} {
		c := newProvider().config(newClock().Now)
		change(&c)
		if _, err := auth.NewVerifier(t.Context(), c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWorkOSConfig(t *testing.T) {
	c := auth.WorkOSConfig("https://api.workos.com/", "client_1")
	if c.JWKSURL != "https://api.workos.com/sso/jwks/client_1" || c.ClientID != "client_1" {
		t.Errorf("got %+v", c)
	}
	want := "https://api.workos.com https://api.workos.com/ https://api.workos.com/user_management/client_1"
	if got := strings.Join(c.Issuers, " "); got != want {
		t.Errorf("got issuers %s, want %s", got, want)
	}
}
