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
