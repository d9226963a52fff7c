package transcripts

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Format is what a transcript is exported as.
type Format string

// The formats.
const (
	Txt  Format = "txt"  // a line a chunk: when, who, what
	SRT  Format = "srt"  // SubRip subtitles
	VTT  Format = "vtt"  // WebVTT captions, with the speaker as voice
	JSON Format = "json" // one document, with everything that is known of a chunk
)

// Writer makes a file of chunks, a piece at a time. Its zero value with a format is one
// at the beginning; it is not safe for concurrent use.
type Writer struct {
	Format Format
	begun  bool
	n      int // chunks that were written
}

// Append appends the chunks to the file, of which they are the next.
func (w *Writer) Append(b []byte, chunks []Spoken) []byte {
	if !w.begun {
		w.begun = true
		b = append(b, map[Format]string{VTT: "WEBVTT\n", JSON: `{"items":[`}[w.Format]...)
	}
	for _, c := range chunks {
		w.n++
		b = w.one(b, c)
	}
	return b
}

// End appends the end of the file.
func (w *Writer) End(b []byte) []byte {
	b = w.Append(b, nil)
	if w.Format == JSON {
		b = append(b, "]}\n"...)
	}
	return b
}

func (w *Writer) one(b []byte, c Spoken) []byte {
	name, text := plain(c.Name), plain(c.Text)
	switch w.Format {
	case SRT:
		if name != "" {
			text = name + ": " + text
		}
		return fmt.Appendf(b, "%d\n%s --> %s\n%s\n\n", w.n, clock(c.Start, ','), clock(c.End, ','), subRip.Replace(text))
	case VTT:
		if name != "" {
			text = "<v " + webVTT.Replace(name) + ">" + webVTT.Replace(text)
		} else {
			text = webVTT.Replace(text)
		}
		return fmt.Appendf(b, "\n%d\n%s --> %s\n%s\n", w.n, clock(c.Start, '.'), clock(c.End, '.'), text)
	case JSON:
		if w.n > 1 {
			b = append(b, ',')
		}
		item, _ := json.Marshal(itemOf(c)) // strings and numbers always encode
		return append(append(b, '\n'), item...)
	default:
		if name != "" {
			name += ": "
		}
		return fmt.Appendf(b, "[%s] %s%s\n", clock(c.Start, '.'), name, text)
	}
}

// ExportFile is what a JSON file holds.
type ExportFile struct {
	Items []ExportItem `json:"items"`
}

// ExportItem is a chunk in a JSON file; what is not known is null.
type ExportItem struct {
	Position   int64   `json:"position"`
	StartMs    int64   `json:"startMs"`
	EndMs      int64   `json:"endMs"`
	SpeakerID  *string `json:"speakerId"`
	Label      *string `json:"speakerLabel"`
	Name       *string `json:"speakerName"`
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence"`
	Language   *string `json:"language"`
}

func itemOf(c Spoken) ExportItem {
	maybe := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return ExportItem{
		Position: c.Position, StartMs: c.Start.Milliseconds(), EndMs: c.End.Milliseconds(),
		SpeakerID: maybe(string(c.Speaker)), Label: maybe(c.Label), Name: maybe(c.Name),
		Text: c.Text, Confidence: c.Confidence, Language: maybe(c.Language),
	}
}

// subRip writes what players of SubRip would take for a time or for markup, for which
// the format has no way, with characters that look alike.
var subRip = strings.NewReplacer("-->", "→", "<", "‹", ">", "›", `{\`, `(\`)

// webVTT escapes; so an arrow is none any more either.
var webVTT = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// plain returns a text on one line, without characters that do not show: a line that is
// empty ends a cue.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	return strings.Join(strings.Fields(text), " ")
}

// clock returns an offset as 00:00:00 and milliseconds after the separator.
func clock(d time.Duration, separator byte) string {
	ms := d.Milliseconds()
	b := make([]byte, 0, len("000:00:00.000"))
	for i, part := range [...]struct {
		n     int64
		width int
	}{{ms / 3_600_000, 2}, {ms / 60_000 % 60, 2}, {ms / 1000 % 60, 2}, {ms % 1000, 3}} {
		switch i {
		case 1, 2:
			b = append(b, ':')
		case 3:
			b = append(b, separator)
		}
		digits := strconv.FormatInt(part.n, 10)
		b = append(append(b, "000"[:max(0, part.width-len(digits))]...), digits...)
	}
	return string(b)
}
