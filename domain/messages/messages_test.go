package messages_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/messages"
)

// Two meetings share one index: no search crosses from one into the other.
func TestSearchStaysInItsMeeting(t *testing.T) {
	r := openRoom(t, dbtest.Open(t))
	other := r.another(t, "mtg_loc_OTHER")
	r.post(t, r.id, "Budget of the year")
	r.post(t, other, "budget elsewhere")
	for meeting, want := range map[domain.MeetingID]string{r.id: "⟦Budget⟧ of the year", other: "⟦budget⟧ elsewhere"} {
		found, more, err := r.chat.Search(t.Context(), r.host, meeting, "BUDGET", domain.MaxNumber, 10)
		if err != nil || more || len(found) != 1 || found[0].Snippet != want {
			t.Errorf("found %+v, %v, %v, want %q", found, more, err, want)
		}
	}
}

func TestSearchFindsWords(t *testing.T) {
	r := openRoom(t, dbtest.Open(t))
	for _, content := range []string{"Ein Würfel, full-text", "don't panic", "first draft", "second draft \"quoted\" AND more", "日本語のテキスト"} {
		r.post(t, r.id, content)
	}
	for query, want := range map[string]int{
		"wurfel": 1, "WÜR": 1, "ein wür": 1, "wür ein": 0, // only the last word is a beginning
		"full-text": 1, "full": 1, "text full": 1, "text-full": 0,
		"don't": 1, "draft": 2, "draft first": 1, "first second": 0, `"quoted"`: 1, `"draft first"`: 1,
		"and": 1, "AND": 1, "OR": 0, "NOT draft": 0, "dr": 0, "dra": 2, "dra first": 0,
		"..d": 0, "d..": 0, "x-d": 0, "d\u0301\u0301": 0, "..dra..": 2, // what separates words makes none longer: beginnings of one or two characters are most of the index
		"!!!": 0, "!!! draft": 2, "draft !!!": 2, "*": 0, "content:draft": 0, "meeting : x": 0, "日本": 0, "日本語": 1, "draft\x00first": 1,
	} {
		found, _, err := r.chat.Search(t.Context(), r.host, r.id, query, domain.MaxNumber, 10)
		if err != nil || len(found) != want {
			t.Errorf("%q: %d found, %v, want %d", query, len(found), err, want)
		}
	}
	for _, query := range []string{"", " \t", strings.Repeat("x", messages.MaxQuery+1)} {
		if _, _, err := r.chat.Search(t.Context(), r.host, r.id, query, domain.MaxNumber, 10); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%q: %v", query, err)
		}
	}
	if found, _, err := r.chat.Search(t.Context(), r.host, r.id, strings.Repeat("x ", messages.MaxQuery/2), domain.MaxNumber, 10); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if _, _, err := r.chat.Search(t.Context(), domain.Actor{User: "usr_nobody"}, r.id, "draft", domain.MaxNumber, 10); err == nil {
		t.Error("a stranger may search")
	}
}

// Whatever is looked for is words, never an operator of the index.
func FuzzSearchTakesEveryQuery(f *testing.F) {
	r := openRoom(f, dbtest.Open(f))
	r.post(f, r.id, "hello there")
	for _, seed := range []string{`"`, `""`, `a" OR "b`, "NEAR(a b)", "^a", "a*b", "{a b}: c", "-a", "a + b", "\x00", "\xff\xfe", "a \xff", "'", ")", "(", "\u0301", "a\u200bb", "* *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		_, _, err := r.chat.Search(t.Context(), r.host, r.id, query, domain.MaxNumber, 5)
		if err != nil && domain.KindOf(err) != domain.Invalid {
			t.Errorf("%q: %v", query, err)
		}
	})
}

// An edit or a deletion takes the words out of the index at once, and out of the
// pages of the file.
func TestDeletedWordsAreGoneFromTheFile(t *testing.T) {
	const first, second, link = "xylophonistsecret", "zweihundertsecret", "https://example.com/qqqsecret"
	for stage, want := range [][]string{{first, link}, {second, link}, nil} {
		path := filepath.Join(t.TempDir(), "connvo.db")
		d, err := db.Open(t.Context(), db.Options{Path: path, Schema: dbtest.Schema(t), Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		r := openRoom(t, d)
		r.post(t, r.id, "words that stay")
		m, err := r.chat.Post(t.Context(), r.host, r.id, messages.Draft{Content: first + " is said", Attachments: []messages.Attachment{{URL: link}}})
		for i := range 50 { // neighbours, so that the index merges them
			r.post(t, r.id, fmt.Sprintf("word%d and others", i))
		}
		if err == nil && stage > 0 {
			_, err = r.chat.Edit(t.Context(), r.host, r.id, m.ID(), second+" is said")
		}
		if err == nil && stage > 1 {
			err = r.chat.Delete(t.Context(), r.host, r.id, m.ID())
		}
		var found []string
		for _, query := range []string{first, second} {
			hits, _, failed := r.chat.Search(t.Context(), r.host, r.id, query, domain.MaxNumber, 5)
			if err = errors.Join(err, failed); len(hits) > 0 {
				found = append(found, query)
			}
		}
		if err := errors.Join(err, d.Close()); err != nil { // which copies the log into the file
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		for _, text := range []string{first, second, link} {
			if bytes.Contains(b, []byte(text)) || bytes.Contains(b, []byte(text[1:])) {
				kept = append(kept, text)
			}
		}
		if !slices.Equal(kept, want) || (len(want) > 0 && !slices.Equal(found, want[:1])) || (len(want) == 0 && len(found) > 0) {
			t.Errorf("stage %d: the file has %q, a search finds %q, want %q", stage, kept, found, want)
		}
	}
}

// A reply to a reply belongs to the thread of the first message.
func TestThreadIsThatOfItsFirstMessage(t *testing.T) {
	r := openRoom(t, dbtest.Open(t))
	first, other := r.post(t, r.id, "first"), r.post(t, r.id, "other")
	reply := r.reply(t, first, "reply")
	deeper := r.reply(t, reply, "deeper")
	if deeper.ReplyTo != reply.Seq || deeper.Thread != first.Seq {
		t.Errorf("%+v", deeper)
	}
	for _, m := range []messages.Message{first, reply, deeper} {
		part, err := r.chat.Feed(t.Context(), r.host, r.id, m.ID(), domain.Span{Limit: 10})
		if err != nil || len(part.Items) != 3 || part.Items[0].Seq != first.Seq || part.Items[2].Seq != deeper.Seq {
			t.Errorf("the thread of %s: %+v, %v", m.Content, part, err)
		}
	}
	if _, err := r.chat.Edit(t.Context(), r.host, r.id, first.ID(), "edited"); err != nil {
		t.Fatal(err)
	}
	part, err := r.chat.Feed(t.Context(), r.host, r.id, first.ID(), domain.Span{After: &deeper.Position, Limit: 10})
	if err != nil || len(part.Items) != 1 || part.Items[0].Content != "edited" {
		t.Errorf("%+v, %v", part, err)
	}
	meeting := r.another(t, "mtg_loc_OTHER")
	if _, err := r.chat.Feed(t.Context(), r.host, meeting, other.ID(), domain.Span{Limit: 10}); domain.KindOf(err) != domain.NotFound {
		t.Errorf("the thread of another meeting: %v", err)
	}
}

func TestAttachmentsAreAddressesOfFiles(t *testing.T) {
	r := openRoom(t, dbtest.Open(t))
	size, none, huge := int64(5), int64(0), int64(domain.MaxNumber)
	good := []messages.Attachment{
		{URL: "https://example.com/a?b=c#d", Name: "A \"file\"", ContentType: "text/html; charset=utf-8", SizeBytes: &size},
		{URL: "http://[::1]:80/", SizeBytes: &none}, {URL: "HTTPS://EXAMPLE.COM"},
	}
	m, err := r.chat.Post(t.Context(), r.host, r.id, messages.Draft{Content: "see", Attachments: good})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = r.chat.Edit(t.Context(), r.host, r.id, m.ID(), "look"); err != nil || fmt.Sprint(links(m)) != fmt.Sprint(links(messages.Message{Attachments: good})) {
		t.Errorf("%v, %v", links(m), err)
	}
	many := make([]messages.Attachment, messages.MaxAttachments+1)
	for i := range many {
		many[i] = good[2]
	}
	if _, err := r.chat.Post(t.Context(), r.host, r.id, messages.Draft{Content: "see", Attachments: many[1:]}); err != nil {
		t.Error(err)
	}
	refused := [][]messages.Attachment{many}
	for _, url := range []string{"", "a.png", "//example.com/a", "ftp://example.com/a", "javascript:alert(1)", "https:///a", "https://:80/a", "https://user@example.com/",
		"https://user:secret@example.com/", "https://example.com/a b", "https://example.com/\n", "https://exa mple.com/", "https://example.com/%zz", "https://example.com/" + strings.Repeat("a", messages.MaxURL)} {
		refused = append(refused, []messages.Attachment{{URL: url}})
	}
	refused = append(refused, []messages.Attachment{{URL: good[2].URL, Name: strings.Repeat("n", messages.MaxName+1)}},
		[]messages.Attachment{{URL: good[2].URL, ContentType: "png"}}, []messages.Attachment{{URL: good[2].URL, ContentType: "image/png; ;"}},
		[]messages.Attachment{{URL: good[2].URL, SizeBytes: &huge}})
	for _, all := range refused {
		if _, err := r.chat.Post(t.Context(), r.host, r.id, messages.Draft{Content: "see", Attachments: all}); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%+v: %v", all[0], err)
		}
	}
}

func links(m messages.Message) (all []string) {
	for _, a := range m.Attachments {
		all = append(all, fmt.Sprint(a.URL, a.Name, a.ContentType, a.SizeBytes != nil))
	}
	return all
}

// Two people delete and edit the same message at once: one order or the other,
// and a deleted message stays deleted.
func TestDeletedMessageIsNotEditedBack(t *testing.T) {
	r := openRoom(t, dbtest.Open(t))
	for range 20 {
		m, err := r.chat.Post(t.Context(), r.host, r.id, messages.Draft{Content: "once"})
		if err != nil {
			t.Fatal(err)
		}
		edited := make(chan error, 1)
		go func() {
			_, err := r.chat.Edit(t.Context(), r.host, r.id, m.ID(), "twice")
			edited <- err
		}()
		if err := r.chat.Delete(t.Context(), r.host, r.id, m.ID()); err != nil {
			t.Fatal(err)
		}
		if err := <-edited; err != nil && domain.KindOf(err) != domain.Conflict {
			t.Fatal(err)
		}
		last, err := r.chat.Feed(t.Context(), r.host, r.id, "", domain.Span{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := last.Items[0]; got.Content != "" || got.DeletedAt.IsZero() {
			t.Fatalf("after the deletion it says %q", got.Content)
		}
	}
}
