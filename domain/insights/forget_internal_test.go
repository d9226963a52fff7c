package insights

import (
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/interests"
	"connvo/domain/meetings"
	"connvo/domain/profiles"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/flags"
)

// What was read of a transcript before it was deleted is not stored after it; what was
// stored before is told no more, and makes way for what is made of the rest.
func TestInsightsAreNotMadeOfADeletedTranscript(t *testing.T) {
	t.Parallel()
	d, happened := dbtest.Open(t), events.NewLog(nil)
	s := NewStore(d, flags.NewStore(d, "test"), profiles.NewStore(d, interests.NewStore(d)))
	said, meets := transcripts.NewStore(d, happened), meetings.NewStore(d, happened, "loc")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := users.NewStore(d).SignIn(t.Context(), users.Identity{Subject: "ada", Email: "ada@example.com", At: d.Now()})
	must(err)
	ada := domain.Actor{User: a.User}
	m, err := meets.Create(t.Context(), ada, meetings.Draft{Title: "Plan"})
	must(err)
	_, err = meets.Start(t.Context(), ada, m.ID)
	must(err)
	_, err = said.Append(t.Context(), ada, m.ID, []transcripts.Draft{{Text: "We decided to go.", Confidence: 1, End: time.Second, Language: "en"}})
	must(err)
	_, err = meets.End(t.Context(), ada, m.ID)
	must(err)
	_, err = s.Write(t.Context(), m.ID)
	must(err)
	told := func(want bool) Insight {
		t.Helper()
		list, _, err := s.List(t.Context(), ada, "", 10)
		must(err)
		one, found, err := s.Of(t.Context(), ada, m.ID)
		must(err)
		if found != want || (len(list) == 1) != want {
			t.Errorf("found %t, %d in the list, want %t", found, len(list), want)
		}
		return one
	}
	if got := told(true); len(got.Decisions) != 1 {
		t.Errorf("%+v", got)
	}
	mat, err := s.material(t.Context(), m.ID)
	must(err)
	_, err = said.Delete(t.Context(), ada, m.ID)
	must(err)
	told(false)
	if err := s.store(t.Context(), mat, Extract(mat), person{user: ada.User}); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("of what was read before: %v", err)
	}
	told(false)
	must(d.Write(t.Context(), func(tx *db.WriteTx) error {
		n, err := Unhear(tx, m.ID)
		if n != 1 {
			t.Errorf("%d insights are made anew", n)
		}
		return err
	}))
	must(s.write(t.Context(), m.ID, []domain.UserID{ada.User}))
	if got := told(true); len(got.Decisions) != 0 {
		t.Errorf("%+v", got)
	}
	must(d.Write(t.Context(), func(tx *db.WriteTx) error {
		n, err := Unhear(tx, m.ID)
		if n != 0 {
			t.Errorf("%d insights are made anew once more", n)
		}
		return err
	}))
}
