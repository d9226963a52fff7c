package users

import (
	"context"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/text"
)

// MaxPrefix bounds what names are looked for by, in characters.
const MaxPrefix = MaxDisplayName

// Query asks for a page of a directory.
type Query struct {
	Prefix string // of the names, whatever their case; "" for all
	Cursor domain.Cursor
	Limit  int
}

// Directory returns a page of the active people of the caller's organization, the
// caller among them, by name, and the cursor of the next, "" at the end; whom a block
// hides from the caller is left out. Who belongs to none reads an empty one.
func (s *Store) Directory(ctx context.Context, who domain.Actor, q Query) (page []Card, next domain.Cursor, err error) {
	prefix := nameKey(q.Prefix)
	first, id := prefix, ""
	after, err := q.Cursor.Key(2)
	if err != nil {
		return nil, "", err
	}
	if after != nil && after[0] >= prefix {
		first, id = after[0], after[1]
	}
	err = s.db.Read(ctx, func(tx db.Reader) error {
		if err := RequireActive(tx, who); err != nil {
			return err
		}
		org, err := OrgOf(tx, who.User)
		if err != nil || org == "" {
			page = []Card{}
			return err
		}
		rows, err := db.All(tx, scanEntry, selectDirectory, org, first, id, prefix+lastCharacter, who.User, q.Limit+1)
		if err != nil {
			return err
		}
		if len(rows) > q.Limit {
			rows = rows[:q.Limit]
			last := rows[len(rows)-1]
			next = domain.NewCursor(last.key, string(last.card.ID))
		}
		page = make([]Card, len(rows))
		for i, r := range rows {
			page[i] = r.card
		}
		return nil
	})
	return page, next, err
}

// maxNameKey is how many characters of a name are sorted and looked for by: as
// many as a cursor has room for, however they are written.
const maxNameKey = 48

// nameKey returns the form of a name by which it is sorted and looked for.
func nameKey(name string) string {
	key := []rune(text.Fold(name))
	return string(key[:min(len(key), maxNameKey)])
}

// lastCharacter sorts after every character that a name may have.
const lastCharacter = "\U0010ffff"

// selectDirectory is the one place that says who is in a directory.
const selectDirectory = `
SELECT id, display_name, avatar_url, name_key
FROM users
WHERE org_id = ?1 AND active = 1 AND (name_key, id) > (?2, ?3) AND name_key < ?4
  AND NOT EXISTS (SELECT 1 FROM blocks WHERE user_id = ?5 AND other_id = users.id)
ORDER BY name_key, id
LIMIT ?6
-- scope: users.org_id=?1
-- scope: blocks.user_id=?5`

// entry is a row of a directory.
type entry struct {
	card Card
	key  string
}

func scanEntry(r db.Row) (entry, error) {
	var e entry
	err := r.Scan(&e.card.ID, &e.card.DisplayName, &e.card.AvatarURL, &e.key)
	return e, err
}
