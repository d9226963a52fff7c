package transcripts

import (
	"strings"
	"sync"

	"github.com/jonreiter/govader"

	"connvo/domain/topics"
)

// segmentTopics is how many topics a segment has at most.
const segmentTopics = 5

// vader knows some 7,500 English words; reading them takes milliseconds.
var vader = sync.OnceValue(govader.NewSentimentIntensityAnalyzer)

// Topics returns what the segment is about, the most important first; never nil.
func (s Segment) Topics() []string {
	if s.stored != nil {
		return s.stored.topics
	}
	names := []string{}
	for _, t := range topics.Of(texts(s.Chunks), segmentTopics) {
		names = append(names, t.Text)
	}
	return names
}

// Sentiment returns how friendly it is, from -1 to 1, by VADER (Hutto and Gilbert, "VADER:
// A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", 2014),
// and false when none of it is said to be English, which is all that it knows.
func (s Segment) Sentiment() (compound float64, known bool) {
	if s.stored != nil {
		if s.stored.sentiment == nil {
			return 0, false
		}
		return *s.stored.sentiment, true
	}
	var b strings.Builder
	for _, c := range s.Chunks {
		if !english(c.Language) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(c.Text)
	}
	if b.Len() == 0 {
		return 0, false
	}
	// It looks at single spaces only.
	return vader().PolarityScores(strings.Join(strings.Fields(b.String()), " ")).Compound, true
}

func english(tag string) bool {
	primary, _, _ := strings.Cut(tag, "-")
	return strings.EqualFold(primary, "en")
}

func texts(chunks []Chunk) []topics.Text {
	all := make([]topics.Text, len(chunks))
	for i, c := range chunks {
		all[i] = topics.Text{Text: c.Text, Language: c.Language}
	}
	return all
}
