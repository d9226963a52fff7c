package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"connvo/handlers"
	"connvo/replica"
)

// stand begins a server that stands by, and waits until it does.
func (d *drill) stand(flags ...string) {
	d.t.Helper()
	d.run(append([]string{"--lease=strict"}, flags...)...)
	_, d.base, _ = strings.Cut(d.said.await(d.t, `"standing by","url":"http://127\.0\.0\.1:\d+`), `"url":"`)
}

// own waits until the server that stood by has the database.
func (d *drill) own() {
	d.t.Helper()
	d.said.await(d.t, `"listening","url":"http://127\.0\.0\.1:\d+`)
	d.signIn()
}

// free returns an address that nobody listens on. Its port is none of those that are given
// to connections, so that nobody has it either while its server is away.
func free(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}
}

// TestStandbyTakesOver what a killed owner has promised once its lease has lapsed, and at
// once what one hands over that ends in order, with a stream that goes on where it was.
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	s := newS3(t)
	a, b := newDrill(t, s.url(s3Bucket)), newDrill(t, s.url(s3Bucket))
	for _, d := range []*drill{a, b} {
		d.env = append(d.env, "CONNVO_LEASE_TERM=30s")
	}
	at := free(t)
	a.start("--lease=strict", "--new", "--listen="+at, "--public-url=http://"+at)
	a.said.await(t, "the replica holds everything")
	b.stand()
	if status, location := b.redirected("/v1/meetings?limit=3"); status != http.StatusTemporaryRedirect || location != "http://"+at+"/v1/meetings?limit=3" {
		t.Errorf("%d %s", status, location)
	}
	b.said.await(t, "following what the owner writes")

	promised := a.under(0, 100)
	began := time.Now()
	b.said.await(t, "the lease is ours")
	taken := time.Since(began)
	b.own()
	kept := b.titles()
	for _, title := range promised {
		if kept[title] == 0 {
			t.Errorf("%s was acknowledged and is lost", title)
		}
	}
	t.Logf("after a kill: %d acknowledged, %d kept; the lease was taken after %s, and served after %s", len(promised), len(kept), taken, time.Since(began))

	a.stand()
	a.said.await(t, "following what the owner writes")
	lines := b.follow("/v1/meetings", "")
	id := lines.id()
	b.end()
	began = time.Now()
	a.said.await(t, "the lease is ours")
	if taken = time.Since(began); taken > 20*time.Second { // it lapses 35 s after its last renewal, and is renewed every ten
		t.Errorf("it was waited for the lease to lapse: %s", taken)
	}
	a.own()
	lines = a.follow("/v1/meetings", id)
	if ready := lines.ready(); !strings.Contains(ready, `"resumed":true`) {
		t.Errorf("the stream has begun again: %s", ready)
	}
	a.end()
}

// TestOwnerThatWasGoneOnWithout names what it had not copied, keeps it, and goes on from
// what the other has written; one that was only stopped writes nothing more.
func TestOwnerThatWasGoneOnWithout(t *testing.T) {
	t.Parallel()
	s := newS3(t)
	a, b := newDrill(t, s.url(s3Bucket)), newDrill(t, s.url(s3Bucket))
	for _, d := range []*drill{a, b} {
		d.env = append(d.env, "CONNVO_LEASE_TERM=6s")
	}
	a.start("--lease=strict", "--new")
	a.said.await(t, "the replica holds everything")
	if status, applied := a.plan("kept", true); status != http.StatusCreated || !applied {
		t.Fatal(status, applied)
	}
	b.stand()
	b.said.await(t, "following what the owner writes")

	s.stop()
	if status, _ := a.plan("lost", false); status != http.StatusCreated {
		t.Fatal(status)
	}
	// Nothing is answered without a lease, and what is there can still be read.
	a.said.await(t, "the lease could not be renewed")
	for { // until the lease lapses
		status, _ := a.plan("unanswered", false)
		if status == http.StatusServiceUnavailable {
			break
		}
		if status != http.StatusCreated {
			t.Fatal(status)
		}
	}
	if a.titles()["lost"] == 0 {
		t.Error("it cannot be read")
	}
	a.freeze()
	s.start()
	b.own()
	a.thaw()
	if err := a.process.Wait(); err == nil {
		t.Error("it ended as if nothing were")
	}
	a.process = nil
	if said := a.said.text.String(); !strings.Contains(said, "another server has taken the lease") {
		t.Error(said)
	}
	b.plan("afterwards", true)

	a.stand()
	line := a.said.await(t, `another server has gone on without the last commits of this file[^\n]*`)
	if !regexp.MustCompile(`"first commit":\d+,"commits":[1-9]`).MatchString(line) {
		t.Error(line)
	}
	a.said.await(t, "following what the owner writes")
	kept, err := filepath.Glob(a.file() + ".diverged-*Z")
	if err != nil || len(kept) != 1 {
		t.Errorf("%v, %v", kept, err)
	} else if n := value(t, kept[0], `SELECT count(*) FROM meetings WHERE title = 'lost'`); n != "1" {
		t.Errorf("%s of what is lost is in it", n)
	}
	b.end()
	a.own()
	if titles := a.titles(); titles["kept"] == 0 || titles["afterwards"] == 0 || titles["lost"] > 0 {
		t.Error(titles)
	}
	a.end()
}

// TestFrozenOwner answers nothing that was asked while it stood still, once another has
// taken over.
func TestFrozenOwner(t *testing.T) {
	t.Parallel()
	url := "file://" + t.TempDir()
	a, b := newDrill(t, url), newDrill(t, url)
	for _, d := range []*drill{a, b} {
		d.env = append(d.env, "CONNVO_LEASE_TERM=6s")
	}
	a.start("--lease=strict", "--new")
	a.said.await(t, "the replica holds everything")
	b.stand()
	b.said.await(t, "following what the owner writes")
	if status, applied := a.plan("before", true); status != http.StatusCreated || !applied {
		t.Fatal(status, applied)
	}
	a.freeze()
	answered := make(chan int, 1)
	go func() {
		status, _ := a.plan("meanwhile", false)
		answered <- status
	}()
	b.own()
	if titles := b.titles(); titles["before"] == 0 || titles["meanwhile"] > 0 {
		t.Error(titles)
	}
	a.thaw()
	if status := <-answered; status != http.StatusServiceUnavailable && status != 0 {
		t.Error(status)
	}
	if err := a.process.Wait(); err == nil {
		t.Error("it ended as if nothing were")
	}
	a.process = nil
	b.end()
}

// TestSecondServerIsRefused where neither stands by, and the first goes on.
func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	url := "file://" + t.TempDir()
	a, b := newDrill(t, url), newDrill(t, url)
	for _, d := range []*drill{a, b} {
		d.env = append(d.env, "CONNVO_LEASE_TERM=6s")
	}
	a.start("--new")
	a.said.await(t, "the replica holds everything")
	if line := b.refused(); !strings.Contains(line, "has the lease, and renews it; end that one, or stand by with --lease strict") {
		t.Error(line)
	}
	if status, applied := a.plan("on", true); status != http.StatusCreated || !applied {
		t.Error(status, applied)
	}
	a.end()
}

// TestStandbySendsNobodyToItself, which would never end.
func TestStandbySendsNobodyToItself(t *testing.T) {
	t.Parallel()
	s := newStandby(&opening{c: &serveCommand{FlyMachine: "m1", PublicURL: "https://connvo.example.com"}})
	for holder, want := range map[replica.Holder]handlers.Owner{
		{Machine: "m2", URL: "https://connvo.example.com"}: {Machine: "m2"},
		{Machine: "m1", URL: "https://a.example.com"}:      {URL: "https://a.example.com"},
	} {
		if o := s.elsewhere(holder); *o != want {
			t.Errorf("%+v: %+v", holder, o)
		}
	}
}

// freeze and thaw stop a server as a host does that moves it.
func (d *drill) freeze() {
	d.t.Helper()
	if err := d.process.Process.Signal(syscall.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drill) thaw() {
	d.t.Helper()
	if err := d.process.Process.Signal(syscall.SIGCONT); err != nil {
		d.t.Fatal(err)
	}
}

// redirected asks a standby, and returns where it sends the caller.
func (d *drill) redirected(path string) (status int, location string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.base+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	a, err := d.client.Transport.RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = a.Body.Close()
	return a.StatusCode, a.Header.Get("Location")
}

// followed is a live stream.
type followed struct {
	t     *testing.T
	lines *bufio.Scanner
}

// follow opens a live stream from a position, "" for none.
func (d *drill) follow(path, from string) followed {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.base+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+d.token)
	if from != "" {
		r.Header.Set("Last-Event-ID", from)
	}
	a, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = a.Body.Close() })
	return followed{t: d.t, lines: bufio.NewScanner(a.Body)}
}

// id returns the next id of an event.
func (f followed) id() string {
	f.t.Helper()
	for f.lines.Scan() {
		if id, found := strings.CutPrefix(f.lines.Text(), "id: "); found {
			return id
		}
	}
	f.t.Fatal(f.lines.Err())
	return ""
}

// ready returns what the stream says of itself.
func (f followed) ready() string {
	f.t.Helper()
	for f.lines.Scan() {
		if data, found := strings.CutPrefix(f.lines.Text(), "data: "); found {
			return data
		}
	}
	f.t.Fatal(f.lines.Err())
	return ""
}
