// Package transcripts is what was said in a meeting, word by word.
package transcripts

import (
	"time"

	"connvo/domain"
)

// The bounds of a chunk.
const (
	MaxText      = 10_000 // characters
	MaxLabel     = 64     // characters of a provisional speaker's label
	MaxLanguage  = 35     // characters of a BCP 47 tag
	MaxUtterance = 64     // characters of an utterance's id
	MaxChunks    = 200    // in a request
)

// Chunk is something that somebody said, as it is final.
type Chunk struct {
	Position   int64         // its number of the one sequence
	Speaker    domain.UserID // "" where only the label, or nothing, is known
	Label      string        // of a speaker whom nobody has named when it was said, or ""
	Text       string
	Confidence float64       // 0 to 1
	Start, End time.Duration // offsets in the meeting, whole milliseconds
	Language   string        // "" where nobody has said
	Utterance  string        // the sender's id of it, "" for none
	CreatedAt  time.Time
}
