package ratelimit

import (
	"strconv"
	"strings"
	"time"
)

// The fields of draft-ietf-httpapi-ratelimit-headers-10: lists of items, each the
// policy's name as a string with parameters.

// Announce returns the field RateLimit-Policy for policies that are not None,
// such as "messages";q=20;w=4: the quota, and the window in seconds in which it
// comes back.
func Announce(policies ...Policy) string {
	var items []string
	for _, p := range policies {
		r := rules[p]
		items = append(items, strconv.Quote(r.name)+";q="+strconv.Itoa(r.burst)+";w="+strconv.Itoa(int(r.window/time.Second)))
	}
	return strings.Join(items, ", ")
}

// Append appends to b the item of the field RateLimit, such as
// "messages";r=19;t=1: what remains, and the seconds until there is more. It puts
// a comma before it if b is not empty.
func (left Left) Append(b []byte) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = append(b, rules[left.Policy].name...)
	b = append(b, `";r=`...)
	b = strconv.AppendInt(b, int64(left.Tokens), 10)
	b = append(b, ";t="...)
	return strconv.AppendInt(b, left.Seconds(), 10)
}

// Seconds returns Next in whole seconds, rounded up: what Retry-After says.
func (left Left) Seconds() int64 {
	return int64((left.Next + time.Second - 1) / time.Second)
}
