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

// handOverPage is how many of a person's planned meetings one transaction reads for
// those that they host: a millisecond.
const handOverPage = 500

// HandedOver is what became of a meeting whose host is gone.
type HandedOver struct {
	Meeting domain.MeetingID
	Org     string
	Heir    domain.UserID // the new host, or "": it was cancelled
}

// HandOver gives scheduled meetings that the person hosts to a cohost, the active
// one whose account is the oldest, or cancels them where there is none, on behalf of
// by: a few of those behind the meeting after in the order of ids, "" for the first.
// It returns what became of them, and next to go on behind, "" when none is left. It
// joins the caller's transaction, which knows that the person is gone.
func (s *Store) HandOver(tx *db.WriteTx, person, by domain.UserID, after domain.MeetingID) (done []HandedOver, next domain.MeetingID, err error) {
	page, err := db.All(tx, scanPlanned, selectPlanned, person, after, handOverPage)
	if err != nil {
		return nil, "", err
	}
	for _, p := range page {
		if p.role != participants.Host {
			continue
		}
		if len(done) == maxHandedOver {
			return done, done[maxHandedOver-1].Meeting, nil
		}
		h, err := s.handOver(tx, p.meeting, person, by)
		if err != nil {
			return nil, "", err
		}
		done = append(done, h)
	}
	if len(page) == handOverPage {
		next = page[handOverPage-1].meeting
	}
	return done, next, nil
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

const selectPlanned = `
SELECT meeting_id, role
FROM participants
WHERE user_id = ?1 AND meeting_state = 'scheduled' AND meeting_id > ?2
ORDER BY meeting_id
LIMIT ?3`

const selectHeir = `
SELECT u.id
FROM participants AS p
JOIN users AS u ON u.id = p.user_id
WHERE p.meeting_id = ?1 AND p.role = 'cohost' AND u.active = 1
ORDER BY u.created_at, u.id
LIMIT 1`

// planned is a planned meeting of somebody, and what they are in it.
type planned struct {
	meeting domain.MeetingID
	role    participants.Role
}

func scanPlanned(r db.Row) (p planned, err error) {
	err = r.Scan(&p.meeting, &p.role)
	return p, err
}

func scanUserID(r db.Row) (id domain.UserID, err error) {
	err = r.Scan(&id)
	return id, err
}
