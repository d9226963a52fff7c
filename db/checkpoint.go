package db

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"connvo/domain"
)

// The bounds of the write-ahead log, in pages of 4 KiB.
const (
	// walPages is how much of the log waits to be copied back into the file when that
	// begins, beside the writer: large enough that pages written often are copied
	// once. When a commit did it, that held the writer for some 10 ms.
	walPages = 2000
	// walRestPages is what the writer copies itself at most when it begins the log
	// anew: a millisecond's work. Where more is left, it is copied beside it first, but
	// only until the log is twice as long.
	walRestPages = 250
	// walRestartPages is when the writer waits for readers to begin the log
	// anew: 16 MiB. While reads overlap, one of them always holds an older state,
	// and a copy that does not wait never comes to the end of a log that grows.
	walRestartPages = 2 * walPages
	// walWait bounds that wait; it is many times what a read takes.
	walWait = 50 * time.Millisecond
	// walPoll is how often the writer looks whether they have ended: a fraction
	// of what a commit takes.
	walPoll = 250 * time.Microsecond
	// walRetry is how long the writer leaves a log alone whose readers stayed
	// longer than walWait, so that one long read costs a twentieth of its time.
	walRetry = time.Second
	// walAlarmPages is when a log that readers keep from being copied is
	// reported: 256 MiB, minutes of writing. Each doubling is reported again.
	walAlarmPages = 1 << 16
	// walFileBytes is what is left of the log's file when it begins anew after
	// having grown beyond it: its usual size and as much again.
	walFileBytes = 2 * walRestartPages * pageSize
)

// busyTimeout is how long a statement waits for the lock of another process,
// such as a backup.
const busyTimeout = 5 * time.Second

const (
	measureLog = `PRAGMA wal_checkpoint(NOOP)`
	copySome   = `PRAGMA wal_checkpoint(PASSIVE)`
	restartLog = `PRAGMA wal_checkpoint(RESTART)`
	emptyLog   = `PRAGMA wal_checkpoint(TRUNCATE)`
)

// EmptyLog copies the whole log back into the file and leaves nothing in it, so that
// what was deleted before is in neither. The writer does so between two groups and
// keeps others waiting for about as long as one slow commit.
//
// Errors: Unavailable when a reader held an older state for too long; whoever asked
// may ask again.
func (d *DB) EmptyLog(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case d.writer.empty <- reply:
		return <-reply
	case <-d.writer.finished:
		return closedError()
	case <-ctx.Done():
		return domain.Because(domain.Unavailable, ctx.Err(), "the request ended before its turn")
	}
}

// emptyLog is EmptyLog on the writer's goroutine.
func (w *writer) emptyLog() error {
	busy, err := w.copyLog(emptyLog)
	if err == nil && busy {
		return domain.Fail(domain.Unavailable, "a read that stays open keeps the log from being emptied")
	}
	return err
}

// boundLog begins the log anew when it has grown too long. The writer calls it
// between groups, so that nothing is added meanwhile: the reads that hold an
// older state end, and those that begin see the last one and keep nobody
// waiting. Readers never wait.
func (w *writer) boundLog() {
	_, pages, copied, err := w.conn.checkpoint(measureLog)
	if err != nil {
		w.db.log.Error("measure the log", "error", err)
		return
	}
	if w.beside != nil && pages-copied >= walPages {
		w.beside.begin()
	}
	if pages <= w.longLog() || time.Now().Before(w.restartAt) {
		return
	}
	if w.beside != nil && pages-copied > walRestPages && pages <= 2*walRestartPages {
		w.beside.begin()
		return
	}
	busy, err := w.copyLog(restartLog)
	switch {
	case err != nil:
		w.db.log.Error("copy the log back", "pages", pages, "error", err)
	case !busy:
		w.alarmPages = walAlarmPages
		return
	case pages >= w.alarmPages:
		w.db.log.Warn("a read that stays open keeps the log from being copied back", "pages", pages)
		w.alarmPages = 2 * pages
	}
	w.restartAt = time.Now().Add(walRetry)
}

// beside copies the log back into the file while the writer goes on, as far as reads
// allow, on a goroutine and a connection of its own.
type beside struct {
	conn *conn
	log  *slog.Logger
	ask  chan struct{} // holds one
	done chan struct{} // closed when the goroutine has ended
	mu   sync.Mutex    // held while it copies: two at once are refused
}

func copyBeside(c *conn, log *slog.Logger) *beside {
	b := &beside{conn: c, log: log, ask: make(chan struct{}, 1), done: make(chan struct{})}
	go b.serve()
	return b
}

// begin has the log copied back soon.
func (b *beside) begin() {
	select {
	case b.ask <- struct{}{}:
	default: // it is about to
	}
}

func (b *beside) serve() {
	defer close(b.done)
	for range b.ask {
		b.mu.Lock()
		_, _, _, err := b.conn.checkpoint(copySome)
		b.mu.Unlock()
		if err != nil {
			b.log.Error("copy the log back", "error", err)
		}
	}
}

// close ends it; begin must not be called any more.
func (b *beside) close() error {
	close(b.ask)
	<-b.done
	return b.conn.close()
}

// copyBack copies the whole log back, so that the next commit writes at its
// beginning. busy says that a reader has stayed too long for that.
//
// It asks again itself instead of letting SQLite wait: SQLite waits for one of
// the few marks that readers hold to be free, which new readers of the last
// state may take and keep; each time it is asked anew it sees what they hold now.
func (w *writer) copyBack(how string) (busy bool, err error) {
	if w.beside != nil {
		w.beside.mu.Lock()
		defer w.beside.mu.Unlock()
	}
	if err := w.setBusyTimeout(0); err != nil {
		return false, err
	}
	for began := time.Now(); ; time.Sleep(walPoll) {
		busy, _, _, err = w.conn.checkpoint(how)
		if err != nil || !busy || time.Since(began) >= walWait {
			break
		}
	}
	if failed := w.setBusyTimeout(busyTimeout); err == nil {
		err = failed
	}
	return busy, err
}

// setBusyTimeout is not a prepared statement: this PRAGMA takes effect when it
// is prepared.
func (w *writer) setBusyTimeout(d time.Duration) error {
	_, err := w.conn.raw.ExecContext(context.Background(), fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
	return err
}

// checkpoint runs a statement that answers whether it was kept from its end, how
// many pages the log holds, and how many of them are copied back.
func (c *conn) checkpoint(query string) (busy bool, pages, copied int64, err error) {
	rows, err := c.query(query, nil)
	if err != nil {
		return false, 0, 0, err
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		err = rows.Scan(&busy, &pages, &copied)
	}
	if err == nil {
		err = rows.Err()
	}
	return busy, pages, copied, failure(err)
}
