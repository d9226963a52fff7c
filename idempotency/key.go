package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"io"

	"connvo/domain"
)

// maxKey is the longest key, in bytes.
const maxKey = 255

// Key is what an answer is kept under: a digest of who asks what under which
// key. Half a SHA-256 is enough to keep 2⁶⁴ of them apart.
type Key [16]byte

// Request is a digest of what was asked for under a key.
type Request [16]byte

// CheckKey refuses what is no key: it has 1 to 255 visible ASCII characters.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return domain.FailField("header.Idempotency-Key", "must have 1 to %d characters", maxKey)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return domain.FailField("header.Idempotency-Key", "must have visible ASCII characters only")
		}
	}
	return nil
}

// KeyOf returns the digest of a key that the user has sent with the method to
// the path. The same key of another user, method or path is another.
func KeyOf(user domain.UserID, method, path, key string) Key {
	var space [512]byte // most fit; a longer one is allocated
	b := space[:0]
	for _, part := range [...]string{string(user), method, path, key} {
		// The length keeps "ab","c" from "a","bc" whatever the parts contain.
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return Key(sum[:16])
}

// RequestOf returns the digest of what a request says: the query of its URL, as
// it was sent, and its body.
func RequestOf(query string, body []byte) Request {
	h := sha256.New()
	_, _ = io.WriteString(h, query) // a hash takes everything
	_, _ = h.Write([]byte{0})       // which no query contains
	_, _ = h.Write(body)
	return Request(h.Sum(nil)[:16])
}
