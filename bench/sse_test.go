package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// events reads all events of a stream as "name/id/data".
func events(r io.Reader) []string {
	var all []string
	for reader := newEventReader(r); ; {
		e, err := reader.next()
		if err != nil {
			return all
		}
		all = append(all, fmt.Sprintf("%s/%s/%s", e.name, e.id, e.data))
	}
}

func TestEvents(t *testing.T) {
	for raw, want := range map[string][]string{
		"data: a\n\n": {"message//a"},
		"event: items\nid: 7\ndata: {}\n\ndata:b\n\n":   {"items/7/{}", "message/7/b"},
		"\xef\xbb\xbfdata: a\r\ndata:  b\r\n\r\n":       {"message//a\n b"},
		"data: a\rdata: b\r\r":                          {"message//a\nb"},
		": comment\nretry: 10\nevent: x\n\ndata: a\n\n": {"message//a"},
		"data\n\n":                {"message//"},
		"id: 1\x002\ndata: a\n\n": {"message//a"},
		"data: cut off\n":         nil,
		"data: a\n\ndata: b":      {"message//a"},
	} {
		if got := events(strings.NewReader(raw)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

func TestRetryIsOfItsEvent(t *testing.T) {
	r := newEventReader(strings.NewReader("retry: 1500\nevent: problem\ndata: {}\n\ndata: a\n\nretry: soon\ndata: b\n\n"))
	for _, want := range []time.Duration{1500 * time.Millisecond, 0, 0} {
		if e, err := r.next(); err != nil || e.retry != want {
			t.Errorf("%q: %v, %v", e.data, e.retry, err)
		}
	}
}

// An event is there as soon as its blank line is: nothing waits for the byte after it.
func TestEventDoesNotWaitForTheNext(t *testing.T) {
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	reader := newEventReader(&chunkReader{r: bufio.NewReader(r)})
	end := ""
	for _, raw := range []string{"data: a\r\r", "\ndata: b\n\n"} {
		written := make(chan struct{})
		go func() {
			defer close(written)
			fmt.Fprintf(w, "%s%x\r\n%s", end, len(raw), raw)
		}()
		e, err := reader.next()
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Fields(raw)[1]; string(e.data) != want {
			t.Errorf("%q, want %q", e.data, want)
		}
		<-written
		end = "\r\n"
	}
}

func TestOversizedEventIsRefused(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("data: "), strings.NewReader(strings.Repeat("x", maxEvent+2)))
	if _, err := newEventReader(endless).next(); err == nil || err == io.EOF {
		t.Errorf("got %v", err)
	}
}

// How the bytes arrive makes no difference, and every kind of line end is the same.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: items\nid: 7\ndata: {}\n\n: c\ndata:b\ndata\n\n"))
	f.Add([]byte("\xef\xbb\xbfdata: a\r\ndata: b\r\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole := events(bytes.NewReader(raw))
		if slow := events(iotest.OneByteReader(bytes.NewReader(raw))); !reflect.DeepEqual(whole, slow) {
			t.Fatalf("%q: %q at once, %q byte by byte", raw, whole, slow)
		}
		lf := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		for _, end := range []string{"\n", "\r", "\r\n"} {
			same := events(bytes.NewReader(bytes.ReplaceAll(lf, []byte("\n"), []byte(end))))
			if !reflect.DeepEqual(whole, same) {
				t.Fatalf("%q: %q, with %q for line ends %q", raw, whole, end, same)
			}
		}
	})
}
