package idempotency_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"connvo/domain"
	"connvo/idempotency"
)

func TestKeysDifferWhereTheirPartsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The same text, cut into four parts in two ways: what a digest of the
		// parts set one after the other would confuse.
		text := rapid.StringOfN(rapid.SampledFrom([]rune("a/\x00\x01")), 0, 24, -1).Draw(t, "text")
		cut := func(label string) [4]string {
			var parts [4]string
			from := 0
			for i := range 3 {
				to := rapid.IntRange(from, len(text)).Draw(t, label)
				parts[i], from = text[from:to], to
			}
			parts[3] = text[from:]
			return parts
		}
		a, b := cut("a"), cut("b")
		keyOf := func(p [4]string) idempotency.Key {
			return idempotency.KeyOf(domain.UserID(p[0]), p[1], p[2], p[3])
		}
		if (keyOf(a) == keyOf(b)) != (a == b) {
			t.Errorf("%q and %q", a, b)
		}
	})
}

func TestLongPathHasAKeyOfItsOwn(t *testing.T) {
	long := strings.Repeat("p", 2000)
	if idempotency.KeyOf("u", "POST", long, "k") == idempotency.KeyOf("u", "POST", long+"p", "k") {
		t.Error("two paths share a key")
	}
}

func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"", "k", " ", "a b", "!~", "\x7f", "é", "a\n", strings.Repeat("k", 255), strings.Repeat("k", 256)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		visible := strings.IndexFunc(key, func(r rune) bool { return r < '!' || r > '~' }) < 0
		want := visible && len(key) >= 1 && len(key) <= 255
		err := idempotency.CheckKey(key)
		if (err == nil) != want {
			t.Errorf("%q: %v", key, err)
		}
		if err != nil && domain.KindOf(err) != domain.Invalid {
			t.Errorf("%q is refused with kind %d", key, domain.KindOf(err))
		}
	})
}
