package users_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain/users"
)

// started is what is recorded of a sign-in.
func started() audit.Entry {
	return audit.Entry{Org: "org_1", Action: audit.SessionStarted, Outcome: audit.Allowed}
}

func numberIn(t *testing.T, d *db.DB, query string) (n int64) {
	t.Helper()
	err := d.Read(t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Both have looked before either is written.
func TestSessionThatBeginsTwiceAtOnceIsRecordedOnce(t *testing.T) {
	d := dbtest.Open(t)
	s := users.NewStore(d)
	held, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := d.Write(t.Context(), func(*db.WriteTx) error {
			close(held)
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-held
	for range 5 {
		all.Go(func() {
			if err := s.Begins(t.Context(), "session_1", started); err != nil {
				t.Error(err)
			}
		})
	}
	for late := time.Now().Add(time.Minute); d.Stats().Queued < 5 && time.Now().Before(late); {
		runtime.Gosched()
	}
	close(release)
	all.Wait()
	if n := numberIn(t, d, `SELECT count(*) FROM audit WHERE action = 'session.started'`); n != 1 {
		t.Errorf("it is recorded %d times", n)
	}
}

func TestBeginningsAreForgottenAfterTheRecordOfThem(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return now } })
	begin := func(s *users.Store, session string) {
		t.Helper()
		if err := s.Begins(t.Context(), session, started); err != nil {
			t.Fatal(err)
		}
	}
	s := users.NewStore(d)
	begin(s, "session_1")
	begin(s, "")
	now = now.Add(366 * 24 * time.Hour) // the record of it is gone by then
	begin(s, "session_2")
	begin(users.NewStore(d), "session_1") // also after a restart
	if n := numberIn(t, d, `SELECT count(*) FROM audit`); n != 2 {
		t.Errorf("%d sign-ins are recorded", n)
	}
	now = now.Add(100 * 24 * time.Hour)
	begin(s, "session_3")
	if n := numberIn(t, d, `SELECT count(*) FROM begun_sessions`); n != 2 {
		t.Errorf("%d sessions are remembered", n)
	}
}
