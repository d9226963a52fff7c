package notifications_test

import (
	"fmt"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/notifications"
)

// BenchmarkTell tells as many people as one transaction may, who leave what is the
// default as it is.
func BenchmarkTell(b *testing.B) {
	for name, open := range map[string][]notifications.Channel{
		"nothing leaves": nil, "mail and push leave": {notifications.Email, notifications.Push},
	} {
		b.Run(name, func(b *testing.B) {
			d := dbtest.Open(b)
			people := make([]domain.UserID, notifications.MaxTold)
			for i := range people {
				people[i] = domain.UserID(fmt.Sprint("usr_", i))
			}
			if err := d.Write(b.Context(), func(tx *db.WriteTx) error { return notifications.SetChannels(tx, open...) }); err != nil {
				b.Fatal(err)
			}
			for cause := int64(1); b.Loop(); cause++ {
				err := d.Write(b.Context(), func(tx *db.WriteTx) error {
					return notifications.Tell(tx, notifications.News{Type: notifications.MeetingStarted, Meeting: "mtg_loc_1", Cause: cause}, people...)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestChannelsAreThoseOfTheLastStart(t *testing.T) {
	d := dbtest.Open(t)
	ada := arrive(t, d, "ada")
	waiting := func() (n int64) {
		t.Helper()
		err := d.Read(t.Context(), func(tx db.Reader) (err error) {
			n, err = db.One(tx, db.Int, `SELECT count(*) FROM jobs WHERE kind = ?`, notifications.Send)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var cause, before int64
	for _, c := range []struct {
		open []notifications.Channel
		want int64 // by which somebody hears who has set nothing
	}{
		{nil, 0},
		{[]notifications.Channel{notifications.Email, notifications.Email}, 1},
		{[]notifications.Channel{notifications.Push, notifications.Email, notifications.SMS}, 2},
		{[]notifications.Channel{notifications.SMS}, 0},
		{nil, 0},
	} {
		for range 2 { // told twice of the same, it leaves once
			err := d.Write(t.Context(), func(tx *db.WriteTx) error {
				if err := notifications.SetChannels(tx, c.open...); err != nil {
					return err
				}
				return notifications.Tell(tx, notifications.News{Type: notifications.MeetingStarted, Meeting: "mtg_loc_1", Cause: cause}, ada.User)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := waiting(); n != before+c.want {
			t.Errorf("%v: %d more jobs, want %d", c.open, n-before, c.want)
		}
		before, cause = waiting(), cause+1
	}
}

// Whom a block keeps from another by now is not written to either, though they were told
// of what that one did.
func TestLetterStaysBehindABlock(t *testing.T) {
	d := dbtest.Open(t)
	ada, grace := arrive(t, d, "ada"), arrive(t, d, "grace")
	write := func(f func(tx *db.WriteTx) error) {
		t.Helper()
		if err := d.Write(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *db.WriteTx) error {
		if err := notifications.SetChannels(tx, notifications.Push); err != nil {
			return err
		}
		return notifications.Tell(tx, notifications.News{Type: notifications.ConnectionRequested, Actor: ada.User, Subject: "con_1", Cause: 1}, grace.User)
	})
	part, err := notifications.NewStore(d).Feed(t.Context(), grace, domain.Span{Limit: 10})
	if err != nil || len(part.Items) != 1 {
		t.Fatal(len(part.Items), err)
	}
	parcel := notifications.Parcel{Position: part.Items[0].Position, Channel: notifications.Push}
	leaves := func() (wanted bool) {
		t.Helper()
		if err := d.Read(t.Context(), func(tx db.Reader) (err error) {
			_, wanted, err = parcel.Read(tx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return wanted
	}
	if !leaves() {
		t.Error("it does not leave")
	}
	for _, c := range []struct{ by, other domain.Actor }{{grace, ada}, {ada, grace}} {
		write(func(tx *db.WriteTx) error {
			_, err := blocks.Add(tx, c.by.User, c.other.User)
			return err
		})
		if leaves() {
			t.Errorf("it leaves, though %s blocks %s", c.by.User, c.other.User)
		}
		write(func(tx *db.WriteTx) error {
			_, err := blocks.Remove(tx, c.by.User, c.other.User)
			return err
		})
	}
	if !leaves() {
		t.Error("it does not leave when the blocks have ended")
	}
}
