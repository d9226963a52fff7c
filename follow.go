package main

import (
	"connvo/auth"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/insights"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/notifications"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/jobs"
)

// follows is what happens in the transaction of each event; after is what the
// end of a meeting starts.
func follows(after []afterEnd) map[events.Type][]events.Follow {
	return map[events.Type][]events.Follow{
		events.MeetingCreated:         {notifications.Follow},
		events.MeetingUpdated:         {watchForAbandonment, messages.Announce, notifications.Follow},
		events.MeetingStarted:         {watchForAbandonment, messages.Announce, notifications.Follow},
		events.MeetingEnded:           append(startAll(after), conversation.Close, transcripts.Close, messages.Announce),
		events.MeetingCancelled:       {messages.Announce, notifications.Follow},
		events.MeetingTransferred:     {messages.Announce, notifications.Follow},
		events.ParticipantInvited:     {notifications.Follow},
		events.ParticipantClaimed:     {notifications.Follow},
		events.ParticipantRoleChanged: {notifications.Follow},
		events.ParticipantJoined:      {messages.Announce},
		events.ParticipantLeft:        {messages.Announce},
	}
}

// handlersOf is who does each kind of job, but for those of a meeting's end.
func handlersOf(meets *meetings.Store, told *insights.Store, inbox *auth.Inbox, letters *delivery) map[string]jobs.Handler {
	return map[string]jobs.Handler{
		endAbandoned: endAbandonedMeeting(meets),
		claimMore:    claimMoreInvitations(meets),
		expireDay:    effect(expireAnswersOf),

		notifications.TellRest: effect(notifications.TellMembers),
		notifications.Starting: effect(notifications.TellStarting),
		notes.Compaction:       effect(notes.Compact),
		users.Deactivated:      effect(handOver(meets)),
		notifications.Send:     letters.send,
		insights.Renew:         told.Renewed,
		transcripts.Lull:       effect(transcripts.NoticeLull),
		transcripts.Closed:     effect(transcripts.ForgetUtterances),
		auth.ApplyEvent:        inbox.Apply,
		auth.CatchUp:           inbox.CatchUp,
	}
}
