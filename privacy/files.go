package privacy

// file is a file of an export.
type file struct {
	name string
	// query returns the key of a row and its columns. It takes the person and two
	// more: the key that is behind, and how many rows; with next, two numbers of the
	// sequence between which it looks.
	query     string
	columns   []string // see column
	first     any      // what the first key is behind, "" where it is nil
	next      string   // first is a number, and this is the next of the table; "" where it is not
	bySubject bool     // the person is the subject, not the user
}

// files are everything that is stored about a person.
var files = []file{
	{name: "account.json", query: exportAccount, columns: []string{"id", "subject", "email", "verifiedAddress", "displayName", "avatarUrl", "orgId", "orgRole", "active?", "claimsAt", "createdAt", "updatedAt"}},
	{name: "provider-profile.json", query: exportToldProfile, columns: []string{"toldAt", "displayName", "avatarUrl"}},
	{name: "organizations.json", query: exportMemberships, columns: []string{"orgId", "active?", "role", "toldAt"}, bySubject: true},
	{name: "profile.json", query: exportProfile, columns: []string{"age", "gender", "timeZone", "updatedAt", "field", "jobTitle", "company", "linkedinUrl", "languages{}", "skills{}", "experience", "goals", "bio"}},
	{name: "settings.json", query: exportSettings, columns: []string{"profileVisibility", "dataSharing?", "activityTracking?", "emailNotifications?", "pushNotifications?", "smsNotifications?"}},
	{name: "interests.json", query: exportInterests, columns: []string{"interest"}},
	{name: "onboarding.json", query: exportOnboarding, columns: []string{"completedAt"}},
	{name: "last-seen.json", query: exportSeen, columns: []string{"seenAt"}},
	{name: "sessions.json", query: exportSessions, columns: []string{"createdAt", "renewedAt", "tokenEndsAt", "endsAt"}},
	{name: "connections.json", query: exportConnections, columns: []string{"id", "userId", "status", "direction", "createdAt", "acceptedAt", "message"}},
	{name: "blocks.json", query: exportBlocks, columns: []string{"userId", "createdAt"}},
	{name: "notifications.json", query: exportNotifications, columns: []string{"position", "type", "meetingId", "actorId", "subject", "createdAt"}, first: int64(0)},
	{name: "notifications-read.json", query: exportMarks, columns: []string{"readUpTo"}},
	{name: "meetings.json", query: exportMeetings, columns: []string{"meetingId", "title", "state", "role", "status", "scheduledAt", "joinedAt", "leftAt"}},
	{name: "events.json", query: exportEvents, columns: []string{"position", "meetingId", "type", "actorId", "subjectId", "createdAt"}, first: int64(0), next: nextEvent},
	{name: "speaking.json", query: exportSpeaking, columns: []string{"meetingId", "spokenAt", "totalMs", "words"}},
	{name: "ratings.json", query: exportRatings, columns: []string{"meetingId", "ratedAt", "rating", "comment"}},
	{name: "insights.json", query: exportInsights, columns: []string{"id", "meetingId", "createdAt", "generatedBy", "helpful", "lines{}"}},
	{name: "messages.json", query: exportMessages, columns: []string{"seq", "meetingId", "createdAt", "editedAt", "deletedAt", "attachments{}", "content"}, first: int64(0), next: nextMessage},
	{name: "transcripts.json", query: exportTranscripts, columns: []string{"position", "meetingId", "createdAt", "startMs", "endMs", "label", "language", "text"}, first: int64(0), next: nextChunk},
	{name: "audio.json", query: exportAudio, columns: []string{"number", "meetingId", "createdAt", "startMs", "durationMs", "format", "bytes"}, first: int64(0)},
	{name: "audit.json", query: exportRecord, columns: []string{"position", "at", "action", "resource", "outcome", "session", "request", "address", "agent", "detail{}"}, first: int64(0), next: nextEntry},
}

const exportAccount = `
SELECT id, id, subject, email, address, display_name, avatar_url, org_id, org_role, active, claims_at, created_at, updated_at
FROM users
WHERE id = ?1 AND id > ?2
LIMIT ?3`

const exportToldProfile = `
SELECT user_id, told_at, display_name, avatar_url
FROM provider_profiles
WHERE user_id = ?1 AND user_id > ?2
LIMIT ?3`

const exportMemberships = `
SELECT org_id, org_id, active, role, told_at
FROM memberships
WHERE subject = ?1 AND org_id > ?2
ORDER BY org_id
LIMIT ?3`

const exportProfile = `
SELECT user_id, age, gender, time_zone, updated_at, field, job_title, company, linkedin_url, languages, skills, experience, goals, bio
FROM profiles
WHERE user_id = ?1 AND user_id > ?2
LIMIT ?3`

const exportSettings = `
SELECT user_id, visibility, sharing, tracking, email, push, sms
FROM settings
WHERE user_id = ?1 AND user_id > ?2
LIMIT ?3`

const exportInterests = `
SELECT interest, interest
FROM user_interests
WHERE user_id = ?1 AND interest > ?2
ORDER BY interest
LIMIT ?3`

const exportOnboarding = `
SELECT user_id, completed_at
FROM onboardings
WHERE user_id = ?1 AND user_id > ?2
LIMIT ?3`

const exportSeen = `
SELECT user_id, seen_at
FROM last_seen
WHERE user_id = ?1 AND user_id > ?2
LIMIT ?3`

// exportSessions leaves out what a cookie is made of.
const exportSessions = `
SELECT id, created_at, renewed_at, token_ends_at, ends_at
FROM sessions
WHERE user_id = ?1 AND id > ?2
ORDER BY id
LIMIT ?3`

const exportConnections = `
SELECT other_id, id, other_id, status, direction, created_at, accepted_at, message
FROM connections
WHERE user_id = ?1 AND other_id > ?2
ORDER BY other_id
LIMIT ?3`

// exportBlocks does not tell who blocks the person.
const exportBlocks = `
SELECT other_id, other_id, created_at
FROM blocks
WHERE user_id = ?1 AND other_id > ?2 AND mine = 1
ORDER BY other_id
LIMIT ?3`

const exportNotifications = `
SELECT position, position, type, meeting_id, actor_id, subject, created_at
FROM notifications
WHERE user_id = ?1 AND position > ?2
ORDER BY position
LIMIT ?3`

const exportMarks = `
SELECT user_id, read_up_to
FROM notification_marks
WHERE user_id = ?1 AND user_id > ?2
LIMIT ?3`

const exportMeetings = `
SELECT p.meeting_id, p.meeting_id, m.title, m.state, p.role, p.status, m.scheduled_at, p.joined_at, p.left_at
FROM participants AS p
JOIN meetings AS m ON m.id = p.meeting_id
WHERE p.user_id = ?1 AND p.meeting_id > ?2
ORDER BY p.meeting_id
LIMIT ?3`

const exportEvents = `
SELECT position, position, meeting_id, type, actor_id, subject_id, created_at
FROM events
WHERE position > ?2 AND position <= ?3 AND (actor_id = ?1 OR subject_id = ?1)
ORDER BY position`

const exportSpeaking = `
SELECT p.meeting_id, p.meeting_id, s.spoken_at, s.total_ms, s.words
FROM participants AS p
JOIN speaking AS s ON s.meeting_id = p.meeting_id AND s.user_id = p.user_id
WHERE p.user_id = ?1 AND p.meeting_id > ?2
ORDER BY p.meeting_id
LIMIT ?3`

const exportRatings = `
SELECT meeting_id, meeting_id, rated_at, rating, comment
FROM ratings
WHERE user_id = ?1 AND meeting_id > ?2
ORDER BY meeting_id
LIMIT ?3`

// exportInsights tells, of lines that quote the chat, where; whom the person might want
// to know depends on what those still let be told, and is in GET /v1/insights.
const exportInsights = `
SELECT i.id, i.id, i.meeting_id, i.created_at, i.generated_by, i.helpful, (
  SELECT json_group_array(json_object('part', l.part, 'text', l.text, 'reason', l.reason, 'ownerId', l.owner_id, 'dueAt', l.due_at,
    'confidence', l.confidence, 'segmentId', l.segment, 'messageSeq', l.message))
  FROM insight_lines AS l
  WHERE l.user_id = i.user_id AND l.meeting_id = i.meeting_id
)
FROM insights AS i
WHERE i.user_id = ?1 AND i.id > ?2
  AND (i.heard = 0 OR NOT EXISTS (SELECT 1 FROM deleted_transcripts AS d WHERE d.meeting_id = i.meeting_id))
ORDER BY i.id
LIMIT ?3`

const exportMessages = `
SELECT seq, seq, meeting_id, created_at, edited_at, deleted_at, attachments, content
FROM messages
WHERE seq > ?2 AND seq <= ?3 AND user_id = ?1
ORDER BY seq`

// What was deleted with the transcript of its meeting is in no export, also while a job
// has not come to it.
const exportTranscripts = `
SELECT t.position, t.position, t.meeting_id, t.created_at, t.start_ms, t.end_ms, t.label, t.language, t.text
FROM transcripts AS t
LEFT JOIN speakers AS s ON s.meeting_id = t.meeting_id AND s.label = t.label
WHERE t.position > ?2 AND t.position <= ?3 AND (t.speaker_id = ?1 OR s.user_id = ?1)
  AND NOT EXISTS (SELECT 1 FROM deleted_transcripts AS d WHERE d.meeting_id = t.meeting_id)
ORDER BY t.position`

// exportAudio tells of pieces that wait to be transcribed, without their sound: a page
// of it would be a gigabyte, and within the hour it is text or gone.
const exportAudio = `
SELECT number, number, meeting_id, created_at, start_ms, duration_ms, format, size
FROM audio
WHERE user_id = ?1 AND number > ?2
  AND NOT EXISTS (SELECT 1 FROM deleted_transcripts AS d WHERE d.meeting_id = audio.meeting_id)
ORDER BY number
LIMIT ?3`

const exportRecord = `
SELECT position, position, at, action, resource, outcome, session, request, address, agent, detail
FROM audit
WHERE position > ?2 AND position <= ?3 AND actor_id = ?1
ORDER BY position`
