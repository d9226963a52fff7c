package main

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"
)

// mark names one run and dates its messages: each content is "bench <run> <n> <nanoseconds since the epoch>", and
// where it is to be longer a space and filling.
type mark struct {
	run   string
	epoch time.Time
}

func newMark() mark {
	return mark{run: rand.Text()[:12], epoch: time.Now()}
}

// now is the time since the run began, by the monotonic clock.
func (m mark) now() time.Duration {
	return time.Since(m.epoch)
}

// body appends the request body that posts message n, sent at that time, with a content of at least size characters.
func (m mark) body(dst []byte, n int, sent time.Duration, size int) []byte {
	from := len(dst) + len(`{"content":"`)
	dst = append(dst, `{"content":"bench `...)
	dst = append(dst, m.run...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(sent), 10)
	if size -= len(dst) - from; size > 1 {
		dst = append(dst, ' ')
		dst = append(dst, strings.Repeat("x", size-1)...)
	}
	return append(dst, `"}`...)
}

// parse returns the number and send time in a content, and stranger for a message that is not of this run.
func (m mark) parse(content string) (n int, sent time.Duration) {
	rest, ok := strings.CutPrefix(content, "bench "+m.run+" ")
	if !ok {
		return stranger, 0
	}
	number, at, ok := strings.Cut(rest, " ")
	if !ok {
		return stranger, 0
	}
	at, _, _ = strings.Cut(at, " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return stranger, 0
	}
	ns, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return stranger, 0
	}
	return n, time.Duration(ns)
}
