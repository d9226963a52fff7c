package handlers_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/notes"
)

// notebook is the notes of a meeting, as somebody writes them by one client.
type notebook struct {
	*person
	path   string // of the notes
	client string
}

// notesOf returns the notes of the meeting for a client of this person alone.
func (p *person) notesOf(meeting string) notebook {
	_, ulid, _ := strings.Cut(idOf(meeting), "_loc_")
	return notebook{p, meeting + "/notes", ulid + "-" + string(p.ID)}
}

// noteAnswer is what an edit is answered with.
type noteAnswer struct {
	Version int64
	Edits   []struct{ ClientSeq, Version int64 }
}

// write puts text in front of empty notes, as the edit seq, and returns the version.
func (n notebook) write(seq int64, text string) int64 {
	n.s.t.Helper()
	var a noteAnswer
	n.must("POST", n.path+"/ops", n.edit(0, seq, fmt.Sprintf(`[{"insert":%q}]`, text))).into(n.s.t, &a)
	return a.Version
}

// edit is a request with one edit.
func (n notebook) edit(base, seq int64, ops string) string {
	return fmt.Sprintf(`{"clientId":%q,"baseVersion":%d,"edits":[{"clientSeq":%d,"ops":%s}]}`, n.client, base, seq, ops)
}

func (n notebook) content() string {
	n.s.t.Helper()
	var note struct{ Content string }
	n.must("GET", n.path, nil).into(n.s.t, &note)
	return note.Content
}

// What cannot be an edit is refused and recorded, and nothing of its request is applied.
func TestBadEditsAreRefusedWhole(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	notes, refused := ada.notesOf(ada.plan("Plan")), map[string]int{}
	notes.write(1, "Hello")
	long := strings.Repeat("x", 20_001)
	for name, c := range map[string]struct {
		ops    string
		status int
	}{
		"past the end":        {`[{"retain":7},{"insert":"x"}]`, 422},
		"deletes past it":     {`[{"delete":7}]`, 422},
		"negative":            {`[{"retain":-1},{"insert":"x"}]`, 422},
		"nothing":             {`[{"retain":0},{"insert":"x"}]`, 422},
		"a fraction":          {`[{"retain":1.5},{"insert":"x"}]`, 422},
		"whole, with a point": {`[{"retain":1.0},{"insert":"x"}]`, 422},
		"an exponent":         {`[{"retain":1e0},{"insert":"x"}]`, 422},
		"NaN":                 {`[{"retain":NaN}]`, 400},
		"a string":            {`[{"retain":"1"}]`, 422},
		"empty text":          {`[{"insert":""}]`, 422},
		"only keeps":          {`[{"retain":3}]`, 422},
		"empty":               {`[]`, 422},
		"half a pair":         {`[{"insert":"\ud83d"}]`, 422},
		"NUL":                 {`[{"insert":"\u0000"}]`, 422},
		"too much":            {`[{"insert":"` + long + `"}]`, 422},
		"two in one":          {`[{"insert":"x","delete":1}]`, 422},
		"unknown":             {`[{"insert":"x","attributes":{}}]`, 422},
		"no operation":        {`[{}]`, 422},
		"no array":            {`{"insert":"x"}`, 422},
		"many":                {`[` + strings.Repeat(`{"insert":"x"},`, 20_000) + `{"insert":"x"}]`, 422},
		"10 MB":               {`[{"insert":"` + strings.Repeat(long, 500) + `"}]`, 413},
	} {
		body := fmt.Sprintf(`{"clientId":%q,"baseVersion":0,"edits":[{"clientSeq":2,"ops":[{"insert":"y"}]},{"clientSeq":3,"ops":%s}]}`, notes.client, c.ops)
		a := notes.do("POST", notes.path+"/ops", body)
		refused[a.code()]++
		if a.Status != c.status || a.code() != map[int]string{400: "validation_failed", 422: "validation_failed", 413: "payload_too_large"}[c.status] {
			t.Errorf("%s: %d %.300s", name, a.Status, a.Body)
		}
	}
	for name, body := range map[string]string{
		"no edits":         fmt.Sprintf(`{"clientId":%q,"baseVersion":0,"edits":[]}`, notes.client),
		"a gap between":    fmt.Sprintf(`{"clientId":%q,"baseVersion":0,"edits":[{"clientSeq":2,"ops":[{"insert":"y"}]},{"clientSeq":4,"ops":[{"insert":"y"}]}]}`, notes.client),
		"no client":        `{"clientId":"","baseVersion":0,"edits":[{"clientSeq":1,"ops":[{"insert":"y"}]}]}`,
		"a strange client": `{"clientId":"a b","baseVersion":0,"edits":[{"clientSeq":1,"ops":[{"insert":"y"}]}]}`,
		"seq 0":            strings.Replace(notes.edit(0, 1, `[{"insert":"y"}]`), `"clientSeq":1`, `"clientSeq":0`, 1),
		"too many edits":   fmt.Sprintf(`{"clientId":%q,"baseVersion":0,"edits":[%s]}`, notes.client, strings.TrimSuffix(strings.Repeat(`{"clientSeq":2,"ops":[{"insert":"y"}]},`, 501), ",")),
	} {
		refused["validation_failed"]++
		if a := notes.do("POST", notes.path+"/ops", body); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %.300s", name, a.Status, a.Body)
		}
	}
	if got, n := notes.content(), s.number(`SELECT count(*) FROM note_ops`); got != "Hello" || n != 1 {
		t.Errorf("%q after %d edits", got, n)
	}
	s.recordedRefusals(notes, refused)
}

// recordedRefusals wants so many refused edits of the notes in the record of org_1, by
// their codes, and ends it.
func (s *server) recordedRefusals(n notebook, want map[string]int) {
	s.t.Helper()
	got := map[string]int{}
	for _, l := range s.recorded("org_1") {
		var detail struct{ Method, Path, Code string }
		if l.Outcome != audit.Refused || json.Unmarshal([]byte(l.Detail), &detail) != nil || detail.Method != "POST" || detail.Path != n.path+"/ops" {
			continue
		}
		got[detail.Code]++
	}
	if !maps.Equal(got, want) {
		s.t.Errorf("recorded %v, want %v", got, want)
	}
}

// An edit that changes nothing is refused as it is sent, and takes no number; one whose
// text others have removed meanwhile is applied, as nothing, and its answer is repeated.
func TestEditThatChangesNothingIsRefused(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signInAs("ada", "org_1", "member"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	first, second := ada.notesOf(meeting), grace.notesOf(meeting)
	version := first.write(1, "Hello")
	var a noteAnswer
	second.must("POST", second.path+"/ops", second.edit(version, 1, `[{"delete":5}]`)).into(t, &a)
	refused := 0
	for _, ops := range []string{`[]`, ` [ ] `, `[{"retain":5}]`, `[{"retain":2},{"retain":3}]`, `[{"insert":""}]`, `[{"delete":0}]`, `[{"retain":0}]`} {
		for _, client := range []notebook{first, second, {first.person, first.path, "new"}} {
			refused++
			if got := client.do("POST", client.path+"/ops", client.edit(version, 2, ops)); got.Status != 422 || got.code() != "validation_failed" || !strings.Contains(string(got.Body), `"body.edits[0].ops`) {
				t.Errorf("%s: %d %s", ops, got.Status, got.Body)
			}
		}
	}
	if ops, clients := s.number(`SELECT count(*) FROM note_ops`), s.number(`SELECT sum(seq) FROM note_clients`); ops != 2 || clients != 2 {
		t.Errorf("%d edits, the last numbers add up to %d", ops, clients)
	}
	var emptied, again noteAnswer
	for _, answer := range []*noteAnswer{&emptied, &again} {
		first.must("POST", first.path+"/ops", first.edit(version, 2, `[{"retain":1},{"delete":3}]`)).into(t, answer)
	}
	first.must("POST", first.path+"/ops", first.edit(emptied.Version, 3, `[{"insert":"Bye"}]`))
	var page struct {
		Items []struct{ Ops json.RawMessage }
	}
	first.must("GET", fmt.Sprint(first.path, "/ops?after=", a.Version), nil).into(t, &page)
	if fmt.Sprint(emptied) != fmt.Sprint(again) || len(page.Items) != 2 || string(page.Items[0].Ops) != "[]" || first.content() != "Bye" {
		t.Errorf("%+v, then %+v; %+v", emptied, again, page)
	}
	s.recordedRefusals(first, map[string]int{"validation_failed": refused})
}

// What the client must do instead is told by a number.
func TestConflictsOfNotesTellTheWayOn(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	notes := ada.notesOf(meeting)
	version := notes.write(1, "Hello")
	for name, c := range map[string]struct{ body, member string }{
		"a gap":         {notes.edit(version, 3, `[{"insert":"x"}]`), fmt.Sprint("expectedClientSeq ", 2)},
		"a future base": {notes.edit(version+1, 2, `[{"insert":"x"}]`), fmt.Sprint("version ", version)},
		"no base":       {notes.edit(version-1, 2, `[{"insert":"x"}]`), fmt.Sprint("version ", version)},
	} {
		var p map[string]any
		a := notes.do("POST", notes.path+"/ops", c.body)
		a.into(t, &p)
		name2, value, _ := strings.Cut(c.member, " ")
		if a.Status != 409 || a.code() != "conflict" || fmt.Sprint(p[name2]) != value || len(p) != 5 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	// A clientId is one user's, in one meeting.
	if a := grace.do("POST", notes.path+"/ops", notes.edit(version, 2, `[{"insert":"x"}]`)); a.Status != 409 || a.code() != "conflict" {
		t.Errorf("somebody else: %d %s", a.Status, a.Body)
	}
	if a := ada.do("POST", ada.plan("Other")+"/notes/ops", notes.edit(0, 1, `[{"insert":"x"}]`)); a.Status != 409 || a.code() != "conflict" {
		t.Errorf("elsewhere: %d %s", a.Status, a.Body)
	}
	if got := notes.content(); got != "Hello" {
		t.Errorf("%q", got)
	}
}

func TestNotesEndAtTheirBound(t *testing.T) {
	s := newServer(t)
	notes := s.signIn("ada").notesOf(s.signIn("ada").plan("Plan"))
	text := strings.Repeat("😀", 10_000) // 20,000 units
	for seq := range int64(5) {
		notes.must("POST", notes.path+"/ops", notes.edit(0, seq+1, `[{"insert":"`+text+`"}]`))
	}
	if a := notes.do("POST", notes.path+"/ops", notes.edit(0, 6, `[{"insert":"x"}]`)); a.Status != 422 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := notes.do("POST", notes.path+"/ops", notes.edit(0, 6, `[{"retain":1},{"insert":"x"},{"delete":3}]`)); a.Status != 422 || !strings.Contains(string(a.Body), "surrogate") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	notes.must("POST", notes.path+"/ops", notes.edit(0, 6, `[{"insert":"xy"},{"delete":2}]`))
	if got := notes.content(); got != "xy"+strings.Repeat(text, 5)[4:] {
		t.Errorf("%d bytes", len(got))
	}
}

// What was applied may be more than anybody may send: a rollback puts back a whole text.
// It is within what the document says of it.
func TestAppliedEditsAreWithinTheirBounds(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	notes, text := ada.notesOf(ada.plan("Plan")), strings.Repeat("x", 20_000)
	var full, empty noteAnswer
	for seq := range int64(3) {
		notes.must("POST", notes.path+"/ops", notes.edit(0, seq+1, `[{"insert":"`+text+`"}]`)).into(t, &full)
	}
	notes.must("POST", notes.path+"/ops", notes.edit(0, 4, `[{"delete":60000}]`)).into(t, &empty)
	notes.must("POST", notes.path+"/rollback", fmt.Sprintf(`{"version":%d,"reason":"a mistake"}`, full.Version))
	var page struct {
		Items []struct{ Ops []struct{ Insert string } }
	}
	notes.must("GET", fmt.Sprint(notes.path, "/ops?after=", empty.Version), nil).into(t, &page)
	if len(page.Items) != 1 || len(page.Items[0].Ops) != 1 || len(page.Items[0].Ops[0].Insert) != 60_000 {
		t.Fatalf("%.300s", fmt.Sprint(page))
	}
	for _, schema := range []string{"NoteRevision", "AcceptedEdit"} {
		ops := part(s.document(), "components", "schemas", schema, "properties", "ops")
		if most, _ := part(ops, "items", "properties", "insert", "maxLength").(float64); most < 60_000 {
			t.Errorf("%s inserts at most %v", schema, most)
		}
	}
}

// Observers, strangers, those who have left, and everybody when the notes are locked:
// refused and recorded, and nothing is applied.
func TestWhoMayNotWriteNotesChangesNothing(t *testing.T) {
	s := newServer(t)
	ada, grace, vera := s.signInAs("ada", "org_1", "member"), s.signIn("grace"), s.signIn("vera")
	meeting := ada.plan("Plan", grace, "participant", vera, "observer")
	ada.must("POST", meeting+"/start", nil)
	for _, p := range []*person{grace, vera} {
		p.must("POST", meeting+"/join", nil)
	}
	host, guest := ada.notesOf(meeting), grace.notesOf(meeting)
	version := guest.write(1, "Hello")
	grace.must("POST", meeting+"/leave", nil)
	var refused []string
	refuse := func(name string, n notebook, seq int64, status int, code string) {
		t.Helper()
		refused = append(refused, fmt.Sprint(n.ID, " ", code))
		a := n.do("POST", n.path+"/ops", n.edit(version, seq, `[{"insert":"x"}]`))
		if a.Status != status || a.code() != code {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if got, n := host.content(), s.number(`SELECT count(*) FROM note_ops`)+10*s.number(`SELECT count(*) FROM note_clients`); got != "Hello" || n != 11 {
			t.Errorf("%s: %q, %d", name, got, n)
		}
	}
	refuse("an observer", vera.notesOf(meeting), 1, 403, "forbidden")
	refuse("a stranger", s.signIn("mallory").notesOf(meeting), 1, 404, "not_found")
	refuse("who has left", guest, 2, 403, "forbidden")
	grace.must("POST", meeting+"/join", nil)
	ada.must("PUT", host.path+"/lock", `{"locked":true}`)
	refuse("a lock", guest, 2, 409, "conflict")
	refuse("a lock, for the host", host, 1, 409, "conflict")
	if a := ada.do("POST", host.path+"/rollback", `{"version":0,"reason":"a mistake"}`); a.Status != 409 {
		t.Errorf("rollback: %d %s", a.Status, a.Body)
	}
	// What was applied before keeps its answer.
	if a := guest.do("POST", guest.path+"/ops", guest.edit(0, 1, `[{"insert":"Hello"}]`)); a.Status != 200 || !strings.Contains(string(a.Body), fmt.Sprint(version)) {
		t.Errorf("again: %d %s", a.Status, a.Body)
	}
	ada.must("PUT", host.path+"/lock", `{"locked":false}`)
	guest.must("POST", guest.path+"/ops", guest.edit(version, 2, `[{"insert":"x"}]`))
	if got := host.content(); got != "xHello" {
		t.Errorf("%q", got)
	}
	var recorded []string
	for _, l := range s.recorded("org_1") {
		if l.Outcome == audit.Refused && strings.Contains(l.Detail, meeting+"/notes/ops") {
			var detail struct{ Method, Code string }
			if err := json.Unmarshal([]byte(l.Detail), &detail); err != nil || detail.Method != "POST" {
				t.Errorf("%v %s", err, l.Detail)
			}
			recorded = append(recorded, fmt.Sprint(l.Actor, " ", detail.Code))
		}
	}
	slices.Sort(refused)
	slices.Sort(recorded)
	if !slices.Equal(recorded, refused) {
		t.Errorf("recorded %q, want %q", recorded, refused)
	}
}

// The page of HTML is what was written, and nothing in it is HTML.
func TestNotesAreExported(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	notes := ada.notesOf(ada.plan("Plan"))
	const text = "# Plan\n\n<script>alert(1)</script> [x](javascript:alert(1)) & \"q\"\n"
	notes.write(1, text)
	for format, want := range map[string]string{"md": "text/markdown", "txt": "text/plain", "html": "text/html"} {
		a := notes.must("GET", notes.path+"/export?format="+format, nil)
		if !strings.HasPrefix(a.Header.Get("Content-Type"), want+"; charset=utf-8") || !strings.Contains(a.Header.Get("Content-Disposition"), "notes."+format) {
			t.Errorf("%s: %v", format, a.Header)
		}
		if format == "html" {
			if !strings.Contains(string(a.Body), "# Plan\n\n&lt;script&gt;alert(1)&lt;/script&gt; [x](javascript:alert(1)) &amp; &#34;q&#34;\n</pre>") || strings.Contains(string(a.Body), "<script") {
				t.Errorf("%s", a.Body)
			}
		} else if string(a.Body) != text {
			t.Errorf("%s: %q", format, a.Body)
		}
	}
	if a := notes.do("GET", notes.path+"/export?format=pdf", nil); a.Status != 422 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// What is older than its lifetime is gone from the history: the feed says so, an edit
// from before it is told to read on, and one from where the history begins is taken.
func TestHistoryOfNotesEndsWhereItIsCompacted(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "participant")
	first, second := ada.notesOf(meeting), grace.notesOf(meeting)
	old := first.write(1, "Hello")
	floor := first.write(2, "Oh! ")
	s.Clock.Advance(notes.Lifetime + time.Hour)
	ada, grace = s.signIn("ada"), s.signIn("grace")
	first.person, second.person = ada, grace
	newest := first.write(3, "So: ")
	_, id, _ := strings.Cut(meeting, "/v1/meetings/")
	if err := s.DB.Write(t.Context(), func(tx *db.WriteTx) error { return notes.Compact(tx, domain.MeetingID(id)) }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                            fmt.Sprintf("[{%d}] false", newest),
		"?after=0":                    fmt.Sprintf("[{%d}] true", newest),
		fmt.Sprint("?after=", old):    fmt.Sprintf("[{%d}] true", newest),
		fmt.Sprint("?after=", floor):  fmt.Sprintf("[{%d}] false", newest),
		fmt.Sprint("?after=", newest): "[] false",
	} {
		var page struct {
			Items     []struct{ Version int64 }
			Truncated bool
		}
		ada.must("GET", first.path+"/ops"+path, nil).into(t, &page)
		if got := fmt.Sprint(page.Items, " ", page.Truncated); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
		if path == "" {
			continue
		}
		st := ada.follow(first.path + "/ops" + path + "&heartbeat=1")
		st.ready()
		if want != "[] false" {
			st.into(st.next("items"), &page)
			if got := fmt.Sprint(page.Items, " ", page.Truncated); got != want {
				t.Errorf("%q live: %s, want %s", path, got, want)
			}
		}
		st.close()
	}
	for _, base := range []int64{0, old} {
		var p struct{ Version int64 }
		a := grace.do("POST", second.path+"/ops", second.edit(base, 1, `[{"insert":"x"}]`))
		if a.into(t, &p); a.Status != 409 || a.code() != "conflict" || p.Version != newest {
			t.Errorf("based on %d: %d %s", base, a.Status, a.Body)
		}
	}
	if a := grace.do("GET", fmt.Sprint(second.path, "/versions/", old), nil); a.Status != 404 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	second.must("POST", second.path+"/ops", second.edit(floor, 1, `[{"insert":"x"}]`))
	if got := first.content(); got != "So: xOh! Hello" {
		t.Errorf("%q", got)
	}
}
