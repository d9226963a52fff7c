package handlers_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"connvo/domain"
)

// TestConversations plays testdata/*.txt, each against a server of its own. A
// file is steps, each of them some lines, separated by empty lines or comments:
//
//	ada POST /v1/meetings {"title":"Plan"}     who, method, path, body; more
//	> Idempotency-Key: k1                      lines of body or header follow
//	201                                        the status, and a problem's code
//	< Location: /v1/meetings/$id               headers of the answer; - is none
//	{"id":"$id","state":"scheduled"}           a pattern of the body
//
//	ada FOLLOW /v1/meetings/$id/messages as chat    opens a live stream
//	chat items {"items":[{"content":"Hello"}]}      its next event; also: chat
//	                                                quiet, chat closes, chat ended
//	ada LINES /v1/meetings/$id/transcripts as bot   opens a request that sends lines
//	bot sends {"text":"Hello"}                      a line
//	bot hears {"line":1}                            the next answer; also: bot closes
//	                                                (its body), bot ended (the answer)
//	sql UPDATE users SET active = 0 WHERE id = '$ada'
//	clock 12h
//	insights $id                               the job that the end of the meeting starts
//
// People are signed in where they first appear, and $ada is the id of ada;
// nobody has no token. $x9 is nine times x, $wav a second of silence. What patterns are is told at match.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d conversations, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel() // each has a server of its own
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := &conversation{t: t, s: newServer(t), people: map[string]*person{}, streams: map[string]*stream{}, intakes: map[string]*intake{}, known: map[string]string{"wav": string(wav(time.Second))}}
			c.people["nobody"] = c.s.nobody()
			var at step
			defer func() {
				if t.Failed() {
					t.Logf("%s:%d: %s", file, at.line, at.lines[0])
				}
			}()
			for _, at = range steps(string(text)) {
				if c.play(at); t.Failed() {
					return
				}
			}
		})
	}
}

// step is the lines of one step of a conversation.
type step struct {
	line  int // where it begins
	lines []string
}

// steps cuts a conversation into its steps.
func steps(text string) (all []step) {
	var current step
	for i, line := range strings.Split(text+"\n", "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			if current.lines == nil {
				current.line = i + 1
			}
			current.lines = append(current.lines, line)
			continue
		}
		if current.lines != nil {
			all = append(all, current)
		}
		current = step{}
	}
	return all
}

// conversation is a file that is being played.
type conversation struct {
	t       *testing.T
	s       *server
	people  map[string]*person
	streams map[string]*stream
	intakes map[string]*intake
	known   map[string]string // what $name stands for
}

var (
	request = regexp.MustCompile(`^(\w+) (GET|HEAD|POST|PUT|PATCH|DELETE|FOLLOW|LINES) ([/$]\S*)(?: (.*))?$`)
	status  = regexp.MustCompile(`^([1-5]\d\d)(?: ([a-z_]+))?$`)
	dollar  = regexp.MustCompile(`\$[A-Za-z]\w*`)
)

func (c *conversation) play(st step) {
	first := st.lines[0]
	if m := request.FindStringSubmatch(first); m != nil {
		who := c.person(m[1])
		if m[2] == "FOLLOW" {
			c.follow(who, c.fill(m[3]), strings.TrimPrefix(m[4], "as "), st.lines[1:])
			return
		}
		if m[2] == "LINES" {
			c.intakes[strings.TrimPrefix(m[4], "as ")] = who.lines(strings.TrimSuffix(c.fill(m[3]), "/transcripts"))
			return
		}
		c.ask(who, m[2], m[3], m[4], st.lines[1:])
		return
	}
	word, rest, _ := strings.Cut(strings.Join(st.lines, " "), " ")
	switch {
	case word == "sql":
		c.s.exec(c.fill(rest))
	case word == "clock":
		d, err := time.ParseDuration(rest)
		if err != nil {
			c.t.Fatal(err)
		}
		c.s.Clock.Advance(d)
	case word == "insights":
		if _, err := c.s.API.Insights.Write(c.t.Context(), domain.MeetingID(c.fill(rest))); err != nil {
			c.t.Fatal(err)
		}
	case c.streams[word] != nil:
		c.hear(c.streams[word], rest)
	case c.intakes[word] != nil:
		c.speak(c.intakes[word], rest)
	default:
		c.t.Fatalf("nobody understands: %s", first)
	}
}

func (c *conversation) person(name string) *person {
	p := c.people[name]
	if p == nil {
		p = c.s.signIn(name)
		c.people[name], c.known[name] = p, string(p.ID)
	}
	return p
}

// fill replaces the $names in the text.
func (c *conversation) fill(text string) string {
	return dollar.ReplaceAllStringFunc(text, func(name string) string {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "$x")); err == nil {
			return strings.Repeat("x", n)
		}
		value, found := c.known[name[1:]]
		if !found {
			c.t.Fatalf("%s is not known", name)
		}
		return value
	})
}

// ask sends a request and compares its answer with the lines.
func (c *conversation) ask(who *person, method, path, body string, lines []string) {
	var header []string
	for len(lines) > 0 && !status.MatchString(lines[0]) {
		if h, found := strings.CutPrefix(lines[0], "> "); found {
			name, value, _ := strings.Cut(h, ":")
			header = append(header, name, c.fill(strings.TrimSpace(value)))
		} else {
			body += lines[0]
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		c.t.Fatal("no status is expected")
	}
	var content any
	if body != "" {
		content = c.fill(body)
	}
	a := who.do(method, c.fill(path), content, header...)
	want := status.FindStringSubmatch(lines[0])
	if strconv.Itoa(a.Status) != want[1] || (a.Status >= 400 && a.code() != want[2]) {
		c.t.Fatalf("answered %d %s", a.Status, a.Body)
	}
	lines = lines[1:]
	for len(lines) > 0 && strings.HasPrefix(lines[0], "< ") {
		name, value, _ := strings.Cut(lines[0][2:], ": ")
		c.header(a, name, value)
		lines = lines[1:]
	}
	if len(lines) > 0 {
		c.compare(strings.Join(lines, ""), a.Body)
	}
}

// header compares a header of the answer with what the value says.
func (c *conversation) header(a answer, name, value string) {
	got, present := a.Header[http.CanonicalHeaderKey(name)]
	if value == "-" {
		if present {
			c.t.Errorf("%s: %q, want none", name, got)
		}
		return
	}
	if len(got) != 1 || got[0] == "" {
		c.t.Fatalf("%s: %q", name, got)
	}
	if err := c.matchText(value, got[0]); err != nil {
		c.t.Errorf("%s: %v", name, err)
	}
}

// follow opens a live stream.
func (c *conversation) follow(who *person, path, name string, lines []string) {
	var header []string
	for _, line := range lines {
		field, value, _ := strings.Cut(strings.TrimPrefix(line, "> "), ":")
		header = append(header, field, c.fill(strings.TrimSpace(value)))
	}
	if strings.Contains(path, "?") {
		path += "&heartbeat=1"
	} else {
		path += "?heartbeat=1"
	}
	c.streams[name] = who.follow(path, header...)
}

// speak does with a request that sends lines what the step says.
func (c *conversation) speak(in *intake, what string) {
	verb, rest, _ := strings.Cut(what, " ")
	var answer json.RawMessage
	switch verb {
	case "sends":
		in.send(c.fill(rest) + "\n")
	case "closes":
		_ = in.body.Close()
	case "hears":
		if err := in.answers.Decode(&answer); err != nil {
			c.t.Fatal(err)
		}
		c.compare(rest, answer)
	case "ended":
		if err := in.answers.Decode(&answer); !errors.Is(err, io.EOF) {
			c.t.Errorf("%s %v instead of the end", answer, err)
		}
	default:
		c.t.Fatalf("nobody understands: %s", what)
	}
}

// hear compares the next event of the stream with what is expected.
func (c *conversation) hear(st *stream, want string) {
	name, pattern, _ := strings.Cut(want, " ")
	switch name {
	case "quiet":
		st.quietUntil(c.s.DB.Committed())
	case "closes":
		st.close()
	case "ended":
		if e := st.any(); e != nil {
			c.t.Errorf("%s %s instead of the end", e.Event, e.Data)
		}
	default:
		e := st.next(name)
		c.compare(pattern, e.Data)
		if name == "snapshot" || name == "items" {
			if id := st.id(e); id <= 0 || id >= domain.MaxNumber {
				c.t.Errorf("id %d", id)
			}
		}
	}
}
