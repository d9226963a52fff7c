package db_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"modernc.org/sqlite"

	"connvo/db"
)

// logging lets the database log into b, which is the writer's while it works.
func logging(b *bytes.Buffer) func(*db.Options) {
	return func(o *db.Options) { o.Log = slog.New(slog.NewTextHandler(b, nil)) }
}

func TestSlowWriteIsReported(t *testing.T) {
	for took, want := range map[time.Duration]int{20 * time.Millisecond: 0, 21 * time.Millisecond: 1} {
		var log bytes.Buffer
		synctest.Test(t, func(t *testing.T) {
			d := open(t, logging(&log))
			do(t, d, func(*db.WriteTx) error { time.Sleep(took); return nil })
		})
		if n := strings.Count(log.String(), "slow write"); n != want {
			t.Errorf("a write of %v is reported %d times", took, n)
		}
	}
}

// Who is answered logs it, with what the request was about.
func TestFailedWriteIsAnsweredAndNotLogged(t *testing.T) {
	var log bytes.Buffer
	d := open(t, logging(&log), func(o *db.Options) { o.Schema = deferred })
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec("INSERT INTO children (parent) VALUES (1)")
		return err
	})
	isUnavailable(t, err)
	if _, found := errors.AsType[*sqlite.Error](err); !found {
		t.Errorf("the cause of the failed commit is not in %v", err)
	}
	panicked := d.Write(t.Context(), func(*db.WriteTx) error { panic("a defect") })
	if panicked == nil {
		t.Fatal("the panic is lost")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if log.Len() != 0 {
		t.Errorf("logged as well: %s", log.String())
	}
	slog.New(slog.NewTextHandler(&log, nil)).Error("request failed", "error", panicked)
	for _, want := range []string{"a defect", "TestFailedWriteIsAnsweredAndNotLogged"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the caller's log lacks %s: %s", want, log.String())
		}
	}
}
