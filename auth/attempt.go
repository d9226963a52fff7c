package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"connvo/domain"
)

const (
	// AttemptTime is what somebody has to sign in, from our page to the return.
	AttemptTime = 10 * time.Minute
	// maxSpent is how many attempts that have ended are remembered, so that none
	// is used twice: those of AttemptTime at 25 a second. Beyond, the oldest are
	// forgotten; their codes at WorkOS are good for one use all the same.
	maxSpent = 16384
)

// Attempt is a sign-in that has begun: a tab of a browser, which has the state in
// its URL and Sealed in a cookie of its own.
type Attempt struct {
	State  string
	Sealed string
	URL    string // where to sign in
}

// attempt is what is sealed.
type attempt struct {
	Verifier string
	ReturnTo []byte // JSON has one length for whatever is in it, and a cookie 4 KB
	Ends     time.Time
}

// attemptPurpose binds what is sealed to the state.
func attemptPurpose(state string) string { return "connvo sign-in " + state }

// Begin begins to sign a browser in, which is to return to the path returnTo
// afterwards.
//
// Errors: NotFound where no browser can sign in.
func (b *Browsers) Begin(returnTo string) (Attempt, error) {
	if b.kit == nil {
		return Attempt{}, errNoBrowsers
	}
	// 52 characters, of which 43 are asked for.
	a := attempt{Verifier: rand.Text() + rand.Text(), ReturnTo: []byte(returnTo), Ends: b.now().Add(AttemptTime)}
	text, err := json.Marshal(a)
	if err != nil {
		return Attempt{}, err
	}
	state := rand.Text()
	sealed, err := seal([]byte(b.password), attemptPurpose(state), string(text))
	if err != nil {
		return Attempt{}, err
	}
	return Attempt{State: state, Sealed: base64.RawURLEncoding.EncodeToString(sealed), URL: b.kit.AuthorizeURL(state, Challenge(a.Verifier))}, nil
}

var errNoBrowsers = domain.Fail(domain.NotFound, "browsers do not sign in at this server: it has no cookie password")

// Challenge returns what WorkOS is told of the verifier: PKCE, S256.
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Return is what a browser comes back with: State from its URL, Sealed from the
// cookie of that state, and Code, or Refusal where WorkOS has not signed anybody
// in.
type Return struct {
	State, Sealed, Code, Refusal string
	From                         Browser
}

// Finish signs the browser in that has begun the attempt, and returns its cookie
// and the path to return to. An attempt is finished once, whatever comes of it.
//
// Errors: Unauthenticated when the attempt is none, is over or was used, and when
// WorkOS has refused the person; else as Open, who is returned as there, and Unavailable when WorkOS cannot
// answer.
func (b *Browsers) Finish(ctx context.Context, r Return) (Cookie, domain.Actor, string, error) {
	a, err := b.spend(r.State, r.Sealed)
	switch {
	case err != nil:
		return Cookie{}, domain.Actor{}, "", err
	case r.Code == "":
		return Cookie{}, domain.Actor{}, "", refuse(Declined, "WorkOS has signed nobody in (%s); begin again at /auth/login", word(r.Refusal))
	}
	t, err := b.kit.exchange(ctx, r.Code, a.Verifier, r.From)
	if err != nil {
		return Cookie{}, domain.Actor{}, "", err
	}
	c, who, err := b.Open(ctx, t.Access, t.Refresh)
	return c, who, string(a.ReturnTo), err
}

// spend returns the attempt, the first time.
func (b *Browsers) spend(state, sealed string) (a attempt, err error) {
	if b.kit == nil {
		return a, errNoBrowsers
	}
	over := refuse(Foreign, "this sign-in was begun elsewhere, was finished, or has taken longer than %v; begin again at /auth/login", AttemptTime)
	bytes, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return a, over
	}
	text, err := unseal([]byte(b.password), attemptPurpose(state), bytes)
	if err != nil || json.Unmarshal([]byte(text), &a) != nil || !b.now().Before(a.Ends) {
		return attempt{}, over
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.spent.add(state) {
		return attempt{}, over
	}
	return a, nil
}

// spentAttempts are the states of attempts that were used, in two generations of
// which the older is forgotten when the younger is full.
type spentAttempts struct{ young, old map[string]struct{} }

// add adds the state, and reports whether it was not there.
func (s *spentAttempts) add(state string) bool {
	_, young := s.young[state]
	_, old := s.old[state]
	if young || old {
		return false
	}
	if s.young == nil || len(s.young) >= maxSpent/2 {
		s.old, s.young = s.young, map[string]struct{}{}
	}
	s.young[state] = struct{}{}
	return true
}
