// Package privacy is what is stored about one person: told to them as files, and
// erased when they leave.
package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// page is how many rows one read transaction of an export holds.
const page = 1000

// Page is rows of a file of an export, each a JSON object. A file has one page at
// least, its pages follow each other, and any may be empty.
type Page struct {
	File string // its name
	Rows [][]byte
}

// Store is what people are told that is stored about them.
type Store struct{ db *db.DB }

// NewStore returns what is stored in d.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

// Export returns everything that is stored about the caller, as it is while they go
// on reading: each page is a transaction of its own, which asks again whether they
// may. What is stored after the beginning need not be in it. Secrets are left out,
// and so is what tells about others what those have kept to themselves, such as who
// blocks the caller. An error ends it.
//
// Errors: Unauthenticated and Forbidden for whoever is not served any more.
func (s *Store) Export(ctx context.Context, who domain.Actor) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		end := s.db.Committed()
		for _, f := range files {
			for p, err := range f.pages(ctx, s.db, who, end) {
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// pages reads a file, of numbered rows those up to end.
func (f file) pages(ctx context.Context, d *db.DB, who domain.Actor, end int64) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		after := f.first
		if after == nil {
			after = ""
		}
		for more := true; more; {
			var found []record
			var next int64 // of numbered rows
			err := d.Read(ctx, func(tx db.Reader) (err error) {
				if found, err = f.read(tx, who, after); err != nil || f.next == "" {
					return err
				}
				if next = after.(int64) + page; len(found) == 0 {
					next, err = skip(tx, f.next, next)
				}
				return err
			})
			if f.next != "" {
				more, after = next < end, next
			} else if more = len(found) == page; more {
				after = found[page-1].key
			}
			p := Page{File: f.name, Rows: make([][]byte, len(found))}
			for i, r := range found {
				p.Rows[i] = r.json
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// read returns the rows behind after.
func (f file) read(tx db.Reader, who domain.Actor, after any) ([]record, error) {
	if err := users.RequireStanding(tx, who); err != nil {
		return nil, err
	}
	if err := tx.Decided(); err != nil {
		return nil, err
	}
	key := string(who.User)
	if f.bySubject {
		known, err := users.Identify(tx, who.User)
		if err != nil {
			return nil, err
		}
		key = known.Subject
	}
	to := int64(page)
	if f.next != "" {
		to += after.(int64)
	}
	return db.All(tx, f.scan, f.query, key, after, to)
}

// record is a row of a file.
type record struct {
	key  any
	json []byte
}

// scan reads a row: its key, and then what the columns name.
func (f file) scan(r db.Row) (record, error) {
	var rec record
	values := make([]any, len(f.columns))
	into := []any{&rec.key}
	for i := range values {
		into = append(into, &values[i])
	}
	if err := r.Scan(into...); err != nil {
		return rec, err
	}
	var b bytes.Buffer
	for i, name := range f.columns {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		b.WriteByte(separator)
		name, value, err := column(name, values[i])
		if err != nil {
			return rec, fmt.Errorf("%s of %s: %w", name, f.name, err)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return rec, fmt.Errorf("%s of %s: %w", name, f.name, err)
		}
		fmt.Fprintf(&b, "%q:%s", name, encoded)
	}
	b.WriteByte('}')
	rec.json = b.Bytes()
	return rec, nil
}

// column returns the name of a column and what it holds: a name in At is an
// instant, as is at, one marked ? a claim, and one marked {} is JSON already, or "".
func column(name string, value any) (string, any, error) {
	plain, claim := strings.CutSuffix(name, "?")
	if claim {
		return plain, value == int64(1), nil
	}
	plain, raw := strings.CutSuffix(name, "{}")
	switch v := value.(type) {
	case int64:
		if plain == "at" || strings.HasSuffix(plain, "At") {
			return plain, time.UnixMilli(v).UTC().Format(domain.TimeFormat), nil
		}
	case string:
		if raw && v == "" {
			return plain, nil, nil
		}
		if raw && json.Valid([]byte(v)) {
			return plain, json.RawMessage(v), nil
		}
	case nil:
	default:
		return plain, nil, fmt.Errorf("%T is no type of a column", value)
	}
	return plain, value, nil
}
