// Package idempotency is the answers kept for repeated requests.
//
// An answer is kept in the transaction of the effect it tells of, so that there
// is either both or neither, and whoever repeats the request gets the answer
// instead of a second effect.
package idempotency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"connvo/db"
	"connvo/domain"
)

// Lifetime is how long an answer is kept.
const Lifetime = 24 * time.Hour

const (
	maxBody = 1 << 20 // an answer to a write is not larger than the largest request
	// maxPortion and portionBytes end what DeleteDay deletes at once: a few
	// milliseconds of the writer's time.
	maxPortion   = 250
	portionBytes = 1 << 20
)

// ErrMismatch is what a key is answered with that was used for another request.
// It has a code of its own on the wire.
var ErrMismatch = domain.Fail(domain.Invalid, "the idempotency key was used for a request with another content")

// Answer is what a request was answered with.
type Answer struct {
	Status int // 200 to 299
	Header Header
	Body   []byte // empty when there is none
}

// Header is the part of an answer's header that a repetition must repeat.
type Header struct {
	Location string `json:"location,omitempty"`
	ETag     string `json:"etag,omitempty"`
	Commit   int64  `json:"commit,omitempty"` // the number of the write; 0 when it has none
}

// Expire makes tx leave it to later, at the instant at, to delete the answers of
// the day with DeleteDay. It may be called again for a day.
type Expire func(tx *db.WriteTx, day int64, at time.Time) error

// Store is the answers in the database.
type Store struct{ expire Expire }

// NewStore returns the answers, which are deleted by what expire arranges.
func NewStore(expire Expire) *Store { return &Store{expire: expire} }

// kept is a row.
type kept struct {
	request []byte
	answer  Answer
	header  string
}

// Find returns the answer that was kept under k, and whether there is one at the
// instant now. It is asked after the caller's rights have been checked, in the
// transaction that would have the effect. Errors: ErrMismatch when k was used for
// another request.
func (s *Store) Find(tx db.Reader, now time.Time, k Key, request Request) (Answer, bool, error) {
	row, err := db.One(tx, scanKept, selectKept, dayOf(now), k[:], now.Add(-Lifetime).UnixMilli())
	switch {
	case errors.Is(err, db.ErrNone):
		return Answer{}, false, nil
	case err != nil:
		return Answer{}, false, fmt.Errorf("find an answer: %w", err)
	case !bytes.Equal(row.request, request[:]):
		return Answer{}, false, ErrMismatch
	}
	if err := json.Unmarshal([]byte(row.header), &row.answer.Header); err != nil {
		return Answer{}, false, fmt.Errorf("find an answer: %w", err)
	}
	return row.answer, true, nil
}

// Keep makes a the answer of the request for Lifetime. Find must have found none
// in the same transaction. The first answer of a day takes the numbers that
// expire takes, so a.Header.Commit is read before and is what the request itself
// is answered with too.
func (s *Store) Keep(tx *db.WriteTx, k Key, request Request, a Answer) error {
	if a.Status < 200 || a.Status > 299 {
		return fmt.Errorf("keep an answer: status %d is no success", a.Status)
	}
	if len(a.Body) > maxBody {
		return fmt.Errorf("keep an answer: a body of %d bytes, more than %d", len(a.Body), maxBody)
	}
	header, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	day := dayOf(tx.Now)
	if err := s.ensureExpiry(tx, day); err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	body := a.Body
	if body == nil {
		body = []byte{} // a nil slice would be stored as NULL
	}
	_, err = tx.Exec(insertKept, day, k[:], request[:], tx.Now.UnixMilli(), a.Status, string(header), body)
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return nil
}

// ensureExpiry arranges that the day's answers are deleted, once for each day:
// whoever stores its first row. Memory of it would be quicker than the one read,
// but wrong when a write that was to arrange it is undone.
func (s *Store) ensureExpiry(tx *db.WriteTx, day int64) error {
	_, err := db.One(tx, db.Int, selectAny, day)
	if errors.Is(err, db.ErrNone) {
		return s.expire(tx, day, expiryOf(day))
	}
	return err
}

// DeleteDay deletes some of the answers of a day that are all past their
// Lifetime, and reports whether more may remain. It refuses a younger day.
func DeleteDay(tx *db.WriteTx, day int64) (more bool, err error) {
	if at := expiryOf(day); tx.Now.Before(at) {
		return false, fmt.Errorf("the answers of day %d are kept until %s", day, at.Format(time.RFC3339))
	}
	n, err := tx.Exec(deletePortion, day, maxPortion, portionBytes)
	if err != nil {
		return false, fmt.Errorf("delete the answers of day %d: %w", day, err)
	}
	return n > 0, nil
}

// DeleteOf deletes some of what a user was answered, whatever its age, and reports
// whether more may remain. It joins the caller's transaction.
func DeleteOf(tx *db.WriteTx, user domain.UserID) (more bool, err error) {
	first, last := keysOf(user)
	for day := int64(-1); ; {
		day, err = db.One(tx, db.Int, selectNextDay, day)
		if errors.Is(err, db.ErrNone) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("delete the answers of a user: %w", err)
		}
		n, err := tx.Exec(deleteOf, day, maxPortion, portionBytes, first[:], last[:])
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
}

const msPerDay = int64(24 * time.Hour / time.Millisecond)

// dayOf returns the number of the day in UTC, counted from 1970.
func dayOf(at time.Time) int64 { return at.UnixMilli() / msPerDay }

// expiryOf returns the first instant at which every answer of the day is past
// its Lifetime.
func expiryOf(day int64) time.Time {
	return time.UnixMilli((day + 1) * msPerDay).UTC().Add(Lifetime)
}
