package scribe_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connvo/ai/aitest"
	"connvo/db"
	"connvo/domain/conversation"
	"connvo/domain/transcripts"
	"connvo/jobs"
	"connvo/scribe"
)

// echo says what is in the file.
func echo(c aitest.Call) aitest.Reply { return aitest.Words(string(c.Sound)) }

// once answers the first call of each file with the replies of its name in turn, then
// echoes.
func once(replies map[string][]aitest.Reply) func(aitest.Call) aitest.Reply {
	var mu sync.Mutex
	return func(c aitest.Call) aitest.Reply {
		mu.Lock()
		defer mu.Unlock()
		left := replies[string(c.Sound)]
		if len(left) == 0 {
			return echo(c)
		}
		replies[string(c.Sound)] = left[1:]
		return left[0]
	}
}

// A piece becomes a chunk of its speaker, with what the endpoint tells of it.
func TestPieceBecomesAChunk(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 1, once(map[string][]aitest.Reply{
		"pear": {{Body: `{"text":"Pear","language":"german","segments":[{"start":0.5,"end":1.2504,"text":" Pear","avg_logprob":0,"no_speech_prob":0}]}`}},
		"plum": {{Body: `{"text":"Plum","language":"english","segments":[{"start":0.5,"end":30,"text":" Plum","avg_logprob":0,"no_speech_prob":0}]}`}},
	}))
	r.start()
	for i, want := range []transcripts.Chunk{
		{Text: "Pear", Confidence: 1, Start: 500 * time.Millisecond, End: 1250 * time.Millisecond, Language: "de"},
		{Text: "Plum", Confidence: 1, Start: 10500 * time.Millisecond, End: 12 * time.Second, Language: "en"},
		{Text: "apple", Confidence: 0.5, Start: 20 * time.Second, End: 22 * time.Second},
	} {
		p := r.say(0, time.Duration(i)*10*time.Second, strings.ToLower(want.Text))
		r.await(scribe.Words, 1)
		got := r.transcript()[i]
		want.Position, want.Meeting, want.Speaker, want.Utterance, want.CreatedAt = got.Position, r.id, r.people[0].User, string(p.ID()), got.CreatedAt
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if c := r.end.Calls()[0]; !strings.HasPrefix(c.Name, "aud_") || !strings.HasSuffix(c.Name, ".wav") || r.waiting() != 0 {
		t.Errorf("%+v; %d wait", c, r.waiting())
	}
}

// Whatever the endpoint does first, what it can transcribe in the end is there once,
// and what it cannot is dropped.
func TestEndpointThatFailsIsAskedAgain(t *testing.T) {
	t.Parallel()
	status := func(code int) aitest.Reply { return aitest.Reply{Status: code} }
	later := aitest.Reply{Status: 429, Header: http.Header{"Retry-After": {"3"}}}
	kinds := []string{"at once", "failing", "limited", "garbage", "hanging", "unsure", "silent", "refused", "endless"}
	first := once(map[string][]aitest.Reply{
		"failing": {status(500), status(502), status(500)},
		"limited": {later, later},
		"garbage": {{Body: "pear"}, {Body: `{}`}},
		"hanging": {{Hang: true}},
		"unsure":  {status(401)},
	})
	ever := map[string]aitest.Reply{"silent": aitest.Words("  "), "refused": status(400), "endless": aitest.Words(strings.Repeat("pear ", 2001))}
	r := newRoom(t, len(kinds), func(c aitest.Call) aitest.Reply {
		if reply, found := ever[string(c.Sound)]; found {
			return reply
		}
		return first(c)
	})
	for i, kind := range kinds {
		r.say(i, 0, kind)
	}
	r.start()
	r.await(scribe.Words, 6)
	texts := r.texts()
	slices.Sort(texts)
	if got := fmt.Sprint(texts); got != "[at once failing garbage hanging limited unsure]" {
		t.Errorf("%s is said", got)
	}
	for r.waiting() > 0 {
		<-r.called // the last ones that are dropped
	}
	if n := strings.Count(r.said(), "a piece of audio is dropped"); n != 2 {
		t.Errorf("%d refusals are logged: %s", n, r.said())
	}
}

// What one says is transcribed in order, one after the other, while others speak: as
// many at a time as there may be.
func TestSpeakersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const people, each, calls = 10, 6, 8
	full := make(chan struct{})
	var mu sync.Mutex // guards the rest
	under, begun := map[byte]int{}, 0
	r := newRoom(t, people, func(c aitest.Call) aitest.Reply {
		mu.Lock()
		if under[c.Sound[0]]++; under[c.Sound[0]] > 1 {
			t.Errorf("%q: two pieces of one speaker at a time", c.Sound)
		}
		if begun++; begun == calls {
			close(full)
		}
		late := time.Duration(begun*7%5) * time.Millisecond // not all are answered as they came
		mu.Unlock()
		select {
		case <-full:
		case <-t.Context().Done(): // it never is
		}
		timer := time.NewTimer(late)
		<-timer.C
		mu.Lock()
		defer mu.Unlock()
		under[c.Sound[0]]--
		return echo(c)
	})
	for i := range each {
		for who := range people {
			at := (i*5 + 3) % each // they do not come in the order in which they were said
			r.say(who, time.Duration(at)*2*time.Second, fmt.Sprintf("%c%d", 'a'+who, at))
		}
	}
	r.start()
	r.await(scribe.Words, people*each)
	last := map[byte]string{}
	for _, text := range r.texts() {
		if text <= last[text[0]] {
			t.Errorf("%s comes after %s", text, last[text[0]])
		}
		last[text[0]] = text
	}
	if len(r.transcript()) != people*each || r.waiting() != 0 || r.end.Most() != calls {
		t.Errorf("%d chunks, %d wait, %d calls at a time", len(r.transcript()), r.waiting(), r.end.Most())
	}
}

// A piece that fails holds up its speaker only, and not for ever.
func TestPieceThatFailsIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 2, func(c aitest.Call) aitest.Reply {
		if string(c.Sound) == "noise" {
			return aitest.Reply{Status: 500}
		}
		return echo(c)
	})
	r.say(0, 0, "noise")
	r.say(0, 2*time.Second, "one")
	r.start()
	r.await(scribe.Failed, 1)
	r.say(1, 0, "another")
	r.await(scribe.Words, 1)
	if got := r.texts(); len(got) != 1 || got[0] != "another" {
		t.Errorf("%v is said", got)
	}
	r.awaitGivenUp()
	r.await(scribe.Words, 1)
	tries := 0
	for _, c := range r.end.Calls() {
		if string(c.Sound) == "noise" {
			tries++
		}
	}
	if tries != 10 || r.waiting() != 0 || !strings.Contains(r.said(), "given up") {
		t.Errorf("%d tries; %d wait; %s", tries, r.waiting(), r.said())
	}
}

func TestPieceThatHasWaitedForTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 1, echo)
	r.say(0, 0, "old")
	r.pass(50 * time.Minute)
	r.say(0, 0, "new")
	r.start()
	r.awaitGivenUp()
	r.await(scribe.Words, 1)
	if got := r.texts(); len(got) != 1 || got[0] != "new" || len(r.end.Calls()) != 1 {
		t.Errorf("%v is said; %d calls", got, len(r.end.Calls()))
	}
}

// Words that cannot be stored are transcribed again once they can be, however often that
// takes.
func TestWordsThatCannotBeStoredAreTranscribedAgain(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 1, echo)
	exec := func(query string) {
		r.must(r.db.Write(t.Context(), func(tx *db.WriteTx) error {
			_, err := tx.Exec(query)
			return err
		}))
	}
	exec(`CREATE TRIGGER full BEFORE INSERT ON transcripts BEGIN SELECT RAISE(ABORT, 'full'); END`)
	r.say(0, 0, "hello")
	r.start()
	r.await(scribe.Words, 3)
	exec(`DROP TRIGGER full`)
	for len(r.transcript()) == 0 {
		r.await(scribe.Words, 1)
	}
	if got := r.texts(); len(got) != 1 || r.waiting() != 0 || !strings.Contains(r.said(), "store what has become") {
		t.Errorf("%v is said; %d wait; %s", got, r.waiting(), r.said())
	}
}

// Who is erased while their words are being transcribed has said nothing.
func TestWordsOfTheErasedAreNotStored(t *testing.T) {
	t.Parallel()
	asked, erased := make(chan struct{}), make(chan struct{})
	r := newRoom(t, 1, func(c aitest.Call) aitest.Reply {
		close(asked)
		<-erased
		return echo(c)
	})
	r.say(0, 0, "pear")
	r.start()
	<-asked
	r.must(r.db.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(`DELETE FROM audio`)
		return err
	}))
	close(erased)
	r.await(scribe.Words, 1)
	if got := r.texts(); len(got) != 0 {
		t.Errorf("%v is said", got)
	}
}

// A call that is cut off at the end of the program is made again after the next start.
func TestCallsAreCutOffAndMadeAgain(t *testing.T) {
	t.Parallel()
	asked, replies := make(chan struct{}, 2), once(map[string][]aitest.Reply{"pear": {{Hang: true}}})
	r := newRoom(t, 1, func(c aitest.Call) aitest.Reply {
		asked <- struct{}{}
		return replies(c)
	})
	r.say(0, 0, "pear")
	r.scribe.Start()
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.scribe.Stop(ctx)
	if r.waiting() != 1 || len(r.called) != 0 {
		t.Fatalf("%d wait; %s", r.waiting(), r.said())
	}
	r.scribe = r.newScribe()
	r.start()
	r.await(scribe.Words, 1)
	if got := r.texts(); len(got) != 1 || r.waiting() != 0 {
		t.Errorf("%v is said", got)
	}
}

// What was accepted before the end is transcribed after it, and all that follows from
// a transcript follows from it.
func TestWhatWasAcceptedBeforeTheEndIsTranscribed(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 2, echo)
	r.say(1, 3*time.Second, "two words")
	_, err := r.meets.End(t.Context(), r.people[0], r.id)
	r.must(err)
	r.start()
	r.await(scribe.Words, 1)
	effect, err := transcripts.NewSettler(r.db).Settle(t.Context(), jobs.Task{Kind: transcripts.Settle})
	r.must(err)
	r.must(r.db.WriteBackground(t.Context(), effect))
	r.must(r.db.WriteBackground(t.Context(), func(tx *db.WriteTx) error { return transcripts.NoticeLull(tx, r.id) }))
	state, err := conversation.NewStore(r.db).State(t.Context(), r.people[0], r.id)
	r.must(err)
	if s := state.Speaking; s.ByUserMs[r.people[1].User] != 2000 || s.Words != 2 || state.Lull != (conversation.Lull{Severity: conversation.None}) {
		t.Errorf("%+v", state)
	}
	segments, _, err := transcripts.NewStore(r.db, nil).Segments(t.Context(), r.people[0], r.id, transcripts.Filter{}, transcripts.Place{}, 10)
	r.must(err)
	if len(segments) != 1 || segments[0].Text() != "two words" {
		t.Errorf("%+v", segments)
	}
}
