package notifications

import (
	"errors"
	"fmt"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/jobs"
)

// MaxTold is how many people one transaction tells: a few milliseconds of the
// writer's time. Jobs tell the rest.
const MaxTold = 100

// TellRest is the kind of the jobs that go on where TellMembers has ended; their
// payload is News.
const TellRest = "notifications.tell"

// News is something to be told. Its fields are the payload of a job.
type News struct {
	Type    Type
	Meeting domain.MeetingID // "" for none
	Actor   domain.UserID    // who did it, and is not told; "" for time
	Subject string
	// Cause makes it the only news of its type: whoever was told of the type, the
	// meeting and the cause is not told again.
	Cause int64
	// After is the member up to whom, in the order of ids, all have been told.
	After domain.UserID
}

// TellMembers tells the members of the meeting, as they are now, but its actor:
// the first MaxTold in tx, the others by jobs.
func TellMembers(tx *db.WriteTx, n News) error {
	members, err := db.All(tx, scanUser, selectAudience, n.Meeting, n.After, n.Actor, MaxTold+1)
	if err != nil {
		return err
	}
	more := len(members) > MaxTold
	if more {
		members = members[:MaxTold]
	}
	if err := Tell(tx, n, members...); err != nil || !more {
		return err
	}
	n.After = members[MaxTold-1]
	return jobs.Enqueue(tx, jobs.Job{Kind: TellRest, Payload: n})
}

// Tell tells the people, of whom there are at most MaxTold, and lets it leave by
// the channels that they want. Its actor is not told, and of what is personal nobody
// whom a block keeps from the actor.
func Tell(tx *db.WriteTx, n News, people ...domain.UserID) error {
	if len(people) > MaxTold {
		return fmt.Errorf("tell %s: %d people, more than %d", n.Type, len(people), MaxTold)
	}
	if len(people) > 0 {
		if err := ensureExpiry(tx); err != nil {
			return err
		}
	}
	told := map[domain.UserID]int64{}
	var hidden map[domain.UserID]bool
	if n.Type.personal() && n.Actor != "" {
		var err error
		if hidden, err = blocks.Among(tx, n.Actor, people); err != nil {
			return err
		}
	}
	for _, user := range people {
		if user == n.Actor || hidden[user] {
			continue
		}
		position := tx.Next()
		inserted, err := tx.Exec(insertNotification, position, user, n.Type, n.Cause, n.Meeting, n.Actor, n.Subject, tx.Now.UnixMilli())
		if err != nil {
			return err
		}
		if inserted > 0 {
			told[user] = position
		}
	}
	return leave(tx, told)
}

// Lifetime is how long notifications are kept, to within a day.
const Lifetime = 90 * 24 * time.Hour

// Expire is the kind of the jobs that delete the notifications of a day at the
// end of their Lifetime; their payload is the number of the day.
const Expire = "notifications.expire"

// maxExpired is how many notifications one transaction deletes: a few
// milliseconds of the writer's time.
const maxExpired = 250

// ensureExpiry arranges, before the first notification of a day, that the day's
// are deleted. Each day has a job, so that one that fails for good is made up for
// by the next.
func ensureExpiry(tx *db.WriteTx) error {
	newest, err := db.One(tx, db.Int, selectNewest)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return err
	}
	day := dayOf(tx.Now)
	if err == nil && dayOf(time.UnixMilli(newest)) == day {
		return nil
	}
	return expire(tx, day, expiryOf(day))
}

func expire(tx *db.WriteTx, day int64, at time.Time) error {
	return jobs.Enqueue(tx, jobs.Job{Kind: Expire, Name: fmt.Sprintf("%s:%d", Expire, day), Payload: day, RunAt: at})
}

// DeleteUntil deletes the notifications of the day, and of all before, and leaves
// to another job what is too much for tx. It refuses a day that is not past its
// Lifetime.
func DeleteUntil(tx *db.WriteTx, day int64) error {
	if at := expiryOf(day); tx.Now.Before(at) {
		return fmt.Errorf("the notifications of day %d are kept until %s", day, at.Format(time.RFC3339))
	}
	n, err := tx.Exec(deletePortion, endOf(day).UnixMilli(), maxExpired)
	if err != nil || n < maxExpired {
		return err
	}
	return expire(tx, day, tx.Now)
}

const msPerDay = int64(24 * time.Hour / time.Millisecond)

// dayOf returns the number of the day in UTC, counted from 1970.
func dayOf(at time.Time) int64 { return at.UnixMilli() / msPerDay }

// endOf returns the first instant after the day.
func endOf(day int64) time.Time { return time.UnixMilli((day + 1) * msPerDay).UTC() }

// expiryOf returns the instant at which all of the day are past their Lifetime.
func expiryOf(day int64) time.Time { return endOf(day).Add(Lifetime) }
