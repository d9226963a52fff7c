package insights

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"connvo/domain/topics"
	"connvo/domain/words"
)

// The bounds of a sentence that says something by itself, in words, and of how much of
// one may repeat another.
const (
	minWords   = 5
	maxWords   = 45
	maxOverlap = 0.6
	// summaryPart is of how many sentences one is a summary, where they are few.
	summaryPart = 3
	// topicWords is about how many words are looked through for topics: those of parts
	// that are spread over the whole meeting.
	topicWords = 5000
)

// keyword is a topic and its folded words.
type keyword struct {
	text   string
	folded string
	weight float64
}

// keywords returns what was talked and written about, the most important first. The chat
// is left out: a message that is deleted leaves nothing behind.
func (mat Material) keywords() []keyword {
	var texts []topics.Text
	n := 0
	for _, h := range mat.Heard {
		text := strings.Join(h.Pieces, " ")
		n += len(strings.Fields(text))
		texts = append(texts, topics.Text{Text: text, Language: h.Tag})
	}
	sample := []topics.Text{{Text: mat.Notes}}
	step := n/topicWords + 1
	for i := 0; i < len(texts); i += step {
		sample = append(sample, texts[i])
	}
	called := map[string]bool{}
	for _, m := range mat.Members {
		for _, name := range folded(m.Name) {
			called[name] = true
		}
	}
	var all []keyword
	for i, t := range topics.Of(sample, maxKeywords) {
		k := keyword{t.Text, strings.Join(folded(t.Text), " "), float64(maxKeywords - i)}
		if called[k.folded] || saysNothing[k.folded] {
			continue
		}
		if t.Count == 1 { // it was mentioned, no more
			k.weight = 1
		}
		all = append(all, k)
	}
	return all
}

// saysNothing are words that are no topic of a meeting, nor of what somebody wants,
// since every one has them.
var saysNothing = map[string]bool{
	"decide": true, "decided": true, "agree": true, "agreed": true, "meeting": true, "minutes": true, "notes": true,
	"learn": true, "learning": true, "become": true, "improve": true, "meet": true, "find": true, "grow": true, "build": true,
}

// folded returns the words of a text as they are compared.
func folded(text string) []string {
	var all []string
	for w := range words.Of(text) {
		all = append(all, w.Folded)
	}
	return all
}

// ranked is a sentence with what it is worth.
type ranked struct {
	place int // among all
	words []string
	worth float64
}

// summarize returns the sentences that say most about what the meeting was about, none
// of which repeats another, in the order in which they came.
func summarize(all []Quote, keywords []keyword) []Quote {
	var list []ranked
	for i, q := range all {
		r := ranked{place: i, words: folded(q.Text)}
		if len(r.words) < minWords || len(r.words) > maxWords {
			continue
		}
		text := " " + strings.Join(r.words, " ") + " "
		for _, k := range keywords {
			if strings.Contains(text, " "+k.folded+" ") {
				r.worth += k.weight
			}
		}
		if r.worth /= math.Sqrt(float64(len(r.words))); r.worth > 0 {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.place, b.place)) })
	most := min(maxSummary, 1+len(all)/summaryPart)
	var taken []ranked
	for _, r := range list {
		if len(taken) == most {
			break
		}
		if !slices.ContainsFunc(taken, r.repeats) {
			taken = append(taken, r)
		}
	}
	slices.SortFunc(taken, func(a, b ranked) int { return cmp.Compare(a.place, b.place) })
	summary := make([]Quote, len(taken))
	for i, r := range taken {
		summary[i] = all[r.place]
	}
	return summary
}

// repeats reports whether most words of the shorter are in the other.
func (r ranked) repeats(other ranked) bool {
	short, long := r.words, other.words
	if len(short) > len(long) {
		short, long = long, short
	}
	common := 0
	for _, w := range short {
		if slices.Contains(long, w) {
			common++
		}
	}
	return float64(common) > maxOverlap*float64(len(short))
}
