package db_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"connvo/db"
)

// fill writes blobs of size bytes until the database has no room for more.
func fill(t *testing.T, d *db.DB, size int) (stored int64) {
	t.Helper()
	for range 10_000 {
		err := d.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(insertBlob, size)
			return err
		})
		if err != nil {
			isUnavailable(t, err)
			return stored
		}
		stored++
	}
	t.Fatal("the disk is never full")
	return 0
}

func TestFullFileIsReadAndRecoversAfterDeletion(t *testing.T) {
	d := open(t, smallFile)
	put(t, d, "before")
	n := fill(t, d, 4000)
	if n == 0 {
		t.Fatal("no room from the start")
	}
	if !stored(t, d, "before") || count(t, d, "SELECT count(*) FROM blobs") != n {
		t.Error("a full file cannot be read, or has lost something")
	}
	do(t, d, func(tx *db.WriteTx) error {
		_, err := tx.Exec(deleteBlobs)
		return err
	})
	put(t, d, "after")
	if !stored(t, d, "after") {
		t.Error("a write after the deletion is not stored")
	}
}

func TestFullDiskIsReadAndRecoversWhenThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m")
	if err != nil {
		t.Skipf("a file system of a bounded size needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	// Half of it, since closing copies the log back beside itself.
	if err := os.WriteFile(ballast, make([]byte, 1600<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "test.db")
	d, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "before")
	n := fill(t, d, 20_000)
	if n == 0 {
		t.Fatal("no room from the start")
	}
	if !stored(t, d, "before") || count(t, d, "SELECT count(*) FROM blobs") != n {
		t.Error("a full disk cannot be read, or has lost something")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		put(t, d, fmt.Sprint("after", i))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := db.Open(t.Context(), options(path))
	if err != nil {
		t.Fatalf("after a full disk: %v", err)
	}
	if count(t, again, countPairs) != 11 || count(t, again, "SELECT count(*) FROM blobs") != n {
		t.Error("not what was acknowledged")
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenOnAFullDiskSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32k"); err != nil {
		t.Skipf("a file system of a bounded size needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	d, err := db.Open(t.Context(), options(filepath.Join(dir, "test.db")))
	if err == nil {
		t.Fatal(errors.Join(errors.New("opened"), d.Close()))
	}
	refusedWith(t, err, "the disk is full")
}
