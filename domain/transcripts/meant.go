package transcripts

import (
	"context"

	"connvo/db"
	"connvo/domain"
)

// meaning is what is stored of a segment that another follows.
type meaning struct {
	topics    []string
	sentiment *float64 // nil where it is not known
}

func meaningOf(s Segment) meaning {
	m := meaning{topics: s.Topics()}
	if compound, known := s.Sentiment(); known {
		m.sentiment = &compound
	}
	return m
}

// meanings is what segments mean that are about to be stored: to work it out takes
// longer than to store them, and is done before others wait for the writer.
type meanings map[stage]meaning

// stage is a segment as it is with so many chunks, of which the last is known: its
// text is always the same.
type stage struct {
	meeting domain.MeetingID
	key     key
	chunks  int
	last    int64
}

func stageOf(m domain.MeetingID, s Segment) stage {
	n := len(s.Chunks)
	return stage{m, s.key(), n, s.Chunks[n-1].Position}
}

// of returns what a segment means, also where it has become another since.
func (known meanings) of(m domain.MeetingID, s Segment) meaning {
	if meant, found := known[stageOf(m, s)]; found {
		return meant
	}
	return meaningOf(s)
}

// understand works out what the segments mean that will be stored of the portion.
func (s *Settler) understand(ctx context.Context, portion []run) (meanings, error) {
	closed := map[stage]Segment{}
	err := s.db.Read(ctx, func(tx db.Reader) error {
		for _, r := range portion {
			v, err := revise(inTx{tx, r.meeting}, unnamed(r.chunks))
			if err != nil {
				return err
			}
			for _, one := range v.now {
				if one.closed {
					closed[stageOf(r.meeting, one)] = one
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	meant := meanings{}
	for at, one := range closed {
		meant[at] = meaningOf(one)
	}
	return meant, nil
}
