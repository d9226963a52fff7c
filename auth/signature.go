package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

const (
	// maxSkew is how far the signed instant of a webhook may be from ours, in
	// either direction: what WorkOS recommends.
	maxSkew = 180 * time.Second
	// maxSignature bounds the header: a time and a dozen signatures.
	maxSignature = 1 << 10
	// maxSeconds is the first number of the header that counts milliseconds: as
	// seconds it would be in the year 5138. WorkOS sends milliseconds, its
	// emulator seconds.
	maxSeconds = 100_000_000_000
)

// checkSignature refuses a body that was not signed with secret within maxSkew of
// now. The header is t=…, the instant, and v1=…, the HMAC-SHA256 of the instant
// as it stands there, a dot and the body, in lower-case hexadecimal digits; in
// any order, with spaces, and v1 several times while a secret is exchanged.
//
// Errors: Unauthenticated, in a sentence that repeats nothing of the request.
func checkSignature(secret []byte, header string, body []byte, now time.Time) error {
	if header == "" {
		return refuse(Unsigned, "the webhook is not signed")
	}
	at, signatures, ok := signed(header)
	if !ok {
		return refuse(Malformed, "the signature of the webhook cannot be read")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(at))
	mac.Write([]byte{'.'})
	mac.Write(body)
	want := []byte(hex.EncodeToString(mac.Sum(nil)))
	equal := false
	for _, s := range signatures {
		equal = hmac.Equal([]byte(s), want) || equal
	}
	if !equal {
		return refuse(BadSign, "the signature of the webhook is wrong")
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || n < 0 {
		return refuse(Malformed, "the signature of the webhook cannot be read")
	}
	instant := time.UnixMilli(n)
	if n < maxSeconds {
		instant = time.Unix(n, 0)
	}
	if now.Sub(instant).Truncate(time.Millisecond).Abs() > maxSkew {
		return refuse(Stale, "the webhook was signed more than %s ago, or ahead", maxSkew)
	}
	return nil
}

// signed returns the parts of the header; false when it has not one instant and
// one signature at least.
func signed(header string) (at string, signatures []string, ok bool) {
	if len(header) > maxSignature {
		return "", nil, false
	}
	for part := range strings.SplitSeq(header, ",") {
		name, value, found := strings.Cut(part, "=")
		value = strings.TrimSpace(value)
		switch name = strings.TrimSpace(name); {
		case !found, value == "", name == "t" && at != "":
			return "", nil, false
		case name == "t":
			at = value
		case name == "v1":
			signatures = append(signatures, value)
		}
	}
	return at, signatures, at != "" && len(signatures) > 0
}
