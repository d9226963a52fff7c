package realtime

import (
	"context"
	"crypto/sha256"
	"strconv"

	"connvo/domain"
)

// Query is a live query whose whole answer is sent whenever it has changed.
type Query func(ctx context.Context) ([]byte, error)

// Item is one item of a feed, encoded. Its data is shared and not changed.
type Item struct {
	Key      string // names it within the feed, also after a change
	Position int64  // of its last change
	Data     []byte
}

// Feed is a live query over an append-only collection, of which only what is
// new is sent.
type Feed struct {
	// Name is the same for all who are told the same items.
	Name string
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
	if s.cursor == nil {
		items, _, err := s.feed.Read(ctx, domain.Span{Limit: s.feed.Limit})
		// The newest page shows the feed as it is at this commit; what comes
		// after it is what changes later, whether it is on the page or not.
		s.cursor = &commit
		return itemsEvent(items), false, err
	}
	items, more, err := s.feed.Read(ctx, domain.Span{After: s.cursor, Limit: domain.MaxFeedPage})
	if err != nil {
		return nil, false, err
	}
	return s.advance(items), more, nil
}

// advance returns the event that tells the items, which follow the cursor.
func (s *feedSource) advance(items []Item) []event {
	if len(items) > 0 {
		s.cursor = &items[len(items)-1].Position
	}
	return itemsEvent(items)
}

// itemsEvent returns the event that tells the items, none when there are none.
func itemsEvent(items []Item) []event {
	if len(items) == 0 {
		return nil
	}
	var last int64
	size := len(`{"items":[]}`)
	for _, item := range items {
		last = max(last, item.Position)
		size += len(item.Data) + 1
	}
	body := append(make([]byte, 0, size), `{"items":[`...)
	for i, item := range items {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, item.Data...)
	}
	return []event{{name: "items", id: strconv.FormatInt(last, 10), data: append(body, `]}`...)}}
}
