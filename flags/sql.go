package flags

import (
	"encoding/json"
	"time"

	"connvo/db"
	"connvo/domain"
)

const selectChanges = `
SELECT version, is_default, enabled, percentage, changed_at, changed_by, reason, description, organizations, users
FROM flag_changes
WHERE org_id = ?1 AND environment = ?2 AND key = ?3
ORDER BY version DESC
LIMIT ?4
-- scope: flag_changes.org_id=?1`

const insertChange = `
INSERT INTO flag_changes (version, org_id, environment, key, is_default, enabled, percentage, changed_at, changed_by, reason, description, organizations, users)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// append stores a change as the newest one.
func (s *Store) append(tx *db.WriteTx, org string, key Key, c Change) error {
	organizations, err := json.Marshal(c.Organizations)
	if err != nil {
		return err
	}
	people, err := json.Marshal(c.Users)
	if err != nil {
		return err
	}
	_, err = tx.Exec(insertChange, tx.Next(), org, s.environment, key, c.IsDefault, c.Enabled, c.Percentage,
		tx.Now.UnixMilli(), c.By, c.Reason, c.Description, string(organizations), string(people))
	return err
}

func scanChange(r db.Row) (Change, error) {
	c := Change{Setting: Setting{Organizations: []string{}, Users: []domain.UserID{}}}
	var at int64
	var organizations, people string
	err := r.Scan(&c.Version, &c.IsDefault, &c.Enabled, &c.Percentage, &at, &c.By, &c.Reason, &c.Description, &organizations, &people)
	if err != nil {
		return c, err
	}
	c.At = time.UnixMilli(at).UTC()
	if err := json.Unmarshal([]byte(organizations), &c.Organizations); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(people), &c.Users)
}
