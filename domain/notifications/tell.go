package notifications

import (
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
// whom a block keeps from the actor. Of what is lasting nobody is told who has not
// read the last of it in the meeting.
func Tell(tx *db.WriteTx, n News, people ...domain.UserID) error {
	if len(people) > MaxTold {
		return fmt.Errorf("tell %s: %d people, more than %d", n.Type, len(people), MaxTold)
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
		if n.Type.lasting() {
			waits, err := db.One(tx, db.Int, selectUnreadMention, user, n.Meeting)
			if err != nil {
				return err
			}
			if waits > 0 {
				continue
			}
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

// Lifetime is how long notifications are kept.
const Lifetime = 90 * 24 * time.Hour

// deleted is how many notifications Delete deletes at once, in about a millisecond.
const deleted = 50

// Oldest returns the instant of the oldest notification, or db.ErrNone. It joins the
// caller's transaction.
func Oldest(tx db.Reader) (time.Time, error) {
	ms, err := db.One(tx, db.Int, selectOldest)
	return time.UnixMilli(ms).UTC(), err
}

// Delete deletes a few notifications that are not younger than the instant, the
// oldest first, and returns how many, 0 when none is left. It joins the caller's
// transaction.
func Delete(tx *db.WriteTx, until time.Time) (int64, error) {
	return tx.Exec(deletePortion, until.UnixMilli(), deleted)
}
