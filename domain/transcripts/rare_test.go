package transcripts_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/transcripts"
)

// hears stores so many chunks of half a second each, as they are with nothing that
// follows from them, under the labels that of gives.
func (r *room) hears(n int, of func(i int) string) (chunks []transcripts.Chunk) {
	r.t.Helper()
	labels := make([]string, n)
	for i := range n {
		start := time.Duration(i) * time.Second / 2
		labels[i] = of(i)
		chunks = append(chunks, transcripts.Chunk{Start: start, End: start + time.Second/2, Confidence: 0.9, Label: labels[i], Language: "en", Text: fmt.Sprint("word ", i)})
	}
	list, err := json.Marshal(labels)
	r.must(err)
	r.must(r.db.Write(r.t.Context(), func(tx *write) error {
		first := tx.Number() + 1
		for i := range chunks {
			chunks[i].Position = tx.Next()
		}
		_, err := tx.Exec(`
			INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
			SELECT ?1 + key, ?2, ?3, 500 * key, 500 * key + 500, 0.9, '', value, 'en', '', 'word ' || key FROM json_each(?4)`,
			first, r.id, r.now.UnixMilli(), string(list))
		return err
	}))
	return chunks
}

// rarely is the label of the i-th of many chunks: of two it is another.
func rarely(i int) string {
	if i == 100 || i == 2100 {
		return "Rare"
	}
	return string(rune('A' + i%2))
}

// walk reads all that the filter leaves, page by page, from the beginning or the newest
// page first, and returns it with how many pages there were.
func (r *room) walk(f transcripts.Filter, forward bool) (all []transcripts.Chunk, pages int) {
	r.t.Helper()
	span := domain.Span{Limit: domain.MaxFeedPage}
	if forward {
		span.After = new(int64)
	}
	for more := true; more; pages++ {
		part, err := r.store.Feed(r.t.Context(), r.ada, r.id, f, span)
		r.must(err)
		next := part.Looked
		if forward {
			all = append(all, part.Items...)
			if next == 0 && part.More {
				next = part.Items[len(part.Items)-1].Position
			}
			span.After = &next
		} else {
			all = append(part.Items, all...)
			if next == 0 && part.More {
				next = part.Items[0].Position
			}
			span.Before = &next
		}
		if more = part.More; pages > 100 {
			r.t.Fatal("it goes on for ever")
		}
	}
	return all, pages
}

// What a filter leaves little of is looked for some thousand chunks
// at a time, in either direction, and nothing of it is lost.
func TestWhoSaidLittleIsLookedForAPartAtATime(t *testing.T) {
	r := newRoom(t)
	all := positionsOf(r.hears(4100, rarely))
	meeting := r.id
	first, second := all[100], all[2100]
	var often []int64
	for i := 0; i < 100; i += 2 {
		often = append(often, all[i])
	}
	for name, test := range map[string]struct {
		filter transcripts.Filter
		want   []int64
		pages  int
	}{
		"rare":          {transcripts.Filter{Speaker: "Rare"}, []int64{first, second}, 3},
		"nobody":        {transcripts.Filter{Speaker: "Nobody"}, nil, 3},
		"at first":      {transcripts.Filter{Speaker: "Rare", To: 10 * time.Minute}, []int64{first}, 3},
		"an instant":    {transcripts.Filter{From: 50 * time.Second, To: 50*time.Second + time.Millisecond}, []int64{first}, 3},
		"who says much": {transcripts.Filter{Speaker: "A", To: 50 * time.Second}, often, 3},
	} {
		for _, forward := range []bool{true, false} {
			if got, pages := r.walk(test.filter, forward); !slices.Equal(positionsOf(got), test.want) || pages != test.pages {
				t.Errorf("%s, forward %v: %v on %d pages, want %v", name, forward, positionsOf(got), pages, test.want)
			}
		}
	}
	r.id = r.start()
	r.hears(10, rarely)
	if got, pages := r.walk(transcripts.Filter{Speaker: "Rare"}, true); len(got) != 0 || pages != 1 {
		t.Errorf("in another meeting %v on %d pages", got, pages)
	}
	r.id = meeting
	part, err := r.store.Feed(t.Context(), r.ada, r.id, transcripts.Filter{Speaker: "A"}, domain.Span{After: new(int64), Limit: 3})
	if err != nil || len(part.Items) != 3 || !part.More || part.Looked != 0 {
		t.Errorf("where much is left %+v, %v", part, err)
	}
}

// The same holds of the list of segments.
func TestSegmentsOfWhoSaidLittleAreLookedForAPartAtATime(t *testing.T) {
	r := newRoom(t)
	chunks := r.hears(2150, rarely)
	r.must(r.db.Write(t.Context(), func(tx *write) error { return transcripts.Derive(tx, r.id, chunks) }))
	r.append(says("not settled", time.Hour))
	for name, test := range map[string]struct {
		filter transcripts.Filter
		want   []string
		pages  int
	}{
		"rare":       {transcripts.Filter{Speaker: "Rare"}, []string{"word 100", "word 2100"}, 3},
		"early":      {transcripts.Filter{Speaker: "Rare", To: 5 * time.Minute}, []string{"word 100"}, 1},
		"late":       {transcripts.Filter{Speaker: "Rare", From: 15 * time.Minute}, []string{"word 2100"}, 1},
		"an instant": {transcripts.Filter{From: 50 * time.Second, To: 50*time.Second + time.Millisecond}, []string{"word 100"}, 1},
		"the newest": {transcripts.Filter{From: 59 * time.Minute}, []string{"not settled"}, 1},
	} {
		var got []string
		var next transcripts.Place
		pages := 0
		for ; pages == 0 || next != (transcripts.Place{}); pages++ {
			page, after, err := r.store.Segments(t.Context(), r.ada, r.id, test.filter, next, 50)
			r.must(err)
			for _, s := range page {
				got = append(got, s.Text())
			}
			next = after
		}
		if !slices.Equal(got, test.want) || pages != test.pages {
			t.Errorf("%s: %q on %d pages, want %q", name, got, pages, test.want)
		}
	}
}

// Words that begin as many others do are found a part at a time, whoever has said
// them, settled or not, and none is lost.
func TestCommonBeginningsAreFoundAPartAtATime(t *testing.T) {
	r := newRoom(t)
	chunks := r.hears(4100, rarely)
	r.must(r.db.Write(t.Context(), func(tx *write) error { return transcripts.Derive(tx, r.id, chunks) }))
	all := append(positionsOf(chunks), r.append(says("word by word", time.Hour), says("no other", time.Hour))[0])
	slices.Reverse(all)
	rare := []int64{chunks[2100].Position, chunks[100].Position}
	for name, test := range map[string]struct {
		query  string
		filter transcripts.Filter
		want   []int64
		pages  int
	}{
		"a beginning":             {"wor", transcripts.Filter{}, all, 42},
		"a word":                  {"WORD", transcripts.Filter{}, all, 42},
		"of who said little":      {"wor", transcripts.Filter{Speaker: "Rare"}, rare, 3},
		"with a rare word":        {"2100 wor", transcripts.Filter{}, rare[:1], 1},
		"with two common words":   {"word wor", transcripts.Filter{}, all, 42},
		"with a word of nobody":   {"zucchini wor", transcripts.Filter{}, nil, 1},
		"a beginning that is not": {"worx", transcripts.Filter{}, nil, 1},
	} {
		var got []int64
		pages := 0
		for below := int64(domain.MaxNumber); below != 0; pages++ {
			found, more, err := r.store.Search(t.Context(), r.ada, r.id, test.query, test.filter, below, 100)
			r.must(err)
			for _, f := range found {
				got = append(got, f.Position)
			}
			below = more
		}
		if !slices.Equal(got, test.want) || pages != test.pages {
			t.Errorf("%s: %d found on %d pages, want %d on %d", name, len(got), pages, len(test.want), test.pages)
		}
	}
}
