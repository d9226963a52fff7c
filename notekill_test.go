package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connvo/db"
)

// killed is the real program, which is killed and started again on the same file.
type killed struct {
	t       *testing.T
	file    string
	flags   []string // besides those that all have
	said    *spoken  // since the last start
	url     string
	token   string
	process *exec.Cmd
	client  *http.Client
}

func (k *killed) start() {
	k.t.Helper()
	binary, err := deployed()
	if err != nil {
		k.t.Fatal(err)
	}
	k.said = &spoken{more: make(chan struct{}, 1)}
	k.process = exec.Command(binary, append([]string{"serve", "--db", k.file, "--listen", "127.0.0.1:0", "--no-demo", "--rate-limits", "off", "--log-level", "warn", "--log-format", "json"}, k.flags...)...)
	k.process.Stdout, k.process.Stderr = k.said, k.said
	k.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.process.Start(); err != nil {
		k.t.Fatal(err)
	}
	_, k.url, _ = strings.Cut(k.said.await(k.t, `"listening","url":"http://127\.0\.0\.1:\d+`), `"url":"`)
}

func (k *killed) kill() {
	k.t.Helper()
	if err := k.process.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	_ = k.process.Wait() // it was killed
}

func (k *killed) do(method, path, body string, into any) {
	k.t.Helper()
	k.send(method, path, "application/json", body, into)
}

// send is do with a body of a type.
func (k *killed) send(method, path, media, body string, into any) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), method, k.url+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+k.token)
	r.Header.Set("Content-Type", media)
	answer, err := k.client.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode > 299 || into != nil && json.Unmarshal(b, into) != nil {
		k.t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, b, err)
	}
}

// numbered is an edit of a client.
type numbered struct {
	client string
	seq    int64
}

// acknowledged is what the server has said of edits: their versions.
type acknowledged struct {
	mu sync.Mutex // guards the rest
	of map[numbered]int64
	t  *testing.T
}

func (a *acknowledged) hear(client string, seq, version int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before, again := a.of[numbered{client, seq}]; again && before != version {
		a.t.Errorf("edit %d of %s is told to be %d and %d", seq, client, before, version)
	}
	a.of[numbered{client, seq}] = version
}

// compare reads the history to its end, and finds every edit that was acknowledged
// by now in it, once and where it was said to be. It returns how many there are.
func (a *acknowledged) compare(k *killed, feed string) int {
	k.t.Helper()
	a.mu.Lock()
	want := make(map[numbered]int64, len(a.of))
	for e, version := range a.of {
		want[e] = version
	}
	a.mu.Unlock()
	got := map[numbered]int64{}
	var page struct {
		Items []struct {
			Version, ClientSeq int64
			ClientID           string
		}
		Last int64
		More bool
	}
	for page.More = true; page.More; {
		after := page.Last
		page.Items = nil
		k.do("GET", fmt.Sprintf("%s?limit=200&after=%d", feed, after), "", &page)
		for _, e := range page.Items {
			id := numbered{e.ClientID, e.ClientSeq}
			if got[id] != 0 {
				k.t.Errorf("edit %d of %s is there twice", e.ClientSeq, e.ClientID)
			}
			got[id] = e.Version
		}
	}
	for e, version := range want {
		if got[e] != version {
			k.t.Errorf("edit %d of %s was acknowledged as %d, and is %d", e.seq, e.client, version, got[e])
		}
	}
	return len(got)
}

// Writers of one document, while the program is killed amid it all and started
// again: every edit that was acknowledged is there once, and all come to one text.
func TestKilledServerLosesNoAcknowledgedEdit(t *testing.T) {
	const writers, each, kills = 12, 150, 5
	transport := &http.Transport{MaxIdleConnsPerHost: writers}
	defer transport.CloseIdleConnections()
	k := &killed{t: t, file: filepath.Join(t.TempDir(), "connvo.db"), client: &http.Client{Transport: transport}}
	k.start()
	defer func() { k.kill() }()
	var grant struct{ AccessToken string }
	k.do("POST", "/dev/token", `{"email":"ada@example.com"}`, &grant)
	k.token = grant.AccessToken
	var m struct{ ID string }
	k.do("POST", "/v1/meetings", `{"title":"Plan"}`, &m)
	path := "/v1/meetings/" + m.ID + "/notes"

	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	heard := &acknowledged{of: map[numbered]int64{}, t: t}
	server := &address{url: k.url, changed: make(chan struct{})}
	answered, ended := make(chan struct{}), make(chan error, writers)
	all := make([]*writer, writers)
	for i := range all {
		all[i] = &writer{
			ctx: ctx, server: server, http: k.client, answered: answered, rng: rand.New(rand.NewPCG(uint64(i), 5)),
			token: k.token, path: path, id: fmt.Sprint("writer-", i), told: heard.hear,
		}
		go func() { ended <- all[i].write(each, 0) }()
	}
	left, killed := writers, 0
	for answers := rand.IntN(each); left > 0; {
		select {
		case <-answered:
			if answers--; answers > 0 || killed == kills || t.Failed() {
				continue
			}
			k.kill()
			k.start()
			t.Logf("after kill %d: %d edits", killed+1, heard.compare(k, path+"/ops"))
			server.set(k.url)
			answers, killed = 1+rand.IntN(each), killed+1
		case err := <-ended:
			if left--; err != nil {
				t.Error(err)
				cancel()
			}
		}
	}
	if t.Failed() {
		return
	}
	want := writers * each
	for _, w := range all {
		want -= w.dropped
	}
	// Of some the answer was lost, so that their writers have read of them.
	if n := heard.compare(k, path+"/ops"); n != want || len(heard.of) < n/2 || killed != kills {
		t.Errorf("%d edits, %d acknowledged, %d kills; want %d and %d", n, len(heard.of), killed, want, kills)
	}
	var n struct{ Content string }
	k.do("GET", path, "", &n)
	for _, w := range all {
		if err := w.read(); err != nil || w.text != n.Content {
			t.Errorf("%s has %d bytes, the server %d: %v", w.id, len(w.text), len(n.Content), err)
		}
	}
	k.kill()
	k.isWhole()
	k.start()
}

// isWhole checks the file that a killed program has left.
func (k *killed) isWhole() {
	k.t.Helper()
	d, err := db.Open(k.t.Context(), db.Options{Path: k.file, Schema: schema, Now: time.Now})
	if err != nil {
		k.t.Fatal(err)
	}
	err = d.Read(k.t.Context(), func(tx db.Reader) error {
		n, err := db.One(tx, db.Int, `SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'`)
		if err == nil && n != 1 {
			err = fmt.Errorf("the file is damaged")
		}
		return err
	})
	if err != nil {
		k.t.Error(err)
	}
	if err := d.Close(); err != nil {
		k.t.Error(err)
	}
}
