package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite"
)

// The bounds of copying a replicated log back.
const (
	// replicaCopyTime bounds one copy by what replicates the log: far more than a
	// log of its usual length takes on a slow disk.
	replicaCopyTime = 10 * time.Second
	// walReplicatedPages is when the writer has a replicated log copied back: 96 MiB.
	// Each time costs the replica two to four files beside the one of each second, so
	// that a short log would multiply its requests.
	walReplicatedPages = 24_576
	// longWait is how long everybody waits for the reads that are open once the log
	// has grown past what is reported: longer than a read may take.
	longWait = 500 * time.Millisecond
	// walFrame is a page and the header before it in the log; walHeader is that of
	// the log itself.
	walFrame  = 24 + pageSize
	walHeader = 32
)

// copier copies the log back into the file, as far as reads allow.
type copier func(ctx context.Context) error

// Replicate hands the log over to what replicates it, which holds a read of its own
// open so that nobody else can begin the log anew. From now on the writer calls
// copyBack when the log has grown long, on its goroutine and between two groups, so
// that nothing is added meanwhile; copyBack is to take what it has not read yet, copy
// the log back as far as reads allow, and begin it anew where none is in the way.
//
// Until it is called, a log that has grown long is emptied: what replicates it then
// finds none of what it knew, and begins with the whole file.
func (d *DB) Replicate(copyBack func(ctx context.Context) error) {
	c := copier(copyBack)
	d.copier.Store(&c)
}

// Guard has f asked before each write of a request; what it returns refuses the
// write. Jobs are not asked about: some of them make room.
func (d *DB) Guard(f func() error) { d.guard.Store(&f) }

func (d *DB) guarded(lane chan *closure) error {
	f := d.guard.Load()
	if f == nil || lane == d.writer.background {
		return nil
	}
	return (*f)()
}

// longLog is how many pages make the writer begin the log anew.
func (w *writer) longLog() int64 {
	if w.db.copier.Load() != nil {
		return walReplicatedPages
	}
	return walRestartPages
}

// copyLog copies the whole log back and begins it anew, as how does where it is not
// replicated. busy says that a reader has stayed too long for that.
func (w *writer) copyLog(how string) (busy bool, err error) {
	if !w.db.replicated {
		return w.copyBack(how)
	}
	c := w.db.copier.Load()
	if c == nil {
		return w.copyBack(emptyLog)
	}
	_, before, _, err := w.conn.checkpoint(measureLog)
	if err != nil {
		return false, err
	}
	after := before
	if before > 1 { // else it has begun anew, and holds no more than the mark of that
		if after, err = w.copyReplicated(*c, before); err != nil {
			return false, err
		}
		busy = after >= before
	}
	if busy {
		return true, nil
	}
	return false, w.cutLog(after, how == emptyLog)
}

// copyReplicated returns how many pages the log holds afterwards: more than before
// where reads kept it from beginning anew. Those that begin while the log is copied
// hold it too, so that a busy server needs a second copy, of next to nothing, while
// no read is open.
func (w *writer) copyReplicated(copyBack copier, before int64) (after int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), replicaCopyTime)
	defer cancel()
	once := func() error {
		err := copyBack(ctx)
		if err == nil {
			_, after, _, err = w.conn.checkpoint(measureLog)
		}
		return err
	}
	if err := once(); err != nil || after < before {
		return after, err
	}
	wait := walWait
	if before >= walAlarmPages {
		wait = longWait
	}
	release, none := w.db.holdReads(wait)
	defer release()
	if !none {
		return after, nil
	}
	err = once()
	return after, err
}

// cutLog cuts off what is left behind the pages that the log holds: all of it when
// nothing deleted may be left, else what is beyond its usual size. Nobody reads
// there, and only the writer, whose goroutine this is, writes.
func (w *writer) cutLog(pages int64, whole bool) error {
	name, left := w.db.path+"-wal", int64(walHeader+(walReplicatedPages+walRestartPages)*walFrame)
	if whole {
		left = walHeader + pages*walFrame
	}
	if n, err := size(name); err != nil || n <= left {
		return err
	}
	if err := os.Truncate(name, left); err != nil {
		return fmt.Errorf("cut the log: %w", err)
	}
	return nil
}

// holdReads keeps reads from beginning until release is called, and waits for those
// that are open; none says that they have ended.
func (d *DB) holdReads(wait time.Duration) (release func(), none bool) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	first, ended := d.readers.hold(ctx)
	if !ended {
		return first, false
	}
	second, ended := d.live.hold(ctx)
	return func() { second(); first() }, ended
}

// hold is holdReads of one pool.
func (p *readPool) hold(ctx context.Context) (release func(), none bool) {
	again := make(chan struct{})
	p.held.Store(&again)
	var taken []*conn
	release = func() {
		p.held.Store(nil)
		for _, c := range taken {
			p.idle <- c
		}
		close(again)
	}
	for range p.size {
		select {
		case c := <-p.idle:
			taken = append(taken, c)
		case <-ctx.Done():
			return release, false
		}
	}
	return release, true
}

// keepLog has the log stay when the connection is the last to be closed.
func keepLog(conn *sql.Conn) error {
	return conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(sqlite.FileControl)
		if !ok {
			return errors.New("the driver cannot keep the log")
		}
		_, err := c.FileControlPersistWAL("main", 1)
		return err
	})
}
