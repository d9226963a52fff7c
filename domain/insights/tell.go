package insights

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/messages"
)

// The parts of insights, as they are stored.
const (
	summary  = "summary"
	topic    = "topic"
	decision = "decision"
	action   = "action"
	advice   = "advice"
)

// line is a row of insight_lines.
type line struct {
	meeting    domain.MeetingID
	part       string
	owner      domain.UserID
	due        time.Time
	confidence float64
	seq        int64 // of the message that it quotes, 0 for none
	version    int64
	quoted     span
	segment    domain.SegmentID
	reason     string
	text       string // before what is quoted of a message
}

// tell fills in what insights of the caller say.
func (s *Store) tell(tx db.Reader, who domain.Actor, heads []Insight) ([]Insight, error) {
	at := map[domain.MeetingID]*Insight{}
	for i := range heads {
		h := &heads[i]
		h.Topics, h.Decisions, h.Actions, h.Recommendations = []string{}, []string{}, []Action{}, []Recommendation{}
		h.People, h.Segments = []Person{}, []domain.SegmentID{}
		at[h.Meeting] = h
	}
	ids, err := meetingList(heads)
	if err != nil {
		return nil, err
	}
	lines, err := db.All(tx, scanLine, selectLines, who.User, ids)
	if err != nil {
		return nil, err
	}
	if lines, err = quote(tx, lines); err != nil {
		return nil, err
	}
	for _, l := range lines {
		at[l.meeting].add(l)
	}
	people, err := db.All(tx, scanPerson, selectPeople, who.User, ids)
	if err != nil {
		return nil, err
	}
	for _, h := range at {
		slices.Sort(h.Segments)
	}
	reasons, err := s.reasons(tx, who.User, people)
	for _, p := range people {
		if reason := reasons[p.user]; reason != "" {
			at[p.meeting].People = append(at[p.meeting].People, Person{p.user, reason})
		}
	}
	return heads, err
}

func meetingList(heads []Insight) (string, error) {
	ids := make([]domain.MeetingID, len(heads))
	for i, h := range heads {
		ids[i] = h.Meeting
	}
	list, err := json.Marshal(ids)
	return string(list), err
}

// quote adds what lines quote of messages, and leaves out lines whose message is not
// what it was.
func quote(tx db.Reader, lines []line) ([]line, error) {
	kept := lines[:0]
	for _, l := range lines {
		if l.seq != 0 {
			content, same, err := messages.At(tx, l.seq, l.version)
			if err != nil {
				return nil, err
			}
			if !same || l.quoted.to > len(content) {
				continue
			}
			l.text += content[l.quoted.from:l.quoted.to]
		}
		kept = append(kept, l)
	}
	return kept, nil
}

// add adds a line, which follows those of its part before.
func (i *Insight) add(l line) {
	switch l.part {
	case summary:
		i.Summary = strings.TrimSpace(i.Summary + " " + l.text)
	case topic:
		i.Topics = append(i.Topics, l.text)
	case decision:
		i.Decisions = append(i.Decisions, l.text)
	case action:
		i.Actions = append(i.Actions, Action{l.text, l.owner, l.due})
	case advice:
		i.Recommendations = append(i.Recommendations, Recommendation{l.text, l.reason, l.confidence})
	}
	if l.segment != "" && !slices.Contains(i.Segments, l.segment) {
		i.Segments = append(i.Segments, l.segment)
	}
}
