package audio_test

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/audio"
)

// chromium is what the MediaRecorder of Chromium has made of 1.2 seconds of a tone, in
// clusters of unknown length.
//
//go:embed testdata/chromium.webm
var chromium []byte

// wave is a WAV file with PCM of one channel: the rate is samples a second, each of
// so many bytes.
func wave(rate, width, samples int) []byte {
	format := binary.LittleEndian.AppendUint16([]byte{1, 0}, 1)
	format = binary.LittleEndian.AppendUint32(format, uint32(rate))
	format = binary.LittleEndian.AppendUint32(format, uint32(rate*width))
	format = binary.LittleEndian.AppendUint16(format, uint16(width))
	format = binary.LittleEndian.AppendUint16(format, uint16(8*width))
	return riff("fmt ", format, "data", make([]byte, samples*width))
}

// riff is a WAV file with the chunks, each a name and its content.
func riff(chunks ...any) []byte {
	body := []byte("WAVE")
	for i := 0; i < len(chunks); i += 2 {
		content := chunks[i+1].([]byte)
		body = append(body, chunks[i].(string)...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(content)))
		body = append(body, content...)
		if len(content)%2 == 1 {
			body = append(body, 0)
		}
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// with returns a copy of the file in which the bytes at a place are others.
func with(file []byte, at int, others ...byte) []byte {
	file = slices.Clone(file)
	copy(file[at:], others)
	return file
}

// second is the part of a file that can be listened to: a second of PCM.
var second = wave(8000, 1, 8000)

func TestListen(t *testing.T) {
	format, samples := second[20:36], make([]byte, 8000)
	floats := with(wave(8000, 4, 8000), 20, 3)
	extensible := func(code byte) []byte {
		long := append(with(format, 0, 0xFE, 0xFF), 22, 0, 8, 0, 4, 0, 0, 0, code, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71)
		return riff("fmt ", long, "data", samples)
	}
	for name, c := range map[string]struct {
		file  []byte
		lasts time.Duration
	}{
		"a second":                       {second, time.Second},
		"fifteen of speech":              {wave(16000, 2, 15*16000), 15 * time.Second},
		"a part of a second":             {wave(16000, 2, 20000), 1250 * time.Millisecond},
		"floats":                         {floats, time.Second},
		"extensible":                     {extensible(1), time.Second},
		"other chunks between":           {riff("fmt ", format, "LIST", []byte("odd"), "data", samples), time.Second},
		"others after, that are no more": {append(slices.Clone(second), "LIST\xff\xff\xff\x00"...), time.Second},
		"a length that nobody knew":      {with(second, 40, 0xFF, 0xFF, 0xFF, 0xFF), time.Second},
		"none was written":               {with(second, 40, 0, 0, 0, 0), time.Second},
		"what Chromium records":          {chromium, 1199 * time.Millisecond},
	} {
		s, err := audio.Listen(c.file)
		if err != nil || s.Duration.Truncate(time.Millisecond) != c.lasts || len(s.Bytes) != len(c.file) || (s.Format == audio.WebM) != strings.Contains(name, "Chromium") {
			t.Errorf("%s: %v %v, %v", name, s.Format, s.Duration, err)
		}
	}
}

func TestWhatIsNoPieceIsRefused(t *testing.T) {
	opus, webm := bytes.Index(chromium, []byte("A_OPUS")), bytes.Index(chromium, []byte("webm"))
	cluster := bytes.Index(chromium, []byte{0x1F, 0x43, 0xB6, 0x75})
	for name, c := range map[string]struct {
		file []byte
		want string // in the sentence; "" for ErrFormat
	}{
		"nothing":                          {nil, ""},
		"words":                            {[]byte("Shall we begin?"), ""},
		"Ogg":                              {append([]byte("OggS"), make([]byte, 100)...), ""},
		"RIFF without a wave":              {with(second, 8, []byte("AVI ")...), ""},
		"WAV with MP3":                     {with(second, 20, 0x55), ""},
		"WAV with A-law":                   {with(second, 20, 6), ""},
		"WebM with Vorbis":                 {with(chromium, opus, []byte("A_VORB")...), ""},
		"Matroska":                         {with(chromium, webm, []byte("mkv\x00")...), ""},
		"clusters without a header":        {chromium[cluster:], ""},
		"a header alone":                   {chromium[:cluster], "no packets"},
		"WAV without samples":              {second[:36], "no samples"},
		"samples without a format":         {riff("data", make([]byte, 8000)), "before their format"},
		"a format that is cut off":         {riff("fmt ", second[20:30], "data", make([]byte, 8000)), "cut off"},
		"a WAV that is cut off":            {second[:4000], "ends before its samples"},
		"a WebM that is cut off":           {chromium[:1000], "ends within"},
		"more bytes a second than samples": {with(second, 28, 1), "contradict"},
		"no channel":                       {with(second, 22, 0), "nothing is recorded"},
		"no rate":                          {with(second, 24, 0, 0, 0, 0, 0, 0, 0, 0), "nothing is recorded"},
		"too short":                        {wave(8000, 1, 7999), "lasts 999 ms"},
		"too long":                         {wave(8000, 1, 120_008), "lasts 15001 ms"},
		"too large":                        {wave(48000, 2, audio.MaxBytes/2), "has at most"},
	} {
		s, err := audio.Listen(c.file)
		if c.want == "" {
			if !errors.Is(err, audio.ErrFormat) {
				t.Errorf("%s: %+v, %v", name, s.Duration, err)
			}
			continue
		}
		if domain.KindOf(err) != domain.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v %v", name, s.Duration, err)
		}
	}
}

// A file of which a byte is another is listened to, or refused, and nothing else.
func FuzzListen(f *testing.F) {
	for _, seed := range [][]byte{second[:60], chromium, chromium[:200], {0x1A, 0x45, 0xDF, 0xA3}, []byte("RIFF____WAVE")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := audio.Listen(file)
		switch {
		case err == nil:
			if s.Duration < audio.MinDuration || s.Duration > audio.MaxDuration {
				t.Errorf("it lasts %v", s.Duration)
			}
		case !errors.Is(err, audio.ErrFormat) && domain.KindOf(err) != domain.Invalid:
			t.Errorf("%v", err)
		}
	})
}
