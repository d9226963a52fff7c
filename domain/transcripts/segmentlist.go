package transcripts

import (
	"context"
	"errors"
	"math"
	"slices"

	"connvo/db"
	"connvo/domain"
)

// names are the users whom labels of a meeting stand for.
type names map[string]domain.UserID

func namesOf(tx db.Reader, m domain.MeetingID) (names, error) {
	rows, err := db.All(tx, scanSpeaker, selectSpeakers, m, MaxSpeakers)
	if err != nil {
		return nil, err
	}
	all := names{}
	for _, s := range rows {
		all[s.Label] = s.User
	}
	return all, nil
}

// of returns who speaks, "" where nobody knows.
func (n names) of(speaker domain.UserID, label string) domain.UserID {
	if speaker == "" && label != "" {
		return n[label]
	}
	return speaker
}

// passes reports whether something that was said is asked for.
func (f Filter) passes(n names, speaker domain.UserID, label string, start, end int64) bool {
	whose := f.Speaker == "" || string(speaker) == f.Speaker || label == f.Speaker || label != "" && string(n[label]) == f.Speaker
	return whose && end > f.From.Milliseconds() && start < f.to()
}

// to returns where what is asked for ends, in milliseconds.
func (f Filter) to() int64 {
	if f.To == 0 {
		return MaxOffset.Milliseconds() + 1
	}
	return f.To.Milliseconds()
}

// Place is where a list of segments goes on: after a segment, or from the beginning
// where it is zero.
type Place struct{ Start, Position int64 }

// lookedSegments is how many stored segments a page of a list is looked for in, where
// most of them may be left out: some milliseconds' work.
const lookedSegments = 1000

// Segments returns the segments of all that was said in a meeting and that the filter
// lets pass, in order of start, at most limit of them, and where to go on, zero when
// there are no more: where the filter leaves little, a page may be short, or empty, and
// not the last. Who speaks under a label is answered as it is known now.
func (s *Store) Segments(ctx context.Context, who domain.Actor, m domain.MeetingID, f Filter, after Place, limit int) (page []Segment, next Place, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		there, err := readable(tx, who, m)
		if err != nil || !there {
			return err
		}
		n, err := namesOf(tx, m)
		if err != nil {
			return err
		}
		page, next, err = segmentsAfter(tx, m, n, f, after.key(), limit)
		for i := range page {
			page[i].Speaker = n.of(page[i].Speaker, page[i].Label)
		}
		return err
	})
	return page, next, err
}

// Said returns segments of all that was said in a meeting, after a place and in order
// of start: at most limit of them, and where to go on, zero at the end. It joins the
// caller's transaction, which has checked that the meeting may be read.
//
// Errors: Unavailable where so much was said at once that it is not settled yet.
func Said(tx db.Reader, m domain.MeetingID, after Place, limit int) (page []Segment, next Place, err error) {
	if deleted, err := Deleted(tx, m); err != nil || deleted {
		return nil, next, err
	}
	if _, all, err := fresh(tx, m); err != nil {
		return nil, next, err
	} else if !all {
		return nil, next, errUnsettled
	}
	n, err := namesOf(tx, m)
	if err != nil {
		return nil, next, err
	}
	page, next, err = segmentsAfter(tx, m, n, Filter{}, after.key(), limit)
	for i := range page {
		page[i].Speaker = n.of(page[i].Speaker, page[i].Label)
	}
	return page, next, err
}

func (p Place) key() key { return key{p.Start, p.Position} }

// segmentsAfter returns segments of what is stored and of what is not settled yet, and
// where to go on.
func segmentsAfter(tx db.Reader, m domain.MeetingID, n names, f Filter, after key, limit int) (page []Segment, next Place, err error) {
	unsettled, _, err := fresh(tx, m)
	if err != nil {
		return nil, next, err
	}
	v, err := revise(inTx{tx, m}, unsettled)
	if err != nil {
		return nil, next, err
	}
	changed := map[key]bool{}
	for _, k := range v.gone {
		changed[k] = true
	}
	for _, s := range v.now {
		changed[s.key()] = true
	}
	from, end, err := f.window(tx, m, after)
	if err != nil {
		return nil, next, err
	}
	page, err = db.All(tx, scanSegment, selectSegments, m, f.Speaker, f.From.Milliseconds(), f.to(), from.start, from.position, end.start, end.position, limit+1+len(changed))
	if err != nil {
		return nil, next, err
	}
	page = slices.DeleteFunc(page, func(s Segment) bool { return changed[s.key()] })
	for _, s := range v.now {
		k := s.key()
		if k.compare(after) > 0 && k.compare(end) <= 0 && f.passes(n, s.Speaker, s.Label, s.Start.Milliseconds(), s.End.Milliseconds()) {
			page = append(page, s)
		}
	}
	slices.SortFunc(page, func(a, b Segment) int { return a.key().compare(b.key()) })
	switch {
	case len(page) > limit:
		page = page[:limit]
		last := page[limit-1].key()
		next = Place{last.start, last.position}
	case end != lastKey:
		next = Place{end.start, end.position}
	}
	return page, next, nil
}

// lastKey is beyond every segment.
var lastKey = key{math.MaxInt64, math.MaxInt64}

// window returns between which keys a page of the list is looked for: after from, up
// to end, which is lastKey where that is to the end.
func (f Filter) window(tx db.Reader, m domain.MeetingID, after key) (from, end key, err error) {
	if f == (Filter{}) {
		return after, lastKey, nil
	}
	all, err := db.One(tx, scanSettled, selectSettled, m)
	if err != nil {
		return from, end, err
	}
	// No segment that goes on after From begins before this.
	from = maxKey(after, key{f.From.Milliseconds() - max(all.longest, maxSegment.Milliseconds()), 0})
	end, err = db.One(tx, scanKey, selectWindow, m, from.start, from.position, f.to(), lookedSegments-1)
	if errors.Is(err, db.ErrNone) {
		return from, lastKey, nil
	}
	return from, end, err
}

func scanKey(r db.Row) (k key, err error) {
	err = r.Scan(&k.start, &k.position)
	return k, err
}

// selectWindow is the segment so many after a place, of those that begin before an
// instant.
const selectWindow = `
SELECT start_ms, first
FROM segments
WHERE meeting_id = ?1 AND (start_ms, first) > (?2, ?3) AND start_ms < ?4
ORDER BY start_ms, first
LIMIT 1
OFFSET ?5
-- scope: segments.meeting_id=?1`

const selectSegments = `
SELECT g.first, g.end_ms, g.start_ms, g.speaker_id, g.label, g.topics, g.sentiment, g.chunks, g.text
FROM segments AS g
LEFT JOIN speakers AS s ON s.meeting_id = ?1 AND s.label = g.label
WHERE g.meeting_id = ?1 AND (g.start_ms, g.first) > (?5, ?6) AND (g.start_ms, g.first) <= (?7, ?8)
  AND g.start_ms < ?4 AND g.end_ms > ?3
  AND (?2 = '' OR g.speaker_id = ?2 OR g.label = ?2 OR s.user_id = ?2)
ORDER BY g.start_ms, g.first
LIMIT ?9
-- scope: segments.meeting_id=?1
-- scope: speakers.meeting_id=?1`
