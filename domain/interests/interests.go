// Package interests is what people can be interested in, and who is in what.
package interests

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// MaxInterests is how many somebody has: more tell nothing about them.
const MaxInterests = 30

// MaxKey bounds the key of an interest, in bytes.
const MaxKey = 64

// Category is a kind of interests.
type Category string

// The categories.
const (
	Academic Category = "academic"
	Industry Category = "industry"
	Skill    Category = "skill"
	Personal Category = "personal"
)

// Interest is an entry of the catalogue.
type Interest struct {
	Key      string
	Label    string
	Category Category
}

// Entry is an interest and how many people have it.
type Entry struct {
	Interest
	People int64
}

// Query asks for a page of the catalogue.
type Query struct {
	Category Category // "" for all
	Cursor   domain.Cursor
	Limit    int
}

// Store is the interests in the database.
type Store struct {
	db    *db.DB
	known map[string]Interest // the catalogue by key; it does not change
}

// NewStore returns the interests in d.
func NewStore(d *db.DB) *Store {
	s := &Store{db: d, known: make(map[string]Interest, len(catalogue))}
	for _, i := range catalogue {
		s.known[i.Key] = i
	}
	return s
}

// List returns a page of the catalogue, the interests of most people first, and
// the cursor of the next, "" at the end. What becomes more popular while somebody
// turns pages may be on two of them.
func (s *Store) List(ctx context.Context, who domain.Actor, q Query) (page []Entry, next domain.Cursor, err error) {
	after, err := q.Cursor.Key(2)
	if err != nil {
		return nil, "", err
	}
	var counts []count
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		counts, err = db.All(tx, scanCount, selectCounts)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	all := ranked(q.Category, counts)
	if after != nil {
		people, err := strconv.ParseInt(after[0], 10, 64)
		if err != nil {
			return nil, "", &domain.Error{Kind: domain.Malformed, Field: "query.cursor", Detail: "the cursor is not one that this server gave"}
		}
		from := Entry{Interest{Key: after[1]}, people}
		first, found := slices.BinarySearchFunc(all, from, order)
		if found {
			first++
		}
		all = all[first:]
	}
	if len(all) > q.Limit {
		all = all[:q.Limit]
		last := all[len(all)-1]
		next = domain.NewCursor(strconv.FormatInt(last.People, 10), last.Key)
	}
	return all, next, nil
}

// ranked returns the interests of the category, "" for all, in their order.
func ranked(category Category, counts []count) []Entry {
	people := make(map[string]int64, len(counts))
	for _, c := range counts {
		people[c.key] = c.people
	}
	all := []Entry{}
	for _, i := range catalogue {
		if category == "" || i.Category == category {
			all = append(all, Entry{i, people[i.Key]})
		}
	}
	slices.SortFunc(all, order)
	return all
}

// order is the order of the catalogue.
func order(a, b Entry) int {
	return cmp.Or(cmp.Compare(b.People, a.People), strings.Compare(a.Key, b.Key))
}

// Mine returns the caller's interests.
func (s *Store) Mine(ctx context.Context, who domain.Actor) (mine []Interest, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		mine, err = s.Of(tx, who.User)
		return err
	})
	return mine, err
}

// Set replaces the caller's interests and returns them. Errors: as Replace.
func (s *Store) Set(ctx context.Context, who domain.Actor, keys []string) (mine []Interest, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := users.RequireActive(tx, who); err != nil {
			return err
		}
		mine, err = s.Replace(tx, who.User, "body.interests", keys)
		return err
	})
	return mine, err
}

// Of returns the interests of a person by key, never nil. It joins the caller's
// transaction.
func (s *Store) Of(tx db.Reader, user domain.UserID) ([]Interest, error) {
	keys, err := db.All(tx, scanKey, selectMine, user, MaxInterests)
	if err != nil {
		return nil, err
	}
	mine := []Interest{}
	for _, key := range keys {
		if i, known := s.known[key]; known {
			mine = append(mine, i)
		}
	}
	return mine, nil
}

// Replace makes the keys a person's interests, each once, and returns them; those
// that stay write nothing. It joins the caller's transaction, which has checked that
// they may be changed. Errors: Invalid at the field for more than MaxInterests, and
// for one that is not in the catalogue.
func (s *Store) Replace(tx *db.WriteTx, user domain.UserID, field string, keys []string) ([]Interest, error) {
	if len(keys) > MaxInterests {
		return nil, domain.FailField(field, "has at most %d interests", MaxInterests)
	}
	for i, key := range keys {
		if _, known := s.known[key]; !known {
			return nil, domain.FailField(field+"["+strconv.Itoa(i)+"]", "is no key of GET /v1/interests")
		}
	}
	list, _ := json.Marshal(append([]string{}, keys...)) // strings always encode
	if _, err := tx.Exec(deleteOthers, user, string(list)); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(insertMissing, user, string(list)); err != nil {
		return nil, err
	}
	return s.Of(tx, user)
}
