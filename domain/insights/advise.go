package insights

import (
	"connvo/domain"
	"connvo/domain/profiles"
)

// maxAdvice is how many things a person is advised to do.
const maxAdvice = 5

// How sure the advice is: the more of it somebody has said, the more.
const (
	sureOwn     = 0.8
	sureWish    = 0.7
	sureUnnamed = 0.6
	sureNotes   = 0.5
	sureOpen    = 0.4
)

// advise returns what the person might do, the surest first: of what was found in the
// meeting, and of what they themselves have told.
func advise(user domain.UserID, me profiles.Shown, mat Material, found Found) []line {
	var all []line
	say := func(confidence float64, reason, text string) {
		all = append(all, line{part: advice, text: text, reason: reason, confidence: confidence})
	}
	about := func(confidence float64, reason, before string, q Quote) {
		all = append(all, q.line(advice, before))
		all[len(all)-1].reason, all[len(all)-1].confidence = reason, confidence
	}
	for _, q := range found.Actions {
		if q.Owner == user {
			about(sureOwn, "It is the first thing that you are named for.", "Begin with: ", q)
			break
		}
	}
	for _, t := range found.Topics {
		if mentions(me.Profile.Goals, t) {
			say(sureWish, "The meeting was about it, and it is in your goals.", "Stay with: "+t)
			break
		}
	}
	for _, q := range found.Actions {
		if q.Owner == "" {
			about(sureUnnamed, "Nobody is named for it.", "Agree on who does it: ", q)
			break
		}
	}
	if mat.Notes == "" && len(found.Actions)+len(found.Decisions) > 0 {
		say(sureNotes, "Things were agreed on, and there are no notes.", "Write down in the notes what was agreed.")
	}
	for _, t := range found.Topics {
		if !isDecided(t, found.Decisions) {
			say(sureOpen, "It was talked about, and no decision on it was heard.", "Bring it up again: "+t)
			break
		}
	}
	return all[:min(len(all), maxAdvice)]
}

func isDecided(topic string, decisions []Quote) bool {
	for _, d := range decisions {
		if mentions(d.Text, topic) {
			return true
		}
	}
	return false
}

// line returns the line of a part that quotes.
func (q Quote) line(part, before string) line {
	l := line{part: part, segment: q.Segment, seq: q.seq, version: q.version, quoted: q.message, text: before}
	if q.seq == 0 {
		l.text += q.Text
	}
	return l
}
