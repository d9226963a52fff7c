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
	// Collection and Owner name the row of horizons that tells up to where items
	// may be deleted; of a feed without a Collection none ever are.
	Collection string
	Owner      string
}

const selectGone = `
SELECT coalesce(max(gone), 0)
FROM horizons
WHERE owner = ?1 AND collection = ?2
-- scope: horizons.owner=?1`

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
	if span.After != nil && f.Collection != "" {
		if part.Gone, err = One(tx, Int, selectGone, f.Owner, f.Collection); err != nil {
			return domain.Part[T]{}, err
		}
	}
	if part.More {
		part.Items = items[:span.Limit]
	}
	if query == f.Before {
		slices.Reverse(part.Items)
	}
	return part, nil
}
