package scribe_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/ai"
	"connvo/ai/aitest"
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
	"connvo/scribe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// second is the unit of the scribe's waits, aiSecond of those for the endpoint: a
	// call may take thirty of them on a machine that does other things.
	second   = 5 * time.Millisecond
	aiSecond = 50 * time.Millisecond
	// patience is how long a test waits for what must come.
	patience = time.Minute
	key      = "sk-test-0123456789"
)

// room is a meeting with some people in it, and a scribe that asks an endpoint.
type room struct {
	t      *testing.T
	db     *db.DB
	pieces *audio.Store
	meets  *meetings.Store
	people []domain.Actor
	id     domain.MeetingID
	end    *aitest.Endpoint
	scribe *scribe.Scribe
	called chan string // the outcomes
	given  chan struct{}

	mu    sync.Mutex // guards the rest
	ahead time.Duration
	log   bytes.Buffer
}

// newRoom returns a room of so many people; its scribe does nothing before it is told.
func newRoom(t *testing.T, people int, answer func(aitest.Call) aitest.Reply) *room {
	t.Helper()
	r := &room{t: t}
	r.db = dbtest.Open(t, func(o *db.Options) { o.Now, o.Log = r.now, slog.New(slog.DiscardHandler) })
	r.end = aitest.Start(t, key, answer)
	r.scribe = r.newScribe()
	happened := events.NewLog(map[events.Type][]events.Follow{events.MeetingEnded: {conversation.Close}})
	r.pieces, r.meets = audio.NewStore(r.db), meetings.NewStore(r.db, happened, "loc")
	var invited []meetings.Invitation
	for i := range people {
		a, err := users.NewStore(r.db).SignIn(t.Context(), users.Identity{Subject: fmt.Sprint(i), Email: fmt.Sprint(i, "@example.com"), At: r.now()})
		r.must(err)
		if r.people = append(r.people, domain.Actor{User: a.User}); i > 0 {
			invited = append(invited, meetings.Invitation{User: a.User, Role: participants.Participant})
		}
	}
	m, err := r.meets.Create(t.Context(), r.people[0], meetings.Draft{Title: "T", Invite: invited})
	r.must(err)
	_, err = r.meets.Start(t.Context(), r.people[0], m.ID)
	r.must(err)
	for _, who := range r.people[1:] {
		_, err = r.meets.Join(t.Context(), who, m.ID)
		r.must(err)
	}
	r.id = m.ID
	t.Cleanup(func() {
		if said := r.said(); strings.Contains(said, key) || strings.Contains(said, "pear") {
			t.Errorf("the log holds the key, or what was said: %s", said)
		}
	})
	return r
}

func (r *room) newScribe() *scribe.Scribe {
	r.t.Helper()
	a, err := ai.NewTranscriber(ai.Endpoint{BaseURL: r.end.URL, Key: key, Second: aiSecond}, ai.Whisper)
	r.must(err)
	r.t.Cleanup(a.Close)
	r.called, r.given = make(chan string, 1000), make(chan struct{}, 100)
	called, given := r.called, r.given
	return scribe.New(scribe.Config{
		DB: r.db, Log: slog.New(slog.NewTextHandler(r, nil)), AI: a, Second: second,
		Called:  func(_ time.Duration, outcome string) { called <- outcome },
		GivenUp: func() { given <- struct{}{} },
	})
}

// start has the scribe begin, until the test ends.
func (r *room) start() {
	r.t.Helper()
	r.scribe.Start()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.scribe.Stop(ctx)
	})
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}

// pass lets time pass.
func (r *room) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}

// Write takes a line of the log.
func (r *room) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(line)
}

// said is the log.
func (r *room) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// say has somebody say words, in a piece of two seconds.
func (r *room) say(who int, at time.Duration, words string) audio.Piece {
	r.t.Helper()
	p, err := r.pieces.Accept(r.t.Context(), r.people[who], r.id, &at, audio.Sound{Format: audio.WAV, Duration: 2 * time.Second, Bytes: []byte(words)})
	r.must(err)
	return p
}

// await waits for so many calls that have this outcome.
func (r *room) await(outcome string, n int) {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for n > 0 {
		select {
		case got := <-r.called:
			if got == outcome {
				n--
			}
		case <-limit.C:
			r.t.Fatalf("%d calls lack that end in %s; the log: %s", n, outcome, r.said())
		}
	}
}

// awaitGivenUp waits until a piece is given up.
func (r *room) awaitGivenUp() {
	r.t.Helper()
	select {
	case <-r.given:
	case <-time.After(patience):
		r.t.Fatalf("nothing is given up; the log: %s", r.said())
	}
}

func (r *room) waiting() int64 {
	r.t.Helper()
	var b audio.Backlog
	r.must(r.db.Read(r.t.Context(), func(tx db.Reader) (err error) {
		b, err = audio.Waiting(tx)
		return err
	}))
	return b.Pieces
}

func (r *room) transcript() []transcripts.Chunk {
	r.t.Helper()
	zero := int64(0)
	part, err := transcripts.NewStore(r.db, nil).Feed(r.t.Context(), r.people[0], r.id, transcripts.Filter{}, domain.Span{After: &zero, Limit: domain.MaxFeedPage})
	r.must(err)
	return part.Items
}

// texts are those of the transcript, in order.
func (r *room) texts() (all []string) {
	r.t.Helper()
	for _, c := range r.transcript() {
		all = append(all, c.Text)
	}
	return all
}
