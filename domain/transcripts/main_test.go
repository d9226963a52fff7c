package transcripts_test

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/meetings"
	"connvo/domain/participants"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a meeting that has started, with ada as its host, grace in it as a
// participant and vera as an observer; linus is invited, and has not come.
type room struct {
	t                       testing.TB
	db                      *db.DB
	store                   *transcripts.Store
	settler                 *transcripts.Settler
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
	r.store, r.settler, r.meets = transcripts.NewStore(r.db, happened), transcripts.NewSettler(r.db), meetings.NewStore(r.db, happened, "loc")
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

// says returns a draft of a second that begins at the offset.
func says(text string, start time.Duration) transcripts.Draft {
	return transcripts.Draft{Text: text, Confidence: 0.9, Start: start, End: start + time.Second}
}

// append appends drafts of ada and returns their positions.
func (r *room) append(drafts ...transcripts.Draft) []int64 {
	r.t.Helper()
	a, err := r.store.Append(r.t.Context(), r.ada, r.id, drafts)
	r.must(err)
	return a.Positions
}

// all returns the transcript.
func (r *room) all(f transcripts.Filter) []transcripts.Chunk {
	r.t.Helper()
	zero := int64(0)
	part, err := r.store.Feed(r.t.Context(), r.ada, r.id, f, domain.Span{After: &zero, Limit: domain.MaxFeedPage})
	r.must(err)
	return part.Items
}

// settle does what follows from what was said, as the job does.
func (r *room) settle() {
	r.t.Helper()
	effect, err := r.settler.Settle(r.t.Context(), jobs.Task{Kind: transcripts.Settle})
	r.must(err)
	r.must(r.db.WriteBackground(r.t.Context(), effect))
}

// write is short for the transactions of steps.
type write = db.WriteTx

// background does the effect of a job of the meeting.
func (r *room) background(effect func(tx *write, m domain.MeetingID) error) error {
	return r.db.WriteBackground(r.t.Context(), func(tx *write) error { return effect(tx, r.id) })
}

func (r *room) exec(query string, args ...any) {
	r.t.Helper()
	r.must(r.db.Write(r.t.Context(), func(tx *write) error {
		_, err := tx.Exec(query, args...)
		return err
	}))
}

func (r *room) number(query string, args ...any) (n int64) {
	r.t.Helper()
	r.must(r.db.Read(r.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	}))
	return n
}

// state is what goes on in the meeting.
func (r *room) state() conversation.State {
	r.t.Helper()
	s, err := conversation.NewStore(r.db).State(r.t.Context(), r.ada, r.id)
	r.must(err)
	return s
}

var quiet = slog.New(slog.DiscardHandler)
