package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// entityTag names the answer that has the body.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// matches reports whether an If-None-Match header names the tag; the comparison
// is the weak one of RFC 9110, section 13.1.2.
func matches(headers []string, tag string) bool {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// matchesStrong reports whether an If-Match header names the tag; the comparison is
// the strong one of RFC 9110, section 13.1.1.
func matchesStrong(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimSpace(part); part == "*" || part == tag {
			return true
		}
	}
	return false
}
