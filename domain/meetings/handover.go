package meetings

import (
	"errors"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// maxHandedOver is how many meetings one transaction hands over or cancels, of which
// each may tell a hundred people: some milliseconds.
const maxHandedOver = 3

// HandedOver is what became of a meeting whose host is gone.
type HandedOver struct {
	Meeting domain.MeetingID
	Org     string
	Heir    domain.UserID // the new host, or "": it was cancelled
}

// HandOver gives scheduled meetings that the person hosts to a cohost, the active
// one whose account is the oldest, or cancels them where there is none, on behalf of
// by. It returns what became of a few, and whether there are more. It joins the
// caller's transaction, which knows that the person is gone.
func (s *Store) HandOver(tx *db.WriteTx, person, by domain.UserID) (done []HandedOver, more bool, err error) {
	hosted, err := db.All(tx, scanMeetingID, selectHosted, person, maxHandedOver+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(hosted) > maxHandedOver; more {
		hosted = hosted[:maxHandedOver]
	}
	for _, id := range hosted {
		h, err := s.handOver(tx, id, person, by)
		if err != nil {
			return nil, false, err
		}
		done = append(done, h)
	}
	return done, more, nil
}

func (s *Store) handOver(tx *db.WriteTx, id domain.MeetingID, person, by domain.UserID) (h HandedOver, err error) {
	h.Meeting = id
	if h.Org, err = OrgOf(tx, id); err != nil {
		return h, err
	}
	h.Heir, err = db.One(tx, scanUserID, selectHeir, id)
	if errors.Is(err, db.ErrNone) {
		if _, err := tx.Exec(updateCancelled, id, tx.Now.UnixMilli()); err != nil {
			return h, err
		}
		return h, s.append(tx, domain.Actor{User: by}, id, events.MeetingCancelled)
	}
	if err != nil {
		return h, err
	}
	if err := participants.SetRole(tx, id, participants.Person{User: h.Heir}, participants.Host); err != nil {
		return h, err
	}
	if err := participants.SetRole(tx, id, participants.Person{User: person}, participants.Cohost); err != nil {
		return h, err
	}
	return h, s.appendAbout(tx, domain.Actor{User: by}, id, events.MeetingTransferred, string(h.Heir))
}

const selectHosted = `
SELECT meeting_id
FROM participants
WHERE user_id = ?1 AND meeting_state = 'scheduled' AND role = 'host'
ORDER BY meeting_id
LIMIT ?2`

const selectHeir = `
SELECT u.id
FROM participants AS p
JOIN users AS u ON u.id = p.user_id
WHERE p.meeting_id = ?1 AND p.role = 'cohost' AND u.active = 1
ORDER BY u.created_at, u.id
LIMIT 1`

func scanMeetingID(r db.Row) (id domain.MeetingID, err error) {
	err = r.Scan(&id)
	return id, err
}

func scanUserID(r db.Row) (id domain.UserID, err error) {
	err = r.Scan(&id)
	return id, err
}
