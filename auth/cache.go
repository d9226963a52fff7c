package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// maxVerified is how many verified tokens are remembered, at most: one for
	// each person of a busy server, a few hundred bytes each.
	maxVerified = 16384
	// maxVerifiedAge is how long one is believed without looking at its
	// signature again: a key that was withdrawn counts this much longer.
	maxVerifiedAge = 5 * time.Minute
)

// tokenSum stands for a token, so that no token is kept in memory.
type tokenSum = [sha256.Size]byte

// verifiedTokens remembers tokens that were verified, in two generations: when
// the young one is full it becomes the old one, whose entries are forgotten
// unless they were used. A token in use costs no signature, and none costs a
// list to keep in order.
type verifiedTokens struct {
	mu         sync.Mutex // guards the rest
	young, old map[tokenSum]verifiedToken
}

type verifiedToken struct {
	claims Claims
	until  time.Time
}

func newVerifiedTokens() *verifiedTokens {
	return &verifiedTokens{young: map[tokenSum]verifiedToken{}}
}

// get returns what the token tells if it is known and still valid at now.
func (v *verifiedTokens) get(sum tokenSum, now time.Time) (Claims, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t, young := v.young[sum]
	if !young {
		t = v.old[sum]
	}
	if !now.Before(t.until) {
		return Claims{}, false // also when there is none
	}
	if !young {
		v.add(sum, t)
	}
	return t.claims, true
}

// put remembers a token that was verified at now.
func (v *verifiedTokens) put(sum tokenSum, c Claims, now time.Time) {
	until := now.Add(maxVerifiedAge)
	if c.Expires.Before(until) {
		until = c.Expires
	}
	if !now.Before(until) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.add(sum, verifiedToken{claims: c, until: until})
}

// add makes the token one of the young. The caller holds mu.
func (v *verifiedTokens) add(sum tokenSum, t verifiedToken) {
	if _, present := v.young[sum]; !present && len(v.young) >= maxVerified/2 {
		v.old, v.young = v.young, make(map[tokenSum]verifiedToken, maxVerified/2)
	}
	v.young[sum] = t
}
