package realtime

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

const (
	insertPerson = `INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES (?1, ?1, 0, '', '', 0, 0)`
	endRight     = `UPDATE users SET display_name = 'gone' WHERE id = ?`
	selectRight  = "-- decides\nSELECT display_name FROM users WHERE id = ?1\n-- scope: users.id=?1"
)

// connKey is the key of the connection in a request's context.
type connKey struct{}

// audience is people who follow one answer, each with a part of their own, over
// HTTP from a real database. Whose right has ended is refused.
type audience struct {
	engine *Engine
	db     *db.DB
	server *httptest.Server
	padded int         // the bytes of an answer beside what differs
	ended  chan string // the users whose streams have ended
}

func newAudience(t *testing.T, people, padded int, config Config) *audience {
	t.Helper()
	d := dbtest.Open(t)
	config.DB, config.Log = d, slog.New(slog.DiscardHandler)
	config.Problem = func(_ context.Context, err error) Problem { return Problem{Status: 403, Body: []byte(err.Error())} }
	a := &audience{engine: New(config), db: d, padded: padded, ended: make(chan string, people)}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	a.server.Start()
	t.Cleanup(func() {
		a.engine.Drain()
		a.server.Close()
		a.engine.Close()
	})
	a.write(t, func(tx *db.WriteTx) error {
		_, err := tx.Exec(insertSomeone)
		if err == nil {
			_, err = tx.Exec(insertNumber) // of the only one there is
		}
		for i := 0; err == nil && i < people; i++ {
			_, err = tx.Exec(insertPerson, fmt.Sprint("person", i))
		}
		return err
	})
	return a
}

func (a *audience) write(t *testing.T, f func(tx *db.WriteTx) error) {
	t.Helper()
	if err := a.db.Write(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// setTitle changes what everybody follows.
func (a *audience) setTitle(t *testing.T, title string) {
	t.Helper()
	a.write(t, func(tx *db.WriteTx) error {
		_, err := tx.Exec(updateNumber, title)
		return err
	})
}

func (a *audience) serve(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	if r.URL.Query().Has("narrow") {
		_ = r.Context().Value(connKey{}).(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	query := func(ctx context.Context) (answer Answer, err error) {
		err = a.db.Read(ctx, func(tx db.Reader) error {
			text := func(row db.Row) (s string, err error) { return s, row.Scan(&s) }
			right, err := db.One(tx, text, selectRight, user)
			if err != nil {
				return err
			}
			if right != "" {
				return domain.Fail(domain.Forbidden, "no longer")
			}
			title, err := db.One(tx, text, selectNumber, "m")
			answer = Answer{Body: fmt.Appendf(nil, "%s %s %s", title, filler[:a.padded], user), Own: len(user)}
			return err
		})
		return answer, err
	}
	err := a.engine.Serve(r.Context(), w, Request{
		Actor: domain.Actor{User: domain.UserID(user)}, Paths: []Path{{Query: query, Topic: "title"}}, Heartbeat: 30,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
	}
	a.ended <- user
}

// listener reads the stream of one person.
type listener struct {
	user  string
	lines *bufio.Scanner
}

// listen opens the stream of one person and reads the first answer.
func (a *audience) listen(t *testing.T, user string) *listener {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.server.URL+"?user="+user, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	l := &listener{user: user, lines: bufio.NewScanner(answer.Body)}
	l.lines.Buffer(nil, 2*a.padded+1<<10)
	return l
}

// next returns what is told next, but for ready and heartbeats, and "" at the end.
func (l *listener) next() (name, data string) {
	for l.lines.Scan() {
		field, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data" && name != "ready" && name != "heartbeat":
			return name, value
		}
	}
	return "", ""
}

// expect reads one answer and compares it with the title and the person's part.
func (a *audience) expect(t *testing.T, l *listener, title string) {
	t.Helper()
	name, data := l.next()
	if want := fmt.Sprintf("%s %s %s", title, filler[:a.padded], l.user); name != "snapshot" || data != want {
		t.Fatalf("%s is told %s %.40q, want %.40q", l.user, name, data, want)
	}
}

func (a *audience) listenAll(t *testing.T, n int) (all []*listener) {
	t.Helper()
	for i := range n {
		l := a.listen(t, fmt.Sprint("person", i))
		a.expect(t, l, "0")
		all = append(all, l)
	}
	return all
}

// What fifty may see is read for the first few of them that look, and each has a
// part of their own.
func TestOneReadsForAll(t *testing.T) {
	const people = 50
	a := newAudience(t, people, 0, Config{})
	all := a.listenAll(t, people)
	for _, title := range []string{"1", "2", "3"} {
		before := a.engine.Stats()
		a.setTitle(t, title)
		for _, l := range all {
			a.expect(t, l, title)
		}
		after := a.engine.Stats()
		if runs := after.Runs - before.Runs; runs < 1 || runs > int64(cap(a.engine.gate)) {
			t.Errorf("%d runs for one commit, and %d ask at once", runs, cap(a.engine.gate))
		}
		if shared := after.Shared - before.Shared; shared < people-int64(cap(a.engine.gate)) {
			t.Errorf("%d of %d took what others had read", shared, people)
		}
	}
}

// Whose right ends gets nothing of what the same commit changed, though others
// have read it; and only they are asked for again.
func TestWhoseRightEndsGetsNothingOfWhatOthersShare(t *testing.T) {
	const people = 20
	a := newAudience(t, people, 0, Config{})
	all := a.listenAll(t, people)
	a.write(t, func(tx *db.WriteTx) error {
		if _, err := tx.Exec(updateNumber, "secret"); err != nil {
			return err
		}
		_, err := tx.Exec(endRight, "person7")
		return err
	})
	for i, l := range all {
		if i != 7 {
			a.expect(t, l, "secret")
			continue
		}
		if name, data := l.next(); name != "problem" || data != "no longer" {
			t.Fatalf("whose right has ended is told %s %q", name, data)
		}
		if name, data := l.next(); name != "" {
			t.Fatalf("and then %s %q", name, data)
		}
	}
	if user := <-a.ended; user != "person7" {
		t.Errorf("the stream of %s has ended", user)
	}
	a.setTitle(t, "1")
	for i, l := range all {
		if i != 7 {
			a.expect(t, l, "1")
		}
	}
}

// A reader that takes nothing keeps nobody waiting and nothing in memory, and is
// let go of.
func TestWhoReadsNothingKeepsNobodyWaiting(t *testing.T) {
	const people, padded = 5, 500_000
	a := newAudience(t, people+1, padded, Config{WriteTimeout: time.Second})
	all := a.listenAll(t, people)
	stuck, err := net.Dial("tcp", a.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stuck.Close() }()
	_ = stuck.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := fmt.Fprintf(stuck, "GET /?narrow&user=person%d HTTP/1.1\r\nHost: x\r\n\r\n", people); err != nil {
		t.Fatal(err)
	}
	for title := 1; ; title++ {
		a.setTitle(t, fmt.Sprint(title))
		for _, l := range all {
			a.expect(t, l, fmt.Sprint(title))
		}
		if held := a.engine.held.Load(); held > padded+10 {
			t.Fatalf("%d bytes are held", held)
		}
		select {
		case user := <-a.ended:
			if user != fmt.Sprint("person", people) || title == 1 {
				t.Errorf("after %d answers %s was let go of", title, user)
			}
		default:
			if title > 100 {
				t.Fatal("the reader that takes nothing is still there")
			}
			continue
		}
		break
	}
	if n := a.engine.Stats().Streams; n != people {
		t.Errorf("%d streams are left", n)
	}
	a.engine.Drain()
	for range people {
		<-a.ended
	}
	if held := a.engine.held.Load(); held != 0 || len(a.engine.topics) != 0 {
		t.Errorf("%d bytes and %d topics are left", held, len(a.engine.topics))
	}
}
