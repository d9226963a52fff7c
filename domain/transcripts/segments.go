package transcripts

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"connvo/domain"
)

// The bounds of a segment.
const (
	maxPause   = 5 * time.Second
	maxSegment = 2 * time.Minute
	// segmentSpan is the part of a meeting beyond whose end no segment goes on, so that
	// a chunk that comes late changes segments of its own span alone.
	segmentSpan = 5 * time.Minute
	// maxSegmentText bounds what is stored anew with each chunk: two minutes of quick
	// speech.
	maxSegmentText = 4 << 10 // bytes
)

// Segment is what one speaker said without a long pause.
type Segment struct {
	Speaker    domain.UserID
	Label      string
	Start, End time.Duration
	Chunks     []Chunk // in order of start and position, one at least
	size       int     // of the text, in bytes
	closed     bool    // another follows, so that nothing comes to its end any more
	stored     *meaning
}

// Segments returns the segments of the chunks, in the order of their keys. In order of
// start, then of position, a chunk goes on with the segment before it where it is the same
// speaker's, starts at most maxPause after its end and in the same segmentSpan, and
// the segment then lasts maxSegment and has maxSegmentText at most. So a chunk
// that is too long stands alone.
func Segments(chunks []Chunk) []Segment {
	chunks = slices.SortedFunc(slices.Values(chunks), func(a, b Chunk) int { return keyOf(a).compare(keyOf(b)) })
	var all []Segment
	for _, c := range chunks {
		if n := len(all); n > 0 && all[n-1].takes(c) {
			all[n-1].add(c)
		} else {
			if n > 0 {
				all[n-1].closed = true
			}
			all = append(all, newSegment(c))
		}
	}
	return all
}

// Text returns what was said, the chunks with a space between them.
func (s Segment) Text() string {
	if len(s.Chunks) == 1 {
		return s.Chunks[0].Text
	}
	var b strings.Builder
	for i, c := range s.Chunks {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(c.Text)
	}
	return b.String()
}

// ID returns its id, which is that of its first chunk in it.
func (s Segment) ID() domain.SegmentID {
	return domain.NewSegmentID(s.Start.Milliseconds(), s.Chunks[0].Position)
}

// key is where a chunk stands in a meeting, and a segment by its first.
type key struct {
	start    int64 // ms
	position int64
}

func keyOf(c Chunk) key { return key{c.Start.Milliseconds(), c.Position} }

func (s Segment) key() key { return keyOf(s.Chunks[0]) }

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.start, other.start), cmp.Compare(k.position, other.position))
}

func newSegment(c Chunk) Segment {
	return Segment{Speaker: c.Speaker, Label: c.Label, Start: c.Start, End: c.End, Chunks: []Chunk{c}, size: len(c.Text)}
}

// takes reports whether the chunk, the next in order, goes on with the segment.
func (s Segment) takes(c Chunk) bool {
	return c.Speaker == s.Speaker && c.Label == s.Label && c.Start-s.End <= maxPause && c.Start/segmentSpan == s.Start/segmentSpan &&
		max(c.End, s.End)-s.Start <= maxSegment && s.size+1+len(c.Text) <= maxSegmentText
}

func (s *Segment) add(c Chunk) {
	s.Chunks = append(s.Chunks, c)
	s.End = max(s.End, c.End)
	s.size += 1 + len(c.Text)
}

// same reports whether two segments of one meeting hold the same chunks.
func (s Segment) same(other Segment) bool {
	n := len(s.Chunks)
	return n == len(other.Chunks) && s.Chunks[0].Position == other.Chunks[0].Position && s.Chunks[n-1].Position == other.Chunks[n-1].Position
}

// kept is the segments that are stored.
type kept interface {
	// upTo returns the last whose key is not greater, after the first whose key is.
	upTo(k key) (s Segment, found bool, err error)
	after(k key) (s Segment, found bool, err error)
}

// revision is what new chunks make of the segments that are stored.
type revision struct {
	gone []key     // of those that are no more
	now  []Segment // new ones, and old ones that have changed
}

// revise returns what the fresh chunks, which are in none of the stored segments, make
// of them. It reads the segments from the one in which the first of them may be until
// what follows is stored as it has to be, and goes on with the next.
func revise(stored kept, fresh []Chunk) (revision, error) {
	r := reviser{stored: stored, fresh: slices.SortedFunc(slices.Values(fresh), func(a, b Chunk) int { return keyOf(a).compare(keyOf(b)) })}
	for len(r.fresh) > 0 {
		if err := r.span(); err != nil {
			return revision{}, err
		}
	}
	return r.settle(), nil
}

// reviser merges fresh chunks with those of stored segments, in their order.
type reviser struct {
	stored kept
	fresh  []Chunk
	read   []Segment // stored ones that were taken apart
	now    []Segment
	begun  bool // the last of now may go on
}

// span revises the segments around the first of the fresh chunks.
func (r *reviser) span() error {
	r.begun = false
	at := keyOf(r.fresh[0])
	var old []Chunk // of the stored segment that is being merged
	s, found, err := r.stored.upTo(at)
	if err != nil {
		return err
	}
	if found {
		at, old, r.read = s.key(), s.Chunks, append(r.read, s)
	}
	next, more, err := r.stored.after(at)
	if err != nil {
		return err
	}
	for {
		switch {
		case len(old) > 0 && (len(r.fresh) == 0 || keyOf(old[0]).compare(keyOf(r.fresh[0])) < 0):
			r.take(old[0])
			old = old[1:]
		case len(old) == 0 && more && (len(r.fresh) == 0 || next.key().compare(keyOf(r.fresh[0])) < 0):
			if !r.begun || !r.now[len(r.now)-1].takes(next.Chunks[0]) {
				r.close()
				return nil // from here on it is as it was
			}
			old, r.read = next.Chunks, append(r.read, next)
			if next, more, err = r.stored.after(next.key()); err != nil {
				return err
			}
		case len(r.fresh) > 0:
			r.take(r.fresh[0])
			r.fresh = r.fresh[1:]
		default:
			return nil
		}
	}
}

func (r *reviser) take(c Chunk) {
	if n := len(r.now); r.begun && r.now[n-1].takes(c) {
		r.now[n-1].add(c)
		return
	}
	r.close()
	r.now = append(r.now, newSegment(c))
	r.begun = true
}

// close notes that another segment follows the last of now, where it is of this span.
func (r *reviser) close() {
	if r.begun {
		r.now[len(r.now)-1].closed = true
	}
}

// settle leaves out what is stored already, with what it means where that is known.
func (r *reviser) settle() revision {
	var v revision
	before := make(map[key]Segment, len(r.read))
	for _, s := range r.read {
		before[s.key()] = s
	}
	for _, s := range r.now {
		if old, found := before[s.key()]; !found || !old.same(s) || s.closed && old.stored == nil {
			v.now = append(v.now, s)
		}
		delete(before, s.key())
	}
	for _, s := range r.read {
		if _, left := before[s.key()]; left {
			v.gone = append(v.gone, s.key())
		}
	}
	return v
}
