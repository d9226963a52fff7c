package conversation

import (
	"errors"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
	"connvo/domain/settings"
)

// The bounds of speaking.
const (
	// MaxOffset is the last instant of a meeting at which somebody may speak, as an
	// offset from its beginning: longer than any meeting, and short enough that
	// sums of milliseconds stay whole numbers in JSON.
	MaxOffset = 7 * 24 * time.Hour
	// MaxSpeakers is how many in a meeting are told apart: as many as can be in it.
	// Who speaks after them counts as one whom nobody has named.
	MaxSpeakers = participants.MaxMembers
)

// Unnamed is who has spoken when nobody knows who it was.
const Unnamed domain.UserID = ""

// Utterance is something that somebody said from Start until End, offsets in the
// meeting: a whole number of milliseconds each, from 0 to MaxOffset.
type Utterance struct {
	Speaker    domain.UserID // or Unnamed
	Start, End time.Duration
	Words      int64
}

// Speaking is who has spoken for how long, in milliseconds.
//
// The window is the last five minutes of the meeting's time in which somebody
// spoke, not of the clock's: it ends with the step of ten seconds in which the
// latest speech ends, and has the 29 steps before. So it follows from what is
// stored alone, changes only when somebody speaks, and needs nobody to expire it;
// where nobody speaks it stays, and Lull tells. It is exact to a step: speech counts as
// long as its step is among the 30, which is from 290 to 300 seconds.
type Speaking struct {
	TotalMs  int64
	ByUserMs map[domain.UserID]int64 // without Unnamed, whose is in TotalMs only; never nil
	WindowMs int64
	// WindowByUserMs is without Unnamed and those who did not speak in the window;
	// never nil.
	WindowByUserMs map[domain.UserID]int64
	Words          int64
}

// Speak adds what was said in a meeting to its speaking. Who speaks at the same
// time counts each; what a speaker says twice for the same time counts twice. The
// order of utterances does not matter. It costs one row for each speaker among
// them, so say what is heard together together.
//
// It joins the caller's transaction, which has checked that the meeting may be
// heard, and that End is plausible: an offset that has not come yet moves
// the window there, away from what is said now. Errors: Invalid, with nothing
// added, for one that is not from 0 to MaxOffset or ends before it starts, and for fewer
// than no words.
func Speak(tx *db.WriteTx, m domain.MeetingID, said ...Utterance) error {
	untracked, err := unnamed(tx, said)
	if err != nil {
		return err
	}
	speakers := map[domain.UserID][]Utterance{}
	var order []domain.UserID
	for _, u := range said {
		if untracked[u.Speaker] {
			u.Speaker = Unnamed
		}
		if u.Start < 0 || u.End < u.Start || u.End > MaxOffset || u.Words < 0 {
			return domain.Fail(domain.Invalid, "an utterance is from 0 to %d ms and ends after it starts", MaxOffset.Milliseconds())
		}
		if speakers[u.Speaker] == nil {
			order = append(order, u.Speaker)
		}
		speakers[u.Speaker] = append(speakers[u.Speaker], u)
	}
	for _, speaker := range order {
		if err := add(tx, m, speaker, speakers[speaker]); err != nil {
			return err
		}
	}
	return nil
}

// Attribute makes what was said by Unnamed the user's: so long, and so many words. The
// window stays as it is. Who does not want to be named stays unnamed, and so does who
// would be one more than MaxSpeakers. It joins the caller's transaction.
func Attribute(tx *db.WriteTx, m domain.MeetingID, user domain.UserID, spoken time.Duration, words int64) error {
	untracked, err := settings.Untracked(tx, []domain.UserID{user})
	if err != nil || untracked[user] {
		return err
	}
	n, err := tx.Exec(upsertAttributed, m, user, spoken.Milliseconds(), words, MaxSpeakers)
	if err == nil && n > 0 {
		_, err = tx.Exec(updateAttributed, m, spoken.Milliseconds(), words)
	}
	return err
}

// unnamed returns the speakers who do not want to be named.
func unnamed(tx db.Reader, said []Utterance) (map[domain.UserID]bool, error) {
	var people []domain.UserID
	for _, u := range said {
		if u.Speaker != Unnamed && !slices.Contains(people, u.Speaker) {
			people = append(people, u.Speaker)
		}
	}
	if len(people) == 0 {
		return nil, nil
	}
	return settings.Untracked(tx, people)
}

// add adds to the row of one speaker, and makes it where they are new.
func add(tx *db.WriteTx, m domain.MeetingID, speaker domain.UserID, said []Utterance) error {
	s, err := db.One(tx, scanSpeaker, selectSpeaker, m, speaker)
	if errors.Is(err, db.ErrNone) && speaker != Unnamed {
		n, err := db.One(tx, db.Int, countSpeakers, m)
		if err != nil {
			return err
		}
		if n >= MaxSpeakers {
			return add(tx, m, Unnamed, said)
		}
	} else if err != nil && !errors.Is(err, db.ErrNone) {
		return err
	}
	for _, u := range said {
		s.totalMs += (u.End - u.Start).Milliseconds()
		s.words += u.Words
		s.recent.add(u.Start.Milliseconds(), u.End.Milliseconds())
	}
	_, err = tx.Exec(upsertSpeaker, m, speaker, tx.Now.UnixMilli(), s.totalMs, s.words, s.recent.newest, encode(s.recent.ms))
	return err
}

// speaker is a row of speaking.
type speaker struct {
	user           domain.UserID
	totalMs, words int64
	recent         window
}

// Spoken returns who has spoken in the meeting for how long. It joins the
// caller's transaction, which has checked that it may be read.
func Spoken(tx db.Reader, m domain.MeetingID) (Speaking, error) {
	s := Speaking{ByUserMs: map[domain.UserID]int64{}, WindowByUserMs: map[domain.UserID]int64{}}
	rows, err := db.All(tx, scanSpeaker, selectSpeakers, m, MaxSpeakers+1) // and Unnamed
	if err != nil {
		return s, err
	}
	var newest int64
	for _, r := range rows {
		newest = max(newest, r.recent.newest)
	}
	for _, r := range rows {
		recent := r.recent.until(newest)
		s.TotalMs += r.totalMs
		s.Words += r.words
		s.WindowMs += recent
		if r.user == Unnamed {
			continue
		}
		s.ByUserMs[r.user] = r.totalMs
		if recent > 0 {
			s.WindowByUserMs[r.user] = recent
		}
	}
	return s, nil
}

// LastAt returns the instant at which something said in the meeting was heard
// last, the zero time when nothing was. It joins the caller's transaction.
func LastAt(tx db.Reader, m domain.MeetingID) (time.Time, error) {
	return db.One(tx, scanInstant, selectLastAt, m)
}
