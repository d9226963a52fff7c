package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/jobs"
	"connvo/privacy"
	"connvo/replica"
)

// restoring is a file that is restored beside its place, so that what is there is
// whole or missing.
type restoring struct {
	r      *replica.Replica
	path   string
	id     string           // of the database that the replica holds
	newest replica.Position // the newest of the replica
	last   int64            // the last number that was ever given out, where it is known
}

func (f restoring) temporary() string { return f.path + ".restoring" }

// restore restores the file as it was at a moment, and makes sure that it is what it
// should be.
func (f restoring) restore(ctx context.Context, m replica.Moment, progress func(done, total int64)) error {
	removeDatabase(f.temporary()) // what a restore that was cut off has left
	at, err := f.r.Restore(ctx, f.temporary(), m, progress)
	if err == nil {
		if at.Generation == f.newest.Generation && at.Transaction > f.newest.Transaction {
			f.newest = at // it has grown meanwhile
		}
		err = f.adopt(ctx)
	}
	if err != nil {
		removeDatabase(f.temporary())
	}
	return err
}

// adopt makes the restored file one to be served.
func (f restoring) adopt(ctx context.Context) (err error) {
	d, err := db.Open(ctx, db.Options{Path: f.temporary(), Schema: schema})
	if err != nil {
		return fmt.Errorf("what the replica holds cannot be served: %w", err)
	}
	defer closing(&err, d.Close)
	i, err := d.Identity(ctx)
	if err != nil {
		return err
	}
	if i.ID != f.id {
		return errors.New("the replica holds another database than it says")
	}
	return d.MarkRestored(ctx, f.newest.String(), f.last)
}

// put puts the file in its place, where nothing is.
func (f restoring) put() error {
	// Unlike a rename, a link does not replace what somebody else has put there.
	if err := os.Link(f.temporary(), f.path); err != nil {
		return fmt.Errorf("database %s: %w", f.path, err)
	}
	removeDatabase(f.temporary())
	return nil
}

// removeDatabase removes a file that was made here, and what is beside it.
func removeDatabase(path string) {
	for _, end := range []string{"", "-wal", "-shm", "-txid", ".lock", ".tmp"} {
		_ = os.Remove(path + end) // most of them are not there
	}
}

type snapshotsCommand struct {
	region
	place
	DB string `name:"db" env:"CONNVO_DB" default:"data/connvo.db" help:"The database file; it is not read."`
}

// Run lists what can be restored.
func (c *snapshotsCommand) Run(ctx context.Context, t terminal) error {
	r, err := c.in(c.Region).required(c.DB, commandLog(t))
	if err != nil {
		return err
	}
	if _, _, err := r.Held(ctx); err != nil {
		return err
	}
	all, newest, err := r.Snapshots(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "GENERATION\tTXID\tMADE AT\tBYTES")
	for _, s := range all {
		_, _ = fmt.Fprintf(w, "%d\t%d\t%s\t%d\n", s.Position.Generation, s.Position.Transaction, s.CreatedAt.UTC().Format(time.RFC3339), s.Bytes)
	}
	_, _ = fmt.Fprintf(w, "%d\t%d\t%s\tnewest\n", newest.Position.Generation, newest.Position.Transaction, newest.CreatedAt.UTC().Format(time.RFC3339))
	return w.Flush()
}

type restoreCommand struct {
	region
	place
	DB         string `name:"db" env:"CONNVO_DB" default:"data/connvo.db" help:"The database file."`
	At         string `env:"CONNVO_RESTORE_AT" help:"The moment, as in 2026-01-31T12:00:00Z; now when left out."`
	TXID       uint64 `name:"txid" env:"CONNVO_RESTORE_TXID" help:"The transaction, as connvo snapshots and the server's log name it."`
	Generation uint64 `env:"CONNVO_RESTORE_GENERATION" help:"The generation of the transaction; the newest that holds anything when left out."`
	Output     string `env:"CONNVO_RESTORE_OUTPUT" help:"The file to write, which must not be there; that of --db when left out."`
}

// Run restores the database as it was, into a file that is not there yet.
func (c *restoreCommand) Run(ctx context.Context, t terminal) error {
	m := replica.Moment{Position: replica.Position{Generation: c.Generation, Transaction: c.TXID}}
	if c.Generation != 0 && c.TXID == 0 {
		return errors.New("--generation: it is of a --txid")
	}
	if c.At != "" {
		at, err := time.Parse(time.RFC3339Nano, c.At)
		if err != nil || c.TXID != 0 {
			return fmt.Errorf("--at %q: write a moment such as 2026-01-31T12:00:00Z, and no --txid beside it", c.At)
		}
		if at.After(time.Now()) {
			return fmt.Errorf("--at %q: it is in the future; leave it out for the newest state", c.At)
		}
		m.At = at
	}
	output := c.Output
	if output == "" {
		output = c.DB
	}
	for _, left := range []string{"", "-wal"} {
		if _, err := os.Lstat(output + left); err == nil {
			return fmt.Errorf("%s is there already; move it away, or name another --output", output+left)
		}
	}
	r, err := c.in(c.Region).required(output, commandLog(t))
	if err != nil {
		return err
	}
	id, newest, err := r.Held(ctx)
	if err != nil {
		return err
	}
	f := restoring{r: r, path: output, id: id, newest: newest}
	erased, err := f.erasures(ctx, m)
	if err != nil {
		return err
	}
	f.last = erased.last
	bar := progressBar(t.err)
	if err := f.restore(ctx, m, bar); err != nil {
		return err
	}
	defer removeDatabase(f.temporary())
	if err := f.finish(ctx, erased.list, t.out); err != nil {
		return err
	}
	if err := r.Discard(time.Now()); err != nil {
		return err
	}
	if err := f.put(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s: restored; its integrity and foreign keys are as they should be\n", output)
	return err
}

// since is what has happened after the moment that is restored and must hold in it.
type since struct {
	list []users.Erasure
	last int64 // the last number given out
}

// erasures reads from the newest state of the replica who has asked to be erased.
func (f restoring) erasures(ctx context.Context, m replica.Moment) (s since, err error) {
	if m == (replica.Moment{}) {
		return s, nil // it is the newest
	}
	err = f.newestState(ctx, func(d *db.DB) error {
		i, err := d.Identity(ctx)
		if err != nil {
			return err
		}
		s.last = i.Last
		s.list, err = allErasures(ctx, d)
		return err
	})
	return s, err
}

// newestState has do read the newest state of the replica, which is restored beside the
// file for that.
func (f restoring) newestState(ctx context.Context, do func(d *db.DB) error) (err error) {
	newest := f.path + ".newest"
	removeDatabase(newest)
	defer removeDatabase(newest)
	if _, err := f.r.Restore(ctx, newest, replica.Moment{}, nil); err != nil {
		return err
	}
	d, err := db.Open(ctx, db.Options{Path: newest, Schema: schema})
	if err != nil {
		return fmt.Errorf("what the replica holds cannot be served: %w", err)
	}
	defer closing(&err, d.Close)
	return do(d)
}

// erasurePage is how many erasures are read or written at once.
const erasurePage = 100

func allErasures(ctx context.Context, d *db.DB) (all []users.Erasure, err error) {
	for more := true; more && err == nil; {
		err = d.Read(ctx, func(tx db.Reader) error {
			var last domain.UserID
			if len(all) > 0 {
				last = all[len(all)-1].User
			}
			page, err := users.Erasures(tx, last, erasurePage)
			all, more = append(all, page...), len(page) == erasurePage
			return err
		})
	}
	return all, err
}

// finish erases whoever has asked for it since, and checks the whole file.
func (f restoring) finish(ctx context.Context, list []users.Erasure, w io.Writer) error {
	if len(list) > 0 {
		erased, err := f.eraseAgain(ctx, list)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "erased again: %d people\n", erased); err != nil {
			return err
		}
	}
	found, err := db.Check(ctx, f.temporary(), schema)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("what was restored is damaged, and was removed: %s", strings.Join(found, "; "))
	}
	return nil
}

// eraseAgain erases those of the list who were not erased by then, and returns how many.
// Each looks through the whole file, which is not done for all who ever left.
func (f restoring) eraseAgain(ctx context.Context, list []users.Erasure) (erased int, err error) {
	d, err := db.Open(ctx, db.Options{Path: f.temporary(), Schema: schema})
	if err != nil {
		return 0, err
	}
	defer closing(&err, d.Close)
	var begun []users.Erasure
	if err := d.Write(ctx, func(tx *db.WriteTx) (err error) {
		begun, err = users.EraseAgain(tx, list)
		return err
	}); err != nil {
		return 0, err
	}
	eraser := privacy.NewEraser(d)
	for _, e := range begun {
		// The job of each stays, and looks once more when a server runs.
		payload, err := json.Marshal(users.Progress{User: e.User})
		if err != nil {
			return 0, err
		}
		effect, err := eraser.Erase(ctx, jobs.Task{Kind: users.Erased, Payload: payload})
		if err != nil {
			return 0, err
		}
		if err := d.Write(ctx, effect); err != nil {
			return 0, err
		}
	}
	return len(begun), nil
}

// progressBar returns what shows on a terminal how far a restore has come, nil
// elsewhere.
func progressBar(w io.Writer) func(done, total int64) {
	if !isTerminal(w) {
		return nil
	}
	shown := int64(-1)
	return func(done, total int64) {
		if percent := 100 * done / max(total, 1); percent > shown {
			shown = percent
			_, _ = fmt.Fprintf(w, "\rrestoring %3d %% of %d MB ", percent, total>>20) // the terminal may be gone
			if percent == 100 {
				_, _ = fmt.Fprintln(w)
			}
		}
	}
}

// commandLog is the log of a command that is not the server.
func commandLog(t terminal) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
