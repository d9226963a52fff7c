package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/notifications"
	"connvo/domain/participants"
	"connvo/domain/users"
	"connvo/jobs"
	"connvo/retention"
)

// told is a database with people whose notifications are written as the server
// does, jobs included.
type told struct {
	t      *testing.T
	db     *db.DB
	meets  *meetings.Store
	people *users.Store
	store  *notifications.Store
}

// newTold must run in a bubble: time passes as soon as nothing else happens.
func newTold(t *testing.T) *told {
	d := dbtest.Open(t)
	follows := map[events.Type][]events.Follow{}
	for _, e := range []events.Type{events.MeetingCreated, events.MeetingUpdated, events.MeetingStarted, events.MeetingCancelled} {
		follows[e] = []events.Follow{notifications.Follow}
	}
	sweeper := newSweeper(d)
	runner := jobs.NewRunner(d, slog.New(slog.DiscardHandler), map[string]jobs.Handler{
		notifications.TellRest: effect(notifications.TellMembers),
		notifications.Starting: effect(notifications.TellStarting),
		retention.Sweep:        sweeper.Sweep,
	})
	runner.Start()
	if err := sweeper.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runner.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return &told{t: t, db: d, meets: meetings.NewStore(d, events.NewLog(follows), "loc"), people: users.NewStore(d), store: notifications.NewStore(d)}
}

func (w *told) arrive(name string) domain.Actor {
	w.t.Helper()
	a, err := w.people.SignIn(w.t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: w.db.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return domain.Actor{User: a.User}
}

// after lets the time pass, and what is due happen.
func (w *told) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// types is what the person was told, oldest first.
func (w *told) types(who domain.Actor) string {
	w.t.Helper()
	part, err := w.store.Feed(w.t.Context(), who, domain.Span{Limit: domain.MaxFeedPage})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []notifications.Type
	for _, n := range part.Items {
		all = append(all, n.Type)
	}
	return fmt.Sprint(all)
}

func (w *told) number(query string, args ...any) (n int64) {
	w.t.Helper()
	err := w.db.Read(w.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *told) write(f func(tx *db.WriteTx) error) {
	w.t.Helper()
	if err := w.db.Write(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// must ends the test when what was done has failed.
func must(t *testing.T) func(_ meetings.Meeting, err error) {
	return func(_ meetings.Meeting, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestMembersAreToldTenMinutesBefore(t *testing.T) {
	const invited, both = "[meeting.invited]", "[meeting.invited meeting.starting]"
	moveTo := func(at time.Duration) func(w *told, host, guest domain.Actor, id domain.MeetingID) {
		return func(w *told, host, guest domain.Actor, id domain.MeetingID) {
			to := w.db.Now().Add(at)
			must(w.t)(w.meets.Update(w.t.Context(), host, id, meetings.Change{ScheduledAt: &to}))
		}
	}
	for name, c := range map[string]struct {
		in     time.Duration // the planned time
		what   func(w *told, host, guest domain.Actor, id domain.MeetingID)
		quiet  time.Duration // until then nothing is told
		after  time.Duration // and then
		result string
	}{
		"as planned":   {time.Hour, nil, 50*time.Minute - time.Millisecond, time.Millisecond, both},
		"planned soon": {5 * time.Minute, nil, 0, 0, both},
		"cancelled": {time.Hour, func(w *told, host, guest domain.Actor, id domain.MeetingID) {
			must(w.t)(w.meets.Cancel(w.t.Context(), host, id))
		}, 0, 2 * time.Hour, "[meeting.invited meeting.cancelled]"},
		"started": {time.Hour, func(w *told, host, guest domain.Actor, id domain.MeetingID) {
			must(w.t)(w.meets.Start(w.t.Context(), host, id))
		}, 0, 2 * time.Hour, "[meeting.invited meeting.started]"},
		"put off":          {time.Hour, moveTo(3 * time.Hour), 170*time.Minute - time.Millisecond, time.Millisecond, both},
		"brought forward":  {3 * time.Hour, moveTo(time.Hour), 50*time.Minute - time.Millisecond, time.Millisecond, both},
		"moved to at once": {3 * time.Hour, moveTo(time.Minute), 0, 0, both},
		"removed in time": {time.Hour, func(w *told, host, guest domain.Actor, id domain.MeetingID) {
			if err := w.meets.Remove(w.t.Context(), host, id, string(guest.User)); err != nil {
				w.t.Fatal(err)
			}
		}, 0, 2 * time.Hour, invited},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTold(t)
				host, guest := w.arrive("ada"), w.arrive("grace")
				m, err := w.meets.Create(t.Context(), host, meetings.Draft{
					Title: "Plan", ScheduledAt: new(w.db.Now().Add(c.in)), Invite: []meetings.Invitation{{User: guest.User, Role: participants.Observer}}})
				if err != nil {
					t.Fatal(err)
				}
				if c.what != nil {
					c.what(w, host, guest, m.ID)
				}
				if w.after(c.quiet); c.quiet > 0 && w.types(guest) != invited {
					t.Errorf("after %v: %s", c.quiet, w.types(guest))
				}
				if w.after(c.after); w.types(guest) != c.result {
					t.Errorf("told %s, want %s", w.types(guest), c.result)
				}
				if c.result == both && w.types(host) != "[meeting.starting]" {
					t.Errorf("the host was told %s", w.types(host))
				}
			})
		})
	}
}

// Once for each time that is planned, whatever else changes.
func TestMembersAreToldOnceThatItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTold(t)
		host := w.arrive("ada")
		m, err := w.meets.Create(t.Context(), host, meetings.Draft{Title: "Plan", ScheduledAt: new(w.db.Now().Add(time.Hour))})
		if err != nil {
			t.Fatal(err)
		}
		rename := func(title string) {
			must(t)(w.meets.Update(t.Context(), host, m.ID, meetings.Change{Title: &title}))
		}
		rename("Before")
		w.after(55 * time.Minute)
		rename("Within")
		w.write(func(tx *db.WriteTx) error { return notifications.TellStarting(tx, m.ID) })
		w.after(time.Hour)
		rename("After")
		w.after(time.Hour)
		if got := w.types(host); got != "[meeting.starting]" {
			t.Errorf("told %s", got)
		}
		later := w.db.Now().Add(time.Hour)
		must(t)(w.meets.Update(t.Context(), host, m.ID, meetings.Change{ScheduledAt: &later}))
		w.after(time.Hour)
		if got := w.types(host); got != "[meeting.starting meeting.starting]" {
			t.Errorf("told %s", got)
		}
	})
}

func TestThousandMembersAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTold(t)
		host := w.arrive("ada")
		m, err := w.meets.Create(t.Context(), host, meetings.Draft{Title: "Plan"})
		if err != nil {
			t.Fatal(err)
		}
		w.write(func(tx *db.WriteTx) error {
			for i := range participants.MaxMembers - 1 {
				id := domain.UserID(domain.UserPrefix + tx.ULID())
				if _, err := tx.Exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES (?, ?, 0, '', '', 0, 0)`, id, fmt.Sprint(i)); err != nil {
					return err
				}
				if err := participants.Add(tx, m.ID, id, participants.Observer); err != nil {
					return err
				}
			}
			return nil
		})
		must(t)(w.meets.Start(t.Context(), host, m.ID))
		w.after(time.Minute)
		const count = `SELECT count(*) FROM notifications WHERE type = 'meeting.started'`
		check := func(when string) {
			t.Helper()
			people := w.number(`SELECT count(DISTINCT user_id) FROM notifications WHERE user_id <> ?`, host.User)
			if n := w.number(count); n != participants.MaxMembers-1 || people != n {
				t.Errorf("%s: %d notifications of %d people", when, n, people)
			}
			if n := w.number(`SELECT count(*) FROM jobs WHERE kind = ?`, notifications.TellRest); n != 0 {
				t.Errorf("%s: %d jobs are left", when, n)
			}
		}
		check("once")
		cause := w.number(`SELECT cause FROM notifications WHERE type = 'meeting.started' LIMIT 1`)
		again := notifications.News{Type: notifications.MeetingStarted, Meeting: m.ID, Actor: host.User, Cause: cause}
		w.write(func(tx *db.WriteTx) error { return notifications.TellMembers(tx, again) })
		w.after(time.Minute)
		check("told again")
		w.write(func(tx *db.WriteTx) error {
			return jobs.Enqueue(tx, jobs.Job{Kind: notifications.TellRest, Payload: again})
		})
		w.after(time.Minute)
		check("by the job again")
	})
}

func TestNotificationsAreKeptForNinetyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTold(t)
		ada := w.arrive("ada")
		tell := func(from, to int64) {
			w.write(func(tx *db.WriteTx) error {
				for cause := from; cause < to; cause++ {
					if err := notifications.Tell(tx, notifications.News{Type: notifications.MeetingStarted, Meeting: "mtg_loc_1", Cause: cause}, ada.User); err != nil {
						return err
					}
				}
				return nil
			})
		}
		const count = `SELECT count(*) FROM notifications`
		tell(0, 600) // more than a job deletes at once
		w.after(24 * time.Hour)
		tell(600, 603)
		tell(603, 604)
		w.after(notifications.Lifetime - 24*time.Hour - time.Millisecond)
		if n := w.number(count); n != 604 {
			t.Errorf("%d are left of 604 within their time", n)
		}
		w.after(retention.Grain + time.Millisecond) // the first day's, at the latest
		if n := w.number(count); n != 4 {
			t.Errorf("%d are left, want 4", n)
		}
		w.after(24 * time.Hour)
		if n := w.number(count); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// Whoever signs in for the first time is not asked to meetings that are over.
func TestInvitationToWhatIsOverIsNotTold(t *testing.T) {
	d := dbtest.Open(t)
	meets := meetings.NewStore(d, events.NewLog(map[events.Type][]events.Follow{events.ParticipantClaimed: {notifications.Follow}}), "loc")
	w := &told{t: t, db: d, meets: meets, people: users.NewStore(d, claimInvitations(meets)), store: notifications.NewStore(d)}
	ada := w.arrive("ada")
	invited := []meetings.Invitation{{Email: "late@example.com", Role: participants.Participant}}
	var ids []domain.MeetingID
	for range 4 {
		m, err := meets.Create(t.Context(), ada, meetings.Draft{Title: "Plan", Invite: invited})
		must(t)(m, err)
		ids = append(ids, m.ID)
	}
	must(t)(meets.Cancel(t.Context(), ada, ids[0]))
	must(t)(meets.Start(t.Context(), ada, ids[1]))
	must(t)(meets.End(t.Context(), ada, ids[1]))
	must(t)(meets.Start(t.Context(), ada, ids[2]))
	late, err := w.people.SignIn(t.Context(), users.Identity{Subject: "late", Email: "late@example.com", EmailVerified: true, At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.types(domain.Actor{User: late.User}); got != "[meeting.invited meeting.invited]" {
		t.Errorf("told %s, want of the active and the planned one", got)
	}
}
