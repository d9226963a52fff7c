package notifications_test

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/notifications"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func arrive(t *testing.T, d *db.DB, name string) domain.Actor {
	t.Helper()
	a, err := users.NewStore(d).SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: d.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Actor{User: a.User}
}

// tell tells everyone of one thing each for the causes from 1 to n.
func tell(t *testing.T, d *db.DB, n int, actor domain.UserID, people ...domain.UserID) error {
	return d.Write(t.Context(), func(tx *db.WriteTx) error {
		for cause := range n {
			news := notifications.News{Type: notifications.MeetingStarted, Meeting: "mtg_loc_1", Actor: actor, Cause: int64(cause + 1)}
			if err := notifications.Tell(tx, news, people...); err != nil {
				return err
			}
		}
		return nil
	})
}

func feed(t *testing.T, s *notifications.Store, who domain.Actor) []notifications.Notification {
	t.Helper()
	part, err := s.Feed(t.Context(), who, domain.Span{Limit: domain.MaxFeedPage})
	if err != nil {
		t.Fatal(err)
	}
	return part.Items
}

func standing(t *testing.T, s *notifications.Store, who domain.Actor) string {
	t.Helper()
	st, err := s.Standing(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(st.Unread, " up to ", st.ReadUpTo)
}

func TestPeopleAreToldOnceAndNotOfTheirOwnDeeds(t *testing.T) {
	d := dbtest.Open(t)
	s := notifications.NewStore(d)
	ada, grace := arrive(t, d, "ada"), arrive(t, d, "grace")
	for range 2 {
		if err := tell(t, d, 2, ada.User, ada.User, grace.User); err != nil {
			t.Fatal(err)
		}
	}
	if got := feed(t, s, grace); len(got) != 2 || got[0].Actor != ada.User || got[0].Position >= got[1].Position {
		t.Errorf("grace was told %+v", got)
	}
	if got := feed(t, s, ada); len(got) != 0 {
		t.Errorf("ada was told %+v", got)
	}
}

func TestTooManyAreRefused(t *testing.T) {
	d := dbtest.Open(t)
	people := make([]domain.UserID, notifications.MaxTold+1)
	for i := range people {
		people[i] = domain.UserID(fmt.Sprint("usr_", i))
	}
	if err := tell(t, d, 1, "", people...); err == nil {
		t.Error("more than MaxTold were told at once")
	}
	if err := tell(t, d, 1, "", people[1:]...); err != nil {
		t.Error(err)
	}
}

func TestWhatIsReadStaysRead(t *testing.T) {
	d := dbtest.Open(t)
	s := notifications.NewStore(d)
	ada, grace := arrive(t, d, "ada"), arrive(t, d, "grace")
	read := func(upTo int64) {
		t.Helper()
		if err := s.Read(t.Context(), ada, upTo); err != nil {
			t.Fatal(err)
		}
	}
	read(domain.MaxNumber - 1)
	if got := standing(t, s, ada); got != "0 up to 0" {
		t.Errorf("where there is nothing: %s", got)
	}
	if err := tell(t, d, notifications.MaxUnread+2, "", ada.User, grace.User); err != nil {
		t.Fatal(err)
	}
	all := feed(t, s, ada)
	at := func(i int) int64 { return all[i].Position }
	newest := len(all) - 1
	for _, c := range []struct {
		upTo int64
		want string
	}{
		{0, "100 up to 0"},
		{at(0) - 1, "100 up to 0"},
		{at(0), fmt.Sprint("100 up to ", at(0))},      // 101 are left
		{at(2) + 1, fmt.Sprint(99, " up to ", at(2))}, // at(2)+1 is grace's
		{at(1), fmt.Sprint(99, " up to ", at(2))},
		{0, fmt.Sprint(99, " up to ", at(2))},
		{domain.MaxNumber - 1, fmt.Sprint("0 up to ", at(newest))},
		{at(2), fmt.Sprint("0 up to ", at(newest))},
	} {
		if read(c.upTo); standing(t, s, ada) != c.want {
			t.Errorf("read up to %d: %s, want %s", c.upTo, standing(t, s, ada), c.want)
		}
	}
	if got := standing(t, s, grace); got != "100 up to 0" {
		t.Errorf("what grace has read: %s", got)
	}
}

func TestWhoIsNobodyReadsNothing(t *testing.T) {
	d := dbtest.Open(t)
	s := notifications.NewStore(d)
	nobody := domain.Actor{User: "usr_nobody"}
	_, feedErr := s.Feed(t.Context(), nobody, domain.Span{Limit: 1})
	_, standingErr := s.Standing(t.Context(), nobody)
	for what, err := range map[string]error{"feed": feedErr, "standing": standingErr, "read": s.Read(t.Context(), nobody, 1)} {
		if domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestYoungNotificationIsNotDeleted(t *testing.T) {
	d := dbtest.Open(t)
	ada := arrive(t, d, "ada")
	if err := tell(t, d, 2, "", ada.User); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		until time.Duration // from now
		want  int64
	}{{-time.Minute, 0}, {time.Minute, 2}, {time.Minute, 0}} {
		var n int64
		err := d.Write(t.Context(), func(tx *db.WriteTx) (err error) {
			n, err = notifications.Delete(tx, tx.Now.Add(c.until))
			return err
		})
		if err != nil || n != c.want {
			t.Errorf("until %v from now: %d deleted, want %d, %v", c.until, n, c.want, err)
		}
	}
}
