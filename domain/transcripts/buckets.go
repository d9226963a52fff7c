package transcripts

import (
	"errors"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
)

// bucketSize is how long a bucket of a transcript is: what is asked for by time is
// looked for between the first and the last chunk of the buckets that it touches.
const bucketSize = 5 * time.Minute

// MaxBucket is how many chunks may begin in the same five minutes in any order: as many
// as may be sent in that time. A chunk that belongs before others has their segments
// cut anew, and stored; of more, only those are taken that begin after all.
const MaxBucket = 30_000

// bucket is where the chunks are that begin in a part of the meeting, how many they are,
// and where the last of them begins.
type bucket struct{ end, first, last, start, chunks int64 }

// putIntoBuckets notes where chunks of the meeting are.
func putIntoBuckets(tx *db.WriteTx, m domain.MeetingID, chunks []Chunk) error {
	buckets := map[int64]bucket{}
	var order []int64
	for _, c := range chunks {
		start := c.Start.Truncate(bucketSize).Milliseconds()
		b, found := buckets[start]
		if !found {
			b.first = c.Position
			order = append(order, start)
		}
		b.end, b.last = max(b.end, c.End.Milliseconds()), c.Position
		b.start, b.chunks = max(b.start, c.Start.Milliseconds()), b.chunks+1
		buckets[start] = b
	}
	for _, start := range order {
		b := buckets[start]
		if _, err := tx.Exec(upsertBucket, m, start, b.end, b.first, b.last, b.start, b.chunks); err != nil {
			return err
		}
	}
	return nil
}

// order is where what is sent may begin, by the bucket that it begins in; 0 where that is
// anywhere. It knows what is settled.
type order map[int64]int64

// check refuses a chunk that belongs before so many others that they cannot all be put
// in order anew.
func (o order) check(tx db.Reader, m domain.MeetingID, d Draft) error {
	in := d.Start.Truncate(bucketSize).Milliseconds()
	from, known := o[in]
	if !known {
		var err error
		from, err = db.One(tx, db.Int, selectFull, m, in, MaxBucket)
		if err != nil && !errors.Is(err, db.ErrNone) {
			return err
		}
		o[in] = from
	}
	if d.Start.Milliseconds() < from {
		return domain.FailField("startMs", "must be at least %d: more than %d chunks begin in these five minutes already", from, MaxBucket)
	}
	return nil
}

// stretch is the positions from first to last.
type stretch struct{ first, last int64 }

// stretches returns where in the transcript there may be what the filter asks for, in
// order: in the buckets that it touches, and behind all buckets, in what is not in
// them yet.
func (f Filter) stretches(tx db.Reader, m domain.MeetingID) ([]stretch, error) {
	if f.From == 0 && f.To == 0 {
		return []stretch{{0, domain.MaxNumber}}, nil
	}
	r, err := db.One(tx, scanReach, selectReach, m, f.From.Milliseconds(), f.until().Milliseconds())
	return []stretch{{r.first, r.last}, {r.known + 1, domain.MaxNumber}}, err
}

// until is the end of the filter's time.
func (f Filter) until() time.Duration {
	if f.To == 0 {
		return MaxOffset + 1
	}
	return f.To
}

// maxLooked is how many chunks of a stretch are looked at in one transaction for those
// that a filter asks for, some milliseconds' work: a meeting may have a million.
const maxLooked = 2000

// part returns the part of the transcript that the filter leaves; what is rare is looked
// for a part at a time, see domain.Part.Looked.
func (f Filter) part(tx db.Reader, m domain.MeetingID, span domain.Span) (part domain.Part[Chunk], err error) {
	if f == (Filter{}) {
		return db.Part(tx, span, scanChunk, db.Feed{After: selectAfter, Before: selectBefore}, m)
	}
	where, err := f.stretches(tx, m)
	if err != nil {
		return part, err
	}
	ascending := span.After != nil
	if !ascending {
		slices.Reverse(where)
	}
	part.Items = []Chunk{}
	for _, s := range where {
		s = s.within(span)
		if s.first > s.last {
			continue
		}
		end, err := s.bound(tx, m, ascending)
		if err != nil {
			return part, err
		}
		found, err := f.read(tx, m, s, ascending, span.Limit+1-len(part.Items))
		if err != nil {
			return part, err
		}
		part.Items = append(part.Items, found...)
		if part.More = len(part.Items) > span.Limit; part.More {
			part.Items = part.Items[:span.Limit]
			break
		}
		if end != 0 {
			part.More, part.Looked = true, end
			break
		}
	}
	if !ascending {
		slices.Reverse(part.Items)
	}
	return part, nil
}

// within returns what of the stretch the span asks for.
func (s stretch) within(span domain.Span) stretch {
	if span.After != nil {
		s.first = max(s.first, *span.After+1)
	}
	if span.Before != nil {
		s.last = min(s.last, *span.Before-1)
	}
	return s
}

// bound leaves of the stretch what is looked at at once, and returns the position up
// to which that is, 0 where it is all.
func (s *stretch) bound(tx db.Reader, m domain.MeetingID, ascending bool) (end int64, err error) {
	if ascending {
		end, err = db.One(tx, db.Int, selectStretchEnd, m, s.first, s.last, maxLooked-1)
	} else {
		end, err = db.One(tx, db.Int, selectStretchBegin, m, s.first, s.last, maxLooked-1)
	}
	switch {
	case errors.Is(err, db.ErrNone):
		return 0, nil
	case ascending:
		s.last = end
	default:
		s.first = end
	}
	return end, err
}

// read returns the first chunks of the stretch that the filter leaves, or the last ones,
// the last first.
func (f Filter) read(tx db.Reader, m domain.MeetingID, s stretch, ascending bool, limit int) ([]Chunk, error) {
	from, to := f.From.Milliseconds(), f.until().Milliseconds()
	if ascending {
		return db.All(tx, scanChunk, selectFilteredAfter, m, f.Speaker, from, to, s.first, s.last, limit)
	}
	return db.All(tx, scanChunk, selectFilteredBefore, m, f.Speaker, from, to, s.first, s.last, limit)
}

// reach is the stretch of the buckets that are touched, and the last position that is
// in any.
type reach struct {
	stretch
	known int64
}

func scanReach(r db.Row) (v reach, err error) {
	err = r.Scan(&v.first, &v.last, &v.known)
	return v, err
}

const upsertBucket = `
INSERT INTO transcript_buckets (meeting_id, bucket_ms, end_ms, first, last, start_ms, chunks)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (meeting_id, bucket_ms) DO UPDATE
SET end_ms = max(end_ms, excluded.end_ms), last = excluded.last,
  start_ms = max(start_ms, excluded.start_ms), chunks = chunks + excluded.chunks`

const selectFull = `
SELECT start_ms
FROM transcript_buckets
WHERE meeting_id = ?1 AND bucket_ms = ?2 AND chunks >= ?3
-- scope: transcript_buckets.meeting_id=?1`

// The chunk with which so many of a stretch are looked at, and the same from its end.
const selectStretchEnd = `
SELECT position
FROM transcripts
WHERE meeting_id = ?1 AND position BETWEEN ?2 AND ?3
ORDER BY position
LIMIT 1
OFFSET ?4
-- scope: transcripts.meeting_id=?1`

const selectStretchBegin = `
SELECT position
FROM transcripts
WHERE meeting_id = ?1 AND position BETWEEN ?2 AND ?3
ORDER BY position DESC
LIMIT 1
OFFSET ?4
-- scope: transcripts.meeting_id=?1`

// selectReach reads a row for each five minutes of the meeting.
const selectReach = `
SELECT coalesce(min(first) FILTER (WHERE end_ms > ?2 AND bucket_ms < ?3), 1),
  coalesce(max(last) FILTER (WHERE end_ms > ?2 AND bucket_ms < ?3), 0),
  coalesce(max(last), 0)
FROM transcript_buckets
WHERE meeting_id = ?1
-- scope: transcript_buckets.meeting_id=?1`
