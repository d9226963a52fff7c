package insights

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/connections"
	"connvo/domain/profiles"
	"connvo/domain/settings"
	"connvo/domain/text"
	"connvo/domain/topics"
)

// The bounds of whom somebody is told of.
const (
	maxPeople    = 3
	maxLookedAt  = 50 // of those who let their data be used, the first by id
	maxNamed     = 3  // of each thing that two have in common
	goalsInWords = 8  // topics of what somebody wants
)

// met is somebody whom the person might want to know.
type met struct {
	meeting domain.MeetingID
	user    domain.UserID
}

// candidates returns whom of those who were there the user might want to know: at most
// maxPeople, those with most in common first.
func (s *Store) candidates(tx db.Reader, user domain.UserID, attended []domain.UserID) ([]domain.UserID, error) {
	sharing, err := settings.Sharing(tx, attended)
	if err != nil {
		return nil, err
	}
	var people []met
	for _, other := range attended {
		if sharing[other] && other != user && len(people) < maxLookedAt {
			people = append(people, met{user: other})
		}
	}
	found, err := s.common(tx, user, people)
	var all []domain.UserID
	for _, p := range people {
		if found[p.user].worth() > 0 {
			all = append(all, p.user)
		}
	}
	slices.SortStableFunc(all, func(a, b domain.UserID) int { return cmp.Compare(found[b].worth(), found[a].worth()) })
	return all[:min(len(all), maxPeople)], err
}

// reasons returns why the user might want to know the people, as it is now; of those
// who are not to be told of, and of those of whom there is nothing to tell, "".
func (s *Store) reasons(tx db.Reader, user domain.UserID, people []met) (map[domain.UserID]string, error) {
	found, err := s.common(tx, user, people)
	all := map[domain.UserID]string{}
	for other, c := range found {
		all[other] = c.reason()
	}
	return all, err
}

// common returns what the user has in common with those of the people of whom they may
// be told: who let what is known about them be used, show their profile to the user, and
// are not connected with them. It is asked whenever insights are read.
func (s *Store) common(tx db.Reader, user domain.UserID, people []met) (map[domain.UserID]commonality, error) {
	var ids []domain.UserID
	for _, p := range people {
		ids = append(ids, p.user)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids) // one may be met more than once
	sharing, err := settings.Sharing(tx, ids)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id domain.UserID) bool { return !sharing[id] || id == user })
	if len(ids) == 0 {
		return nil, nil
	}
	shown, err := s.profiles.Readable(tx, user, append(ids, user))
	if err != nil {
		return nil, err
	}
	all := map[domain.UserID]commonality{}
	for _, id := range ids {
		other, readable := shown[id]
		if !readable {
			continue
		}
		if connected, err := connections.Connected(tx, user, id); err != nil || connected {
			if err != nil {
				return nil, err
			}
			continue
		}
		all[id] = compare(shown[user], other)
	}
	return all, nil
}

// commonality is what somebody has in common with another, each as the other tells it.
type commonality struct {
	interests []string
	skills    []string // that both have
	goals     []string // that both have
	help      []string // skills of the other that are in the goals of the first
	wanted    []string // the reverse
}

// compare returns what two people have in common.
func compare(me, other profiles.Shown) commonality {
	var c commonality
	for _, i := range me.Interests {
		if slices.Contains(other.Interests, i) {
			c.interests = append(c.interests, i.Label)
		}
	}
	for _, skill := range other.Profile.Skills {
		if slices.ContainsFunc(me.Profile.Skills, func(s string) bool { return text.Fold(s) == text.Fold(skill) }) {
			c.skills = append(c.skills, skill)
		} else if mentions(me.Profile.Goals, skill) {
			c.help = append(c.help, skill)
		}
	}
	for _, skill := range me.Profile.Skills {
		if mentions(other.Profile.Goals, skill) && !slices.Contains(c.skills, skill) {
			c.wanted = append(c.wanted, skill)
		}
	}
	mine := topics.Of([]topics.Text{{Text: me.Profile.Goals}}, goalsInWords)
	for _, t := range topics.Of([]topics.Text{{Text: other.Profile.Goals}}, goalsInWords) {
		if !saysNothing[t.Key] && slices.ContainsFunc(mine, func(m topics.Topic) bool { return m.Key == t.Key }) {
			c.goals = append(c.goals, t.Text)
		}
	}
	return c
}

// worth is how much they have in common.
func (c commonality) worth() int {
	return len(c.interests) + 2*len(c.skills) + 2*len(c.goals) + 3*len(c.help) + 3*len(c.wanted)
}

// reason says what it is, "" for nothing.
func (c commonality) reason() string {
	var all []string
	for _, part := range []struct {
		sentence string
		list     []string
	}{
		{"They know what your goals ask for: %s.", c.help},
		{"You know what their goals ask for: %s.", c.wanted},
		{"You have goals in common: %s.", c.goals},
		{"You both know %s.", c.skills},
		{"You share interests: %s.", c.interests},
	} {
		if len(part.list) > 0 {
			all = append(all, fmt.Sprintf(part.sentence, strings.Join(part.list[:min(len(part.list), maxNamed)], ", ")))
		}
	}
	return strings.Join(all, " ")
}

// mentions reports whether a text has the words of a phrase, one behind the other.
func mentions(text, phrase string) bool {
	words := strings.Join(folded(phrase), " ")
	return words != "" && strings.Contains(" "+strings.Join(folded(text), " ")+" ", " "+words+" ")
}
