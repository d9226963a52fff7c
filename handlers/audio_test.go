package handlers_test

import (
	"encoding/binary"
	"strings"
	"time"
)

// wav is a WAV file with so much silence, of 8,000 bytes a second.
func wav(lasts time.Duration) []byte {
	const rate = 8000
	samples := make([]byte, int64(lasts)*rate/int64(time.Second))
	file := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(36+len(samples)))...)
	file = append(file, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...) // PCM of one channel
	file = binary.LittleEndian.AppendUint32(file, rate)
	file = binary.LittleEndian.AppendUint32(file, rate)
	file = append(file, "\x01\x00\x08\x00data"...) // a byte a sample
	file = binary.LittleEndian.AppendUint32(file, uint32(len(samples)))
	return append(file, samples...)
}

// mediaFor is the type of what is sent to a path.
func mediaFor(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.HasSuffix(path, "/audio") {
		return "audio/wav"
	}
	return "application/json"
}
