package transcripts_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/transcripts"
)

func TestWhatIsSaidIsReadInItsOrder(t *testing.T) {
	r := newRoom(t)
	d := says("  Hello  ", 0)
	d.Speaker, d.Language, d.Utterance = r.grace.User, "en", "u1"
	first := r.append(d, says("World", time.Second))
	second := r.append(says("Again", 2*time.Second))
	all := r.all(transcripts.Filter{})
	if got := positionsOf(all); !slices.Equal(got, append(first, second...)) || !slices.IsSorted(got) {
		t.Fatalf("%v, appended %v and %v", got, first, second)
	}
	want := transcripts.Chunk{
		Position: first[0], Meeting: r.id, Speaker: r.grace.User, Text: "  Hello  ", Confidence: 0.9, End: time.Second,
		Language: "en", Utterance: "u1", CreatedAt: r.now,
	}
	if all[0] != want {
		t.Errorf("%+v, want %+v", all[0], want)
	}
	// Without a position it is the newest page, and the one before it.
	newest, err := r.store.Feed(t.Context(), r.grace, r.id, transcripts.Filter{}, domain.Span{Limit: 2})
	if err != nil || !newest.More || !slices.Equal(positionsOf(newest.Items), []int64{first[1], second[0]}) {
		t.Errorf("%+v, %v", newest, err)
	}
	before, err := r.store.Feed(t.Context(), r.grace, r.id, transcripts.Filter{}, domain.Span{Limit: 2, Before: &first[1]})
	if err != nil || before.More || !slices.Equal(positionsOf(before.Items), first[:1]) {
		t.Errorf("%+v, %v", before, err)
	}
}

func positionsOf(all []transcripts.Chunk) []int64 {
	positions := make([]int64, len(all))
	for i, c := range all {
		positions[i] = c.Position
	}
	return positions
}

func TestChunksThatCannotBe(t *testing.T) {
	r := newRoom(t)
	good := says("Hello", 0)
	for field, change := range map[string]func(d *transcripts.Draft){
		"text empty":          func(d *transcripts.Draft) { d.Text = "" },
		"text blank":          func(d *transcripts.Draft) { d.Text = " \n\t" },
		"text long":           func(d *transcripts.Draft) { d.Text = strings.Repeat("ä", transcripts.MaxText+1) },
		"text nul":            func(d *transcripts.Draft) { d.Text = "a\x00b" },
		"confidence below":    func(d *transcripts.Draft) { d.Confidence = -0.01 },
		"confidence above":    func(d *transcripts.Draft) { d.Confidence = 1.01 },
		"confidence none":     func(d *transcripts.Draft) { d.Confidence = math.NaN() },
		"startMs negative":    func(d *transcripts.Draft) { d.Start = -time.Millisecond },
		"endMs before":        func(d *transcripts.Draft) { d.Start, d.End = time.Second, time.Millisecond },
		"endMs equal":         func(d *transcripts.Draft) { d.End = d.Start },
		"endMs late":          func(d *transcripts.Draft) { d.End = transcripts.MaxOffset + time.Millisecond },
		"speakerLabel both":   func(d *transcripts.Draft) { d.Label, d.Speaker = "A", r.ada.User },
		"speakerLabel long":   func(d *transcripts.Draft) { d.Label = strings.Repeat("a", transcripts.MaxLabel+1) },
		"speakerLabel path":   func(d *transcripts.Draft) { d.Label = ".." },
		"speakerLabel line":   func(d *transcripts.Draft) { d.Label = "a\nb" },
		"speakerId":           func(d *transcripts.Draft) { d.Speaker = "usr_nobody" },
		"language":            func(d *transcripts.Draft) { d.Language = "klingon, of course" },
		"utteranceId long":    func(d *transcripts.Draft) { d.Utterance = strings.Repeat("u", transcripts.MaxUtterance+1) },
		"utteranceId nul":     func(d *transcripts.Draft) { d.Utterance = "\x00" },
		"text of interim too": func(d *transcripts.Draft) { d.Interim, d.Text = true, "" },
	} {
		bad := good
		change(&bad)
		_, err := r.store.Append(t.Context(), r.ada, r.id, []transcripts.Draft{good, bad})
		name, _, _ := strings.Cut(field, " ")
		if e, ok := err.(*domain.Error); !ok || e.Kind != domain.Invalid || e.Field != "body.chunks[1]."+name {
			t.Errorf("%s: %#v", field, err)
		}
	}
	for _, n := range []int{0, transcripts.MaxChunks + 1} {
		if _, err := r.store.Append(t.Context(), r.ada, r.id, slices.Repeat([]transcripts.Draft{good}, n)); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%d chunks: %v", n, err)
		}
	}
	if all := r.all(transcripts.Filter{}); len(all) != 0 {
		t.Errorf("%+v was stored with what was refused", all)
	}
	most := good
	most.Text, most.Label, most.Utterance = strings.Repeat("ä", transcripts.MaxText), strings.Repeat("ä", transcripts.MaxLabel), strings.Repeat("ä", transcripts.MaxUtterance)
	most.Confidence, most.End, most.Language = 1, transcripts.MaxOffset, "zh-Hant-TW"
	if p := r.append(slices.Repeat([]transcripts.Draft{most}, transcripts.MaxChunks)...); slices.Max(p) != p[0] {
		t.Errorf("one utterance has the positions %v", p)
	}
}

func TestOnlyWhoIsThereIsHeard(t *testing.T) {
	r := newRoom(t)
	said := []transcripts.Draft{says("Hello", 0)}
	expect := func(when string, who domain.Actor, want domain.Kind) {
		t.Helper()
		if _, err := r.store.Append(t.Context(), who, r.id, said); err == nil || domain.KindOf(err) != want {
			t.Errorf("%s: %v, want kind %d", when, err, want)
		}
	}
	expect("an observer", r.vera, domain.Forbidden)
	expect("who has not come", r.linus, domain.Forbidden)
	expect("a stranger", r.person("mallory"), domain.NotFound)
	r.append(said...)
	_, err := r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	expect("after the end", r.ada, domain.MeetingNotActive)
	// Who has not come reads it afterwards; a stranger does not.
	if part, err := r.store.Feed(t.Context(), r.linus, r.id, transcripts.Filter{}, domain.Span{Limit: 1}); err != nil || len(part.Items) != 1 {
		t.Errorf("%+v, %v", part, err)
	}
	if _, err := r.store.Feed(t.Context(), r.person("mallory"), r.id, transcripts.Filter{}, domain.Span{Limit: 1}); domain.KindOf(err) != domain.NotFound {
		t.Error(err)
	}
}

func TestUtteranceCountsOnceInAMeeting(t *testing.T) {
	r := newRoom(t)
	named := func(utterance, text string) transcripts.Draft {
		d := says(text, 0)
		d.Utterance = utterance
		return d
	}
	first := r.append(named("u1", "one"), named("u2", "two"), named("u1", "one again"), says("three", 0))
	if first[0] != first[2] || first[0] == first[1] || first[3] != first[1]+1 {
		t.Errorf("positions %v", first)
	}
	again := r.append(named("u2", "two"), named("u1", "one"), named("u3", "new"))
	if again[0] != first[1] || again[1] != first[0] || again[2] <= first[3] {
		t.Errorf("positions %v after %v", again, first)
	}
	if all := r.all(transcripts.Filter{}); len(all) != 4 || all[0].Text != "one" {
		t.Errorf("%+v", all)
	}
	other, here := r.start(), r.id
	if a, err := r.store.Append(t.Context(), r.ada, other, []transcripts.Draft{named("u1", "elsewhere")}); err != nil || a.Positions[0] <= again[2] {
		t.Errorf("in another meeting: %v, %v", a, err)
	}
	// They are forgotten with the end, of this meeting alone.
	r.id = here
	r.must(r.background(transcripts.ForgetUtterances))
	if n := r.number(`SELECT count(*) FROM utterances WHERE meeting_id = ?`, here); n != 0 {
		t.Errorf("%d are left", n)
	}
	if n := r.number(`SELECT count(*) FROM utterances WHERE meeting_id = ?`, other); n != 1 {
		t.Errorf("%d are left in another meeting", n)
	}
}

func TestInterimChunksAreNotStored(t *testing.T) {
	r := newRoom(t)
	before := r.db.Committed()
	interim := says("Hel", 0)
	interim.Interim, interim.Utterance = true, "u1"
	a, err := r.store.Append(t.Context(), r.ada, r.id, []transcripts.Draft{interim})
	if first, last := a.Span(); err != nil || first != 0 || last != 0 || r.db.Committed() != before {
		t.Errorf("%d to %d, %v; commit %d after %d", first, last, err, r.db.Committed(), before)
	}
	final := interim
	final.Interim = false
	a, err = r.store.Append(t.Context(), r.ada, r.id, []transcripts.Draft{interim, final})
	if first, last := a.Span(); err != nil || first == 0 || first != last || a.Positions[0] != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if all := r.all(transcripts.Filter{}); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}

// TestPartsByTimeAreThoseThatAreAskedFor compares, for every span of time, what is found
// with all that there is: whether it is settled or not, said in order or late, briefly
// or for an hour.
func TestPartsByTimeAreThoseThatAreAskedFor(t *testing.T) {
	r := newRoom(t)
	minutes := []int{0, 1, 4, 5, 6, 3, 20, 21, 10, 40, 2, 41}
	check := func(when string) {
		t.Helper()
		all := r.all(transcripts.Filter{})
		for from := 0; from < 65; from += 3 {
			for to := from + 1; to < 65; to += 7 {
				f := transcripts.Filter{From: time.Duration(from) * time.Minute, To: time.Duration(to) * time.Minute}
				var want []int64
				for _, c := range all {
					if c.End > f.From && c.Start < f.To {
						want = append(want, c.Position)
					}
				}
				if got := positionsOf(r.all(f)); !slices.Equal(got, want) {
					t.Fatalf("%s, %d to %d: %v, want %v", when, from, to, got, want)
				}
				newest, err := r.store.Feed(t.Context(), r.ada, r.id, f, domain.Span{Limit: 2})
				if err != nil || !slices.Equal(positionsOf(newest.Items), want[max(0, len(want)-2):]) || newest.More != (len(want) > 2) {
					t.Fatalf("%s, the newest from %d to %d: %+v, %v, want of %v", when, from, to, newest, err, want)
				}
				if len(want) > 2 {
					before, err := r.store.Feed(t.Context(), r.ada, r.id, f, domain.Span{Limit: 100, Before: &newest.Items[0].Position})
					if err != nil || !slices.Equal(positionsOf(before.Items), want[:len(want)-2]) {
						t.Fatalf("%s, before from %d to %d: %+v, %v, want of %v", when, from, to, before, err, want)
					}
				}
			}
		}
	}
	for i, m := range minutes {
		d := says("word", time.Duration(m)*time.Minute)
		if m == 4 {
			d.End = d.Start + time.Hour
		}
		r.append(d)
		if i%4 == 3 {
			r.settle()
			check(fmt.Sprint("settled after ", i))
		}
	}
	r.append(says("not settled", 7*time.Minute))
	check("with one that is not settled")
}

func TestFilters(t *testing.T) {
	r := newRoom(t)
	var drafts []transcripts.Draft
	for i := range 8 {
		d := says("word", time.Duration(i)*time.Second)
		switch i % 4 {
		case 0:
			d.Speaker = r.ada.User
		case 1:
			d.Label = "A"
		case 2:
			d.Label = "B"
		}
		drafts = append(drafts, d)
	}
	all := r.append(drafts...)
	_, err := r.store.Name(t.Context(), r.ada, r.id, "A", r.ada.User)
	r.must(err)
	for _, c := range []struct {
		filter transcripts.Filter
		want   []int
	}{
		{transcripts.Filter{Speaker: string(r.ada.User)}, []int{0, 1, 4, 5}},
		{transcripts.Filter{Speaker: "A"}, []int{1, 5}},
		{transcripts.Filter{Speaker: "B"}, []int{2, 6}},
		{transcripts.Filter{Speaker: "C"}, nil},
		{transcripts.Filter{From: 2 * time.Second, To: 4 * time.Second}, []int{2, 3}},
		{transcripts.Filter{From: 2*time.Second - time.Millisecond, To: 4*time.Second + time.Millisecond}, []int{1, 2, 3, 4}},
		{transcripts.Filter{From: 6 * time.Second}, []int{6, 7}},
		{transcripts.Filter{Speaker: "B", To: time.Second}, nil},
	} {
		var want []int64
		for _, i := range c.want {
			want = append(want, all[i])
		}
		if got := positionsOf(r.all(c.filter)); !slices.Equal(got, want) {
			t.Errorf("%+v: %v, want %v", c.filter, got, want)
		}
		newest, err := r.store.Feed(t.Context(), r.ada, r.id, c.filter, domain.Span{Limit: 1})
		if err != nil || len(want) > 0 && (newest.Items[0].Position != want[len(want)-1] || newest.More != (len(want) > 1)) {
			t.Errorf("the newest of %+v: %+v, %v", c.filter, newest, err)
		}
	}
}

// Of five minutes in which as much was said as may be, only what comes after all of it is
// taken: what belongs before has all that follows stored anew.
func TestWhatBelongsBeforeTooManyIsRefused(t *testing.T) {
	r := newRoom(t)
	named := says("named", time.Second)
	named.Utterance = "u1"
	first := r.append(named, says("last", 100*time.Second), says("later", 6*time.Minute))
	r.settle()
	r.exec(`UPDATE transcript_buckets SET chunks = ?`, transcripts.MaxBucket-2)
	r.append(says("early", 10*time.Second), says("before", 99*time.Second))
	r.settle()
	_, err := r.store.Append(t.Context(), r.ada, r.id, []transcripts.Draft{says("first", 101*time.Second), says("too early", 100*time.Second-time.Millisecond)})
	if e, ok := err.(*domain.Error); !ok || e.Kind != domain.Invalid || e.Field != "body.chunks[1].startMs" {
		t.Errorf("%#v", err)
	}
	r.append(says("at the same time", 100*time.Second), says("in another five minutes", 5*time.Minute))
	if again := r.append(named); again[0] != first[0] {
		t.Errorf("what is stored already is at %v", again)
	}
	if all := r.all(transcripts.Filter{}); len(all) != 7 {
		t.Errorf("%d chunks", len(all))
	}
}
