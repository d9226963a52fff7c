package transcripts_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/jobs"
)

const (
	benchMeetings = 1000
	// benchSenders are bots that send at the same time, one after another for all
	// meetings.
	benchSenders = 256
	// benchText is as long as what is said in a few seconds.
	benchText = "so the pipeline needs another week before the second group can use it"
)

// BenchmarkAppend is a thousand meetings in each of which something is said in turn,
// in requests of so many chunks, while the job of settling runs beside them: as fast as
// it goes, and ten times a second in each. It tells how much of the write-ahead log a
// chunk costs with everything that follows from it.
func BenchmarkAppend(b *testing.B) {
	for _, load := range []struct {
		name       string
		size, rate int // chunks of a request, and requests a second, 0 for all that go
	}{
		{"requests-of-10", 10, 0},
		{"requests-of-1", 1, 0},
		{"requests-of-10-at-1000", 10, 1000},
		{"requests-of-1-at-10000", 1, 10_000},
	} {
		b.Run(load.name, func(b *testing.B) {
			c := newCrowd(b)
			c.send(b, 2*benchMeetings, load.size, 0) // so that the trees have grown
			settled := c.settled(b)
			before, disk := c.log.pages(), written(b)
			b.ResetTimer()
			c.send(b, b.N, load.size, load.rate)
			took := b.Elapsed()
			b.StopTimer()
			settled = c.awaitSettled(b, settled)
			chunks := float64(b.N * load.size)
			b.ReportMetric(chunks/took.Seconds(), "chunks/s")
			b.ReportMetric(float64(c.log.pages()-before)*(walPage+24)/chunks, "WAL-B/chunk")
			b.ReportMetric(float64(written(b)-disk)/chunks, "disk-B/chunk")
			b.ReportMetric(float64(settled)/(took+c.waited).Seconds(), "settled/s")
		})
	}
}

// crowd is a thousand meetings that run.
type crowd struct {
	db       *db.DB
	store    *transcripts.Store
	host     domain.Actor
	meetings []domain.MeetingID
	log      *walMeter
	said     atomic.Int64
	waited   time.Duration
}

func newCrowd(b *testing.B) *crowd {
	b.Helper()
	var path string
	d := dbtest.Open(b, func(o *db.Options) { path = o.Path })
	host, err := users.NewStore(d).SignIn(b.Context(), users.Identity{Subject: "bot", Email: "bot@example.com", At: d.Now()})
	if err != nil {
		b.Fatal(err)
	}
	c := &crowd{db: d, store: transcripts.NewStore(d, events.NewLog(nil)), host: domain.Actor{User: host.User}}
	err = d.Write(b.Context(), func(tx *db.WriteTx) error {
		for range benchMeetings {
			id := domain.NewMeetingID("loc", tx.ULID())
			c.meetings = append(c.meetings, id)
			if _, err := tx.Exec(insertActive, id, host.User, tx.Now.UnixMilli()-3_600_000); err != nil {
				return err
			}
			if _, err := tx.Exec(insertJoined, id, host.User); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	c.log = newWALMeter(b, path)
	d.OnCommit(func(db.ChangeSet) { c.log.look() })
	runner := jobs.NewRunner(d, quiet, map[string]jobs.Handler{
		transcripts.Settle: transcripts.NewSettler(d).Settle,
	})
	runner.Start()
	b.Cleanup(func() {
		if err := runner.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	return c
}

// send sends so many requests, each for the next meeting, rate of them a second.
func (c *crowd) send(b *testing.B, requests, size, rate int) {
	b.Helper()
	var next atomic.Int64
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	var wg sync.WaitGroup
	for range benchSenders {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(requests) {
					return
				}
				for rate > 0 && time.Since(began) < time.Duration(n)*time.Second/time.Duration(rate) {
					<-tick.C
				}
				drafts := make([]transcripts.Draft, size)
				at := time.Duration(c.said.Add(1)/benchMeetings) * time.Second
				for i := range drafts {
					drafts[i] = says(benchText, min(at+time.Duration(i*100)*time.Millisecond, 50*time.Minute))
					drafts[i].Speaker, drafts[i].Language = c.host.User, "en"
				}
				db.Gather(b.Context())
				if _, err := c.store.Append(b.Context(), c.host, c.meetings[n%benchMeetings], drafts); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func (c *crowd) settled(b *testing.B) int64 {
	b.Helper()
	var n int64
	err := c.db.Read(b.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, `SELECT count(*) FROM transcripts WHERE position <= (SELECT settled FROM transcript_progress)`)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// awaitSettled waits until everything is settled, and returns how many chunks were
// since there were so many.
func (c *crowd) awaitSettled(b *testing.B, before int64) int64 {
	b.Helper()
	began := time.Now()
	done := make(chan struct{}, 1)
	c.db.OnCommit(func(set db.ChangeSet) {
		if set.Has("transcript_progress") {
			select {
			case done <- struct{}{}:
			default:
			}
		}
	})
	for {
		var left int64
		err := c.db.Read(b.Context(), func(tx db.Reader) (err error) {
			left, err = db.One(tx, db.Int, `SELECT count(*) FROM (SELECT 1 FROM transcripts WHERE position > (SELECT settled FROM transcript_progress) LIMIT 1)`)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		if left == 0 {
			break
		}
		<-done
	}
	c.waited = time.Since(began)
	return c.settled(b) - before
}

// written is how many bytes this process has written, the log copied back included.
func written(b *testing.B) (n int64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err) // it is a file of Linux
	}
	if _, err := fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", new(int64), &n); err != nil {
		b.Fatal(err)
	}
	return n
}

// walPage is the size of a page of the database; a frame of the log has 24 bytes more.
const walPage = 4096

// walMeter counts the frames that were ever appended to the log of a database: its
// index begins with how many there are since the log was begun anew.
type walMeter struct {
	mu     sync.Mutex // guards the rest
	index  *os.File
	last   uint32
	frames int64
}

func newWALMeter(b *testing.B, path string) *walMeter {
	b.Helper()
	f, err := os.Open(path + "-shm")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return &walMeter{index: f}
}

// look notes how many frames there are; it is called after every commit.
func (m *walMeter) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var word [4]byte
	if _, err := m.index.ReadAt(word[:], 16); err != nil {
		return
	}
	now := binary.NativeEndian.Uint32(word[:])
	if now >= m.last {
		m.frames += int64(now - m.last)
	} else {
		m.frames += int64(now)
	}
	m.last = now
}

func (m *walMeter) pages() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.frames
}

const (
	insertActive = `
		INSERT INTO meetings (id, state, organizer_id, org_id, kind, duration_ms, max_participants, recording, transcription,
		  created_at, updated_at, started_at, title, description)
		VALUES (?1, 'active', ?2, '', 'small-group', 60000, 10, 0, 1, ?3, ?3, ?3, 'T', '')`
	insertJoined = `
		INSERT INTO participants (meeting_id, user_id, meeting_state, role, status)
		VALUES (?, ?, 'active', 'host', 'joined')`
)
