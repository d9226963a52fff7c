package transcripts

import (
	"cmp"
	"context"
	"slices"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/settings"
)

// Stats is how much was said in a meeting, also of what is past its time.
type Stats struct {
	Chunks, Words int64
	Confidence    float64 // the average, to three digits; 0 where nothing was said
	// From and To are the offsets between which it was said, in milliseconds.
	From, To  int64
	Speakers  []SpeakerStats // who spoke longest first
	Languages []string       // in order, without those of chunks of which none is known
}

// SpeakerStats is how much a speaker said.
type SpeakerStats struct {
	User          domain.UserID // "" where nobody knows, and for who does not want to be counted by name
	Label         string        // "" where User is known, or nothing
	Chunks, Words int64
	SpokenMs      int64
}

// Stats returns how much was said to those who may read the meeting's content.
func (s *Store) Stats(ctx context.Context, who domain.Actor, m domain.MeetingID) (stats Stats, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		there, err := readable(tx, who, m)
		if err != nil || !there {
			stats = statsOf(nil, nil, nil)
			return err
		}
		n, err := namesOf(tx, m)
		if err != nil {
			return err
		}
		rows, err := db.All(tx, scanTally, selectTallies, m, maxCounted+1)
		if err != nil {
			return err
		}
		unsettled, _, err := fresh(tx, m)
		if err != nil {
			return err
		}
		rows = append(rows, tallies(unsettled)...)
		hidden, err := untracked(tx, rows, n)
		stats = statsOf(rows, n, hidden)
		return err
	})
	return stats, err
}

// untracked returns who of the speakers does not want to be counted by name.
func untracked(tx db.Reader, all []tally, n names) (map[domain.UserID]bool, error) {
	var people []domain.UserID
	for _, t := range all {
		if user := n.of(t.speaker, t.label); user != "" {
			people = append(people, user)
		}
	}
	slices.Sort(people)
	return settings.Untracked(tx, slices.Compact(people))
}

// statsOf adds up tallies; who speaks under several labels is one speaker, and so are
// all who are hidden, with those of whom nothing is known.
func statsOf(all []tally, n names, hidden map[domain.UserID]bool) Stats {
	stats := Stats{Speakers: []SpeakerStats{}, Languages: []string{}}
	place := map[counted]int{}
	var confidence int64
	for i, t := range all {
		if i == 0 {
			stats.From = t.start
		}
		stats.Chunks += t.chunks
		stats.Words += t.words
		confidence += t.confidence
		stats.From, stats.To = min(stats.From, t.start), max(stats.To, t.end)
		if t.language != "" && !slices.Contains(stats.Languages, t.language) {
			stats.Languages = append(stats.Languages, t.language)
		}
		who := counted{speaker: n.of(t.speaker, t.label)}
		switch {
		case hidden[who.speaker]:
			who.speaker = ""
		case who.speaker == "":
			who.label = t.label
		}
		p, found := place[who]
		if !found {
			p = len(stats.Speakers)
			place[who] = p
			stats.Speakers = append(stats.Speakers, SpeakerStats{User: who.speaker, Label: who.label})
		}
		one := &stats.Speakers[p]
		one.Chunks += t.chunks
		one.Words += t.words
		one.SpokenMs += t.spoke
	}
	if stats.Chunks > 0 {
		stats.Confidence = float64(confidence/stats.Chunks) / confidences
	}
	slices.Sort(stats.Languages)
	slices.SortFunc(stats.Speakers, func(a, b SpeakerStats) int {
		return cmp.Or(cmp.Compare(b.SpokenMs, a.SpokenMs), cmp.Compare(a.User, b.User), cmp.Compare(a.Label, b.Label))
	})
	return stats
}
