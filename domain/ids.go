// Package domain is the vocabulary that every part of connvo shares: ids, the
// actor, errors, pages.
package domain

import "strings"

// UserID names a user, "usr_" followed by a ULID.
type UserID string

// MeetingID names a meeting, "mtg_<home>_<ulid>"; home is the label of the
// region that owns it.
type MeetingID string

// InvitationID names an invitation of an e-mail address, "inv_" followed by a ULID.
type InvitationID string

// MessageID names a message, "msg_" followed by its number in base 32.
type MessageID string

// SegmentID names a segment of a transcript, "seg_" followed by where its first chunk
// starts and by the number of that, in base 32.
type SegmentID string

// AudioID names a piece of audio that is transcribed, "aud_" followed by its number in
// base 32.
type AudioID string

// ConnectionID names a connection of two people, or a request for one, "con_"
// followed by a ULID.
type ConnectionID string

// InsightID names the insights of one person into one meeting, "ins_" followed by a
// ULID.
type InsightID string

// The prefixes of ids, so that a reader of a log or a URL knows what it sees.
const (
	UserPrefix       = "usr_"
	MeetingPrefix    = "mtg_"
	InvitationPrefix = "inv_"
	MessagePrefix    = "msg_"
	SegmentPrefix    = "seg_"
	AudioPrefix      = "aud_"
	ConnectionPrefix = "con_"
	InsightPrefix    = "ins_"
)

// NewMeetingID returns the id of a meeting that lives in the region home; ulid
// must be new.
func NewMeetingID(home, ulid string) MeetingID {
	return MeetingID(MeetingPrefix + home + "_" + ulid)
}

// Home returns the label of the region that owns the meeting, or "" when the id
// has none.
func (m MeetingID) Home() string {
	rest, found := strings.CutPrefix(string(m), MeetingPrefix)
	label, _, more := strings.Cut(rest, "_")
	if !found || !more || !IsLabel(label) {
		return ""
	}
	return label
}

// maxLabel is more than a region needs to be told from others.
const maxLabel = 16

// IsLabel reports whether s can be the label of a region: 1 to 16 lower-case letters
// and digits, which mean nothing else in an id, a URL, a header or a file's name.
func IsLabel(s string) bool {
	if s == "" || len(s) > maxLabel {
		return false
	}
	for i := range len(s) {
		if (s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// crockford is Douglas Crockford's base 32 alphabet, the one ULIDs use. Its
// characters ascend, so ids of one length sort like their numbers.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// messageDigits is how many base 32 digits hold a number below 2⁵³, startDigits an
// offset in a meeting: below 2³⁰ milliseconds, 12 days.
const (
	messageDigits = 11
	startDigits   = 6
)

// NewMessageID returns the id of the message that number seq created. Numbers
// are never used twice, so neither are the ids.
func NewMessageID(seq int64) MessageID {
	return MessageID(MessagePrefix + base32(seq, messageDigits))
}

// NewSegmentID returns the id of the segment whose first chunk starts at start, in
// milliseconds below 2³⁰, and has the number position. It is that of no other segment.
func NewSegmentID(start, position int64) SegmentID {
	return SegmentID(SegmentPrefix + base32(start, startDigits) + base32(position, messageDigits))
}

// NewAudioID returns the id of the piece that number took in. It is that of no other
// piece.
func NewAudioID(number int64) AudioID { return AudioID(AudioPrefix + base32(number, messageDigits)) }

// base32 returns the last n digits of a number in base 32.
func base32(number int64, n int) string {
	digits := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		digits[i] = crockford[number&31]
		number >>= 5
	}
	return string(digits)
}

// Seq returns the number that created the message, and false when the id is not
// one that NewMessageID returns.
func (m MessageID) Seq() (int64, bool) {
	digits, found := strings.CutPrefix(string(m), MessagePrefix)
	if !found || len(digits) != messageDigits {
		return 0, false
	}
	var seq int64
	for i := range len(digits) {
		d := strings.IndexByte(crockford, digits[i])
		if d < 0 {
			return 0, false
		}
		seq = seq<<5 | int64(d)
	}
	if seq <= 0 || seq >= MaxNumber {
		return 0, false
	}
	return seq, true
}

// MaxNumber bounds every number of the database's sequence: 2⁵³, so that a
// JavaScript client reads it exactly.
const MaxNumber = 1 << 53
