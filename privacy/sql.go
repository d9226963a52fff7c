package privacy

import (
	"connvo/db"
	"connvo/domain/users"
)

// erasable is rows that are deleted, or lose their person, by one key.
type erasable struct {
	query string
	key   func(users.Identified) string // "" where the person has none
}

// rows are deleted in this order, each up to portion at once.
var rows = []erasable{
	{deleteSessions, byUser},
	{deleteNotifications, byUser},
	{deleteMarks, byUser},
	{deleteTheirConnections, byUser},
	{deleteConnections, byUser},
	{deleteRequests, byUser},
	{deleteTheirBlocks, byUser},
	{deleteBlocks, byUser},
	{deleteInterests, byUser},
	{deleteOnboarding, byUser},
	{deleteProfile, byUser},
	{deleteSettings, byUser},
	{deleteToldProfile, byUser},
	{deleteSeen, byUser},
	{deleteLimits, byUser},
	{updateComments, byUser},
	{deleteInsightLines, byUser},
	{deleteInsights, byUser},
	{deleteFromInsights, byUser},
	{updateActions, byUser},
	{deleteInvitations, byAddress},
	{deleteMemberships, bySubject},
	{deleteDevUser, bySubject},
}

func byUser(who users.Identified) string    { return string(who.User) }
func bySubject(who users.Identified) string { return who.Subject }
func byAddress(who users.Identified) string { return who.Address }

// deleteSessions has no limit, since there are few of each person; so have others.
const deleteSessions = `
DELETE FROM sessions
WHERE user_id = ?1`

const deleteAudio = `
DELETE FROM audio
WHERE number IN (
  SELECT number
  FROM audio
  WHERE user_id = ?1
  LIMIT 4
)`

const deleteNotifications = `
DELETE FROM notifications
WHERE position IN (
  SELECT position
  FROM notifications
  WHERE user_id = ?1
  LIMIT 100
)`

const deleteMarks = `
DELETE FROM notification_marks
WHERE user_id = ?1`

// deleteTheirConnections deletes the others' rows, which those of the person tell.
const deleteTheirConnections = `
DELETE FROM connections
WHERE (user_id, other_id) IN (
  SELECT t.user_id, t.other_id
  FROM connections AS c
  JOIN connections AS t ON t.user_id = c.other_id AND t.other_id = c.user_id
  WHERE c.user_id = ?1
  LIMIT 100
)`

const deleteConnections = `
DELETE FROM connections
WHERE (user_id, other_id) IN (
  SELECT user_id, other_id
  FROM connections
  WHERE user_id = ?1
  LIMIT 100
)`

const deleteRequests = `
DELETE FROM ended_requests
WHERE (requester_id, addressee_id) IN (
  SELECT requester_id, addressee_id
  FROM ended_requests
  WHERE requester_id = ?1
  LIMIT 100
)`

const deleteTheirBlocks = `
DELETE FROM blocks
WHERE (user_id, other_id) IN (
  SELECT t.user_id, t.other_id
  FROM blocks AS b
  JOIN blocks AS t ON t.user_id = b.other_id AND t.other_id = b.user_id
  WHERE b.user_id = ?1
  LIMIT 100
)`

const deleteBlocks = `
DELETE FROM blocks
WHERE (user_id, other_id) IN (
  SELECT user_id, other_id
  FROM blocks
  WHERE user_id = ?1
  LIMIT 100
)`

const deleteInterests = `
DELETE FROM user_interests
WHERE user_id = ?1`

const deleteOnboarding = `
DELETE FROM onboardings
WHERE user_id = ?1`

const deleteProfile = `
DELETE FROM profiles
WHERE user_id = ?1`

const deleteSettings = `
DELETE FROM settings
WHERE user_id = ?1`

const deleteToldProfile = `
DELETE FROM provider_profiles
WHERE user_id = ?1`

const deleteSeen = `
DELETE FROM last_seen
WHERE user_id = ?1`

// whole table: it holds those only who have used up half of what they may, for minutes.
const deleteLimits = `
DELETE FROM rate_limits
WHERE who = ?1`

const updateComments = `
UPDATE ratings
SET comment = ''
WHERE comment <> '' AND (meeting_id, user_id) IN (
  SELECT meeting_id, user_id
  FROM ratings
  WHERE user_id = ?1 AND comment <> ''
  LIMIT 100
)`

const deleteInsightLines = `
DELETE FROM insight_lines
WHERE (user_id, meeting_id, part, place) IN (
  SELECT user_id, meeting_id, part, place
  FROM insight_lines
  WHERE user_id = ?1
  LIMIT 100
)`

// deleteInsights takes with it whom they name.
const deleteInsights = `
DELETE FROM insights
WHERE (user_id, meeting_id) IN (
  SELECT user_id, meeting_id
  FROM insights
  WHERE user_id = ?1
  LIMIT 100
)`

// deleteFromInsights takes the person out of what others are told.
const deleteFromInsights = `
DELETE FROM insight_people
WHERE (user_id, meeting_id, other_id) IN (
  SELECT user_id, meeting_id, other_id
  FROM insight_people
  WHERE other_id = ?1
  LIMIT 100
)`

const updateActions = `
UPDATE insight_lines
SET owner_id = NULL
WHERE owner_id IS NOT NULL AND (user_id, meeting_id, part, place) IN (
  SELECT user_id, meeting_id, part, place
  FROM insight_lines
  WHERE owner_id = ?1
  LIMIT 100
)`

const deleteInvitations = `
DELETE FROM invitations
WHERE (email, meeting_id) IN (
  SELECT email, meeting_id
  FROM invitations
  WHERE email = ?1
  LIMIT 100
)`

const deleteMemberships = `
DELETE FROM memberships
WHERE subject = ?1`

const deleteDevUser = `
DELETE FROM dev_users
WHERE subject = ?1`

// selectLabels looks at a window of numbers.
const selectLabels = `
SELECT t.position
FROM transcripts AS t
JOIN speakers AS s ON s.meeting_id = t.meeting_id AND s.label = t.label
WHERE t.position > ?2 AND t.position <= ?3 AND t.label <> '' AND s.user_id = ?1
ORDER BY t.position`

const updateLabels = `
UPDATE transcripts
SET label = '', speaker_id = (SELECT user_id FROM speakers AS s WHERE s.meeting_id = transcripts.meeting_id AND s.label = transcripts.label)
WHERE position IN (SELECT value FROM json_each(?1)) AND label <> ''`

const selectSpeaker = `
SELECT meeting_id, label
FROM speakers
WHERE user_id = ?1
ORDER BY meeting_id, label
LIMIT 1`

const selectSegments = `
SELECT start_ms, first
FROM segments
WHERE meeting_id = ?1 AND label = ?2
ORDER BY start_ms, first
LIMIT ?3`

const updateSegment = `
UPDATE segments
SET speaker_id = ?5, label = ''
WHERE meeting_id = ?1 AND start_ms = ?2 AND first = ?3 AND label = ?4`

const updateCounts = `
UPDATE transcript_counts
SET speaker_id = ?3, label = settled
WHERE meeting_id = ?1 AND speaker_id = '' AND label = ?2`

const deleteSpeaker = `
DELETE FROM speakers
WHERE meeting_id = ?1 AND label = ?2 AND user_id = ?3`

func scanSpeaker(r db.Row) (s speaker, err error) {
	return s, r.Scan(&s.meeting, &s.label)
}

func scanPlace(r db.Row) (p place, err error) {
	return p, r.Scan(&p.start, &p.first)
}

const deleteHorizons = `
DELETE FROM horizons
WHERE owner = ?1`

// nextMessage is the first number above another that a row of the table has, 0 for none:
// in a database that was restored there are billions in between that no row has. Each
// table that is looked through by number has its own: what another has in between says
// nothing of it.
const nextMessage = `
SELECT coalesce(min(seq), 0)
FROM messages
WHERE seq > ?1`

const nextChunk = `
SELECT coalesce(min(position), 0)
FROM transcripts
WHERE position > ?1`

const nextEvent = `
SELECT coalesce(min(position), 0)
FROM events
WHERE position > ?1`

const nextEntry = `
SELECT coalesce(min(position), 0)
FROM audit
WHERE position > ?1`

const nextJob = `
SELECT coalesce(min(id), 0)
FROM jobs
WHERE id > ?1`

// selectTraces looks at a window of numbers.
const selectTraces = `
SELECT position
FROM audit
WHERE position > ?2 AND position <= ?3 AND actor_id = ?1
  AND (session <> '' OR address <> '' OR agent <> '' OR instr(detail, '"reason":') > 0)
ORDER BY position`

const updateTraces = `
UPDATE audit
SET session = '', address = '', agent = '',
  detail = CASE WHEN json_valid(detail) THEN json_remove(detail, '$.reason') ELSE detail END
WHERE position IN (SELECT value FROM json_each(?1))`

// selectJobs takes lists of texts: members of a payload, and what may stand anywhere. It
// leaves what ends an account, and what tells others by an id alone.
const selectJobs = `
SELECT id
FROM jobs
WHERE id > ?1 AND id <= ?2 AND kind NOT IN ('users.deactivated', 'users.erase') AND (
  EXISTS (SELECT 1 FROM json_each(?3) WHERE instr(payload, value) > 0)
  OR (dead = 1 AND EXISTS (SELECT 1 FROM json_each(?4) WHERE instr(payload, value) + instr(last_error, value) > 0))
)
ORDER BY id`

const selectErrors = `
SELECT id
FROM jobs
WHERE id > ?1 AND id <= ?2 AND last_error <> '' AND EXISTS (SELECT 1 FROM json_each(?3) WHERE instr(last_error, value) > 0)
ORDER BY id`

const updateErrors = `
UPDATE jobs
SET last_error = ''
WHERE id IN (SELECT value FROM json_each(?1))`

const deleteJobs = `
DELETE FROM jobs
WHERE id IN (SELECT value FROM json_each(?1))`
