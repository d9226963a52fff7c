package domain

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"
)

// The sizes of pages: what a list or a feed answers when nothing is asked, and
// at most.
const (
	DefaultPage     = 20
	MaxPage         = 100
	DefaultFeedPage = 50
	MaxFeedPage     = 200
)

// maxCursor bounds a cursor: a sort key of a few ids, with room to grow.
const maxCursor = 512

// Cursor is an opaque sort key: where the next page of a list begins. It gives
// no right; whoever makes one up reads what they could read anyway.
type Cursor string

// NewCursor returns the cursor that stands for key.
func NewCursor(key ...string) Cursor {
	b, _ := json.Marshal(key) // strings always encode
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// Key returns the n strings that NewCursor was given, or nil for the empty
// cursor. Any other text is Malformed.
func (c Cursor) Key(n int) ([]string, error) {
	if c == "" {
		return nil, nil
	}
	bad := &Error{Kind: Malformed, Field: "query.cursor", Detail: "the cursor is not one that this server gave"}
	if len(c) > maxCursor {
		return nil, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	if err != nil || !utf8.Valid(b) {
		return nil, bad
	}
	var key []string
	if err := json.Unmarshal(b, &key); err != nil || len(key) != n {
		return nil, bad
	}
	if NewCursor(key...) != c {
		return nil, bad
	}
	return key, nil
}

// Span asks for a part of a feed. At most one of After and Before is set;
// without either it is the newest page.
type Span struct {
	After  *int64 // items with a greater position, oldest first
	Before *int64 // the page that ends below this position
	Limit  int    // items, at most
}

// Part is a part of a feed, ascending.
type Part[T any] struct {
	Items []T
	More  bool // there may be more: beyond the last with After, else before the first
	// Looked is, where what is asked for is too rare to be looked for to the end at
	// once, the position up to which it was, beyond Items: whoever goes on from there
	// misses none. There are More then, and Items may be empty. Else it is 0.
	Looked int64
	// Gone is, with After, the position up to which items may be deleted, since their
	// time was over: whoever goes on from below it may have missed some.
	Gone int64
}

// Truncated reports whether items may be missing in a part that was asked for with
// the span, since their time was over.
func (s Span) Truncated(gone int64) bool { return s.After != nil && *s.After < gone }

// Parts returns the part with each of its items converted.
func Parts[From, To any](p Part[From], convert func(From) To) Part[To] {
	items := make([]To, len(p.Items))
	for i, item := range p.Items {
		items[i] = convert(item)
	}
	return Part[To]{Items: items, More: p.More, Looked: p.Looked, Gone: p.Gone}
}
