package users

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/jobs"
)

const (
	// Erased is the kind of the jobs that erase somebody; their payload is a Progress.
	Erased = "users.erase"
	// ErasedLifetime is how long tokens from before an erasure are known as such:
	// longer than any is valid.
	ErasedLifetime = 24 * time.Hour
	// Former is the name of whoever was erased.
	Former = "Former participant"

	forgotten    = 500       // digests that ForgetSubjects deletes at once
	maxErasures  = 1000      // rows of the list that one transaction looks at
	erasedPrefix = "erased:" // of the subjects of those who were erased
)

// Erasure is an entry of the list of those who have asked to be erased.
type Erasure struct {
	User    domain.UserID
	AskedAt time.Time
	DoneAt  time.Time // zero until then
}

// Progress is how far an erasure has come: zero at its beginning.
type Progress struct {
	User  domain.UserID
	Stage int
	After int64 // the number up to which the stage has come
	Again bool  // it was done once, and looks for what has arrived late
}

// Identified is what a person is found by where their id is not stored.
type Identified struct {
	User           domain.UserID
	Subject        string
	Email, Address string // "" for none
}

// Erase deactivates the caller for good, as Deactivate does, and has a job erase
// what is stored about them. Tokens from before make no new account; whoever signs
// in later is somebody new.
//
// Errors: Unauthenticated and Forbidden for whoever is not served any more.
func (s *Store) Erase(ctx context.Context, who domain.Actor) (e Erasure, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := RequireStanding(tx, who); err != nil {
			return err
		}
		if err := tx.Decided(); err != nil {
			return err
		}
		e = Erasure{User: who.User, AskedAt: tx.Now}
		subject, err := db.One(tx, scanOrg, selectSubject, who.User)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(upsertErased, digestOf(subject), tx.Now.UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.Exec(updateActive, who.User, false, tx.Now.UnixMilli()); err != nil {
			return err
		}
		if who.Session != "" {
			if _, err := endSession(tx, who.Session); err != nil {
				return err
			}
		}
		if err := leave(tx, Departure{User: who.User, By: who.User}); err != nil {
			return err
		}
		return begin(tx, e)
	})
	return e, err
}

// begin enters an erasure into the list and has its job made, from the beginning.
func begin(tx *db.WriteTx, e Erasure) error {
	if _, err := tx.Exec(upsertErasure, e.User, e.AskedAt.UnixMilli()); err != nil {
		return err
	}
	return Continue(tx, Progress{User: e.User}, tx.Now)
}

// Continue has a job go on with an erasure at the instant. It joins the caller's
// transaction.
func Continue(tx *db.WriteTx, p Progress, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Erased, Name: Erased + ":" + string(p.User), Payload: p, RunAt: at})
}

// ErasedDone notes that an erasure is done. It joins the caller's transaction.
func ErasedDone(tx *db.WriteTx, id domain.UserID) error {
	_, err := tx.Exec(updateErasure, id, tx.Now.UnixMilli())
	return err
}

// Erasures returns entries of the list, in the order of their ids, behind after. It
// joins the caller's transaction.
func Erasures(tx db.Reader, after domain.UserID, limit int) ([]Erasure, error) {
	return db.All(tx, scanErasure, selectErasures, after, limit)
}

// EraseAgain enters erasures from the list of another database into this one, an
// older state of it, has those done again that were not done by then, and returns them.
// It joins the caller's transaction and asks for no rights.
func EraseAgain(tx *db.WriteTx, all []Erasure) (begun []Erasure, err error) {
	for _, e := range all {
		done, err := db.One(tx, db.Int, countDone, e.User)
		if err != nil {
			return nil, err
		}
		if done > 0 {
			continue
		}
		if err := begin(tx, e); err != nil {
			return nil, err
		}
		begun = append(begun, e)
	}
	return begun, nil
}

// ResumeErasures has those erasures go on that are not done, or whose person has
// come back. It is called at each start, so that it makes up for a job that has
// failed for good.
func ResumeErasures(ctx context.Context, d *db.DB) error {
	for after, more := domain.UserID(""), true; more; {
		err := d.Write(ctx, func(tx *db.WriteTx) error {
			page, err := Erasures(tx, after, maxErasures)
			if err != nil {
				return err
			}
			for _, e := range page {
				after = e.User
				who, err := Identify(tx, e.User)
				if err != nil && !errors.Is(err, db.ErrNone) {
					return err
				}
				if back := err == nil && who.Subject != erasedPrefix+string(e.User); back || e.DoneAt.IsZero() {
					if err := begin(tx, e); err != nil {
						return err
					}
				}
			}
			more = len(page) == maxErasures
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Identify returns what somebody is found by, or db.ErrNone. It joins the caller's
// transaction.
func Identify(tx db.Reader, id domain.UserID) (Identified, error) {
	return db.One(tx, scanIdentified, selectIdentified, id)
}

// Anonymise takes the person out of an account, which stays as what others' notes
// and chats refer to. It joins the caller's transaction.
func Anonymise(tx *db.WriteTx, id domain.UserID) error {
	_, err := tx.Exec(anonymise, id, erasedPrefix+string(id), Former, tx.Now.UnixMilli())
	return err
}

// OldestErased returns the instant of the oldest digest of a subject, or db.ErrNone.
// It joins the caller's transaction.
func OldestErased(tx db.Reader) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldestErased)
	return time.UnixMilli(ms).UTC(), err
}

// ForgetSubjects deletes a few digests that are not younger than the instant, and
// returns how many. It joins the caller's transaction.
func ForgetSubjects(tx *db.WriteTx, until time.Time) (int64, error) {
	return tx.Exec(deleteErased, until.UnixMilli(), forgotten)
}

// erasedSince reports whether the subject was erased after the identity was told,
// which is known to the second.
func erasedSince(tx db.Reader, id Identity) (bool, error) {
	ms, err := db.One(tx, db.Int, selectErased, digestOf(id.Subject))
	if errors.Is(err, db.ErrNone) {
		return false, nil
	}
	return id.At.Before(time.UnixMilli(ms).Truncate(time.Second)), err
}

func digestOf(subject string) []byte {
	sum := sha256.Sum256([]byte(subject))
	return sum[:]
}

// refuseErased refuses to bring back whoever has asked to be erased.
func refuseErased(tx db.Reader, id domain.UserID) error {
	n, err := db.One(tx, db.Int, countErasures, id)
	if err == nil && n > 0 {
		return domain.Fail(domain.Conflict, "this person has asked to be erased")
	}
	return err
}

const countErasures = `
SELECT count(*)
FROM erasures
WHERE user_id = ?1
-- scope: erasures.user_id=?1`

const countDone = `
SELECT count(*)
FROM erasures
WHERE user_id = ?1 AND done_at IS NOT NULL
-- scope: erasures.user_id=?1`

const upsertErasure = `
INSERT INTO erasures (user_id, asked_at)
VALUES (?1, ?2)
ON CONFLICT (user_id) DO UPDATE
SET done_at = NULL`

const updateErasure = `
UPDATE erasures
SET done_at = ?2
WHERE user_id = ?1 AND done_at IS NULL`

const selectErasures = `
SELECT user_id, asked_at, done_at
FROM erasures
WHERE user_id > ?1
ORDER BY user_id
LIMIT ?2`

const selectIdentified = `
SELECT id, subject, email, address
FROM users
WHERE id = ?1
-- scope: users.id=?1`

const anonymise = `
UPDATE users
SET subject = ?2, address = '', active = 0, org_id = '', org_role = '', email = '', display_name = ?3, name_key = '', avatar_url = '', updated_at = ?4
WHERE id = ?1 AND subject <> ?2`

const upsertErased = `
INSERT INTO erased_subjects (digest, erased_at)
VALUES (?1, ?2)
ON CONFLICT (digest) DO UPDATE
SET erased_at = excluded.erased_at`

const selectErased = `
SELECT erased_at
FROM erased_subjects
WHERE digest = ?1
-- scope: erased_subjects.digest=?1`

// selectOldestErased is the instant of the first row.
// whole table: it ends at the first row that it reads.
const selectOldestErased = `
SELECT erased_at
FROM erased_subjects
ORDER BY erased_at
LIMIT 1`

const deleteErased = `
DELETE FROM erased_subjects
WHERE digest IN (
  SELECT digest
  FROM erased_subjects
  WHERE erased_at <= ?1
  ORDER BY erased_at
  LIMIT ?2
)`

func scanErasure(r db.Row) (e Erasure, err error) {
	var asked int64
	var done *int64
	err = r.Scan(&e.User, &asked, &done)
	e.AskedAt, e.DoneAt = time.UnixMilli(asked).UTC(), db.Instant(done)
	return e, err
}

func scanIdentified(r db.Row) (i Identified, err error) {
	err = r.Scan(&i.User, &i.Subject, &i.Email, &i.Address)
	return i, err
}
