package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The drills lose machines and replicas as they are lost: processes are killed,
// volumes removed, and a real S3 server stopped.

// s3Server is an S3 server with one bucket.
type s3Server struct {
	t       *testing.T
	binary  string
	address string
	data    string
	process *exec.Cmd
}

const (
	s3Key    = "drill"
	s3Secret = "drill-secret"
	s3Bucket = "bucket"
)

// newS3 returns a running server, or skips the test where it is not installed.
func newS3(t *testing.T) *s3Server {
	t.Helper()
	binary, err := filepath.Abs(".tools/versitygw")
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		t.Skip("there is no S3 server: make s3 builds one")
	}
	s := &s3Server{t: t, binary: binary, address: free(t), data: t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.data, s3Bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

// url names a replica in the bucket.
func (s *s3Server) url(bucket string) string {
	return "s3://" + bucket + "/connvo?endpoint=http://" + s.address
}

func (s *s3Server) start() {
	s.t.Helper()
	s.process = exec.CommandContext(s.t.Context(), s.binary, "--port", s.address, "--access", s3Key, "--secret", s3Secret, "--health", "/health", "--quiet", "posix", s.data)
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for began := time.Now(); ; { // it does not tell when it listens
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.address+"/health", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		a, err := client.Do(r)
		if err == nil {
			_ = a.Body.Close()
			return
		}
		if time.Since(began) > patience || s.t.Context().Err() != nil || (!errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET)) {
			s.t.Fatal(err)
		}
	}
}

func (s *s3Server) stop() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// shared is a directory for what many tests need, made when the first does.
var shared string

// deployed builds the program as it is deployed: without the race detector a start and
// a restore take a tenth of the time.
var deployed = sync.OnceValues(func() (path string, err error) {
	if shared, err = os.MkdirTemp("", "connvo-drill-"); err != nil {
		return "", err
	}
	path = filepath.Join(shared, "connvo")
	c := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".")
	if said, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, said)
	}
	return path, nil
})

// drill is a server in a process of its own, and its volume.
type drill struct {
	t      *testing.T
	binary string
	volume string
	url    string // of the replica
	env    []string

	process *exec.Cmd
	said    *spoken
	base    string // of its URLs
	token   string
	client  *http.Client
}

func newDrill(t *testing.T, url string) *drill {
	t.Helper()
	binary, err := deployed()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, binary: binary, volume: filepath.Join(t.TempDir(), "volume"), url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}}}
	d.env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+s3Key, "AWS_SECRET_ACCESS_KEY="+s3Secret, "AWS_CA_BUNDLE=", "AWS_EC2_METADATA_DISABLED=true", "CONNVO_LEASE_TERM=1s")
	t.Cleanup(func() {
		d.kill()
		d.client.CloseIdleConnections()
	})
	return d
}

// run begins a server; it is awaited by its log.
func (d *drill) run(flags ...string) {
	d.t.Helper()
	d.said = &spoken{more: make(chan struct{}, 1)}
	d.process = exec.CommandContext(d.t.Context(), d.binary, append([]string{"serve", "--listen=127.0.0.1:0", "--rate-limits=off", "--no-demo", "--log-format=json",
		"--db=" + filepath.Join(d.volume, "connvo.db"), "--replica-url=" + d.url}, flags...)...)
	d.process.Args[0] = "connvo" // by which the binary of the tests, too, knows what it is
	d.process.Env, d.process.Stderr = d.env, d.said
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
}

// start begins a server and waits until it listens.
func (d *drill) start(flags ...string) {
	d.t.Helper()
	d.run(flags...)
	_, d.base, _ = strings.Cut(d.said.await(d.t, `"listening","url":"http://127\.0\.0\.1:\d+`), `"url":"`)
	d.signIn()
}

// signIn gets a token of the server.
func (d *drill) signIn() {
	d.t.Helper()
	var answer struct{ AccessToken string }
	if status := d.do("POST", "/dev/token", `{"email":"ada@example.com"}`, nil, &answer); status != http.StatusOK {
		d.t.Fatal(status)
	}
	d.token = answer.AccessToken
}

// refused runs a server that must not start, and returns its one line.
func (d *drill) refused(flags ...string) string {
	d.t.Helper()
	d.run(flags...)
	process := d.process.Process
	late := time.AfterFunc(patience, func() { _ = process.Kill() }) // it serves, or waits for ever
	err := d.process.Wait()
	late.Stop()
	d.process = nil
	line := strings.TrimSpace(d.said.text.String())
	if last := strings.LastIndexByte(line, '\n'); last >= 0 && strings.HasPrefix(line, "{") {
		line = line[last+1:] // what it has logged before
	}
	if err == nil || strings.Contains(line, "\n") {
		d.t.Errorf("%v, and said %s", err, line)
	}
	return line
}

// kill ends the server as a power cut would.
func (d *drill) kill() {
	if d.process != nil {
		_ = d.process.Process.Kill()
		_ = d.process.Wait()
		d.process = nil
	}
}

// end ends the server as a deploy does.
func (d *drill) end() {
	d.t.Helper()
	_ = d.process.Process.Signal(syscall.SIGTERM)
	err := d.process.Wait()
	d.process = nil
	if err != nil {
		d.t.Errorf("%v: %s", err, d.said.text.String())
	}
}

// lose takes the volume away.
func (d *drill) lose() {
	d.t.Helper()
	if err := os.RemoveAll(d.volume); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drill) file() string { return filepath.Join(d.volume, "connvo.db") }

// do sends a request and returns the status, 0 for none.
func (d *drill) do(method, path, body string, header http.Header, answer any) int {
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.base+path, strings.NewReader(body))
	if err != nil {
		d.t.Error(err)
		return 0
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+d.token)
	a, err := d.client.Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0
	}
	if header != nil {
		clear(header)
		header["Preference-Applied"] = a.Header["Preference-Applied"]
	}
	if answer != nil {
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(answer); err != nil {
			d.t.Errorf("%s %s: %s", method, path, text)
		}
	}
	return a.StatusCode
}

// plan makes a meeting of the title, and waits for the replica if it is to.
func (d *drill) plan(title string, replicated bool) (status int, applied bool) {
	header := http.Header{}
	if replicated {
		header.Set("Prefer", "durability=replicated")
	}
	var answer struct{ Applied bool }
	status = d.do("POST", "/v1/meetings", `{"title":"`+title+`"}`, header, &answer)
	return status, answer.Applied || header.Get("Preference-Applied") == "durability=replicated"
}

// titles returns those of all meetings, and how many have each.
func (d *drill) titles() map[string]int {
	d.t.Helper()
	all := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Items      []struct{ Title string }
			NextCursor *string
		}
		if status := d.do("GET", "/v1/meetings?limit=100"+cursor, "", nil, &page); status != http.StatusOK {
			d.t.Fatal(status)
		}
		for _, m := range page.Items {
			all[m.Title]++
		}
		if page.NextCursor == nil {
			return all
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// under writes from several clients at once until enough is acknowledged and the
// server was killed, and returns what was acknowledged.
func (d *drill) under(round, enough int) (acknowledged []string) {
	var mu sync.Mutex // guards acknowledged
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for i := 0; ; i++ {
				title := fmt.Sprintf("%d/%d/%d", round, client, i)
				status, applied := d.plan(title, true)
				if status != http.StatusCreated {
					return // it is gone
				}
				mu.Lock()
				if applied {
					acknowledged = append(acknowledged, title)
				}
				if len(acknowledged) == enough {
					_ = d.process.Process.Kill()
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	d.kill()
	return acknowledged
}

// TestNothingReplicatedIsLost when a machine is killed while it is written to, and its
// volume with it.
func TestNothingReplicatedIsLost(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{
		"file": func(t *testing.T) string { return "file://" + t.TempDir() },
		"s3":   func(t *testing.T) string { return newS3(t).url(s3Bucket) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDrill(t, url(t))
			d.start("--new")
			var promised []string
			for round := range 3 {
				fresh := d.under(round, 100)
				if len(fresh) < 100 {
					t.Fatalf("%d writes were acknowledged: %s", len(fresh), d.said.text.String())
				}
				promised = append(promised, fresh...)
				d.lose()
				d.start()
				kept := d.titles()
				for _, title := range promised {
					if kept[title] != 1 {
						t.Errorf("round %d: %s was acknowledged and is lost", round, title)
					}
				}
				t.Logf("round %d: %d acknowledged, %d kept", round, len(promised), len(kept))
			}
			d.end()
		})
	}
}
