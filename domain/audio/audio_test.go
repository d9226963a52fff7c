package audio_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/audio"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/transcripts"
	"connvo/domain/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a meeting that has started, with ada as its host, grace in it as a
// participant and vera as an observer; linus is invited, and has not come.
type room struct {
	t                       testing.TB
	db                      *db.DB
	store                   *audio.Store
	meets                   *meetings.Store
	ada, grace, vera, linus domain.Actor
	id                      domain.MeetingID
	now                     time.Time
}

func newRoom(t testing.TB) *room {
	t.Helper()
	r := &room{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.db = dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return r.now } })
	happened := events.NewLog(map[events.Type][]events.Follow{events.MeetingEnded: {conversation.Close}})
	r.store, r.meets = audio.NewStore(r.db), meetings.NewStore(r.db, happened, "loc")
	r.ada, r.grace, r.vera, r.linus = r.person("ada"), r.person("grace"), r.person("vera"), r.person("linus")
	r.id = r.start()
	return r
}

// start starts another such meeting.
func (r *room) start() domain.MeetingID {
	r.t.Helper()
	m, err := r.meets.Create(r.t.Context(), r.ada, meetings.Draft{Title: "T", Invite: []meetings.Invitation{
		{User: r.grace.User, Role: participants.Participant}, {User: r.vera.User, Role: participants.Observer}, {User: r.linus.User, Role: participants.Participant},
	}})
	r.must(err)
	_, err = r.meets.Start(r.t.Context(), r.ada, m.ID)
	r.must(err)
	for _, who := range []domain.Actor{r.grace, r.vera} {
		_, err = r.meets.Join(r.t.Context(), who, m.ID)
		r.must(err)
	}
	return m.ID
}

func (r *room) person(name string) domain.Actor {
	r.t.Helper()
	a, err := users.NewStore(r.db).SignIn(r.t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: r.now})
	r.must(err)
	return domain.Actor{User: a.User}
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// tone is a piece of two seconds.
var tone = audio.Sound{Format: audio.WAV, Duration: 2 * time.Second, Bytes: []byte("sound")}

// say has the person say a tone, at the offset where there is one.
func (r *room) say(who domain.Actor, at ...time.Duration) (audio.Piece, error) {
	r.t.Helper()
	var start *time.Duration
	if len(at) > 0 {
		start = &at[0]
	}
	return r.store.Accept(r.t.Context(), who, r.id, start, tone)
}

// waiting are all pieces, in order.
func (r *room) waiting() (all []audio.Piece) {
	r.t.Helper()
	r.must(r.db.Read(r.t.Context(), func(tx db.Reader) (err error) {
		all, err = audio.All(tx)
		return err
	}))
	return all
}

// starts are where they begin.
func (r *room) starts() (at []time.Duration) {
	for _, p := range r.waiting() {
		at = append(at, p.Start)
	}
	return at
}

func (r *room) write(f func(tx *db.WriteTx) error) error { return r.db.Write(r.t.Context(), f) }

func (r *room) exec(query string, args ...any) {
	r.t.Helper()
	r.must(r.write(func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	}))
}

func (r *room) transcript() []transcripts.Chunk {
	r.t.Helper()
	zero := int64(0)
	part, err := transcripts.NewStore(r.db, nil).Feed(r.t.Context(), r.ada, r.id, transcripts.Filter{}, domain.Span{After: &zero, Limit: domain.MaxFeedPage})
	r.must(err)
	return part.Items
}

func TestPiecesAreOfThoseWhoMaySpeak(t *testing.T) {
	r := newRoom(t)
	stranger := r.person("mallory")
	for name, c := range map[string]struct {
		who  domain.Actor
		kind domain.Kind
	}{
		"an observer": {r.vera, domain.Forbidden}, "who has not come": {r.linus, domain.Forbidden}, "a stranger": {stranger, domain.NotFound},
	} {
		if _, err := r.say(c.who); err == nil || domain.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.say(r.grace); err != nil {
		t.Errorf("a participant: %v", err)
	}
	_, err := r.meets.Leave(t.Context(), r.grace, r.id)
	r.must(err)
	if _, err := r.say(r.grace); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("who has left: %v", err)
	}
	_, err = r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	if _, err := r.say(r.ada); domain.KindOf(err) != domain.MeetingNotActive {
		t.Errorf("after the end: %v", err)
	}
	if n := len(r.waiting()); n != 1 {
		t.Errorf("%d pieces wait", n)
	}
}

func TestPieceBeginsWhereItIsSaid(t *testing.T) {
	r := newRoom(t)
	r.now = r.now.Add(time.Minute)
	latest := transcripts.MaxOffset - tone.Duration
	for _, c := range []struct {
		name string
		at   []time.Duration
		want time.Duration
	}{
		{"it says so", []time.Duration{time.Hour}, time.Hour},
		{"the latest", []time.Duration{latest}, latest},
		{"it ends now", nil, 58 * time.Second},
		{"at the very end", []time.Duration{latest + time.Millisecond}, -1},
	} {
		p, err := r.say(r.ada, c.at...)
		if c.want < 0 {
			if domain.KindOf(err) != domain.Invalid {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || p.Start != c.want {
			t.Errorf("%s: it begins at %v, %v", c.name, p.Start, err)
		}
	}
	if got := r.starts(); !slices.IsSorted(got) || len(got) != 3 {
		t.Errorf("they are in the order of %v", got)
	}
	r.now = r.now.Add(transcripts.MaxOffset)
	if _, err := r.say(r.ada); domain.KindOf(err) != domain.Invalid {
		t.Errorf("it ends now, in a meeting that goes on for too long: %v", err)
	}
	r.now = r.now.Add(-transcripts.MaxOffset - time.Minute + time.Second)
	if p, err := r.say(r.ada); err != nil || p.Start != 0 {
		t.Errorf("before it was opened: %v, %v", p.Start, err)
	}
}

// As many pieces wait as there is room for, in a meeting and in all, by number and by
// size; a piece that is over makes room.
func TestMorePiecesThanFitAreRefused(t *testing.T) {
	r := newRoom(t)
	fill := func(m domain.MeetingID, pieces, size int) {
		r.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3)
			INSERT INTO audio (number, meeting_id, user_id, created_at, start_ms, duration_ms, format, size, sound)
			SELECT (SELECT coalesce(max(number), 1000000) FROM audio) + i, ?1, ?2, 0, 0, 1000, 'wav', ?4, x'00' FROM n`, m, r.ada.User, pieces, size)
	}
	refused := func(name string, kind domain.Kind) {
		t.Helper()
		if _, err := r.say(r.ada, 0); err == nil || domain.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
		r.exec(`DELETE FROM audio WHERE number = (SELECT max(number) FROM audio)`)
		if p, err := r.say(r.ada, 0); err != nil {
			t.Errorf("%s, with room: %v", name, err)
		} else if !slices.Contains(r.waiting(), p) {
			t.Errorf("%s: it does not wait", name)
		}
		r.exec(`DELETE FROM audio`)
	}
	other := r.start()
	fill(r.id, 200, 1)
	refused("pieces of a meeting", domain.RateLimited)
	fill(r.id, 32, 1<<20)
	refused("bytes of a meeting", domain.RateLimited)
	fill(other, 2000, 1)
	refused("pieces in all", domain.Unavailable)
	fill(other, 256, 1<<20)
	refused("bytes in all", domain.Unavailable)
}

// What is transcribed when the host deletes the transcript is dropped, and so is, by
// Forget, what waits; that of other meetings stays.
func TestPieceOfADeletedTranscriptIsNotSaid(t *testing.T) {
	r := newRoom(t)
	first, err := r.say(r.grace, 5*time.Second)
	r.must(err)
	_, err = r.say(r.grace, 10*time.Second)
	r.must(err)
	ended := r.id
	r.id = r.start()
	_, err = r.say(r.grace, 15*time.Second)
	r.must(err)
	_, err = r.meets.End(t.Context(), r.ada, ended)
	r.must(err)
	_, err = transcripts.NewStore(r.db, events.NewLog(nil)).Delete(t.Context(), r.ada, ended)
	r.must(err)
	r.must(r.write(func(tx *db.WriteTx) error {
		said, err := audio.Said(tx, first, transcripts.Draft{Text: "Hello", Confidence: 0.8, Start: first.Start, End: first.Start + first.Duration})
		if said {
			t.Error("it is said")
		}
		return err
	}))
	for want := int64(1); want >= 0; want-- {
		r.must(r.write(func(tx *db.WriteTx) error {
			n, err := audio.Forget(tx, ended)
			if n != want {
				t.Errorf("%d pieces are forgotten, want %d", n, want)
			}
			return err
		}))
	}
	if left := r.waiting(); len(left) != 1 || left[0].Meeting != r.id {
		t.Errorf("%+v wait", left)
	}
	r.id = ended
	if n := len(r.transcript()); n != 0 {
		t.Errorf("%d chunks", n)
	}
}

// What was accepted becomes text once, also after the end and of those who have left.
func TestPieceIsSaidOnce(t *testing.T) {
	r := newRoom(t)
	p, err := r.say(r.grace, 5*time.Second)
	r.must(err)
	_, err = r.meets.Leave(t.Context(), r.grace, r.id)
	r.must(err)
	_, err = r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	// A text that no chunk may be changes nothing.
	err = r.write(func(tx *db.WriteTx) error {
		_, err := audio.Said(tx, p, transcripts.Draft{Text: " ", End: time.Second})
		return err
	})
	if domain.KindOf(err) != domain.Invalid || len(r.waiting()) != 1 || len(r.transcript()) != 0 {
		t.Errorf("no chunk: %v; %d wait", err, len(r.waiting()))
	}
	words := transcripts.Draft{Text: "Hello", Confidence: 0.8, Start: p.Start, End: p.Start + p.Duration, Language: "en"}
	for i := range 2 {
		var said bool
		r.must(r.write(func(tx *db.WriteTx) (err error) {
			said, err = audio.Said(tx, p, words)
			return err
		}))
		if said != (i == 0) {
			t.Errorf("time %d: %v", i, said)
		}
	}
	all := r.transcript()
	if len(all) != 1 || all[0].Speaker != r.grace.User || all[0].Utterance != string(p.ID()) || all[0].Text != "Hello" || all[0].Start != 5*time.Second || all[0].End != 7*time.Second {
		t.Errorf("%+v", all)
	}
	if len(r.waiting()) != 0 {
		t.Error("it still waits")
	}
}

func TestPiecesThatHaveWaitedForTooLongAreDeleted(t *testing.T) {
	r := newRoom(t)
	old, err := r.say(r.ada, 0)
	r.must(err)
	came := r.now
	r.now = r.now.Add(time.Minute)
	_, err = r.say(r.ada, 0)
	r.must(err)
	var oldest time.Time
	r.must(r.db.Read(t.Context(), func(tx db.Reader) (err error) {
		oldest, err = audio.Oldest(tx)
		return err
	}))
	if !oldest.Equal(came) {
		t.Errorf("the oldest came at %v", oldest)
	}
	for _, want := range []int64{1, 0} {
		r.must(r.write(func(tx *db.WriteTx) error {
			n, err := audio.Delete(tx, came)
			if n != want {
				t.Errorf("%d are deleted, want %d", n, want)
			}
			return err
		}))
	}
	if got := r.waiting(); len(got) != 1 || got[0] == old {
		t.Errorf("%v are left", got)
	}
	r.exec(`DELETE FROM audio`)
	err = r.db.Read(t.Context(), func(tx db.Reader) error {
		_, err := audio.Oldest(tx)
		return err
	})
	if !errors.Is(err, db.ErrNone) {
		t.Errorf("none is left: %v", err)
	}
}
