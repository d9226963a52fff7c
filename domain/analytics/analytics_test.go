package analytics_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/analytics"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/participants"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is an active meeting with its host and ada in it; linus is only invited.
type room struct {
	t                testing.TB
	now              time.Time
	db               *db.DB
	meets            *meetings.Store
	chat             *messages.Store
	figures          *analytics.Store
	host, ada, linus domain.Actor
	id               domain.MeetingID
}

func newRoom(t testing.TB) *room {
	t.Helper()
	r := &room{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.db = dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return r.now } })
	log := events.NewLog(nil)
	r.meets, r.chat, r.figures = meetings.NewStore(r.db, log, "loc"), messages.NewStore(r.db, log), analytics.NewStore(r.db)
	people := users.NewStore(r.db, func(*db.WriteTx, domain.UserID, string) error { return nil })
	for name, who := range map[string]*domain.Actor{"host": &r.host, "ada": &r.ada, "linus": &r.linus} {
		a, err := people.SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: r.now})
		r.must(err)
		*who = domain.Actor{User: a.User}
	}
	m, err := r.meets.Create(t.Context(), r.host, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{
		{User: r.ada.User, Role: participants.Observer}, {User: r.linus.User, Role: participants.Participant}}})
	r.must(err)
	r.id = m.ID
	_, err = r.meets.Start(t.Context(), r.host, r.id)
	r.must(err)
	_, err = r.meets.Join(t.Context(), r.ada, r.id)
	r.must(err)
	return r
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) write(change func(tx *db.WriteTx) error) {
	r.t.Helper()
	r.must(r.db.Write(r.t.Context(), change))
}

func (r *room) end() {
	r.t.Helper()
	_, err := r.meets.End(r.t.Context(), r.host, r.id)
	r.must(err)
}

func (r *room) get() analytics.Analytics {
	r.t.Helper()
	a, err := r.figures.Get(r.t.Context(), r.linus, r.id)
	r.must(err)
	return a
}

// store does the job of counting.
func (r *room) store() {
	r.t.Helper()
	store, err := r.figures.Count(r.t.Context(), r.id)
	r.must(err)
	r.write(store)
}

func refused(t *testing.T, err error, kind domain.Kind) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind {
		t.Errorf("%v of kind %d, want %d", err, domain.KindOf(err), kind)
	}
}

// The figures are right from the first answer after the end, and neither the job,
// nor its repetition, nor what is said afterwards changes them.
func TestFiguresAreThoseOfTheEnd(t *testing.T) {
	r := newRoom(t)
	post := func(who domain.Actor, content string) messages.Message {
		m, err := r.chat.Post(t.Context(), who, r.id, messages.Draft{Content: content})
		r.must(err)
		return m
	}
	edit := func(m messages.Message, content string) {
		_, err := r.chat.Edit(t.Context(), r.host, r.id, m.ID(), content)
		r.must(err)
	}
	first := post(r.host, "one")
	edit(first, "two")
	edit(first, "three")
	edit(first, "three") // which is no edit
	second := post(r.host, "four")
	r.must(r.chat.Delete(t.Context(), r.host, r.id, second.ID())) // it was posted all the same
	r.write(func(tx *db.WriteTx) error {
		said := func(who domain.UserID, seconds, words int) conversation.Utterance {
			return conversation.Utterance{Speaker: who, End: time.Duration(seconds) * time.Second, Words: int64(words)}
		}
		return conversation.Speak(tx, r.id, said(r.host.User, 60, 100), said(r.ada.User, 30, 50), said(conversation.Unnamed, 30, 90))
	})
	r.write(func(tx *db.WriteTx) error { return conversation.SetTopics(tx, r.id, []string{"budget"}) })
	r.now = r.now.Add(90 * time.Second)
	r.end()
	want := analytics.Analytics{
		Duration: 90 * time.Second, SpeakingShare: map[domain.UserID]float64{r.host.User: 0.5, r.ada.User: 0.25},
		Messages: 2, Edits: 2, WordsPerMinute: 120, Topics: []string{"budget"},
	}
	for i, change := range []func(){
		func() {}, func() { post(r.host, "late"); edit(first, "late") }, r.store, r.store,
		func() { post(r.host, "later"); edit(first, "later") }, r.store,
	} {
		if change(); !reflect.DeepEqual(r.get(), want) {
			t.Errorf("%d: %+v, want %+v", i, r.get(), want)
		}
	}
}

func TestQuietMeetingHasFigures(t *testing.T) {
	r := newRoom(t)
	r.end()
	if a := r.get(); a.SpeakingShare == nil || a.Topics == nil || a.WordsPerMinute != 0 || a.Messages != 0 || a.AverageRating != 0 {
		t.Errorf("%+v", a)
	}
}

func TestFiguresAreOfAMeetingThatHasEnded(t *testing.T) {
	r := newRoom(t)
	_, err := r.figures.Get(t.Context(), r.ada, r.id)
	refused(t, err, domain.Conflict)
	_, err = r.figures.Get(t.Context(), r.linus, r.id)
	refused(t, err, domain.Forbidden) // who has not joined an active meeting
	r.end()
	_, err = r.figures.Get(t.Context(), domain.Actor{User: "usr_nobody"}, r.id)
	refused(t, err, domain.Unauthenticated)
	m, err := r.meets.Create(t.Context(), r.host, meetings.Draft{Title: "Never"})
	r.must(err)
	_, err = r.meets.Cancel(t.Context(), r.host, m.ID)
	r.must(err)
	_, err = r.figures.Get(t.Context(), r.host, m.ID)
	refused(t, err, domain.Conflict)
}

// manyEvents adds n events of posting to the log.
func (r *room) manyEvents(n int) {
	r.t.Helper()
	r.write(func(tx *db.WriteTx) error {
		first := tx.Next()
		for range n {
			tx.Next()
		}
		_, err := tx.Exec(`
			WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
			INSERT INTO events (position, meeting_id, type, actor_id, subject_id, created_at)
			SELECT ?3 + i, ?1, 'messages.posted', '', '', 0 FROM n`, r.id, n, first)
		return err
	})
}

// What is too long for an answer is counted by the job, and never answered wrong
// before.
func TestVeryLongMeetingIsCountedByTheJob(t *testing.T) {
	const many = 21_000 // more than two portions
	r := newRoom(t)
	r.manyEvents(many)
	r.end()
	_, err := r.figures.Get(t.Context(), r.host, r.id)
	refused(t, err, domain.Unavailable)
	r.store()
	if a := r.get(); a.Messages != many {
		t.Errorf("%d messages, want %d", a.Messages, many)
	}
}

func TestRatingIsOncePerPerson(t *testing.T) {
	r := newRoom(t)
	rate := func(who domain.Actor, rating int) error {
		return r.figures.Rate(t.Context(), who, r.id, analytics.Rating{Rating: rating, Comment: strings.Repeat("ä", analytics.MaxComment)})
	}
	refused(t, rate(r.host, 4), domain.Conflict)
	_, err := r.meets.Leave(t.Context(), r.ada, r.id)
	r.must(err)
	r.end()
	for _, c := range []struct {
		who     domain.Actor
		rating  int
		average float64
	}{{r.host, 4, 4}, {r.host, 1, 1}, {r.ada, 2, 1.5}} { // ada has left, and is an observer
		if r.must(rate(c.who, c.rating)); r.get().AverageRating != c.average {
			t.Errorf("%v after %d, want %v", r.get().AverageRating, c.rating, c.average)
		}
	}
	refused(t, rate(r.linus, 5), domain.Forbidden)
	refused(t, rate(r.host, 0), domain.Invalid)
	refused(t, rate(r.host, 6), domain.Invalid)
	refused(t, r.figures.Rate(t.Context(), r.host, r.id, analytics.Rating{Rating: 5, Comment: strings.Repeat("x", analytics.MaxComment+1)}), domain.Invalid)
	if got := r.get().AverageRating; got != 1.5 {
		t.Errorf("refused ratings count: %v", got)
	}
}

// BenchmarkFirstAnswer is the answer that counts the log itself.
func BenchmarkFirstAnswer(b *testing.B) {
	for _, n := range []int{100, 9_900} {
		b.Run(fmt.Sprint(n, " events"), func(b *testing.B) {
			r := newRoom(b)
			r.manyEvents(n)
			r.end()
			for b.Loop() {
				r.get()
			}
		})
	}
}
