package handlers

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// splits reads in pieces of the lengths that a test draws.
type splits struct {
	t    *rapid.T
	rest []byte
}

func (s *splits) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := min(rapid.SampledFrom([]int{1, 2, 100, 4096, 100_000}).Draw(s.t, "piece"), len(p), len(s.rest))
	copy(p, s.rest[:n])
	s.rest = s.rest[n:]
	return n, nil
}

// However the bytes are split, the lines are the same: those between line ends,
// but for those that are too long.
func TestLinesDoNotDependOnHowTheyArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		var body bytes.Buffer
		for range rapid.IntRange(0, 10).Draw(t, "lines") {
			size := rapid.SampledFrom([]int{0, 1, 10, lineBuffer - 1, lineBuffer, lineBuffer + 1, maxLine, maxLine + 1, maxLine + 1000}).Draw(t, "size")
			text := strings.Repeat(rapid.SampledFrom([]string{"a", "\r", "\x00"}).Draw(t, "of"), size)
			want = append(want, text)
			body.WriteString(text + "\n")
		}
		if n := len(want); n > 0 && want[n-1] != "" && rapid.Bool().Draw(t, "without an end") {
			body.Truncate(body.Len() - 1)
		}
		lines := newLineReader(&splits{t: t, rest: body.Bytes()})
		for i, text := range want {
			got, err := lines.next()
			switch long := len(text) > maxLine; {
			case long != errors.Is(err, errLongLine), !long && (err != nil || string(got) != text):
				t.Fatalf("line %d of %d bytes: %d bytes, %v", i+1, len(text), len(got), err)
			case lines.number != int64(i+1):
				t.Fatalf("line %d is number %d", i+1, lines.number)
			case cap(lines.line) > 2*maxLine:
				t.Fatalf("%d bytes are held", cap(lines.line))
			}
		}
		if got, err := lines.next(); err != io.EOF {
			t.Fatalf("after the last: %q, %v", got, err)
		}
	})
}

// Of a line that was cut off by something else than the end of the body nothing is
// told, and it was no line.
func TestALineThatIsCutOffIsNone(t *testing.T) {
	broken := errors.New("broken")
	lines := newLineReader(io.MultiReader(strings.NewReader("one\ntwo"), iotest.ErrReader(broken)))
	if got, err := lines.next(); string(got) != "one" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := lines.next(); got != nil || !errors.Is(err, broken) || lines.number != 1 {
		t.Fatalf("%q, %v, number %d", got, err, lines.number)
	}
}
