package audit

// Action says what somebody did or tried to do: the kind of thing it was done
// to, a dot, the deed.
type Action string

// The actions.
const (
	SessionStarted Action = "session.started" // somebody signed in: a browser, or a token of a session that was not seen before
	SessionEnded   Action = "session.ended"   // somebody signed out

	StreamOpened  Action = "stream.opened"  // a live stream was asked for
	StreamChanged Action = "stream.changed" // a live stream was asked to carry more

	MeetingRead        Action = "meeting.read" // something of a meeting was read; told once in ReadsEvery
	MeetingCreated     Action = "meeting.created"
	MeetingUpdated     Action = "meeting.updated"
	MeetingStarted     Action = "meeting.started"
	MeetingJoined      Action = "meeting.joined"
	MeetingLeft        Action = "meeting.left"
	MeetingEnded       Action = "meeting.ended"
	MeetingCancelled   Action = "meeting.cancelled"
	MeetingTransferred Action = "meeting.transferred"

	ParticipantInvited     Action = "participant.invited"
	ParticipantClaimed     Action = "participant.claimed" // an invitation by e-mail became a membership
	ParticipantRoleChanged Action = "participant.role_changed"
	ParticipantRemoved     Action = "participant.removed"

	MessageDeleted Action = "message.deleted"

	NotesLocked     Action = "notes.locked" // or unlocked
	NotesRolledBack Action = "notes.rolled_back"
	NotesExported   Action = "notes.exported"

	TranscriptExported Action = "transcript.exported"
	TranscriptDeleted  Action = "transcript.deleted" // the whole of it, by the host

	SpeakerNamed Action = "speaker.named" // it was said who speaks in a transcript

	InsightsDeleted Action = "insights.deleted" // somebody deleted their own

	FlagChanged      Action = "flag.changed"      // a flag was set, or given its default again
	RetentionChanged Action = "retention.changed" // how long an organization keeps things was decided

	SettingsChanged Action = "settings.changed" // which of them, not what to

	UserDeactivated Action = "user.deactivated"
	UserActivated   Action = "user.activated" // somebody deactivated may come back
	UserErased      Action = "user.erased"    // somebody has asked to be erased
	UserExported    Action = "user.exported"  // somebody has fetched what is stored about them

	JobRetried Action = "job.retried" // a job that had failed for good was brought back

	// What the identity provider tells by itself has no actor.
	MembershipChanged Action = "membership.changed" // the role in the organization that somebody acts for

	AdminRead     Action = "admin.read" // figures or records of an organization were read; told once in ReadsEvery
	AuditExported Action = "audit.exported"

	RequestMade Action = "request.made" // any other request, recorded when it is refused
)

// Actions returns every action, in the order in which they stand above.
func Actions() []Action {
	return []Action{
		SessionStarted, SessionEnded,
		StreamOpened, StreamChanged,
		MeetingRead, MeetingCreated, MeetingUpdated, MeetingStarted, MeetingJoined, MeetingLeft, MeetingEnded, MeetingCancelled, MeetingTransferred,
		ParticipantInvited, ParticipantClaimed, ParticipantRoleChanged, ParticipantRemoved,
		MessageDeleted,
		NotesLocked, NotesRolledBack, NotesExported,
		TranscriptExported, TranscriptDeleted, SpeakerNamed, InsightsDeleted,
		FlagChanged, RetentionChanged, SettingsChanged,
		UserDeactivated, UserActivated, UserErased, UserExported,
		JobRetried,
		MembershipChanged,
		AdminRead, AuditExported,
		RequestMade,
	}
}
