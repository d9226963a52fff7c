package insights

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	sunday   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	everyone = []Member{{User: "usr_ada", Name: "Ada Lovelace"}, {User: "usr_grace", Name: "Grace Hopper"}, {User: "usr_tim", Name: "Tim"}, {User: "usr_tim2", Name: "Tim Berners"}}
)

// said is a meeting in which ada says something.
func said(texts ...string) Material {
	m := Material{Meeting: "mtg_1", Began: sunday, Ended: sunday.Add(45 * time.Minute), Members: everyone}
	for i, text := range texts {
		at := sunday.Add(time.Duration(i) * time.Minute)
		m.Heard = append(m.Heard, Heard{Segment: "seg_1", Speaker: "usr_ada", At: at, Until: at.Add(time.Minute), Pieces: []string{text}, Tag: "en"})
	}
	return m
}

func TestDecisionsAreWhatWasDecided(t *testing.T) {
	for text, want := range map[string]bool{
		"We decided to use SQLite.":                        true,
		"So we have finally agreed on the blue one.":       true,
		"We’ve agreed to wait until Monday.":               true,
		"It was decided that nobody travels.":              true,
		"Okay, let's go with the second plan.":             true,
		"We decided not to hire anybody.":                  true,
		"Decision: the office stays.":                      true,
		"If we decided to use SQLite, it would be simple.": false,
		"I don't think we agreed on that.":                 false,
		"Have we decided anything?":                        false,
		"We have not decided yet.":                         false,
		"We talked about SQLite for an hour.":              false,
		"I wonder whether it was approved.":                false,
	} {
		found := Extract(said(text)).Decisions
		if got := len(found) == 1 && found[0].Text == text; got != want || len(found) > 1 {
			t.Errorf("%q: %v, want %v", text, found, want)
		}
	}
}

func TestActionsAreThoseOfWhoIsNamed(t *testing.T) {
	const nobody, none = "", "none"
	for text, want := range map[string]string{
		"I will write the page by Friday.":        "usr_ada", // who speaks
		"I'll send it tomorrow.":                  "usr_ada",
		"Grace will call them.":                   "usr_grace",
		"Grace Hopper should look at it.":         "usr_grace",
		"Grace, can you send the minutes?":        "usr_grace",
		"Can you do it, Grace?":                   none,
		"Could you, Grace, do it?":                "usr_grace",
		"Tim will do it.":                         none, // which of them?
		"Tim Berners will do it.":                 "usr_tim2",
		"We need to book a room.":                 nobody,
		"The next step is a budget.":              nobody,
		"Grace will call, and Ada will write.":    none,
		"I will not do that.":                     none,
		"I'll be honest with you.":                none,
		"We should have done it.":                 none,
		"Shall I do it?":                          none,
		"Grace said that she likes the new page.": none,
	} {
		found := Extract(said(text)).Actions
		got := none
		if len(found) == 1 {
			got = string(found[0].Owner)
		}
		if got != want || len(found) == 1 && found[0].Text != text {
			t.Errorf("%q: %v, want %q", text, found, want)
		}
	}
}

func TestTasksOfTheNotesAreActions(t *testing.T) {
	m := said()
	m.Notes = "# Plan\n\n- [ ] Grace: write the page\n- [x] Book a room\n- [ ] Buy tea\n* TODO: ask the bank\nGrace: thanks to all\n"
	var got []string
	for _, a := range Extract(m).Actions {
		got = append(got, string(a.Owner)+" "+a.Text)
	}
	if want := []string{"usr_grace Grace: write the page", " Buy tea", " TODO: ask the bank"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDueDayIsToldWhereItIsClear(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		said time.Time
		want string // the day, "" where none is clear
	}{
		{"I will write it by Friday", sunday, "2026-03-06"},
		{"I will write it on Sunday", sunday, ""}, // today, or in a week?
		{"I will write it next Friday", sunday, ""},
		{"Friday was bad, I will write it", sunday, ""},
		{"I'll do it today", sunday, "2026-03-01"},
		{"I'll do it tomorrow", sunday.Add(12 * time.Hour), "2026-03-03"},
		{"I'll do it today or tomorrow", sunday, ""},
		{"in two weeks", sunday, "2026-03-15"},
		{"within 3 days", sunday, "2026-03-04"},
		{"by 2026-04-02", sunday, "2026-04-02"},
		{"by 2026-02-02", sunday, ""},  // which is over
		{"by 2026-02-31", sunday, ""},  // which is none
		{"by February 30", sunday, ""}, // as that
		{"by March 6", sunday, "2026-03-06"},
		{"by the 6th of March", sunday, "2026-03-06"},
		{"until February 2", sunday, "2027-02-02"},
		{"by the end of the month", sunday, "2026-03-31"},
		{"by Friday, March 6", sunday, "2026-03-06"},
		{"by Friday, March 7", sunday, ""},
		{"I'll do it tomorrow", time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC).In(berlin), "2026-03-03"},
		{"99999999999999999999-01-01 in 99 weeks on February 99", sunday, ""},
	} {
		got := due(c.text, c.said)
		if c.want == "" {
			if !got.IsZero() {
				t.Errorf("%q: %v", c.text, got)
			}
			continue
		}
		if got.Format(time.DateOnly) != c.want || got.Add(time.Millisecond).Format(time.TimeOnly) != "00:00:00" {
			t.Errorf("%q: %v, want the end of %s", c.text, got, c.want)
		}
	}
}

func TestSummaryIsWhatTheMeetingWasAbout(t *testing.T) {
	m := said(
		"Good morning to everyone who is here today. The launch budget is what we are here for. Can you hear me?",
		"Marketing wants a larger launch budget for the spring campaign. Marketing wants a larger budget for the spring campaign launch.",
		"My cat is on the table again. The spring campaign begins in four weeks, and it needs a launch budget.")
	found := Extract(m)
	if found.Facts != "The meeting took 45 minutes, and 1 person spoke." || len(found.Topics) == 0 || len(found.Topics) > 5 {
		t.Errorf("%+v", found)
	}
	var all []string
	for _, q := range found.Summary {
		all = append(all, q.Text)
	}
	text := strings.Join(all, " ")
	if strings.Contains(text, "cat") || strings.Contains(text, "?") || strings.Count(text, "Marketing") != 1 || !strings.Contains(text, "begins in four weeks") {
		t.Errorf("%q of topics %q", all, found.Topics)
	}
}

// Whatever is said, what is found is bounded, each sentence is in the material, where it
// is said to be, and the same material gives the same.
func TestFindingsAreQuotesAndBounded(t *testing.T) {
	word := rapid.SampledFrom(strings.Split("we|decided|agreed|I will|Grace will|ada|budget|launch|plan|by Friday|tomorrow|need to|.|. |?| !|\n|- [ ] |…|。|ä’ll|don't|é|\x00|日本|next step is|"+strings.Repeat("long", 90), "|"))
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 0, 60).Draw(t, "words"), " ")
	})
	rapid.Check(t, func(t *rapid.T) {
		m := said(rapid.SliceOfN(text, 0, 12).Draw(t, "said")...)
		m.Notes = text.Draw(t, "notes")
		for i, content := range rapid.SliceOfN(text, 0, 6).Draw(t, "posts") {
			m.Posts = append(m.Posts, Post{Seq: int64(i + 1), Position: int64(i + 1), User: "usr_grace", At: sunday, Content: content})
		}
		found := Extract(m)
		if again := Extract(m); !reflect.DeepEqual(found, again) {
			t.Fatalf("%+v\nand then %+v", found, again)
		}
		if len(found.Topics) > 5 || len(found.Summary) > 5 || len(found.Decisions) > 10 || len(found.Actions) > 20 {
			t.Fatalf("%d, %d, %d, %d", len(found.Topics), len(found.Summary), len(found.Decisions), len(found.Actions))
		}
		for _, all := range [][]Quote{found.Summary, found.Decisions, found.Actions} {
			for _, q := range all {
				if problem := misquoted(m, q); problem != "" {
					t.Fatalf("%q: %s", q.Text, problem)
				}
			}
		}
	})
}

// misquoted returns what is wrong with a quote, "" for nothing.
func misquoted(m Material, q Quote) string {
	seq, from, to := q.seq, q.message.from, q.message.to
	switch {
	case q.Text == "" || len(q.Text) > 300:
		return fmt.Sprint(len(q.Text), " bytes")
	case seq != 0:
		if p := m.Posts[seq-1]; p.Content[from:to] != q.Text {
			return "the message has " + p.Content[from:to]
		}
	case q.Segment != "":
		for _, h := range m.Heard {
			if strings.Contains(strings.Join(h.Pieces, " "), q.Text) {
				return ""
			}
		}
		return "nobody has said it"
	case !strings.Contains(m.Notes, q.Text):
		return "it is not in the notes"
	}
	return ""
}

func BenchmarkExtract(b *testing.B) {
	var texts []string
	for i := range 120 {
		texts = append(texts, fmt.Sprintf("We talked about launch %d and its budget. I will write the page %d by Friday. Marketing wants more of it, and nobody knows why.", i, i))
	}
	m := said(texts...)
	for b.Loop() {
		Extract(m)
	}
}
