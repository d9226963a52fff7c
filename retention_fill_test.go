package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"connvo/db"
	"connvo/domain"
)

const (
	// fillMeetings is how many meetings there are; a tenth of all rows is in the first.
	fillMeetings = 1000
	// fillBatch is how many rows are stored together.
	fillBatch = 10_000
	// vocabulary is how many words people use, as unevenly as they do.
	vocabulary = 20_000
)

// filler stores rows of 1970 in meetings of nobody, much faster than they would come.
type filler struct {
	b     *testing.B
	d     *db.DB
	zipf  *rand.Zipf
	words []string
}

func newFiller(b *testing.B, d *db.DB) *filler {
	random := rand.New(rand.NewPCG(1, 2))
	f := &filler{b: b, d: d, zipf: rand.NewZipf(random, 1.1, 1, vocabulary-1)}
	for i := range vocabulary {
		var w strings.Builder
		for n := i + 20; n > 0; n /= 20 {
			w.WriteByte("bcdfghjklmnprstvwxyz"[n%20])
			w.WriteByte("aeiou"[n%5])
		}
		f.words = append(f.words, w.String())
	}
	f.write(func(tx *db.WriteTx) error {
		if _, err := tx.Exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES ('usr_1', 's', 0, '', '', 0, 0)`); err != nil {
			return err
		}
		for m := range fillMeetings {
			if _, err := tx.Exec(`INSERT INTO meetings (id, state, organizer_id, org_id, kind, duration_ms, max_participants, recording, transcription, created_at, updated_at, ended_at, title, description)
				VALUES (?, 'concluded', 'usr_1', '', 'webinar', 1, 1, 0, 0, 0, 0, 0, '', '')`, meetingID(m)); err != nil {
				return err
			}
		}
		return nil
	})
	return f
}

func meetingID(i int) domain.MeetingID { return domain.MeetingID(fmt.Sprint("mtg_loc_", i)) }

// meetingOf returns the meeting of the i-th of so many rows: a few meetings are held at
// a time, but for one that always goes on and has a tenth of all rows.
func meetingOf(i, rows int) domain.MeetingID {
	const held = 20
	if i%10 == 0 {
		return meetingID(0)
	}
	return meetingID(int(int64(i)*(fillMeetings/held)/int64(rows))*held + i%held)
}

func (f *filler) write(do func(tx *db.WriteTx) error) {
	f.b.Helper()
	if err := f.d.Write(f.b.Context(), do); err != nil {
		f.b.Fatal(err)
	}
}

// each stores the rows, the i-th by store at the next number.
func (f *filler) each(rows int, store func(tx *db.WriteTx, seq int64, m domain.MeetingID) error) {
	for from := 0; from < rows; from += fillBatch {
		f.write(func(tx *db.WriteTx) error {
			for i := from; i < min(rows, from+fillBatch); i++ {
				if err := store(tx, tx.Next(), meetingOf(i, rows)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// says returns so many words.
func (f *filler) says(n int) string {
	var s strings.Builder
	for range n {
		s.WriteString(f.words[f.zipf.Uint64()] + " ")
	}
	return s.String()
}

func (f *filler) messages(rows int) { f.chat(rows, 12) }

func (f *filler) longMessages(rows int) { f.chat(rows, 700) }

func (f *filler) chat(rows, length int) {
	f.each(rows, func(tx *db.WriteTx, seq int64, m domain.MeetingID) error {
		text := f.says(length)
		_, err := tx.Exec(`INSERT INTO messages (seq, meeting_id, thread, position, user_id, created_at, attachments, content) VALUES (?1, ?2, ?1, ?1, 'usr_1', ?1, '', ?3)`, seq, m, text)
		return err
	})
}

func (f *filler) transcripts(rows int) {
	f.each(rows, func(tx *db.WriteTx, seq int64, m domain.MeetingID) error {
		text := f.says(12)
		if _, err := tx.Exec(`INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
			VALUES (?1, ?2, ?1, ?1, ?1 + 4000, 0.9, 'usr_1', '', 'en', '', ?3)`, seq, m, text); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO transcribed (meeting_id, org_id, oldest_at) VALUES (?, '', ?) ON CONFLICT DO NOTHING`, m, seq); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO transcript_words (rowid, words) VALUES (?, ?)`, seq, heardIn(m, text))
		return err
	})
}

// heardIn returns a text as the index of transcripts has it.
func heardIn(m domain.MeetingID, text string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m)) // never fails
	code, seen := fmt.Sprintf("%08x", h.Sum32()), map[string]bool{}
	var b strings.Builder
	for _, w := range strings.Fields(text) {
		if !seen[w] {
			seen[w] = true
			b.WriteString(code + w + " ")
		}
	}
	return b.String()
}

func (f *filler) events(rows int) {
	f.each(rows, func(tx *db.WriteTx, seq int64, m domain.MeetingID) error {
		_, err := tx.Exec(`INSERT INTO events (position, meeting_id, type, actor_id, subject_id, created_at) VALUES (?1, ?2, 'messages.posted', 'usr_1', 'msg_' || ?1, ?1)`, seq, m)
		return err
	})
}

// named stores what somebody said under a label that is theirs, in so many meetings and
// in so many segments of each.
func (f *filler) named(user domain.UserID, meetings, segments int) {
	for m := range meetings {
		f.write(func(tx *db.WriteTx) error {
			if _, err := tx.Exec(`INSERT INTO speakers (meeting_id, label, user_id, named_at, named_by) VALUES (?1, 'A', ?2, 0, ?2)`, meetingID(m), user); err != nil {
				return err
			}
			for i := range segments {
				if _, err := tx.Exec(`INSERT INTO segments (meeting_id, start_ms, first, end_ms, speaker_id, label, chunks, text) VALUES (?, ?, ?, ?, '', 'A', zeroblob(60), ?)`,
					meetingID(m), i*10_000, tx.Next(), i*10_000+9000, f.says(80)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
