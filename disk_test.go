package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// volumeOf puts the drill's volume on a disk of its own size, or skips the test where
// that cannot be.
func (d *drill) volumeOf(size string) {
	d.t.Helper()
	if err := os.MkdirAll(d.volume, 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", d.volume, "tmpfs", 0, "size="+size); err != nil {
		d.t.Skipf("a file system of a bounded size needs root: %v", err)
	}
	d.t.Cleanup(func() {
		d.kill()
		if err := syscall.Unmount(d.volume, 0); err != nil {
			d.t.Errorf("unmount: %v", err)
		}
	})
}

// fill has the volume filled up to a percentage by something else.
func (d *drill) fill(percent int64) {
	d.t.Helper()
	ballast := filepath.Join(d.volume, "ballast")
	_ = os.Remove(ballast) // there is none at first
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.volume, &s); err != nil {
		d.t.Fatal(err)
	}
	total, free := int64(s.Blocks)*s.Bsize, int64(s.Bfree)*s.Bsize
	if bytes := total*percent/100 - (total - free); bytes > 0 {
		if err := os.WriteFile(ballast, make([]byte, bytes), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// empty removes what fill has put there.
func (d *drill) empty() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.volume, "ballast")); err != nil {
		d.t.Fatal(err)
	}
}

// TestDiskThatFillsUp while the replica is away is reported, then refuses writes, and
// takes them again when there is room; reads go on.
func TestDiskThatFillsUp(t *testing.T) {
	t.Parallel()
	s := newS3(t)
	d := newDrill(t, s.url(s3Bucket))
	d.volumeOf("64m")
	d.start("--new")
	d.planned("before", true)
	s.stop()
	d.planned("away", false)
	d.fill(82)
	d.said.await(t, `"level":"ERROR","msg":"the disk fills up","percent":8\d`)
	d.planned("nearly full", false)
	d.fill(96)
	d.said.await(t, `"level":"ERROR","msg":"the disk is full: writes are refused","percent":9\d`)
	if status, applied := d.plan("full", false); status != http.StatusServiceUnavailable || applied {
		t.Errorf("%d, applied %t", status, applied)
	}
	d.keeps(map[string]bool{"before": true, "away": true, "nearly full": true})
	d.empty()
	d.said.await(t, "the disk has room again")
	d.planned("room", false)
	s.start()
	d.eventually("back")
	d.kill()
	d.renew()
	d.start()
	d.keeps(map[string]bool{"before": true, "away": true, "nearly full": true, "room": true, "back": true})
	if d.titles()["full"] != 0 {
		t.Error("a write was refused and is there")
	}
	d.end()
}

// renew replaces the volume by an empty one.
func (d *drill) renew() {
	d.t.Helper()
	entries, err := os.ReadDir(d.volume)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(d.volume, e.Name())); err != nil {
			d.t.Fatal(err)
		}
	}
}

// TestDiskThatIsFull before anybody has looked loses nothing that was acknowledged,
// refuses the rest, and goes on when there is room, as does the replica.
func TestDiskThatIsFull(t *testing.T) {
	t.Parallel()
	d := newDrill(t, "file://"+t.TempDir())
	d.volumeOf("16m")
	d.start("--new")
	d.planned("before", true)
	d.fill(97)
	promised := map[string]bool{"before": true}
	about, refused := strings.Repeat("words that need room ", 90), 0
	for i := 0; refused < 5 && i < 5000; i++ {
		title := fmt.Sprint("filling ", i)
		switch status := d.do("POST", "/v1/meetings", fmt.Sprintf(`{"title":%q,"description":%q}`, title, about), nil, nil); status {
		case http.StatusCreated:
			promised[title] = true
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Fatalf("%s: %d", title, status)
		}
	}
	if refused == 0 {
		t.Fatal("the disk is never full")
	}
	t.Logf("%d writes were acknowledged", len(promised))
	d.keeps(promised)
	d.said.await(t, `"level":"ERROR","msg":"(the replica is behind|the disk (is full|fills up))`)
	d.empty()
	d.eventually("room")
	promised["room"] = true
	d.keeps(promised)
	d.kill()
	d.renew()
	d.start()
	d.keeps(promised)
	d.end()
}
