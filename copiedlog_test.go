package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connvo/db"
)

// TestReplicatedLogStaysShort while reads never pause, and nothing of it is missing
// in the replica.
func TestReplicatedLogStaysShort(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.sync() // from now on only the replica may copy the log back
	reading, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for reading.Err() == nil {
				_ = c.db.Read(reading, func(tx db.Reader) error {
					_, err := db.One(tx, db.Int, `SELECT count(*) FROM meta WHERE key LIKE '%y%'`)
					return err
				})
			}
		})
	}
	const limit = 128 << 20 // where reads keep it from beginning anew it has all that is written, 152 MiB
	var longest, written int64
	text := strings.Repeat("x", 400_000)
	for i := range 400 {
		c.put(fmt.Sprint("key ", i%100), fmt.Sprint(i, text))
		written += int64(len(text))
		if fi, err := os.Stat(c.command.DB + "-wal"); err == nil {
			longest = max(longest, fi.Size())
		}
	}
	stop()
	readers.Wait()
	t.Logf("%d MB were written, and the log had %d MB at most", written>>20, longest>>20)
	if longest > limit {
		t.Errorf("the log grew to %d bytes", longest)
	}
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestErasedFromAReplicatedLog leaves nothing of what was deleted beside the file.
func TestErasedFromAReplicatedLog(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.sync()
	holds := func() bool {
		t.Helper()
		b, err := os.ReadFile(c.command.DB + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), "a word that was said")
	}
	c.put("secret", "a word that was said")
	if !holds() {
		t.Fatal("it is not in the log")
	}
	c.put("secret", "nothing to see")
	if err := c.db.EmptyLog(t.Context()); err != nil || holds() {
		t.Errorf("it is in the log still, %v", err)
	}
	if err := c.db.EmptyLog(t.Context()); err != nil { // there is nothing more to do
		t.Error(err)
	}
	c.put("secret", "more")
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestLogIsCopiedBackWhileItsReplicaIsAway, so that what is kept for it is what was
// written since, once.
func TestLogIsCopiedBackWhileItsReplicaIsAway(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "place")
	c := newCopied(t, "file://"+place)
	c.sync()
	if err := os.Rename(place, place+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(place, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.put("key", "value")
	if err := c.replica.Sync(t.Context()); err == nil {
		t.Fatal("the replica is not away")
	}
	const each, rounds = 200_000, 20
	for i := range rounds {
		text := make([]byte, each/2)
		for j := range text {
			text[j] = byte(rand.Uint32()) // which does not get smaller when it is compressed
		}
		c.put("key", hex.EncodeToString(text))
		if err := c.db.EmptyLog(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(c.command.DB + "-wal"); err != nil || fi.Size() > each {
			t.Fatalf("after %d rounds the log has %d bytes, %v", i, fi.Size(), err)
		}
	}
	var kept int64
	local := filepath.Join(filepath.Dir(c.command.DB), ".connvo.db-litestream")
	if err := filepath.WalkDir(local, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			fi, failed := e.Info()
			kept, err = kept+fi.Size(), failed
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KB were written, and %d KB are kept", each*rounds>>10, kept>>10)
	if kept > 2*each*rounds {
		t.Errorf("%d bytes are kept", kept)
	}
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(place+".away", place); err != nil {
		t.Fatal(err)
	}
	c.sync()
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestLogStaysShortWithoutItsReplica, which then begins with the whole file.
func TestLogStaysShortWithoutItsReplica(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", s3Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3Secret)
	t.Setenv("AWS_CA_BUNDLE", "")
	s := newS3(t)
	c := newCopied(t, s.url(s3Bucket))
	c.put("key", "before")
	c.sync()
	c.close()
	s.stop()
	c.open()
	longest, text := int64(0), strings.Repeat("x", 100_000)
	for i := range 400 {
		c.put(fmt.Sprint("key ", i%20), fmt.Sprint(i, text))
		if fi, err := os.Stat(c.command.DB + "-wal"); err == nil {
			longest = max(longest, fi.Size())
		}
	}
	if longest > 24<<20 {
		t.Errorf("the log grew to %d bytes", longest)
	}
	s.start()
	for err := c.replica.Sync(t.Context()); err != nil; err = c.replica.Sync(t.Context()) {
		t.Log(err) // it was asked while the replica was away
	}
	if v, err := c.replica.Verify(t.Context()); err != nil || v.Problem != "" {
		t.Error(v.Problem, err)
	}
	c.close()
	want := sums(t, c.command.DB)
	c.lose()
	c.open()
	c.close()
	c.same(want, c.command.DB)
}

// TestLogWithoutItsFile is put aside, not taken for a part of what is restored.
func TestLogWithoutItsFile(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "file://"+t.TempDir())
	c.put("key", "value")
	c.close()
	want := sums(t, c.command.DB)
	if err := os.Remove(c.command.DB); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.command.DB+"-wal", []byte("what was said last"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.open()
	c.close()
	c.same(want, c.command.DB)
	kept, err := filepath.Glob(c.command.DB + "-wal.lost-*")
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || string(b) != "what was said last" {
		t.Error(string(b), err)
	}
}
