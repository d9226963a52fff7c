package auth_test

import (
	"context"
	"crypto/rsa"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"connvo/auth"
	"connvo/domain"
)

func TestUnknownKeysCannotMakeUsFetchOften(t *testing.T) {
	c, p := newClock(), newProvider()
	v := p.verifier(t, c.Now)
	c.advance(10 * time.Second)
	_, rest, _ := strings.Cut(good(t, c.Now()), ".")
	tokens := make([]string, 1000)
	for i := range tokens {
		// The key is looked for before the signature, so any other will do.
		token := sign(t, jwt.SigningMethodHS256, []byte{1}, "k"+strconv.Itoa(i), nil, map[string]any{"alg": "RS256"})
		head, _, _ := strings.Cut(token, ".")
		tokens[i] = head + "." + rest
	}
	var all sync.WaitGroup
	for part := range slices.Chunk(tokens, 100) {
		all.Go(func() {
			for _, token := range part {
				_, err := v.Verify(t.Context(), token)
				wantKind(t, err, domain.Unauthenticated, "does not have")
			}
		})
	}
	all.Wait()
	if got := p.fetched(); got != 2 {
		t.Errorf("%d fetches, want one at the start and one for 1,000 unknown keys", got)
	}
}

func TestRotation(t *testing.T) {
	c, p := newClock(), newProvider()
	v := p.verifier(t, c.Now)
	if _, err := v.Verify(t.Context(), good(t, c.Now())); err != nil {
		t.Fatal(err)
	}
	p.set(map[string]*rsa.PrivateKey{"a": keyA(), "b": keyB()})
	c.advance(10 * time.Second)
	if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, keyB(), "b", claims(c.Now()))); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), good(t, c.Now())); err != nil {
		t.Errorf("the old key: %v", err)
	}
	p.set(map[string]*rsa.PrivateKey{"b": keyB()})
	c.advance(time.Hour)
	if _, err := v.Verify(t.Context(), good(t, c.Now())); err != nil {
		t.Errorf("a key that was known must not wait for a fetch: %v", err)
	}
	v.Close() // waits for the fetch that the age of the keys has caused
	if got := p.fetched(); got != 3 {
		t.Errorf("%d fetches, want 3", got)
	}
	_, err := v.Verify(t.Context(), good(t, c.Now()))
	wantKind(t, err, domain.Unauthenticated, "does not have")
}

func TestKeysCannotBeFetched(t *testing.T) {
	answers := map[string]answer{
		"no connection": down,
		"an error":      func(_ *http.Request, d string) (*http.Response, error) { return respond(http.StatusBadGateway, d), nil },
		"no JSON":       func(*http.Request, string) (*http.Response, error) { return respond(http.StatusOK, "<html>"), nil },
		"no key":        func(*http.Request, string) (*http.Response, error) { return respond(http.StatusOK, `{"keys":[]}`), nil },
		"too long": func(_ *http.Request, d string) (*http.Response, error) {
			return respond(http.StatusOK, `{"x":"`+strings.Repeat("x", 1<<20)+`",`+d[1:]), nil
		},
		"a redirect": func(*http.Request, string) (*http.Response, error) {
			r := respond(http.StatusFound, "")
			r.Header.Set("Location", "https://evil.example/keys")
			return r, nil
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			c, p := newClock(), newProvider()
			v := p.verifier(t, c.Now)
			p.set(map[string]*rsa.PrivateKey{"a": keyA(), "b": keyB()})
			p.answerWith(answer)
			c.advance(10 * time.Second)
			_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, keyB(), "b", claims(c.Now())))
			wantKind(t, err, domain.Unavailable, "cannot be fetched")
			if _, err := v.Verify(t.Context(), good(t, c.Now())); err != nil {
				t.Errorf("a known key: %v", err)
			}
			if got := p.fetched(); got != 2 {
				t.Errorf("%d fetches, want 2", got)
			}
		})
	}
}

func TestStartWhileTheProviderIsDown(t *testing.T) {
	c, p := newClock(), newProvider()
	p.answerWith(down)
	v := p.verifier(t, c.Now)
	_, err := v.Verify(t.Context(), good(t, c.Now()))
	wantKind(t, err, domain.Unavailable, "cannot be fetched")
	p.answerWith(nil)
	c.advance(10 * time.Second)
	if _, err := v.Verify(t.Context(), good(t, c.Now())); err != nil {
		t.Errorf("after it is up: %v", err)
	}
}

func TestClockThatIsSetBack(t *testing.T) {
	c, p := newClock(), newProvider()
	v := p.verifier(t, c.Now)
	p.set(map[string]*rsa.PrivateKey{"b": keyB()})
	c.advance(-time.Hour)
	if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodRS256, keyB(), "b", claims(c.Now()))); err != nil {
		t.Error(err)
	}
}

// hang answers when the request gives up.
func hang(r *http.Request, _ string) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestProviderThatHangs(t *testing.T) {
	keyA() // outside, where its goroutines may live
	synctest.Test(t, func(t *testing.T) {
		p := newProvider()
		p.answerWith(hang)
		began := time.Now()
		v := p.verifier(t, time.Now)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the start took %v, want the time limit of a fetch", took)
		}
		time.Sleep(10 * time.Second)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err := v.Verify(short, good(t, time.Now()))
		wantKind(t, err, domain.Unavailable, "ended before")
		if took := time.Since(began); took != time.Second {
			t.Errorf("the caller waited %v, want its own time limit", took)
		}
		_, err = v.Verify(t.Context(), good(t, time.Now()))
		wantKind(t, err, domain.Unavailable, "cannot be fetched")
		if got := p.fetched(); got != 2 {
			t.Errorf("%d fetches, want 2: callers share one", got)
		}
	})
}

func TestCloseEndsAFetch(t *testing.T) {
	keyA()
	synctest.Test(t, func(t *testing.T) {
		p := newProvider()
		p.answerWith(hang)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		v, err := auth.NewVerifier(ctx, p.config(time.Now))
		if err != nil {
			t.Fatal(err)
		}
		v.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		_, err = v.Verify(t.Context(), good(t, time.Now()))
		wantKind(t, err, domain.Unavailable, "cannot be fetched")
		if got := p.fetched(); got > 1 {
			t.Errorf("%d fetches after Close", got-1)
		}
	})
}
