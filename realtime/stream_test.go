package realtime

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
)

// newEngine returns an engine over a fresh database whose heartbeats come often.
func newEngine(t *testing.T) (*Engine, *db.DB) {
	t.Helper()
	d := dbtest.Open(t)
	e := New(Config{DB: d, Second: time.Millisecond, Problem: func(_ context.Context, err error) Problem {
		return Problem{Status: 403, Body: []byte(strconv.Quote(err.Error()))}
	}})
	t.Cleanup(e.Close)
	return e, d
}

const (
	insertNumber  = `INSERT INTO meetings (id, state, organizer_id, org_id, kind, duration_ms, max_participants, recording, transcription, created_at, updated_at, title, description) SELECT 'm', 'active', id, '', 'webinar', 1, 1, 0, 0, 0, 0, '0', '' FROM users`
	insertSomeone = `INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES ('u', 's', 0, '', '', 0, 0)`
	updateNumber  = `UPDATE meetings SET title = ? WHERE id = 'm'`
	selectNumber  = "SELECT title FROM meetings WHERE id = ?1\n-- scope: meetings.id=?1"
)

// A heartbeat says that everything up to its commit has been considered. The
// title is the number of the write that set it, so that a stream whose heartbeat
// is ahead of its snapshot shows.
func TestHeartbeatNeverRunsAhead(t *testing.T) {
	e, d := newEngine(t)
	if err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		if _, err := tx.Exec(insertSomeone); err != nil {
			return err
		}
		_, err := tx.Exec(insertNumber)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := e.Serve(r.Context(), w, Request{Heartbeat: 1, Paths: []Path{{Query: func(ctx context.Context) (a Answer, err error) {
			err = d.Read(ctx, func(tx db.Reader) error {
				a.Body, err = db.One(tx, func(row db.Row) (b []byte, err error) { return b, row.Scan(&b) }, selectNumber, "m")
				return err
			})
			return a, err
		}}}})
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(func() {
		e.Drain()
		server.Close()
	})

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			err := d.Write(context.Background(), func(tx *db.WriteTx) error {
				_, err := tx.Exec(updateNumber, fmt.Sprint(tx.Next()))
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
	}()

	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	checkBeats(t, answer, 400)
}

// checkBeats reads that many heartbeats. Every write changes the title to its
// number, so the title is at least as new as what a heartbeat claims.
func checkBeats(t *testing.T, answer *http.Response, beats int) {
	t.Helper()
	lines := bufio.NewScanner(answer.Body)
	var name string
	var title int64
	for beats > 0 && lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data" && name == "snapshot":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			title = n
		case field == "data" && name == "heartbeat":
			var beat struct{ Commit int64 }
			if err := json.Unmarshal([]byte(value), &beat); err != nil {
				t.Fatal(err)
			}
			if title > 0 && beat.Commit > title {
				t.Fatalf("a heartbeat claims %d, the title is of %d", beat.Commit, title)
			}
			beats--
		}
	}
	if beats > 0 {
		t.Fatalf("%d heartbeats are missing: %v", beats, lines.Err())
	}
}

// A stream that always has something new sends ten events a second, however
// late each of them is; after a pause it does not make up for what it missed.
func TestTurnsKeepTheirBeat(t *testing.T) {
	start := time.Unix(1000, 0)
	due, sent := start, 0
	for now := start; now.Sub(start) < 10*time.Second; now = now.Add(7 * time.Millisecond) {
		if !now.Before(due) {
			due = nextTurn(due, now)
			sent++
		}
	}
	if sent < 99 || sent > 101 {
		t.Errorf("%d events in ten seconds", sent)
	}
	for name, test := range map[string]struct{ late, next time.Duration }{
		"in time":                 {0, pace},
		"late by waking up":       {pace / 4, pace},
		"after a pause":           {time.Minute, time.Minute + pace},
		"urgent, before its turn": {-pace / 2, pace / 2},
	} {
		if got := nextTurn(start, start.Add(test.late)).Sub(start); got != test.next {
			t.Errorf("%s: the next turn is in %v, want %v", name, got, test.next)
		}
	}
}
