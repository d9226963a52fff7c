package scribe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"connvo/ai"
	"connvo/db"
	"connvo/domain/audio"
	"connvo/domain/transcripts"
)

// write has one piece transcribed, which was tried so often in vain.
func (s *Scribe) write(p audio.Piece, tries int) (e ended) {
	e.piece = p
	log := s.Log.With("audio", p.ID(), "meeting", p.Meeting)
	defer func() {
		if v := recover(); v != nil {
			log.Error("panic while transcribing", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			e = ended{piece: p}
		}
	}()
	if s.DB.Now().Sub(p.CreatedAt) >= maxWait {
		log.Error("a piece of audio is given up: it has waited for too long", "tries", tries)
		return s.giveUp(e)
	}
	speech, outcome, took, err := s.ask(p)
	switch {
	case err != nil && s.cut.Err() != nil:
		return e // it was not given its time
	case errors.Is(err, db.ErrNone):
		e.over = true
		return e
	}
	switch outcome {
	case Words:
		e = s.store(e, func(tx *db.WriteTx) (err error) {
			_, err = audio.Said(tx, p, draftOf(p, speech))
			return err
		})
	case Silence:
		e = s.drop(e)
	case Refused:
		log.Warn("a piece of audio is dropped", "error", err)
		e = s.drop(e)
	case Limited:
		later, _ := errors.AsType[*ai.Later](err)
		log.Warn("audio is transcribed later", "error", err, "after", later.After)
		e.rest = later.After
	case Failed:
		log.Warn("a piece of audio was not transcribed", "error", err, "try", tries+1)
		if tries+1 >= maxTries {
			log.Error("a piece of audio is given up: it was tried too often", "error", err)
			e = s.giveUp(e)
		}
	default:
		log.Error("read a piece of audio", "error", err)
		e.rest = troublePause * s.Second
		return e
	}
	s.Called(took, outcome)
	return e
}

// ask makes the call for a piece. outcome is "" where that is no matter of the
// endpoint.
func (s *Scribe) ask(p audio.Piece) (speech ai.Speech, outcome string, took time.Duration, err error) {
	r := ai.Recording{Name: string(p.ID()) + "." + string(p.Format), Media: p.Format.Media()}
	err = s.DB.Read(s.cut, func(tx db.Reader) (err error) {
		r.Sound, err = audio.SoundOf(tx, p.Number)
		return err
	})
	if err != nil {
		return speech, "", 0, err
	}
	began := time.Now()
	speech, err = s.AI.Transcribe(s.cut, r)
	took = time.Since(began)
	switch {
	case errors.Is(err, ai.ErrRefused):
		return speech, Refused, took, err
	case errors.As(err, new(*ai.Later)):
		return speech, Limited, took, err
	case err != nil:
		return speech, Failed, took, err
	case speech.Text == "":
		return speech, Silence, took, nil
	}
	if err := draftOf(p, speech).Check(); err != nil {
		return speech, Refused, took, fmt.Errorf("its answer is no chunk of a transcript: %w", err)
	}
	return speech, Words, took, nil
}

// draftOf returns the chunk that the speech of a piece is. Where in the piece somebody
// speaks is what the endpoint tells, where that can be.
func draftOf(p audio.Piece, s ai.Speech) transcripts.Draft {
	start, end := s.Start.Truncate(time.Millisecond), min(s.End.Truncate(time.Millisecond), p.Duration)
	if start >= end {
		start, end = 0, p.Duration
	}
	return transcripts.Draft{Text: s.Text, Confidence: s.Confidence, Start: p.Start + start, End: p.Start + end, Language: s.Language}
}

func (s *Scribe) giveUp(e ended) ended {
	if e = s.drop(e); e.over {
		s.GivenUp()
	}
	return e
}

// drop ends the waiting of the piece.
func (s *Scribe) drop(e ended) ended {
	return s.store(e, func(tx *db.WriteTx) error {
		_, err := audio.Drop(tx, e.piece)
		return err
	})
}

// store stores what has become of the piece. Where that fails, all of it is done again,
// as after a call that has failed, so that a database in trouble does not cost a call
// every few seconds. It is not cut off: the call has been made.
func (s *Scribe) store(e ended, f func(tx *db.WriteTx) error) ended {
	if err := s.DB.WriteBackground(context.WithoutCancel(s.cut), f); err != nil {
		s.Log.Error("store what has become of a piece of audio", "audio", e.piece.ID(), "error", err)
		return e
	}
	e.over = true
	return e
}
