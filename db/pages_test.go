package db_test

import (
	"bytes"
	"testing"
)

func TestPagesAreThoseOfTheFile(t *testing.T) {
	d := open(t)
	put(t, d, "a word in the log")
	var all []byte
	for first := int64(1); ; first += 3 {
		pages, err := d.Pages(t.Context(), first, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pages {
			all = append(all, p...)
		}
		if len(pages) < 3 {
			break
		}
	}
	if want := count(t, d, "SELECT page_count FROM pragma_page_count"); int64(len(all)) != 4096*want {
		t.Errorf("%d bytes of %d pages", len(all), want)
	}
	if !bytes.HasPrefix(all, []byte("SQLite format 3\x00")) || !bytes.Contains(all, []byte("a word in the log")) {
		t.Error("they are others")
	}
	if pages, err := d.Pages(t.Context(), 1<<30, 3); err != nil || len(pages) != 0 {
		t.Errorf("%d pages beyond the end, %v", len(pages), err)
	}
}
