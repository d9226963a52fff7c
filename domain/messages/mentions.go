package messages

import (
	"regexp"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/notifications"
	"connvo/domain/participants"
)

// MaxMentions is how many people one message calls, the first that it names: a
// table of people, and a few milliseconds of the writer's time.
const MaxMentions = 20

// mention is how a message names somebody: @[usr_…]. The id is a ULID.
var mention = regexp.MustCompile(`@\[(` + domain.UserPrefix + `[0-9A-HJKMNP-TV-Z]{26})\]`)

// mentioned returns whom the content names, each once, at most MaxMentions.
func mentioned(content string) []domain.UserID {
	var people []domain.UserID
	seen := map[string]bool{}
	for _, m := range mention.FindAllStringSubmatch(content, -1) {
		if !seen[m[1]] && len(people) < MaxMentions {
			seen[m[1]] = true
			people = append(people, domain.UserID(m[1]))
		}
	}
	return people
}

// tellMentioned tells those whom the message names that it does, of them who may
// read it now, and each once however often it is edited.
func (m Message) tellMentioned(tx *db.WriteTx, meeting domain.MeetingID) error {
	var readers []domain.UserID
	for _, user := range mentioned(m.Content) {
		_, err := participants.Require(tx, domain.Actor{User: user}, meeting, participants.ReadContent)
		switch domain.KindOf(err) {
		case domain.Unauthenticated, domain.NotFound, domain.Forbidden:
			continue // no user, no member, or not in the room
		}
		if err != nil {
			return err
		}
		readers = append(readers, user)
	}
	return notifications.Tell(tx, notifications.News{
		Type: notifications.MessageMentioned, Meeting: meeting, Actor: m.User, Subject: string(m.ID()), Cause: m.Seq,
	}, readers...)
}
