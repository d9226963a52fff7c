package transcripts

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// A segment is stored with the places of its chunks, so that it can be taken apart when
// a chunk comes that belongs in between, and be exported, also when the chunks
// themselves are past their time. Each is a few bytes: integers of variable length, the
// position and the start as what they are more than those before.

var errPieces = errors.New("the chunks of a segment cannot be read")

// confidences are the steps in which a segment knows how sure its chunks are.
const confidences = 1000

// pack returns the places of the chunks in the text of their segment.
func pack(chunks []Chunk) []byte {
	var b []byte
	var before Chunk
	for _, c := range chunks {
		b = binary.AppendVarint(b, c.Position-before.Position)
		b = binary.AppendUvarint(b, uint64((c.Start - before.Start).Milliseconds()))
		b = binary.AppendUvarint(b, uint64((c.End - c.Start).Milliseconds()))
		b = binary.AppendUvarint(b, uint64(len(c.Text)))
		b = binary.AppendUvarint(b, uint64(math.Round(c.Confidence*confidences)))
		if c.Language == before.Language {
			b = append(b, 0)
		} else {
			b = append(binary.AppendUvarint(b, uint64(len(c.Language)+1)), c.Language...)
		}
		before = c
	}
	return b
}

// unpack returns the chunks of a segment, without what only chunks have: Utterance and
// CreatedAt.
func (s *Segment) unpack(pieces []byte, text string) error {
	r := reader{pieces}
	s.size = len(text)
	var c Chunk
	for len(r.rest) > 0 {
		if len(s.Chunks) > 0 {
			if text == "" || text[0] != ' ' {
				return errPieces
			}
			text = text[1:]
		}
		c.Speaker, c.Label = s.Speaker, s.Label
		c.Position += r.signed()
		c.Start += time.Duration(r.next(math.MaxInt32)) * time.Millisecond
		c.End = c.Start + time.Duration(r.next(math.MaxInt32))*time.Millisecond
		size := r.next(len(text))
		c.Confidence = float64(r.next(confidences)) / confidences
		if n := r.next(len(r.rest) + 1); n > 0 {
			c.Language = r.take(n - 1)
		}
		if r.rest == nil {
			return errPieces
		}
		c.Text, text = text[:size], text[size:]
		s.Chunks = append(s.Chunks, c)
	}
	if text != "" || len(s.Chunks) == 0 {
		return errPieces
	}
	return nil
}

// reader reads integers; its rest is nil once one could not be read.
type reader struct{ rest []byte }

// next returns the next integer, 0 for one that is greater than most.
func (r *reader) next(most int) int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > uint64(most) {
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) take(n int) string {
	if n > len(r.rest) {
		r.rest = nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
