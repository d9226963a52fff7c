package realtime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strconv"

	"connvo/domain"
)

// Query is a live query whose whole answer is sent whenever it has changed.
type Query func(ctx context.Context) ([]byte, error)

// Item is one item of a feed, encoded.
type Item struct {
	Position int64
	Data     []byte
}

// Feed is a live query over an append-only collection, of which only what is
// new is sent.
type Feed struct {
	// Read returns a part of the feed, ascending, and whether there is more.
	Read func(ctx context.Context, span domain.Span) ([]Item, bool, error)
	// After is where to begin, nil for the newest page.
	After *int64
	// Limit is the size of the newest page.
	Limit int
}

// source computes what a connection sends for one path.
type source interface {
	// resume takes the position that the client has reached and reports
	// whether it can go on from there; else it begins anew, with everything.
	resume(position int64, known bool) bool
	// next returns the events of what is new at the commit, and whether there
	// is more than it returned.
	next(ctx context.Context, commit int64) (events []event, more bool, err error)
}

type querySource struct {
	query Query
	last  [sha256.Size]byte
}

// resume goes on from any position that exists: a snapshot is always complete.
func (s *querySource) resume(_ int64, known bool) bool { return known }

func (s *querySource) next(ctx context.Context, commit int64) ([]event, bool, error) {
	body, err := s.query(ctx)
	if err != nil {
		return nil, false, err
	}
	sum := sha256.Sum256(body)
	if sum == s.last {
		return nil, false, nil
	}
	s.last = sum
	return []event{{name: "snapshot", id: strconv.FormatInt(commit, 10), data: body}}, false, nil
}

type feedSource struct {
	feed   Feed
	cursor *int64 // everything up to it was sent; nil before the newest page
}

func newFeedSource(f Feed) *feedSource { return &feedSource{feed: f, cursor: f.After} }

func (s *feedSource) resume(position int64, known bool) bool {
	if !known {
		position = 0
	}
	s.cursor = &position
	return known
}

func (s *feedSource) next(ctx context.Context, commit int64) ([]event, bool, error) {
	span := domain.Span{After: s.cursor, Limit: domain.MaxFeedPage}
	if s.cursor == nil {
		span.Limit = s.feed.Limit
	}
	items, more, err := s.feed.Read(ctx, span)
	if err != nil {
		return nil, false, err
	}
	var last int64
	for _, item := range items {
		last = max(last, item.Position)
	}
	if s.cursor == nil {
		// The newest page shows the feed as it is at this commit; what comes
		// after it is what changes later, whether it is on the page or not.
		s.cursor, more = &commit, false
	} else if len(items) > 0 {
		s.cursor = &last
	}
	if len(items) == 0 {
		return nil, false, nil
	}
	return []event{{name: "items", id: strconv.FormatInt(last, 10), data: itemsBody(items)}}, more, nil
}

// itemsBody returns {"items":[…]}.
func itemsBody(items []Item) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i, item := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(item.Data)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
