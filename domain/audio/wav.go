package audio

import (
	"bytes"
	"encoding/binary"
	"time"
)

// The codes of a WAV file's samples; an extensible one names them elsewhere.
const (
	pcm        = 1
	float      = 3
	extensible = 0xFFFE
)

// The greatest figures of a format that anybody records with.
const (
	maxChannels = 8
	maxRate     = 192_000
)

// unknownLength is the length of what was not over when its header was written; some
// write 0.
const unknownLength = 0xFFFFFFFF

func isWAV(file []byte) bool {
	return len(file) >= 12 && bytes.HasPrefix(file, []byte("RIFF")) && string(file[8:12]) == "WAVE"
}

// listenWAV returns how long the samples of a WAV file last.
func listenWAV(file []byte) (time.Duration, error) {
	rate := uint64(0) // bytes a second, 0 before the format is known
	for rest := file[12:]; len(rest) >= 8; {
		name, length := string(rest[:4]), binary.LittleEndian.Uint32(rest[4:8])
		rest = rest[8:]
		if name == "data" && (length == unknownLength || length == 0) {
			length = uint32(len(rest)) // at most MaxBytes
		}
		if uint64(length) > uint64(len(rest)) {
			return 0, damaged("it ends before its " + chunkName(name) + " does")
		}
		switch content := rest[:length]; name {
		case "fmt ":
			var err error
			if rate, err = listenFormat(content); err != nil {
				return 0, err
			}
		case "data":
			if rate == 0 {
				return 0, damaged("its samples come before their format")
			}
			return time.Duration(uint64(length) * uint64(time.Second) / rate), nil
		}
		rest = rest[min(uint64(length)+uint64(length%2), uint64(len(rest))):] // chunks begin at even places
	}
	return 0, damaged("it has no samples")
}

// chunkName returns what a chunk is called in an error: its own name may be anything.
func chunkName(name string) string {
	if name == "data" {
		return "samples"
	}
	return "header"
}

// listenFormat returns how many bytes of samples are a second.
func listenFormat(f []byte) (uint64, error) {
	if len(f) < 16 {
		return 0, damaged("its format is cut off")
	}
	code, channels, samples := binary.LittleEndian.Uint16(f), binary.LittleEndian.Uint16(f[2:]), binary.LittleEndian.Uint32(f[4:])
	rate, block, bits := binary.LittleEndian.Uint32(f[8:]), binary.LittleEndian.Uint16(f[12:]), binary.LittleEndian.Uint16(f[14:])
	if code == extensible && len(f) >= 26 {
		code = binary.LittleEndian.Uint16(f[24:])
	}
	if code != pcm && code != float {
		return 0, ErrFormat
	}
	switch {
	case channels == 0, channels > maxChannels, samples == 0, samples > maxRate, bits == 0, bits%8 != 0, bits > 64:
		return 0, damaged("nothing is recorded in such a format")
	case uint32(block) != uint32(channels)*uint32(bits/8), rate != samples*uint32(block):
		return 0, damaged("the figures of its format contradict each other")
	}
	return uint64(rate), nil
}
