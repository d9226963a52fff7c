package db

import (
	"slices"

	"connvo/domain"
)

// Feed is the two statements that page through an append-only collection. Both
// take what names the collection, then a position, then a limit.
type Feed struct {
	After  string // items beyond the position, ascending
	Before string // items below the position, descending
}

// Part returns the part of a feed that span asks for; collection is what names
// it, the first arguments of f's statements. One row more than asked is read to
// know whether there are more.
func Part[T any](tx Reader, span domain.Span, scan func(Row) (T, error), f Feed, collection ...any) (domain.Part[T], error) {
	query, position := f.Before, int64(domain.MaxNumber)
	switch {
	case span.After != nil:
		query, position = f.After, *span.After
	case span.Before != nil:
		position = *span.Before
	}
	items, err := All(tx, scan, query, append(slices.Clip(collection), position, span.Limit+1)...)
	if err != nil {
		return domain.Part[T]{}, err
	}
	part := domain.Part[T]{Items: items, More: len(items) > span.Limit}
	if part.More {
		part.Items = items[:span.Limit]
	}
	if query == f.Before {
		slices.Reverse(part.Items)
	}
	return part, nil
}

// Gone returns the position up to which items of a feed are deleted, since their time
// was over, for whoever asks with the span for what follows one; 0 where none are, and
// for every other span. The row is kept by triggers, under the name of the collection
// and the id of the meeting, person or organization whose feed it is.
func Gone(tx Reader, span domain.Span, collection, owner string) (int64, error) {
	if span.After == nil {
		return 0, nil
	}
	return One(tx, Int, selectGone, owner, collection)
}

const selectGone = `
SELECT coalesce(max(gone), 0)
FROM horizons
WHERE owner = ?1 AND collection = ?2
-- scope: horizons.owner=?1`
