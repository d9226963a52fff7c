package transcripts

import (
	"context"
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// MaxSpeakers bounds the labels of a meeting: as many as speakers are told apart.
// What is said under others is stored, but nobody can name them.
const MaxSpeakers = conversation.MaxSpeakers

// Speaker is somebody who was told apart by a label.
type Speaker struct {
	Label   string
	User    domain.UserID // "" until somebody has named them
	NamedBy domain.UserID // "" until then
	NamedAt time.Time     // zero until then
}

// Speakers returns the labels under which something was said in the meeting, and
// those that were named before, in their order; at most MaxSpeakers.
func (s *Store) Speakers(ctx context.Context, who domain.Actor, m domain.MeetingID) (all []Speaker, err error) {
	err = s.db.Read(ctx, func(tx db.Reader) error {
		there, err := readable(tx, who, m)
		if err != nil || !there {
			return err
		}
		all, err = db.All(tx, scanSpeaker, selectSpeakers, m, MaxSpeakers)
		return err
	})
	return all, err
}

// Name says who speaks under a label: from then on every answer shows it, also of
// what was said before. Repeated it changes nothing. Members name themselves; host
// and cohosts anybody.
//
// Errors: Invalid for what is no label, and for a user who is no member; Forbidden
// to observers, to who is not there, and for others to whoever is no host or
// cohost; MeetingNotActive before the meeting has started, or when it is cancelled;
// Conflict when the label is another's, when there are too many, and when the transcript
// was deleted.
func (s *Store) Name(ctx context.Context, who domain.Actor, m domain.MeetingID, label string, user domain.UserID) (named Speaker, err error) {
	if !labelPattern.MatchString(label) {
		return named, domain.FailField("path.label", "must match %s", LabelPattern)
	}
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		if err := requireNaming(tx, who, m, user); err != nil {
			return err
		}
		named, err = db.One(tx, scanSpeaker, selectSpeaker, m, label)
		switch {
		case errors.Is(err, db.ErrNone):
			n, err := db.One(tx, db.Int, countSpeakers, m)
			if err != nil {
				return err
			}
			if n >= MaxSpeakers {
				return domain.Fail(domain.Conflict, "the meeting has %d speakers already", MaxSpeakers)
			}
		case err != nil:
			return err
		case named.User == user:
			return nil
		case named.User != "":
			return domain.Fail(domain.Conflict, "the label is another speaker's")
		}
		named = Speaker{Label: label, User: user, NamedBy: who.User, NamedAt: tx.Now}
		if err := attribute(tx, m, label, user); err != nil {
			return err
		}
		if _, err := tx.Exec(upsertSpeaker, m, label, user, tx.Now.UnixMilli(), who.User); err != nil {
			return err
		}
		_, err = s.log.Append(tx, events.Event{Meeting: m, Type: events.SpeakerNamed, Actor: who.User, Subject: string(user)})
		return err
	})
	return named, err
}

// attribute makes what was said under the label, before anybody named it, the user's.
func attribute(tx *db.WriteTx, m domain.MeetingID, label string, user domain.UserID) error {
	heard, err := db.One(tx, scanUnattributed, selectUnattributed, m, label)
	if errors.Is(err, db.ErrNone) || (err == nil && heard == conversation.Utterance{}) {
		return nil
	}
	if err != nil {
		return err
	}
	return conversation.Attribute(tx, m, user, heard.End, heard.Words)
}

// requireNaming refuses whoever may not say that the user is a speaker.
func requireNaming(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, user domain.UserID) error {
	viewer, err := participants.Require(tx, who, m, participants.WriteContent)
	if err != nil {
		return err
	}
	manages := viewer.Role == participants.Host || viewer.Role == participants.Cohost
	if user != who.User && !manages {
		return domain.Fail(domain.Forbidden, "only the host and cohosts may name others")
	}
	if viewer.State != participants.Active && viewer.State != participants.Concluded {
		return domain.Fail(domain.MeetingNotActive, "nothing was said in the meeting")
	}
	deleted, err := Deleted(tx, m)
	if err != nil {
		return err
	}
	if deleted {
		return domain.Fail(domain.Conflict, "the transcript was deleted")
	}
	_, err = participants.Find(tx, m, string(user))
	if errors.Is(err, db.ErrNone) {
		return domain.FailField("body.userId", "is no member of the meeting")
	}
	return err
}
