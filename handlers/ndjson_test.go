package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/handlers"
)

// told is the answer of a line, or with a problem alone that of the request.
type told struct {
	Line     int64
	Position int64
	Advise   *struct{ Batch, EveryMs int64 }
	Problem  *struct {
		Status       int
		Code, Detail string
		Errors       []struct{ Location, Message string }
	}
}

// String is the answer without what differs from run to run.
func (a told) String() string {
	s := fmt.Sprint(a.Line)
	if a.Position > 0 {
		s += " stored"
	}
	if a.Advise != nil {
		s += " advised"
	}
	if a.Problem != nil {
		s += " " + a.Problem.Code
		for _, e := range a.Problem.Errors {
			s += " " + e.Location
		}
	}
	return s
}

// intake is a request that sends lines and stays open.
type intake struct {
	t       testing.TB
	body    *io.PipeWriter
	answers *json.Decoder
	status  int
	code    string
}

// sendLines opens the request to the server at url with the client.
func (p *person) sendLines(client http.RoundTripper, url, meeting string, header ...string) *intake {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.s.t.Context(), patience)
	p.s.t.Cleanup(cancel)
	read, write := io.Pipe()
	p.s.t.Cleanup(func() { _ = write.Close() })
	r := p.request(ctx, "POST", meeting+"/transcripts", read, append([]string{"Content-Type", "application/x-ndjson"}, header...)...)
	r.URL.Scheme, r.URL.Host, _ = strings.Cut(url, "://")
	r.Host = ""
	answer, err := client.RoundTrip(r)
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.s.t.Cleanup(func() { _ = answer.Body.Close() })
	in := &intake{t: p.s.t, body: write, answers: json.NewDecoder(answer.Body), status: answer.StatusCode}
	if in.status != http.StatusOK {
		var problem struct{ Code string }
		_ = in.answers.Decode(&problem)
		in.code = problem.Code
	}
	return in
}

// lines opens the request over HTTP/1.1.
func (p *person) lines(meeting string) *intake {
	p.s.t.Helper()
	in := p.sendLines(p.s.transport, p.s.URL, meeting)
	if in.status != http.StatusOK {
		p.s.t.Fatalf("status %d %s", in.status, in.code)
	}
	return in
}

// send sends text as it is.
func (in *intake) send(text string) {
	in.t.Helper()
	if _, err := io.WriteString(in.body, text); err != nil {
		in.t.Fatal(err)
	}
}

// next returns the next answer.
func (in *intake) next() (a told) {
	in.t.Helper()
	if err := in.answers.Decode(&a); err != nil {
		in.t.Fatal(err)
	}
	return a
}

// want compares the next answer.
func (in *intake) want(s string) told {
	in.t.Helper()
	a := in.next()
	if a.String() != s {
		in.t.Fatalf("answer %q %+v, want %q", a, a.Problem, s)
	}
	return a
}

// wantEnd expects a problem and the end of the answer.
func (in *intake) wantEnd(code string) {
	in.t.Helper()
	in.want("0 " + code)
	var more told
	if err := in.answers.Decode(&more); err == nil {
		in.t.Fatalf("after the end: %v", more)
	}
}

// chunkLine is a line that is right.
func chunkLine(text string, more ...string) string {
	return fmt.Sprintf(`{"text":%q,"confidence":0.9,"startMs":0,"endMs":500%s}`, text, strings.Join(more, "")) + "\n"
}

// said returns the texts of the transcript.
func (p *person) said(meeting string) (texts []string) {
	p.s.t.Helper()
	var page struct{ Items []struct{ Text string } }
	p.must("GET", meeting+"/transcripts?after=0&limit=200", nil).into(p.s.t, &page)
	for _, item := range page.Items {
		texts = append(texts, item.Text)
	}
	return texts
}

// Each line is answered in order once it is stored, a bad one by what is wrong with
// it, on one request that stays open, over both versions of HTTP.
func TestEachLineIsAnsweredOnceItIsStored(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(version, func(t *testing.T) {
			s := newServer(t)
			ada, grace := s.signIn("ada"), s.signIn("grace")
			meeting := joined(ada, grace)
			url, client := s.URL, http.RoundTripper(s.transport)
			if version == "HTTP/2" {
				second := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
				second.EnableHTTP2 = true
				second.StartTLS()
				t.Cleanup(second.Close)
				url, client = second.URL, second.Client().Transport
			}
			in := ada.sendLines(client, url, meeting)
			in.send(chunkLine("one"))
			if a := in.want("1 stored advised"); a.Advise.Batch < 1 || a.Advise.Batch > 25 || a.Advise.EveryMs < 200 { // a busy machine's is less, and later
				t.Errorf("advice %+v", a.Advise)
			}
			if got := grace.said(meeting); !slices.Equal(got, []string{"one"}) {
				t.Fatalf("once it is answered the transcript is %q", got)
			}
			in.send(chunkLine("two", `,"interim":true,"utteranceId":"u"`))
			in.want("2")
			in.send(`{"text":"","confidence":2,"startMs":0}` + "\n")
			a := in.want("3 validation_failed line.confidence line line.text")
			if a.Problem.Status != 422 {
				t.Errorf("status %d", a.Problem.Status)
			}
			in.send(chunkLine(strings.Repeat("x", 65<<10)))
			if a := in.want("4 payload_too_large"); a.Problem.Status != 413 {
				t.Errorf("status %d", a.Problem.Status)
			}
			in.send(chunkLine("three", `,"speakerId":"usr_nobody"`) + "\n" + chunkLine("four", `,"utteranceId":"u"`))
			in.want("5 validation_failed line.speakerId")
			four := in.want("7 stored advised")
			in.send(chunkLine("four again", `,"utteranceId":"u"`))
			if again := in.want("8 stored advised"); again.Position != four.Position {
				t.Errorf("the utterance is at %d and %d", four.Position, again.Position)
			}
			_ = in.body.Close()
			var more told
			if err := in.answers.Decode(&more); !errors.Is(err, io.EOF) {
				t.Errorf("after the end %v, %v", more, err)
			}
			if got := grace.said(meeting); !slices.Equal(got, []string{"one", "four"}) {
				t.Errorf("the transcript is %q", got)
			}
		})
	}
}

// What ends the request is told after the answers of what came before.
func TestWhatEndsARequestOfLinesIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(s *server, ada, grace *person, meeting string, in *intake)
		code string
	}{
		"not JSON": {func(_ *server, _, _ *person, _ string, in *intake) { in.send("{\"text\":\n") }, "validation_failed"},
		"cut off":  {func(_ *server, _, _ *person, _ string, in *intake) { in.send(`{"text":"half`); _ = in.body.Close() }, "validation_failed"},
		"removed": {func(_ *server, ada, grace *person, meeting string, _ *intake) {
			ada.must("DELETE", meeting+"/participants/"+string(grace.ID), nil)
		}, "not_found"},
		"left": {func(_ *server, _, grace *person, meeting string, _ *intake) {
			grace.must("POST", meeting+"/leave", nil)
		}, "forbidden"},
		"observer": {func(_ *server, ada, grace *person, meeting string, _ *intake) {
			ada.must("PATCH", meeting+"/participants/"+string(grace.ID), map[string]string{"role": "observer"})
		}, "forbidden"},
		"ended":       {func(_ *server, ada, _ *person, meeting string, _ *intake) { ada.must("POST", meeting+"/end", nil) }, "meeting_not_active"},
		"deactivated": {func(_ *server, _, grace *person, _ string, _ *intake) { grace.deactivate() }, "forbidden"},
		"drained":     {func(s *server, _, _ *person, _ string, _ *intake) { s.API.Drain() }, "shutting_down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			ada, grace := s.signIn("ada"), s.signIn("grace")
			meeting := joined(ada, grace)
			in := grace.lines(meeting)
			in.send(chunkLine("before"))
			in.want("1 stored advised")
			test.end(s, ada, grace, meeting, in)
			in.wantEnd(test.code)
			if got := s.number(`SELECT count(*) FROM transcripts`); got != 1 {
				t.Errorf("%d chunks are stored", got)
			}
		})
	}
}

// Who still sends when the server ends the request, and only then reads, is told why: what
// they send meanwhile is taken, and thrown away.
func TestWhoStillSendsIsToldTheEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t, false, func(c *handlers.Config) { c.Linger = patience })
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	narrow := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10) // else the kernel takes what the server does not
		}
		return conn, err
	}}
	t.Cleanup(narrow.CloseIdleConnections)
	in := grace.sendLines(narrow, s.URL, meeting)
	in.send(chunkLine("before"))
	in.want("1 stored advised")
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(in.body, strings.Repeat("\n", 200<<10))
		sent <- errors.Join(err, in.body.Close())
	}()
	ada.must("POST", meeting+"/end", nil)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	in.wantEnd("meeting_not_active")
}

// A token that ends, ends what it has opened.
func TestLinesEndWithTheToken(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	in := ada.lines(meeting)
	s.Clock.Advance(24 * time.Hour)
	grace = s.signIn("grace")
	grace.say(meeting, "so that the clock is looked at")
	ada = s.signIn("ada")
	ada.must("POST", meeting+"/leave", nil)
	in.wantEnd("unauthenticated")
}

// Who may not say anything is refused before a line is read.
func TestLinesAreRefusedToWhoMayNotSayAnything(t *testing.T) {
	s := newServer(t)
	ada, grace, eve := s.signIn("ada"), s.signIn("grace"), s.signIn("eve")
	meeting := ada.plan("Plan", grace, "observer")
	for _, refused := range []struct {
		who    *person
		status int
		code   string
	}{{ada, 409, "meeting_not_active"}, {grace, 403, "forbidden"}, {eve, 404, "not_found"}, {s.nobody(), 401, "unauthenticated"}} {
		in := refused.who.sendLines(s.transport, s.URL, meeting)
		if in.status != refused.status || in.code != refused.code {
			t.Errorf("%s: %d %s, want %d %s", refused.who.Name, in.status, in.code, refused.status, refused.code)
		}
	}
	ada.must("POST", meeting+"/start", nil)
	for range handlers.MaxIntakesPerUser {
		ada.lines(meeting)
	}
	if n := s.API.Intakes(); n != handlers.MaxIntakesPerUser {
		t.Errorf("%d requests are open", n)
	}
	if in := ada.sendLines(s.transport, s.URL, meeting); in.status != http.StatusTooManyRequests {
		t.Errorf("one more: %d %s", in.status, in.code)
	}
	s.API.Drain()
}

// A request that sends no line ends; an empty line keeps it open.
func TestARequestWithoutLinesEnds(t *testing.T) {
	t.Parallel()
	const wait = 2 * time.Second // so long a busy machine lets nobody stand still
	s := startServer(t, false, func(c *handlers.Config) { c.LineTimeout = wait })
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	in := ada.lines(meeting)
	began := time.Now()
	for time.Since(began) < 2*wait {
		in.send("\n")
		s.number(`SELECT 1`)
	}
	in.send(chunkLine("still open"))
	if a := in.next(); a.Position == 0 {
		t.Fatalf("answer %v", a)
	}
	in.send(`{"text":"ha`)
	if a := in.want("0 validation_failed"); a.Problem.Status != http.StatusRequestTimeout {
		t.Errorf("status %d", a.Problem.Status)
	}
}

// Who reads no answer is read no further, and ended in the end; what is stored is
// what was read.
func TestWhoReadsNoAnswerIsReadNoFurther(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	conn := ada.rawLines(meeting)
	written := 0
	const wrong = "{}\n" // whose answer is long
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(wrong)*100, strings.Repeat(wrong, 100))
	for {
		n, err := conn.Write(chunk)
		if written += n; errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the server waits for ever")
		} else if err != nil {
			break // the server has ended it
		}
		if written > 1<<30 {
			t.Fatal("a gigabyte was read, and no answer taken")
		}
	}
	t.Logf("%d bytes were taken", written)
	ada.lines(meeting) // and others go on
}

// rawLines opens the request over a connection of its own, and reads the head of
// the answer.
func (p *person) rawLines(meeting string, header ...string) net.Conn {
	p.s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.s.URL, "http://"))
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(conn, "POST %s/transcripts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nAuthorization: Bearer %s\r\n"+
		"Transfer-Encoding: chunked\r\n%s\r\n", meeting, p.Token, strings.Join(header, ""))
	if err != nil {
		p.s.t.Fatal(err)
	}
	return conn
}

// Of a connection that breaks in the middle of a line, nothing of that line is
// stored.
func TestOfALineThatBreaksOffNothingIsStored(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	whole := chunkLine("half", `,"utteranceId":"u"`)
	for _, part := range []string{"", "{", whole[:len(whole)/2], whole[:len(whole)-1]} {
		conn := ada.rawLines(meeting)
		body := chunkLine("whole") + part
		if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(body), body); err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(conn)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%v %v", answer, err)
		}
		if text, err := bufio.NewReader(answer.Body).ReadString('\n'); !strings.HasPrefix(text, `{"line":1,"position":`) {
			t.Fatalf("%q %v", text, err)
		}
		drain(s.finished)
		_ = conn.Close()
		<-s.finished
	}
	if got := ada.said(meeting); !slices.Equal(got, []string{"whole", "whole", "whole", "whole"}) {
		t.Errorf("the transcript is %q", got)
	}
}

func drain(finished chan struct{}) {
	select {
	case <-finished:
	default:
	}
}

// A client that waits to be told to go on, as curl does, is told before the answer
// begins.
func TestAClientThatWaitsToGoOnIsTold(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	conn := ada.rawLines(joined(ada, grace), "Expect: 100-continue\r\n")
	answers := bufio.NewReader(conn)
	for _, want := range []int{http.StatusContinue, http.StatusOK} {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != want {
			t.Fatalf("%v %v, want %d", answer, err, want)
		}
	}
}

// However the bytes of the lines arrive, the answers are the same.
func TestAnswersOfLinesDoNotDependOnHowTheyArrive(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	kinds := map[string]string{
		chunkLine("a"):                                   " stored advised",
		chunkLine("b", `,"interim":true`):                "",
		"{}\n":                                           " validation_failed line line line line",
		chunkLine(strings.Repeat("c", 64<<10)):           " payload_too_large",
		chunkLine(strings.Repeat("d", 10_001)):           " validation_failed line.text",
		chunkLine("e", `,"speakerId":"usr_nobody"`):      " validation_failed line.speakerId",
		chunkLine("f", `,"confidence":1.5`):              " validation_failed line.confidence",
		chunkLine("g", `,"surprise":1`):                  " validation_failed line.surprise",
		strings.Replace(chunkLine("h"), "500", "0", 1):   " validation_failed line.endMs",
		strings.Replace(chunkLine("i"), "500", "0.5", 1): " validation_failed line.endMs",
		"\n": "none",
	}
	var texts []string
	for text := range kinds {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	rapid.Check(t, func(rt *rapid.T) {
		var body strings.Builder
		var want []string
		for i, text := range rapid.SliceOfN(rapid.SampledFrom(texts), 1, 20).Draw(rt, "lines") {
			body.WriteString(text)
			if kinds[text] != "none" {
				want = append(want, fmt.Sprint(i+1)+kinds[text])
			}
		}
		if rapid.Bool().Draw(rt, "not JSON") {
			body.WriteString("nonsense\n" + chunkLine("after it"))
			want = append(want, "0 validation_failed")
		}
		in := ada.lines(meeting)
		go func() { // the test reads meanwhile
			rest := body.String()
			for len(rest) > 0 {
				n := min(1+(len(rest)*7919)%5000, len(rest))
				if _, err := io.WriteString(in.body, rest[:n]); err != nil {
					break // it was ended
				}
				rest = rest[n:]
			}
			_ = in.body.Close()
		}()
		var got []string
		last := int64(0)
		for {
			var a told
			if err := in.answers.Decode(&a); err != nil {
				break
			}
			if got = append(got, a.String()); a.Position > 0 && a.Position <= last {
				rt.Fatalf("%d follows %d", a.Position, last)
			}
			last = max(last, a.Position)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("answers %q, want %q", got, want)
		}
	})
}
