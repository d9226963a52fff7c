package transcripts_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
)

// benchChunks is how many chunks a search looks for words in, and an export exports.
const (
	benchChunks   = 1_000_000
	benchExported = 50_000
	benchBlock    = 2000 // chunks of a transaction
)

const insertBench = `
INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
VALUES (?, ?, ?, ?, ?, 0.9, ?, ?, 'en', '', ?)`

// talk fills the room's meeting with chunks of a dozen words each, common ones more
// often, as they are in a language, and settles them.
func (r *room) talk(b *testing.B, n int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 4, 20_000)
	for done := 0; done < n; done += benchBlock {
		r.must(r.db.Write(b.Context(), func(tx *db.WriteTx) error {
			chunks := make([]transcripts.Chunk, min(benchBlock, n-done))
			for i := range chunks {
				var text strings.Builder
				if i%2 == 0 {
					text.WriteString("the ") // as in English: no beginning is more common
				}
				for range 12 {
					text.WriteString(word(zipf.Uint64()) + " ")
				}
				start := time.Duration(done+i) * 500 * time.Millisecond
				c := transcripts.Chunk{Position: tx.Next(), Start: start, End: start + time.Second/2, Confidence: 0.9, Language: "en", Text: text.String()}
				if c.Label = fmt.Sprint("Speaker ", (done+i)/7%5); done+i < 100 {
					c.Label, c.Speaker = "", r.grace.User
				}
				chunks[i] = c
				if _, err := tx.Exec(insertBench, c.Position, r.id, r.now.UnixMilli(), start.Milliseconds(), c.End.Milliseconds(), c.Speaker, c.Label, c.Text); err != nil {
					return err
				}
			}
			return transcripts.Derive(tx, r.id, chunks)
		}))
	}
}

// word returns the i-th most common word of the language of the benchmark.
func word(i uint64) string {
	const consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
	var b strings.Builder
	for i += 20; i > 0; i /= uint64(len(consonants) * len(vowels)) {
		k := i % uint64(len(consonants)*len(vowels))
		b.WriteByte(consonants[k/uint64(len(vowels))])
		b.WriteByte(vowels[k%uint64(len(vowels))])
	}
	return b.String()
}

// BenchmarkSearch looks for words in a million chunks of one meeting.
func BenchmarkSearch(b *testing.B) {
	r := newRoom(b)
	r.talk(b, benchChunks)
	for _, c := range []struct {
		name, query string
		filter      transcripts.Filter
	}{
		{"common word", word(0), transcripts.Filter{}},
		{"rare word", word(15_000), transcripts.Filter{}},
		{"two words", word(1) + " " + word(900), transcripts.Filter{}},
		{"prefix", word(400)[:3], transcripts.Filter{}},
		{"common prefix", word(80)[:3], transcripts.Filter{}},
		{"commonest prefix", "the", transcripts.Filter{}},
		{"commonest prefix of who said little", "the", transcripts.Filter{Speaker: string(r.grace.User)}},
		{"rare word and commonest prefix", word(15_000) + " the", transcripts.Filter{}},
		{"word of a speaker", word(50), transcripts.Filter{Speaker: "Speaker 3"}},
		{"common word of who said little", word(0), transcripts.Filter{Speaker: string(r.grace.User)}},
		{"common word of the first minute", word(0), transcripts.Filter{To: time.Minute}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			n := 0
			for b.Loop() {
				began := time.Now()
				found, _, err := r.store.Search(b.Context(), r.ada, r.id, c.query, c.filter, domain.MaxNumber, domain.DefaultPage)
				r.must(err)
				took = append(took, time.Since(began))
				n = len(found)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(n), "found")
		})
	}
}
