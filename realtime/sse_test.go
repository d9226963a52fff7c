package realtime

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"connvo/domain"
)

// parsed is an event as a browser's parser sees it.
type parsed struct{ name, id, data, retry string }

// parseStream reads a stream as section 9.2.6 of the HTML standard says.
func parseStream(stream []byte) []parsed {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(stream))
	var all []parsed
	var p parsed
	var data []string
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			if data != nil {
				p.data = strings.Join(data, "\n")
				all = append(all, p)
			}
			p, data = parsed{}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			p.name = value
		case "id":
			p.id = value
		case "retry":
			p.retry = value
		case "data":
			data = append(data, value)
		}
	}
	return all
}

func TestEventIsReadAsItWasWritten(t *testing.T) {
	b, err := appendEvent(nil, event{name: "snapshot", id: "42", retry: 1500 * time.Millisecond, data: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := "retry: 1500\nevent: snapshot\nid: 42\ndata: {\"a\":1}\n\n"
	if string(b) != want {
		t.Errorf("wrote %q, want %q", b, want)
	}
}

func TestLineBreaksInDataForgeNothing(t *testing.T) {
	for _, data := range []string{"a\nevent: forged", "a\rid: 1", "a\r\ndata: b", "\n\n", "\r\n\r\n", "a\n", ": comment"} {
		b, err := appendEvent(nil, event{name: "items", data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
		events := parseStream(b)
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
		if len(events) != 1 || events[0] != (parsed{name: "items", data: want}) {
			t.Errorf("%q is read as %+v", data, events)
		}
	}
}

func TestLineBreaksInNamesAndIDsAreRefused(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\rb", "a\x00b"} {
		if _, err := appendEvent(nil, event{name: bad}); !errors.Is(err, errForged) {
			t.Errorf("name %q: %v", bad, err)
		}
		if _, err := appendEvent(nil, event{name: "x", id: bad}); !errors.Is(err, errForged) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
}

func FuzzAppendEvent(f *testing.F) {
	f.Add("items", "1", []byte("a\r\nb"))
	f.Add("snapshot", "", []byte(`{"a":"b"}`))
	f.Fuzz(func(t *testing.T, name, id string, data []byte) {
		b, err := appendEvent(nil, event{name: name, id: id, data: data})
		if err != nil {
			return
		}
		events := parseStream(b)
		if len(events) != 1 {
			t.Fatalf("%d events from one: %q", len(events), b)
		}
		text := string(bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")))
		if events[0].data != text || events[0].id != id || events[0].name != name {
			t.Fatalf("name %q id %q data %q is read as %+v", name, id, data, events[0])
		}
	})
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", "0", "42", "-1", "+1", "9007199254740991", "9007199254740992", "99999999999999999999", "1e3", " 1", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, known := ParsePosition(s)
		if !known {
			return
		}
		if n < 0 || n >= domain.MaxNumber || strings.Trim(s, "0123456789") != "" {
			t.Fatalf("%q is read as %d", s, n)
		}
	})
}

func TestPositionsThatNobodyGave(t *testing.T) {
	for _, s := range []string{"", "-1", "+1", "9007199254740992", "99999999999999999999", "1e3", " 1", "0x1", "１", "1\n"} {
		if n, known := ParsePosition(s); known {
			t.Errorf("%q is read as %d", s, n)
		}
	}
	if n, known := ParsePosition("9007199254740991"); !known || n != domain.MaxNumber-1 {
		t.Errorf("the greatest position is read as %d, %v", n, known)
	}
}
