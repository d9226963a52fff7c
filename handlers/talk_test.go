package handlers_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/analytics"
	talk "connvo/domain/conversation"
)

// meetingIDOf is the id of the meeting at the path.
func meetingIDOf(meeting string) domain.MeetingID {
	return domain.MeetingID(strings.TrimPrefix(meeting, "/v1/meetings/"))
}

// hear changes what goes on in a meeting as the packages above it do.
func (s *server) hear(change func(tx *db.WriteTx) error) {
	s.t.Helper()
	if err := s.DB.Write(s.t.Context(), change); err != nil {
		s.t.Fatal(err)
	}
}

// said is an utterance with offsets in milliseconds.
func said(who domain.UserID, start, end int64) talk.Utterance {
	return talk.Utterance{Speaker: who, Start: time.Duration(start) * time.Millisecond, End: time.Duration(end) * time.Millisecond, Words: 2}
}

func TestStateIsFollowedAsPeopleTalk(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "observer")
	id := meetingIDOf(meeting)
	st := grace.follow(meeting + "/state?heartbeat=1")
	st.next("ready")
	hears := func(what string) {
		t.Helper()
		var got struct {
			Active                   bool
			StartedAt, EndedAt       *string
			SpeakingStats, Lull      json.RawMessage
			Topics                   []string
			Recording, Transcription bool
		}
		if err := json.Unmarshal(st.next("snapshot").Data, &got); err != nil {
			t.Fatal(err)
		}
		words := []string{string(got.SpeakingStats), string(got.Lull), strings.Join(got.Topics, "+")}
		if got.Active {
			words = append(words, "active")
		}
		if got.Recording {
			words = append(words, "recorded")
		}
		if is := strings.NewReplacer(string(ada.ID), "ada", string(grace.ID), "grace").Replace(strings.Join(words, " ")); is != what {
			t.Fatalf("%s\nwant %s", is, what)
		}
	}
	const silence, none = `{"totalMs":0,"byUserMs":{},"windowMs":0,"windowByUserMs":{}} `, `{"detected":false,"since":null,"severity":"none"} `
	hears(silence + none)
	grace.must("GET", meeting+"/state", nil)
	ada.must("POST", meeting+"/start", nil)
	if e := st.next("problem"); !strings.Contains(string(e.Data), "forbidden") {
		t.Fatalf("who has not joined an active meeting is told %s", e.Data)
	}
	grace.must("POST", meeting+"/join", nil)
	st = grace.follow(meeting + "/state?heartbeat=1")
	st.next("ready")
	hears(silence + none + " active")

	s.hear(func(tx *db.WriteTx) error {
		return talk.Speak(tx, id, said(ada.ID, 0, 4000), said(grace.ID, 4000, 5000), said(talk.Unnamed, 5000, 5500))
	})
	hears(`{"totalMs":5500,"byUserMs":{"ada":4000,"grace":1000},"windowMs":5500,"windowByUserMs":{"ada":4000,"grace":1000}} ` + none + " active")
	s.hear(func(tx *db.WriteTx) error { return talk.Speak(tx, id, said(grace.ID, 301_000, 302_000)) })
	const spoken = `{"totalMs":6500,"byUserMs":{"ada":4000,"grace":2000},"windowMs":1000,"windowByUserMs":{"grace":1000}} `
	hears(spoken + none + " active")

	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lull := func(severity talk.Severity) func(tx *db.WriteTx) error {
		return func(tx *db.WriteTx) error {
			return talk.SetLull(tx, id, talk.Lull{Since: since, Severity: severity})
		}
	}
	s.hear(lull(talk.Mild))
	hears(spoken + `{"detected":true,"since":"2026-03-01T12:00:00.000Z","severity":"mild"}  active`)
	s.hear(lull(talk.Severe))
	severe := `{"detected":true,"since":"2026-03-01T12:00:00.000Z","severity":"severe"} `
	hears(spoken + severe + " active")
	s.hear(lull(talk.Severe)) // which is so already
	st.quietUntil(s.DB.Committed())
	s.hear(func(tx *db.WriteTx) error { return talk.SetTopics(tx, id, []string{"budget", "hiring"}) })
	hears(spoken + severe + "budget+hiring active")
	s.hear(func(tx *db.WriteTx) error { return talk.SetRecording(tx, id, true) })
	hears(spoken + severe + "budget+hiring active recorded")

	// What does not concern the state is not told.
	ada.must("PATCH", meeting, `{"title":"Another"}`)
	ada.say(meeting, "Hello")
	st.quietUntil(s.DB.Committed())

	// The end of the meeting is that of its lull and its recording.
	ada.must("POST", meeting+"/end", nil)
	hears(spoken + none + "budget+hiring")
	s.hear(lull(talk.Mild))
	s.hear(func(tx *db.WriteTx) error { return talk.SetRecording(tx, id, true) })
	st.quietUntil(s.DB.Committed())
}

func TestRatingsAreFollowedInTheAnalytics(t *testing.T) {
	s := newServer(t)
	ada, grace, linus := s.signIn("ada"), s.signIn("grace"), s.signIn("linus")
	meeting := ada.plan("Plan", grace, "observer", linus, "participant")
	ada.must("POST", meeting+"/start", nil)
	grace.must("POST", meeting+"/join", nil)
	ada.say(meeting, "Hello")
	ada.must("POST", meeting+"/end", nil)
	st := linus.follow(meeting + "/analytics?heartbeat=1")
	st.next("ready")
	rated := func() *float64 {
		t.Helper()
		var got struct{ AverageRating *float64 }
		if err := json.Unmarshal(st.next("snapshot").Data, &got); err != nil {
			t.Fatal(err)
		}
		return got.AverageRating
	}
	if r := rated(); r != nil {
		t.Errorf("rated %v by nobody", *r)
	}
	for _, c := range []struct {
		by      *person
		rating  string
		average float64
	}{{ada, "5", 5}, {grace, "2", 3.5}, {grace, "4", 4.5}} {
		c.by.must("POST", meeting+"/rating", `{"rating":`+c.rating+`,"comment":"Well"}`)
		if r := rated(); r == nil || *r != c.average {
			t.Errorf("%v after %s, want %v", r, c.rating, c.average)
		}
	}
	// The job that stores the counts changes no answer; nor does what comes after
	// the end.
	ada.say(meeting, "Late")
	store, err := analytics.NewStore(s.DB).Count(t.Context(), meetingIDOf(meeting))
	if err != nil {
		t.Fatal(err)
	}
	s.hear(store)
	ada.say(meeting, "Later")
	st.quietUntil(s.DB.Committed())
	if a := linus.do("POST", meeting+"/rating", `{"rating":5}`); a.code() != "forbidden" {
		t.Errorf("who never joined has rated: %d %s", a.Status, a.Body)
	}
}

// hear lets something go on in a meeting, or a job count it that has ended, below
// the API.
func (w *lawWorld) hear(t *rapid.T) {
	id := domain.MeetingID(rapid.SampledFrom(w.meetings).Draw(t, "meeting"))
	speaker := domain.UserID(rapid.SampledFrom(append([]string{""}, w.people...)).Draw(t, "speaker"))
	start := rapid.Int64Range(0, 600_000).Draw(t, "start")
	length := rapid.Int64Range(0, 30_000).Draw(t, "length")
	severity := rapid.SampledFrom([]talk.Severity{talk.None, talk.Mild, talk.Severe}).Draw(t, "severity")
	topics := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(t, "topics")
	recording := rapid.Bool().Draw(t, "recording")
	store, err := analytics.NewStore(w.server.db).Count(w.server.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	what := rapid.SampledFrom([]func(tx *db.WriteTx) error{
		func(tx *db.WriteTx) error { return talk.Speak(tx, id, said(speaker, start, start+length)) },
		func(tx *db.WriteTx) error {
			return talk.SetLull(tx, id, talk.Lull{Since: time.UnixMilli(start), Severity: severity})
		},
		func(tx *db.WriteTx) error { return talk.SetTopics(tx, id, topics) },
		func(tx *db.WriteTx) error { return talk.SetRecording(tx, id, recording) },
		func(tx *db.WriteTx) error {
			ended, err := db.One(tx, db.Int, `SELECT count(*) FROM meetings WHERE id = ? AND state = 'concluded'`, id)
			if err != nil || ended == 0 {
				return err // the job is of its end
			}
			return store(tx)
		},
	}).Draw(t, "what")
	err = w.server.db.Write(w.server.ctx, func(tx *db.WriteTx) error {
		if err := what(tx); err != nil {
			return err
		}
		w.commit = max(w.commit, tx.Number())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
