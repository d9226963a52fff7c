// Package transcripts is what was said in a meeting, word by word.
package transcripts

import (
	"context"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
)

// The bounds of a chunk.
const (
	MaxText      = 10_000 // characters
	MaxLabel     = 64     // characters of a provisional speaker's label
	MaxLanguage  = 35     // characters of a BCP 47 tag
	MaxUtterance = 64     // characters of an utterance's id
	MaxChunks    = 200    // in a request
	// MaxOffset is the last instant of a meeting at which something may be said.
	MaxOffset = conversation.MaxOffset
)

// Chunk is something that somebody said, as it is final.
type Chunk struct {
	Position   int64 // its number of the one sequence
	Meeting    domain.MeetingID
	Speaker    domain.UserID // "" where only the label, or nothing, is known
	Label      string        // of a speaker whom nobody had named when it was said, or ""
	Text       string        // as it was sent
	Confidence float64       // 0 to 1
	Start, End time.Duration // offsets in the meeting, whole milliseconds
	Language   string        // "" where nobody has said
	Utterance  string        // the sender's id of it, "" for none
	CreatedAt  time.Time
}

// Store is the transcripts in the database. It is safe for concurrent use.
type Store struct {
	db  *db.DB
	log *events.Log
}

// NewStore returns the transcripts in d.
func NewStore(d *db.DB, log *events.Log) *Store { return &Store{db: d, log: log} }

// Filter says which chunks are asked for; what is zero asks for all.
type Filter struct {
	// Speaker is a user, also under the labels that are theirs, or a label.
	Speaker string
	// From and To are offsets: of chunks that end after the one and begin before the
	// other, where it is not zero.
	From, To time.Duration
}

// Feed returns a part of the transcript, by position, to those who may read the
// meeting's content. Who speaks under a label is answered as it is known now.
func (s *Store) Feed(ctx context.Context, who domain.Actor, m domain.MeetingID, f Filter, span domain.Span) (part domain.Part[Chunk], err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		there, err := readable(tx, who, m)
		if err != nil {
			return err
		}
		if there {
			if part, err = f.part(tx, m, span); err != nil {
				return err
			}
		}
		part.Gone, err = db.Gone(tx, span, "transcripts", string(m))
		return err
	})
	return part, err
}

// Has reports whether the filter asks for a draft like this one.
func (f Filter) Has(d Draft) bool {
	return (f.Speaker == "" || f.Speaker == string(d.Speaker) || f.Speaker == d.Label) && d.End > f.From && (f.To == 0 || d.Start < f.To)
}
