package meetings

import (
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
)

const insertMeeting = `
INSERT INTO meetings (id, state, organizer_id, org_id, kind, scheduled_at, duration_ms,
  max_participants, recording, transcription, created_at, updated_at, title, description)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const selectMeeting = `
SELECT id, state, organizer_id, org_id, kind, scheduled_at, duration_ms, started_at, started_by, ended_at,
  max_participants, recording, transcription, created_at, updated_at, title, description
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const selectMeetings = `
SELECT id, state, organizer_id, org_id, kind, scheduled_at, duration_ms, started_at, started_by, ended_at,
  max_participants, recording, transcription, created_at, updated_at, title, description
FROM meetings
WHERE id IN (SELECT value FROM json_each(?1))
-- scope: meetings.id=each(?1)`

const selectOrg = `
SELECT org_id
FROM meetings
WHERE id = ?1
-- scope: meetings.id=?1`

const updateStarted = `
UPDATE meetings
SET state = 'active', started_by = ?2, started_at = ?3, updated_at = ?3
WHERE id = ?1`

const updatePlan = `
UPDATE meetings
SET kind = ?2, scheduled_at = ?3, duration_ms = ?4, max_participants = ?5, recording = ?6, transcription = ?7,
  updated_at = ?8, title = ?9, description = ?10
WHERE id = ?1`

const updateCancelled = `
UPDATE meetings
SET state = 'cancelled', updated_at = ?2
WHERE id = ?1`

const updateEnded = `
UPDATE meetings
SET state = 'concluded', ended_at = ?2, updated_at = ?2
WHERE id = ?1`

func insert(tx *db.WriteTx, m Meeting) error {
	_, err := tx.Exec(insertMeeting, m.ID, m.State, m.Organizer, m.Org, m.Kind, db.Millis(m.ScheduledAt),
		m.Duration.Milliseconds(), m.MaxParticipants, m.Recording, m.Transcription,
		m.CreatedAt.UnixMilli(), m.UpdatedAt.UnixMilli(), m.Title, m.Description)
	return err
}

func update(tx *db.WriteTx, m Meeting) error {
	_, err := tx.Exec(updatePlan, m.ID, m.Kind, db.Millis(m.ScheduledAt), m.Duration.Milliseconds(), m.MaxParticipants,
		m.Recording, m.Transcription, m.UpdatedAt.UnixMilli(), m.Title, m.Description)
	return err
}

// read returns the meeting as the viewer sees it.
func read(tx db.Reader, id domain.MeetingID, viewer participants.Membership) (Meeting, error) {
	m, err := db.One(tx, scanMeeting, selectMeeting, id)
	if err != nil {
		return m, err
	}
	m.Viewer = viewer
	m.Participants, err = participants.Count(tx, id)
	return m, err
}

// readEach returns the meetings that a caller is a member of, in that order.
func readEach(tx db.Reader, mine []participants.Meeting) ([]Meeting, error) {
	ids := jsonIDs(mine, func(m participants.Meeting) domain.MeetingID { return m.ID })
	rows, err := db.All(tx, scanMeeting, selectMeetings, ids)
	if err != nil {
		return nil, err
	}
	counts, err := participants.Counts(tx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[domain.MeetingID]Meeting, len(rows))
	for _, m := range rows {
		byID[m.ID] = m
	}
	list := make([]Meeting, len(mine))
	for i, p := range mine {
		m := byID[p.ID]
		m.Viewer = participants.Membership{Role: p.Role, Status: p.Status, State: m.State}
		m.Participants = counts[p.ID]
		list[i] = m
	}
	return list, nil
}

func scanOrg(r db.Row) (org string, err error) {
	err = r.Scan(&org)
	return org, err
}

func scanMeeting(r db.Row) (Meeting, error) {
	var m Meeting
	var scheduled, started, ended *int64
	var startedBy *string
	var duration, created, updated int64
	err := r.Scan(&m.ID, &m.State, &m.Organizer, &m.Org, &m.Kind, &scheduled, &duration, &started, &startedBy, &ended,
		&m.MaxParticipants, &m.Recording, &m.Transcription, &created, &updated, &m.Title, &m.Description)
	if startedBy != nil {
		m.StartedBy = domain.UserID(*startedBy)
	}
	m.ScheduledAt, m.StartedAt, m.EndedAt = db.Instant(scheduled), db.Instant(started), db.Instant(ended)
	m.Duration = time.Duration(duration) * time.Millisecond
	m.CreatedAt, m.UpdatedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return m, err
}
