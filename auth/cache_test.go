package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

// To fill the memory by real tokens takes minutes of signing, hence a test from
// inside.
func TestVerifiedTokensAreBounded(t *testing.T) {
	v := newVerifiedTokens()
	now := time.Unix(0, 0)
	sum := func(n int) (s tokenSum) {
		binary.BigEndian.PutUint64(s[:], uint64(n))
		return s
	}
	for n := range 3 * maxVerified {
		v.put(sum(n), Claims{Expires: now.Add(time.Hour)}, now)
		if _, found := v.get(sum(0), now); !found {
			t.Fatalf("a token in use was forgotten after %d others", n)
		}
		if got := len(v.young) + len(v.old); got > maxVerified {
			t.Fatalf("%d tokens remembered, more than %d", got, maxVerified)
		}
	}
	if _, found := v.get(sum(1), now); found {
		t.Error("a token that nobody used is still remembered")
	}
}
