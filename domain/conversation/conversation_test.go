package conversation_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/settings"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when everything happens: the clock of the tests stands still.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// room is an active meeting with its host in it, and one who is only invited.
type room struct {
	t     testing.TB
	db    *db.DB
	talk  *conversation.Store
	meets *meetings.Store
	host  domain.Actor
	guest domain.Actor
	id    domain.MeetingID
}

func newRoom(t testing.TB) *room {
	t.Helper()
	r := &room{t: t, db: dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return noon } })}
	people := users.NewStore(r.db, func(*db.WriteTx, domain.UserID, string) error { return nil })
	arrive := func(name string) domain.Actor {
		a, err := people.SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: noon})
		r.must(err)
		return domain.Actor{User: a.User}
	}
	r.host, r.guest = arrive("host"), arrive("guest")
	r.talk = conversation.NewStore(r.db)
	r.meets = meetings.NewStore(r.db, events.NewLog(map[events.Type][]events.Follow{events.MeetingEnded: {conversation.Close}}), "loc")
	m, err := r.meets.Create(t.Context(), r.host, meetings.Draft{Title: "Plan", Transcription: true,
		Invite: []meetings.Invitation{{User: r.guest.User, Role: participants.Participant}}})
	r.must(err)
	r.id = m.ID
	_, err = r.meets.Start(t.Context(), r.host, r.id)
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

func (r *room) speak(said ...conversation.Utterance) {
	r.t.Helper()
	r.write(func(tx *db.WriteTx) error { return conversation.Speak(tx, r.id, said...) })
}

func (r *room) state() conversation.State {
	r.t.Helper()
	s, err := r.talk.State(r.t.Context(), r.host, r.id)
	r.must(err)
	return s
}

func said(who string, start, end int64) conversation.Utterance {
	return conversation.Utterance{Speaker: domain.UserID(who), Start: time.Duration(start) * time.Millisecond, End: time.Duration(end) * time.Millisecond, Words: 1}
}

func TestStateOfSilenceIsEmpty(t *testing.T) {
	r := newRoom(t)
	s := r.state()
	if !s.Active || !s.StartedAt.Equal(noon) || !s.EndedAt.IsZero() || s.Lull.Detected() || s.Topics == nil || s.Speaking.ByUserMs == nil ||
		s.Speaking.TotalMs != 0 || s.Recording || !s.Transcription {
		t.Errorf("%+v", s)
	}
	_, err := r.talk.State(t.Context(), r.guest, r.id)
	if domain.KindOf(err) != domain.Forbidden {
		t.Errorf("who has not joined: %v", err)
	}
	if _, err = r.talk.State(t.Context(), r.host, "mtg_loc_none"); domain.KindOf(err) != domain.NotFound {
		t.Errorf("no meeting: %v", err)
	}
}

func TestUtterancesAreChecked(t *testing.T) {
	r := newRoom(t)
	most := conversation.MaxOffset.Milliseconds()
	r.speak(said("a", 0, 0), said("a", most, most))
	for _, u := range []conversation.Utterance{said("a", -1, 0), said("a", 2, 1), said("a", most, most+1), {Words: -1}} {
		err := r.db.Write(t.Context(), func(tx *db.WriteTx) error { return conversation.Speak(tx, r.id, said("b", 0, 9), u) })
		if domain.KindOf(err) != domain.Invalid {
			t.Errorf("%+v: %v", u, err)
		}
	}
	if s := r.state().Speaking; s.TotalMs != 0 || len(s.ByUserMs) != 1 || s.Words != 2 {
		t.Errorf("%+v", s)
	}
}

// spoken is what Speaking is to be, reckoned anew from everything that was said.
func spoken(all []conversation.Utterance) conversation.Speaking {
	s := conversation.Speaking{ByUserMs: map[domain.UserID]int64{}, WindowByUserMs: map[domain.UserID]int64{}}
	const step = 10_000
	newest := int64(0)
	for _, u := range all {
		if u.End > u.Start {
			newest = max(newest, (u.End.Milliseconds()-1)/step)
		}
	}
	from := (newest - 29) * step
	for _, u := range all {
		start, end := u.Start.Milliseconds(), u.End.Milliseconds()
		s.TotalMs += end - start
		s.Words += u.Words
		recent := max(0, end-max(start, from))
		s.WindowMs += recent
		if u.Speaker == conversation.Unnamed {
			continue
		}
		s.ByUserMs[u.Speaker] += end - start
		if recent > 0 {
			s.WindowByUserMs[u.Speaker] += recent
		}
	}
	return s
}

// Whatever is said, in whatever order and portions it is heard, the answer is
// that of all of it.
func TestSpeakingIsThatOfEverythingSaid(t *testing.T) {
	r := newRoom(t)
	utterance := rapid.Custom(func(t *rapid.T) conversation.Utterance {
		start := rapid.OneOf(rapid.Int64Range(0, 1_200_000), rapid.Map(rapid.Int64Range(0, 60), func(n int64) int64 { return n * 10_000 })).Draw(t, "start")
		length := rapid.OneOf(rapid.Int64Range(0, 20_000), rapid.Just(int64(10_000)), rapid.Int64Range(250_000, 400_000)).Draw(t, "length")
		return said(rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "speaker"), start, start+length)
	})
	rapid.Check(t, func(rt *rapid.T) {
		r.write(func(tx *db.WriteTx) error { _, err := tx.Exec(`DELETE FROM speaking`); return err })
		all := rapid.SliceOfN(utterance, 0, 12).Draw(rt, "said")
		for rest := all; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "portion")
			r.speak(rest[:n]...)
			rest = rest[n:]
		}
		got, want := r.state().Speaking, spoken(all)
		if got.TotalMs != want.TotalMs || got.WindowMs != want.WindowMs || got.Words != want.Words ||
			!maps.Equal(got.ByUserMs, want.ByUserMs) || !maps.Equal(got.WindowByUserMs, want.WindowByUserMs) {
			rt.Fatalf("%+v\nwant %+v", got, want)
		}
	})
}

func TestSpeakersAreToldApartUpToABound(t *testing.T) {
	r := newRoom(t)
	var all []conversation.Utterance
	for i := range conversation.MaxSpeakers {
		all = append(all, said(fmt.Sprintf("usr_%04d", i), 0, 1))
	}
	r.speak(all...)
	r.speak(said("usr_late", 0, 10), said("usr_0000", 0, 100))
	s := r.state().Speaking
	if len(s.ByUserMs) != conversation.MaxSpeakers || s.ByUserMs["usr_0000"] != 101 || s.TotalMs != conversation.MaxSpeakers+110 || s.WindowMs != s.TotalMs {
		t.Errorf("%d speakers, %d ms, %d of the first", len(s.ByUserMs), s.TotalMs, s.ByUserMs["usr_0000"])
	}
}

func TestLastSpeechIsRemembered(t *testing.T) {
	r := newRoom(t)
	at := func() (at time.Time) {
		r.must(r.db.Read(t.Context(), func(tx db.Reader) (err error) {
			at, err = conversation.LastAt(tx, r.id)
			return err
		}))
		return at
	}
	if !at().IsZero() {
		t.Error(at())
	}
	if r.speak(said("", 0, 1)); !at().Equal(noon) {
		t.Error(at())
	}
}

func TestLullIsOfAnActiveMeeting(t *testing.T) {
	r := newRoom(t)
	set := func(l conversation.Lull) error {
		return r.db.Write(t.Context(), func(tx *db.WriteTx) error { return conversation.SetLull(tx, r.id, l) })
	}
	mild := conversation.Lull{Since: noon, Severity: conversation.Mild}
	r.must(set(mild))
	if s := r.state(); s.Lull != mild || !s.Lull.Detected() {
		t.Errorf("%+v", s)
	}
	r.must(set(conversation.Lull{Since: noon, Severity: conversation.None}))
	if s := r.state(); s.Lull != (conversation.Lull{Severity: conversation.None}) {
		t.Errorf("%+v", s)
	}
	if set(conversation.Lull{Severity: conversation.Mild}) == nil {
		t.Error("a lull without a beginning")
	}
	r.must(set(mild))
	r.write(func(tx *db.WriteTx) error { return conversation.SetRecording(tx, r.id, true) })
	if s := r.state(); !s.Recording {
		t.Errorf("%+v", s)
	}
	_, err := r.meets.End(t.Context(), r.host, r.id)
	r.must(err)
	r.must(set(mild))
	r.write(func(tx *db.WriteTx) error { return conversation.SetRecording(tx, r.id, true) })
	if s := r.state(); s.Lull.Detected() || s.Recording || s.Active || !s.EndedAt.Equal(noon) {
		t.Errorf("after the end: %+v", s)
	}
}

func TestTopicsAreBounded(t *testing.T) {
	r := newRoom(t)
	set := func(topics ...string) error {
		return r.db.Write(t.Context(), func(tx *db.WriteTx) error { return conversation.SetTopics(tx, r.id, topics) })
	}
	most := make([]string, conversation.MaxTopics)
	for i := range most {
		most[i] = strings.Repeat("ä", conversation.MaxTopic)
	}
	r.must(set(most...))
	for _, topics := range [][]string{append(most, "x"), {""}, {most[0] + "x"}} {
		if err := set(topics...); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%d topics: %v", len(topics), err)
		}
	}
	if got := r.state().Topics; len(got) != len(most) || got[0] != most[0] {
		t.Errorf("%q", got)
	}
	r.must(set())
	if got := r.state().Topics; got == nil || len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// What is so already is no change: nobody's query runs again for it.
func TestWhatIsSoAlreadyChangesNothing(t *testing.T) {
	r := newRoom(t)
	changes := 0
	r.db.OnCommit(func(set db.ChangeSet) {
		if set.Has("conversations") {
			changes++
		}
	})
	for range 3 {
		r.write(func(tx *db.WriteTx) error {
			return conversation.SetLull(tx, r.id, conversation.Lull{Since: noon, Severity: conversation.Severe})
		})
		r.write(func(tx *db.WriteTx) error { return conversation.SetTopics(tx, r.id, []string{"budget"}) })
		r.write(func(tx *db.WriteTx) error { return conversation.SetRecording(tx, r.id, true) })
	}
	if changes != 3 {
		t.Errorf("%d changes", changes)
	}
}

// BenchmarkSpeak adds a request of ten utterances by three people.
func BenchmarkSpeak(b *testing.B) {
	r := newRoom(b)
	n := int64(0)
	for b.Loop() {
		var all []conversation.Utterance
		for i := range int64(10) {
			all = append(all, said(fmt.Sprint("usr_", i%3), (n+i)*1000, (n+i)*1000+900))
		}
		n = (n + 10) % 600_000
		r.speak(all...)
	}
}

// BenchmarkState reads the state of a meeting in which many have spoken.
func BenchmarkState(b *testing.B) {
	for _, n := range []int{5, conversation.MaxSpeakers} {
		b.Run(fmt.Sprint(n, " speakers"), func(b *testing.B) {
			r := newRoom(b)
			for i := range n {
				r.speak(said(fmt.Sprintf("usr_%04d", i), 0, 300_000))
			}
			for b.Loop() {
				r.state()
			}
		})
	}
}

func TestWhoIsNotToBeTrackedIsNotNamed(t *testing.T) {
	r := newRoom(t)
	no := false
	_, err := settings.NewStore(r.db).Update(t.Context(), r.host, settings.Change{Tracking: &no})
	r.must(err)
	r.write(func(tx *db.WriteTx) error {
		return conversation.Speak(tx, r.id, conversation.Utterance{Speaker: r.host.User, End: time.Second}, conversation.Utterance{Speaker: r.guest.User, End: time.Second})
	})
	state, err := r.talk.State(t.Context(), r.host, r.id)
	r.must(err)
	if s := state.Speaking; s.TotalMs != 2000 || len(s.ByUserMs) != 1 || s.ByUserMs[r.guest.User] != 1000 || len(s.WindowByUserMs) != 1 {
		t.Errorf("%+v", s)
	}
}
