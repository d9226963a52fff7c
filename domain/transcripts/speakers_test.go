package transcripts_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/transcripts"
)

func labelled(label string) transcripts.Draft {
	d := says("one two", 0)
	d.Label = label
	return d
}

func TestNamingASpeakerShowsEverywhere(t *testing.T) {
	r := newRoom(t)
	r.append(labelled("Speaker 1"), labelled("Speaker 2"))
	r.settle()
	before, err := r.store.Speakers(t.Context(), r.grace, r.id)
	if err != nil || len(before) != 2 || before[0] != (transcripts.Speaker{Label: "Speaker 1"}) {
		t.Errorf("%+v, %v", before, err)
	}
	named, err := r.store.Name(t.Context(), r.grace, r.id, "Speaker 1", r.grace.User)
	want := transcripts.Speaker{Label: "Speaker 1", User: r.grace.User, NamedBy: r.grace.User, NamedAt: r.now}
	if err != nil || named != want {
		t.Errorf("%+v, %v, want %+v", named, err, want)
	}
	if all := r.all(transcripts.Filter{}); all[0].Speaker != r.grace.User || all[0].Label != "Speaker 1" || all[1].Speaker != "" {
		t.Errorf("%+v", all)
	}
	if after, err := r.store.Speakers(t.Context(), r.grace, r.id); err != nil || after[0] != want || after[1] != before[1] {
		t.Errorf("%+v, %v", after, err)
	}
	if n := r.number(`SELECT count(*) FROM events WHERE meeting_id = ? AND type = ? AND actor_id = ?3 AND subject_id = ?3`, r.id, events.SpeakerNamed, r.grace.User); n != 1 {
		t.Errorf("%d events", n)
	}
	// What was said under it is theirs, and so is what is said from then on, also what was
	// read before they were named.
	spoken := func(want int64) {
		t.Helper()
		if got := r.state().Speaking; got.ByUserMs[r.grace.User] != want || got.TotalMs != want+1000 || got.Words != want/500+2 {
			t.Errorf("%+v, want %d ms", got, want)
		}
	}
	spoken(1000)
	r.append(labelled("Speaker 1"))
	r.settle()
	spoken(2000)
	// The same again changes nothing.
	commit := r.db.Committed()
	again, err := r.store.Name(t.Context(), r.ada, r.id, "Speaker 1", r.grace.User)
	if err != nil || again != want || r.db.Committed() != commit {
		t.Errorf("%+v, %v, commit %d after %d", again, err, r.db.Committed(), commit)
	}
}

func TestWhoDoesNotWantToBeCountedIsNamedOnly(t *testing.T) {
	r := newRoom(t)
	r.exec(`INSERT INTO settings (user_id, visibility, sharing, tracking, email, push, sms) VALUES (?, 'private', 0, 0, 0, 0, 0)`, r.grace.User)
	r.append(labelled("A"))
	r.settle()
	_, err := r.store.Name(t.Context(), r.grace, r.id, "A", r.grace.User)
	r.must(err)
	if got := r.state().Speaking; len(got.ByUserMs) != 0 || got.TotalMs != 1000 {
		t.Errorf("%+v", got)
	}
	// Neither do the statistics of the transcript name them, also of what is not settled
	// yet; whoever else spoke is named.
	said := says("three four", 2*time.Second)
	said.Speaker = r.grace.User
	another := says("five", 4*time.Second)
	another.Speaker = r.ada.User
	r.append(said, another)
	for range 2 {
		stats, err := r.store.Stats(t.Context(), r.ada, r.id)
		r.must(err)
		want := []transcripts.SpeakerStats{{Chunks: 2, Words: 4, SpokenMs: 2000}, {User: r.ada.User, Chunks: 1, Words: 1, SpokenMs: 1000}}
		if !reflect.DeepEqual(stats.Speakers, want) || stats.Words != 5 {
			t.Errorf("%+v", stats)
		}
		r.settle()
	}
	r.exec(`UPDATE settings SET tracking = 1`)
	stats, err := r.store.Stats(t.Context(), r.ada, r.id)
	if err != nil || len(stats.Speakers) != 2 || stats.Speakers[0].User != r.grace.User {
		t.Errorf("once they let it: %+v, %v", stats, err)
	}
}

func TestWhoMayNameWhom(t *testing.T) {
	r := newRoom(t)
	mallory := r.person("mallory")
	for _, c := range []struct {
		name  string
		who   domain.Actor
		label string
		user  domain.UserID
		kind  domain.Kind
	}{
		{"another, by a participant", r.grace, "A", r.ada.User, domain.Forbidden},
		{"an observer", r.vera, "A", r.vera.User, domain.Forbidden},
		{"who has not come", r.linus, "A", r.linus.User, domain.Forbidden},
		{"a stranger", mallory, "A", mallory.User, domain.NotFound},
		{"who is no member", r.ada, "A", mallory.User, domain.Invalid},
		{"no label", r.ada, "..", r.ada.User, domain.Invalid},
		{"a long label", r.ada, strings.Repeat("a", 65), r.ada.User, domain.Invalid},
	} {
		if _, err := r.store.Name(t.Context(), c.who, r.id, c.label, c.user); domain.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	_, err := r.store.Name(t.Context(), r.ada, r.id, "A", r.linus.User)
	r.must(err)
	for _, who := range []domain.Actor{r.grace, r.ada} {
		if _, err := r.store.Name(t.Context(), who, r.id, "A", who.User); domain.KindOf(err) != domain.Conflict {
			t.Errorf("a label that is another's: %v", err)
		}
	}
	_, err = r.meets.End(t.Context(), r.ada, r.id)
	r.must(err)
	if _, err := r.store.Name(t.Context(), r.grace, r.id, "B", r.grace.User); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestLabelsOfAMeetingAreBounded(t *testing.T) {
	r := newRoom(t)
	r.exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO speakers (meeting_id, label) SELECT ?1, 'n' || i FROM n`, r.id, transcripts.MaxSpeakers-1)
	r.append(labelled("last"), labelled("one too many"))
	r.settle()
	if n := r.number(`SELECT count(*) FROM speakers`); n != transcripts.MaxSpeakers {
		t.Errorf("%d labels", n)
	}
	if all := r.all(transcripts.Filter{}); len(all) != 2 {
		t.Errorf("%+v", all)
	}
	if _, err := r.store.Name(t.Context(), r.ada, r.id, "one too many", r.ada.User); domain.KindOf(err) != domain.Conflict {
		t.Error(err)
	}
	if _, err := r.store.Name(t.Context(), r.ada, r.id, "last", r.ada.User); err != nil {
		t.Error(err)
	}
}

func TestNamesStayAsLongAsTheTranscript(t *testing.T) {
	r := newRoom(t)
	r.append(labelled("A"))
	r.settle()
	_, err := r.store.Name(t.Context(), r.ada, r.id, "B", r.ada.User)
	r.must(err)
	forget := func() (n int64) {
		r.must(r.background(func(tx *write, m domain.MeetingID) (err error) {
			n, err = transcripts.Forget(tx, m)
			return err
		}))
		return n
	}
	if n := forget(); n != 0 {
		t.Errorf("%d names are gone before the transcript", n)
	}
	remove := func() (n int64) {
		r.must(r.background(func(tx *write, _ domain.MeetingID) (err error) {
			n, err = transcripts.Delete(tx, "", r.now)
			return err
		}))
		return n
	}
	if n := remove(); n != 1 {
		t.Errorf("%d chunks are gone", n)
	}
	if n := r.number(`SELECT count(*) FROM speakers`); n != 2 {
		t.Errorf("%d labels are left of a meeting that runs", n)
	}
	for forget() > 0 {
	}
	if n := r.number(`SELECT count(*) FROM speakers`); n != 0 {
		t.Errorf("%d names are left afterwards", n)
	}
	zero := int64(0)
	part, err := r.store.Feed(t.Context(), r.ada, r.id, transcripts.Filter{}, domain.Span{After: &zero, Limit: 1})
	if err != nil || part.Gone == 0 {
		t.Errorf("%+v, %v: it is not told that some are gone", part, err)
	}
	r.now = r.now.Add(time.Minute)
}
