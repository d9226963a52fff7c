package transcripts_test

import (
	"slices"
	"testing"
	"time"

	"connvo/domain/transcripts"
)

func TestWhatIsSaidIsReadInItsOrder(t *testing.T) {
	r := newRoom(t)
	d := says("  Hello  ", 0)
	d.Speaker, d.Language, d.Utterance = r.grace.User, "en", "u1"
	first := r.append(d, says("World", time.Second))
	second := r.append(says("Again", 2*time.Second))
	all := r.all(transcripts.Filter{})
	var positions []int64
	for _, c := range all {
		positions = append(positions, c.Position)
	}
	if !slices.Equal(positions, append(first, second...)) || !slices.IsSorted(positions) {
		t.Fatalf("%v, appended %v and %v", positions, first, second)
	}
	want := transcripts.Chunk{Position: first[0], Meeting: r.id, Speaker: r.grace.User, Text: "  Hello  ", Confidence: 0.9, End: time.Second,
		Language: "en", Utterance: "u1", CreatedAt: r.now}
	if all[0] != want {
		t.Errorf("%+v, want %+v", all[0], want)
	}
}

func TestSettlingCountsEachChunkOnce(t *testing.T) {
	r := newRoom(t)
	r.now = r.now.Add(time.Hour)
	for i := range 25 {
		d := says("one two three", time.Duration(i)*time.Second)
		d.Speaker = r.grace.User
		r.append(d, says("four", time.Duration(i)*time.Second))
	}
	r.settle()
	r.settle()
	if got := r.state().Speaking; got.TotalMs != 50_000 || got.ByUserMs[r.grace.User] != 25_000 || got.Words != 100 {
		t.Errorf("%+v", got)
	}
}
