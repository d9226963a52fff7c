package messages

import (
	"connvo/db"
	"connvo/domain/events"
)

// sentences are what the server says in a chat when something happens. They name
// nobody: who it was stands in the meeting's events, under a name that may change.
var sentences = map[events.Type]string{
	events.MeetingUpdated:     "The plan of the meeting has changed.",
	events.MeetingCancelled:   "The meeting is cancelled.",
	events.MeetingTransferred: "The meeting has another host.",
	events.MeetingStarted:     "The meeting has started.",
	events.MeetingEnded:       "The meeting has ended.",
	events.ParticipantJoined:  "Somebody has joined.",
	events.ParticipantLeft:    "Somebody has left.",
}

// Announce is an events.Follow: it says in the chat of e's meeting what happened,
// in the transaction of the event. An event without a sentence says nothing.
func Announce(tx *db.WriteTx, e events.Event) error {
	sentence, found := sentences[e.Type]
	if !found {
		return nil
	}
	m := Message{Content: sentence}
	return m.insert(tx, e.Meeting)
}
