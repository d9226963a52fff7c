package transcripts

import (
	"strings"
	"testing"

	"connvo/domain"
)

// A transaction settles so many chunks, or so much text, or of so many meetings, and one
// chunk at least.
func TestPortionsKeepTheirBounds(t *testing.T) {
	said := func(n, size int, meetings ...domain.MeetingID) (chunks []Chunk) {
		for _, m := range meetings {
			for i := range n {
				chunks = append(chunks, Chunk{Meeting: m, Position: int64(i + 1), Text: strings.Repeat("x", size)})
			}
		}
		return chunks
	}
	var many []domain.MeetingID
	for i := range maxMeetings + 1 {
		many = append(many, domain.MeetingID(rune('a'+i)))
	}
	for name, test := range map[string]struct {
		chunks  []Chunk
		n, runs int
	}{
		"few":           {said(3, 10, "a", "b"), 6, 2},
		"many":          {said(maxPortion, 10, "a", "b"), maxPortion, 1},
		"of two":        {said(maxPortion/2+1, 10, "a", "b"), maxPortion, 2},
		"much text":     {said(9, portionText/4, "a"), 4, 1},
		"a long one":    {said(2, 2*portionText, "a"), 1, 1},
		"many meetings": {said(1, 10, many...), maxMeetings, maxMeetings},
		"nothing":       {nil, 0, 0},
	} {
		runs, n := cut(test.chunks)
		sum := 0
		for _, r := range runs {
			sum += len(r.chunks)
		}
		if n != test.n || len(runs) != test.runs || sum != n {
			t.Errorf("%s: %d chunks of %d meetings, %d in them", name, n, len(runs), sum)
		}
	}
}
