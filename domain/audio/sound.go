package audio

import (
	"errors"
	"time"

	"connvo/domain"
)

// The bounds of a piece.
const (
	MinDuration = time.Second
	MaxDuration = 15 * time.Second
	// MaxBytes holds 15 seconds of speech as it comes from a microphone, 16,000 samples
	// a second of two bytes, twice over; with Opus it is a tenth of that.
	MaxBytes = 1 << 20
)

// ErrFormat is that a sound is none of the formats that are taken.
var ErrFormat = errors.New("the body is neither a WAV file with PCM nor a WebM file with Opus; each piece must be a file of its own")

// Format is what a sound is written in.
type Format string

// The formats.
const (
	WAV  Format = "wav"
	WebM Format = "webm"
)

// Media returns its type, such as audio/wav.
func (f Format) Media() string { return "audio/" + string(f) }

// Sound is a file with a piece of somebody's speech, as Listen has found it.
type Sound struct {
	Format   Format
	Duration time.Duration
	Bytes    []byte
}

// Listen finds out what the file is, by its content alone, and how long it lasts: of
// WAV by the length of its samples, of WebM by the instants of its packets. It does
// not decode it.
//
// Errors: ErrFormat; Invalid for one that is damaged, too short or too long.
func Listen(file []byte) (s Sound, err error) {
	s = Sound{Format: WAV, Bytes: file}
	switch {
	case len(file) > MaxBytes:
		return s, domain.FailField("body", "has at most %d bytes", MaxBytes)
	case isWAV(file):
		s.Duration, err = listenWAV(file)
	case isWebM(file):
		s.Format = WebM
		s.Duration, err = listenWebM(file)
	default:
		return s, ErrFormat
	}
	if err == nil && (s.Duration < MinDuration || s.Duration > MaxDuration) {
		err = domain.FailField("body", "lasts %d ms; a piece lasts %d to %d", s.Duration.Milliseconds(), MinDuration.Milliseconds(), MaxDuration.Milliseconds())
	}
	return s, err
}

// damaged is what is wrong with a file that contradicts itself.
func damaged(what string) error { return domain.FailField("body", "is damaged: %s", what) }
