package users

import (
	"context"
	"encoding/json"
	"time"

	"connvo/db"
	"connvo/domain"
)

const (
	// SeenEvery is how exactly it is known when somebody was last seen: it is
	// written at most once in it.
	SeenEvery = 5 * time.Minute
	// MaxSightings is how many are stored at once: a few milliseconds of the
	// writer's time.
	MaxSightings = 500
	// maxAwaited is how many of them are made members where they are invited, each in
	// a few milliseconds. The others are when they are seen again.
	maxAwaited = 3
)

// Sighting is that somebody was seen at an instant.
type Sighting struct {
	User domain.UserID
	At   time.Time
}

// Seen stores when people were last seen, at most MaxSightings of them, when the
// writer has nothing better to do. Sightings of people who are unknown are left
// out, and so are those within SeenEvery of what is stored. For those who are invited
// somewhere by their address, the Arrival happens. It asks for no rights: nobody asks
// for it.
func (s *Store) Seen(ctx context.Context, all []Sighting) error {
	instants := make(map[domain.UserID]int64, len(all))
	for _, one := range all {
		instants[one.User] = max(instants[one.User], one.At.UnixMilli())
	}
	b, err := json.Marshal(instants)
	if err != nil {
		return err
	}
	return s.db.WriteBackground(ctx, func(tx *db.WriteTx) error {
		if _, err := tx.Exec(upsertSeen, string(b), SeenEvery.Milliseconds()); err != nil {
			return err
		}
		invited, err := db.All(tx, scanAwaited, selectAwaited, string(b), maxAwaited)
		if err != nil {
			return err
		}
		for _, one := range invited {
			if err := s.arrived(tx, one.user, one.address); err != nil {
				return err
			}
		}
		return nil
	})
}
