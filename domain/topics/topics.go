// Package topics is what a text is about, found in the text itself.
//
// The method is RAKE (Rose, Engel, Cramer and Cowley, "Automatic Keyword Extraction
// from Individual Documents", in Text Mining: Applications and Theory, 2010): stop
// words and punctuation cut a text into runs of words that carry meaning; a word's
// degree is the length of all runs that it is in; what it is worth is its degree by
// its occurrences. It is changed for speech, which repeats itself and has little
// punctuation: words are counted by their stems, what is worth something is worth it
// each time it is said, and words that follow one another are one topic only where
// they do so more than once.
package topics

import (
	"cmp"
	"slices"
	"strings"
)

// The bounds of a topic and of what is read for them.
const (
	MaxWords  = 3     // of a topic
	maxLetter = 30    // characters of a word: what is longer is none
	maxRun    = 8     // words that one is seen together with, where nothing cuts
	maxRead   = 5_000 // words of all texts together, the first: half an hour of speech
)

// Text is something that was said, in a language: a tag such as en or pt-BR, "" where
// nobody knows.
type Text struct{ Text, Language string }

// Topic is a word, or a few that belong together.
type Topic struct {
	Text  string // as it is said most often, in small letters; at most 100 characters
	Key   string // its stems: two topics of one key are the same
	Count int    // how often it was said
}

// Of returns what the texts are about, the most important first, at most limit. The
// same texts give the same topics. Languages without stop words known here, and
// texts written without spaces, have worse ones or none.
func Of(texts []Text, limit int) []Topic {
	runs := split(texts)
	worth := weigh(runs)
	all := candidates(runs)
	for _, c := range all {
		for _, w := range c.words {
			c.score += worth[w.stem]
		}
		c.score *= float64(c.count)
	}
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(len(b.words), len(a.words)), cmp.Compare(a.first, b.first))
	})
	var topics []Topic
	var taken []*candidate
	for _, c := range all {
		if len(topics) == limit {
			break
		}
		if slices.ContainsFunc(taken, c.repeats) {
			continue
		}
		taken = append(taken, c)
		topics = append(topics, Topic{Text: c.text(), Key: c.key, Count: c.count})
	}
	return topics
}

// Similarity is how much two lists of topics have in common, from 0 to 1: Jaccard's
// index of their stems, so that a topic which is said in more words is not another.
// It is 1 for two empty lists.
func Similarity(a, b []Topic) float64 {
	left, right := stems(a), stems(b)
	common := 0
	for s := range left {
		if right[s] {
			common++
		}
	}
	if all := len(left) + len(right) - common; all > 0 {
		return float64(common) / float64(all)
	}
	return 1
}

func stems(all []Topic) map[string]bool {
	set := map[string]bool{}
	for _, t := range all {
		for s := range strings.SplitSeq(t.Key, " ") {
			set[s] = true
		}
	}
	return set
}

// weigh returns what each stem is worth: its degree by its occurrences.
func weigh(runs [][]word) map[string]float64 {
	degree, count := map[string]int{}, map[string]int{}
	for _, run := range runs {
		for _, w := range run {
			degree[w.stem] += len(run)
			count[w.stem]++
		}
	}
	worth := make(map[string]float64, len(count))
	for stem, n := range count {
		worth[stem] = float64(degree[stem]) / float64(n)
	}
	return worth
}

// candidate is what may be a topic.
type candidate struct {
	key      string
	words    []word         // as they were said first
	spoken   map[string]int // how often in which words
	first    int            // its place among all that were found
	count    int
	score    float64
	surfaces []string // of spoken, in the order in which they came
}

// candidates returns every word, and every few that follow one another more than once.
func candidates(runs [][]word) []*candidate {
	found := map[string]*candidate{}
	var order []*candidate
	for _, run := range runs {
		for i := range run {
			for n := 1; n <= min(MaxWords, len(run)-i); n++ {
				words := run[i : i+n]
				key := join(words, func(w word) string { return w.stem })
				c := found[key]
				if c == nil {
					c = &candidate{key: key, words: words, first: len(order), spoken: map[string]int{}}
					found[key] = c
					order = append(order, c)
				}
				c.add(join(words, func(w word) string { return w.text }))
			}
		}
	}
	return slices.DeleteFunc(order, func(c *candidate) bool { return len(c.words) > 1 && (c.count == 1 || c.echoes()) })
}

func (c *candidate) add(surface string) {
	c.count++
	if c.spoken[surface]++; c.spoken[surface] == 1 {
		c.surfaces = append(c.surfaces, surface)
	}
}

// echoes reports whether it is one word said again and again.
func (c *candidate) echoes() bool {
	return !slices.ContainsFunc(c.words, func(w word) bool { return w.stem != c.words[0].stem })
}

// repeats reports whether one of the two holds the other, and what is held was
// mostly said as part of it: then the better of them says it all.
func (c *candidate) repeats(taken *candidate) bool {
	short, long := c, taken
	if len(short.words) > len(long.words) {
		short, long = long, short
	}
	if !strings.Contains(" "+long.key+" ", " "+short.key+" ") {
		return false
	}
	return long == c || 2*long.count >= short.count
}

// text returns the words in which it was said most often, the first of them where
// several were.
func (c *candidate) text() string {
	best := c.surfaces[0]
	for _, s := range c.surfaces {
		if c.spoken[s] > c.spoken[best] {
			best = s
		}
	}
	return best
}

func join(words []word, of func(word) string) string {
	if len(words) == 1 {
		return of(words[0])
	}
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = of(w)
	}
	return strings.Join(parts, " ")
}
