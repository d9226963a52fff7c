package handlers_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// saying is a chunk of that text, with more members before it.
func saying(text, members string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{%s"text":%q,"confidence":0.5,"startMs":1000,"endMs":2000}`, members, text))
}

// speaks sends chunks.
func (p *person) speaks(meeting string, chunks ...json.RawMessage) {
	p.s.t.Helper()
	p.must("POST", meeting+"/transcripts", map[string]any{"chunks": chunks})
}

// whispered are the texts of an event or of a result.
func whispered(t testing.TB, data []byte) (texts []string) {
	t.Helper()
	var list struct {
		Items []struct {
			Text, SpeakerID string
			Position        *int64
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		if item.Position != nil {
			t.Fatalf("%s has a position", data)
		}
		texts = append(texts, item.Text)
	}
	return texts
}

// What is being said is told to those who follow the transcript, as far as their
// filters go, and not to who asks for it.
func TestWhatIsBeingSaidIsToldLive(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	path := meeting + "/transcripts"
	whole, alone := grace.follow(path), ada.follow(path+"?speaker=B")
	named, late := ada.follow(path+"?speaker="+string(grace.ID)), ada.follow(path+"?fromMs=5000")
	many := grace.follow(live(path))
	for _, st := range []*stream{whole, alone, named, late, many} {
		st.ready()
	}
	if got := many.round().Results; len(got) != 1 || got[0].Event != "items" {
		t.Fatalf("the first round has %+v", got)
	}
	ada.must("PUT", meeting+"/speakers/A", map[string]any{"userId": grace.ID})
	ada.speaks(meeting, saying("of A", `"interim":true,"speakerLabel":"A",`), saying("of B", `"interim":true,"speakerLabel":"B","utteranceId":"u",`))
	for st, want := range map[*stream][]string{whole: {"of A", "of B"}, alone: {"of B"}, named: {"of A"}} {
		if got := whispered(t, st.next("interim").Data); !slices.Equal(got, want) {
			t.Errorf("%s: told %q, want %q", st.name, got, want)
		}
	}
	r := many.round()
	if len(r.Results) != 1 || r.Results[0].Event != "interim" || !slices.Equal(whispered(t, r.Results[0].Body), []string{"of A", "of B"}) {
		t.Errorf("a round of %s", r.Results)
	}
	if got := grace.said(meeting); len(got) != 0 {
		t.Errorf("a GET answers %q", got)
	}
	ada.speaks(meeting, saying("final", `"speakerLabel":"B","utteranceId":"u",`), saying("later", `"interim":true,"speakerLabel":"B","utteranceId":"u",`))
	for _, st := range []*stream{whole, alone} {
		if e := st.next("items"); !strings.Contains(string(e.Data), `"final"`) {
			t.Errorf("%s: %s", st.name, e.Data)
		}
	}
	ada.speaks(meeting, saying("too late", `"interim":true,"speakerLabel":"B","utteranceId":"u",`))
	ada.speaks(meeting, saying("of C", `"interim":true,"speakerLabel":"C",`))
	if got := whispered(t, whole.next("interim").Data); !slices.Equal(got, []string{"of C"}) {
		t.Errorf("told %q", got)
	}
	ada.speaks(meeting, json.RawMessage(`{"text":"at last","confidence":1,"startMs":5000,"endMs":6000,"interim":true}`))
	if got := whispered(t, late.next("interim").Data); !slices.Equal(got, []string{"at last"}) {
		t.Errorf("told %q", got)
	}
}

// Who may not read the transcript any more is not told what is being said after
// that.
func TestWhoHasLeftIsNotToldWhatIsBeingSaid(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	for range 20 {
		meeting := joined(ada, grace)
		st := grace.follow(meeting + "/transcripts")
		st.ready()
		ada.speaks(meeting, saying("before", `"interim":true,`))
		st.next("interim")
		grace.must("POST", meeting+"/leave", nil)
		ada.speaks(meeting, saying("after", `"interim":true,`))
		st.endsWith("forbidden")
	}
}

// Who comes after a transcript was deleted is not told what was not final of it.
func TestWhatWasNotFinalGoesWithTheTranscript(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	st := grace.follow(meeting + "/transcripts")
	st.ready()
	ada.speaks(meeting, saying("never final", `"interim":true,`))
	st.next("interim")
	ada.must("POST", meeting+"/end", nil)
	ada.must("DELETE", meeting+"/transcripts", nil)
	if e := st.next("items"); !strings.Contains(string(e.Data), `"truncated":true`) {
		t.Errorf("who follows it is told %s", e.Data)
	}
	late := ada.follow(meeting + "/transcripts?heartbeat=1")
	late.ready()
	late.quietUntil(s.DB.Committed())
}
