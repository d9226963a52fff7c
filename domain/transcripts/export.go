package transcripts

import (
	"context"
	"slices"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
)

// exportPage is how many segments of an export one read transaction holds: some
// thousand chunks, half a megabyte at most.
const exportPage = 100

// Spoken is a chunk with who speaks.
type Spoken struct {
	Chunk
	Name string // of the speaker: their display name, else the label, else ""
}

// Export is a transcript that is read page by page, in order of start: neither memory
// nor a read transaction grows with it. It holds what was said before its first page,
// and of what is said meanwhile only what belongs after the page that it has come to.
type Export struct {
	store *Store
	who   domain.Actor
	id    domain.MeetingID
	after key
	// waiting are those of the chunks that were not settled when it began, in order,
	// that no page had yet; known are all of them, which pages of segments leave out.
	waiting []Chunk
	known   map[int64]bool
	begun   bool
}

// Export returns an export of a meeting's transcript; Next decides whether the caller
// may read it. It is not safe for concurrent use.
func (s *Store) Export(who domain.Actor, m domain.MeetingID) *Export {
	return &Export{store: s, who: who, id: m, after: key{-1, 0}, known: map[int64]bool{}}
}

// Next returns the next page, and nothing at the end. Each page is decided about anew.
// Errors: Unavailable where so much was said at once that it is not settled yet.
func (e *Export) Next(ctx context.Context) (page []Spoken, err error) {
	err = e.store.db.Read(ctx, func(tx db.Reader) error {
		there, err := readable(tx, e.who, e.id)
		switch {
		case err != nil:
			return err
		case !there && e.begun:
			return domain.Fail(domain.Conflict, "the transcript was deleted meanwhile")
		case !there:
			return nil
		}
		if err := e.begin(tx); err != nil {
			return err
		}
		chunks, err := e.chunks(tx)
		if err != nil {
			return err
		}
		page, err = named(tx, e.id, chunks)
		return err
	})
	return page, err
}

// begin reads what is not settled.
func (e *Export) begin(tx db.Reader) error {
	if e.begun {
		return nil
	}
	unsettled, all, err := fresh(tx, e.id)
	if err != nil {
		return err
	}
	if !all {
		return errUnsettled
	}
	e.begun = true
	for _, c := range unsettled {
		e.known[c.Position] = true
	}
	e.waiting = slices.SortedFunc(slices.Values(unsettled), func(a, b Chunk) int { return keyOf(a).compare(keyOf(b)) })
	return nil
}

// chunks returns the next ones in order, those of stored segments merged with those that
// wait, and nothing at the end.
func (e *Export) chunks(tx db.Reader) ([]Chunk, error) {
	for {
		from := e.after
		s, found, err := inTx{tx, e.id}.upTo(e.after)
		if err != nil {
			return nil, err
		}
		if found {
			from = s.key() // it may have grown
		}
		segments, err := db.All(tx, scanSegment, selectSegmentsFrom, e.id, from.start, from.position, exportPage)
		if err != nil {
			return nil, err
		}
		var page []Chunk
		for _, s := range segments {
			for _, c := range s.Chunks {
				if keyOf(c).compare(e.after) > 0 && !e.known[c.Position] {
					page = e.merge(page, keyOf(c))
					page = append(page, c)
				}
			}
		}
		if len(segments) < exportPage {
			page = append(page, e.waiting...)
			e.waiting = nil
		} else {
			// Further on, even where all of them were known.
			last := segments[exportPage-1].Chunks
			e.after = keyOf(last[len(last)-1])
		}
		if len(page) > 0 {
			e.after = maxKey(e.after, keyOf(page[len(page)-1]))
		}
		if len(page) > 0 || len(segments) < exportPage {
			return page, nil
		}
	}
}

// merge adds those that wait and belong before the key.
func (e *Export) merge(page []Chunk, before key) []Chunk {
	for len(e.waiting) > 0 && keyOf(e.waiting[0]).compare(before) < 0 {
		page = append(page, e.waiting[0])
		e.waiting = e.waiting[1:]
	}
	return page
}

func maxKey(a, b key) key {
	if a.compare(b) < 0 {
		return b
	}
	return a
}

// named returns the chunks with who speaks, as it is known now.
func named(tx db.Reader, m domain.MeetingID, chunks []Chunk) ([]Spoken, error) {
	n, err := namesOf(tx, m)
	if err != nil {
		return nil, err
	}
	page := make([]Spoken, len(chunks))
	var people []domain.UserID
	for i, c := range chunks {
		c.Meeting, c.Speaker = m, n.of(c.Speaker, c.Label)
		page[i] = Spoken{Chunk: c, Name: c.Label}
		if c.Speaker != "" && !slices.Contains(people, c.Speaker) {
			people = append(people, c.Speaker)
		}
	}
	cards, err := users.Cards(tx, people)
	if err != nil {
		return nil, err
	}
	for i := range page {
		if card, found := cards[page[i].Speaker]; found {
			page[i].Name = card.DisplayName
		}
	}
	return page, nil
}

const selectSegmentsFrom = `
SELECT first, end_ms, start_ms, speaker_id, label, topics, sentiment, chunks, text
FROM segments
WHERE meeting_id = ?1 AND (start_ms, first) >= (?2, ?3)
ORDER BY start_ms, first
LIMIT ?4
-- scope: segments.meeting_id=?1`
