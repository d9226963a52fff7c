package insights

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"connvo/domain"
)

// The bounds of what is told.
const (
	maxTopics    = 5
	maxKeywords  = 12 // by which sentences are weighed
	maxSummary   = 5  // sentences
	maxDecisions = 10
	maxActions   = 20
)

// Quote is a sentence that somebody said or wrote.
type Quote struct {
	Text    string
	Segment domain.SegmentID // "" where it was not said
	Speaker domain.UserID    // "" where nobody knows, and in the notes, which are everybody's
	At      time.Time
	Owner   domain.UserID // of something to do: who does it, "" where nobody is named
	message span          // where it stands in the message
	seq     int64         // of the message, 0 for none
	version int64         // the position of the message's last change
	task    bool          // it stands in the notes as something to do
}

// Found is what is found in the material, the same for all who were there.
type Found struct {
	Facts     string // how long it was and how many spoke
	Summary   []Quote
	Topics    []string // never nil
	Decisions []Quote
	Actions   []Quote
}

// Extract returns what is found in the material, by this server alone: whoever else is to
// look through it takes and returns the same. Every Text is a part of the material, and
// what is found is bounded, however much there is.
func Extract(mat Material) Found {
	all := mat.quotes()
	keywords := mat.keywords()
	found := Found{Facts: mat.facts(), Topics: []string{}}
	for _, k := range keywords[:min(len(keywords), maxTopics)] {
		found.Topics = append(found.Topics, k.text)
	}
	names := listen(mat.Members)
	var rest []Quote
	for _, q := range all {
		text := plain(q.Text)
		if owner, action := names.action(q, text); action {
			q.Owner = owner
			found.Actions = append(found.Actions, q)
		} else if decides(text) {
			found.Decisions = append(found.Decisions, q)
		} else if !strings.HasSuffix(text, "?") {
			rest = append(rest, q)
		}
	}
	found.Decisions = firstOf(unique(found.Decisions), maxDecisions, func(Quote) bool { return true })
	found.Actions = firstOf(unique(found.Actions), maxActions, func(q Quote) bool { return q.Owner != "" || q.task })
	found.Summary = summarize(unique(rest), keywords)
	return found
}

// facts is a sentence about the meeting itself.
func (mat Material) facts() string {
	took := "less than a minute"
	if n := int(mat.Ended.Sub(mat.Began).Round(time.Minute) / time.Minute); n > 0 {
		took = count(n, "minute", "minutes")
	}
	text := "The meeting took " + took
	if n := mat.speakers(); n > 0 {
		text += ", and " + count(n, "person", "people") + " spoke"
	}
	return text + "."
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// quotes returns every sentence of the material that may be quoted: what was said, what
// was posted, what is in the notes.
func (mat Material) quotes() []Quote {
	var all []Quote
	for _, h := range mat.Heard {
		q := Quote{Segment: h.Segment, Speaker: h.Speaker, At: h.At}
		text := strings.Join(h.Pieces, " ")
		spans := sentences(text)
		if slices.ContainsFunc(spans, tooLong) { // nobody has punctuated it: each piece was said by itself
			for _, piece := range h.Pieces {
				all = append(all, q.each(piece, sentences(piece))...)
			}
			continue
		}
		all = append(all, q.each(text, spans)...)
	}
	for _, p := range mat.Posts {
		for _, s := range sentences(p.Content) {
			if !tooLong(s) {
				all = append(all, Quote{Text: p.Content[s.from:s.to], Speaker: p.User, At: p.At, seq: p.Seq, version: p.Position, message: s})
			}
		}
	}
	for line := range strings.Lines(mat.Notes) {
		from, task := item(line)
		for i, s := range sentences(line[from:]) {
			if text := line[from+s.from : from+s.to]; !tooLong(s) {
				all = append(all, Quote{Text: text, At: mat.Ended, task: task && i == 0})
			}
		}
	}
	return all
}

// each returns the parts of the text as quotes like q.
func (q Quote) each(text string, spans []span) []Quote {
	var all []Quote
	for _, s := range spans {
		if !tooLong(s) {
			q.Text = text[s.from:s.to]
			all = append(all, q)
		}
	}
	return all
}

func tooLong(s span) bool { return s.to-s.from > maxSentence }

// unique leaves out what says the same, in the same words, as one before.
func unique(all []Quote) []Quote {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(q Quote) bool {
		key := strings.Join(folded(q.Text), " ")
		before := seen[key]
		seen[key] = true
		return before
	})
}

// firstOf returns at most n of the quotes, in their order: those that are better first.
func firstOf(all []Quote, n int, better func(Quote) bool) []Quote {
	left := n
	for _, q := range all {
		if better(q) {
			left--
		}
	}
	goods := n
	return slices.DeleteFunc(all, func(q Quote) bool {
		if better(q) {
			goods--
			return goods < 0
		}
		left--
		return left < 0
	})
}
