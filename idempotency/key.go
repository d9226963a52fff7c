package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"io"

	"connvo/domain"
)

// maxKey is the longest key, in bytes.
const maxKey = 255

// Key is what an answer is kept under: a digest of who asks, then one of what is
// asked under which key, so that the answers of a person are one range. Eight bytes
// of a SHA-256 keep people apart, who cannot choose their ids, and eight more what
// one of them has asked in two days.
type Key [16]byte

// userPart is how many bytes of a Key tell whose it is.
const userPart = 8

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
	rest, owner := sha256.Sum256(b), sha256.Sum256([]byte(user))
	k := Key(rest[:16])
	copy(k[:userPart], owner[:])
	return k
}

// keysOf returns the first and the last key that a user may have.
func keysOf(user domain.UserID) (first, last Key) {
	first, last = KeyOf(user, "", "", ""), KeyOf(user, "", "", "")
	for i := userPart; i < len(first); i++ {
		first[i], last[i] = 0, 0xff
	}
	return first, last
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
