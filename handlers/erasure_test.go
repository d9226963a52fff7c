package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	"connvo/db"
	"connvo/domain"
)

// later lets so many numbers of the sequence pass in which nobody writes what is looked
// through by number, as while others are transcribed.
func (s *server) later(numbers int, then func(tx *db.WriteTx) error) {
	s.t.Helper()
	s.hear(func(tx *db.WriteTx) error {
		for range numbers {
			tx.Next()
		}
		return then(tx)
	})
}

// heardAs has somebody say something under a label that stands for the person.
func heardAs(tx *db.WriteTx, m domain.MeetingID, label string, who domain.UserID) error {
	_, err := tx.Exec(`INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
		VALUES (?, ?, 0, 0, 1, 1, '', ?, '', '', 'long after all others')`, tx.Next(), m, label)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO speakers (meeting_id, label, user_id, named_at, named_by) VALUES (?1, ?2, ?3, 0, ?3) ON CONFLICT DO NOTHING`, m, label, who)
	}
	return err
}

// TestWhatWasSaidLongAfterAllOthersIsFound by the export and by the erasure, though in
// between nothing is numbered.
func TestWhatWasSaidLongAfterAllOthersIsFound(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(grace, ada)
	s.later(5000, func(tx *db.WriteTx) error { return heardAs(tx, meetingIDOf(meeting), "Ada Lovelace", ada.ID) })
	files := unzip(t, ada.must("GET", "/v1/me/export", nil).Body)
	if got := files["transcripts.json"][0]; !strings.Contains(got, "long after all others") {
		t.Errorf("the export lacks it: %s", got)
	}
	ada.must("DELETE", "/v1/me", nil)
	s.erase(ada.ID)
	if n := s.number(`SELECT count(*) FROM transcripts WHERE label <> '' OR speaker_id <> ?`, ada.ID); n != 0 {
		t.Error("the transcript has kept the label")
	}
}

// TestLabelsLeaveSegmentsOfEveryMeeting of which there are more than a step changes; those
// of others stay.
func TestLabelsLeaveSegmentsOfEveryMeeting(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	first, second := meetingIDOf(joined(grace, ada)), meetingIDOf(joined(grace, ada))
	s.hear(func(tx *db.WriteTx) error {
		for _, one := range []struct {
			m     domain.MeetingID
			label string
			who   domain.UserID
		}{{first, "A", ada.ID}, {first, "Lovelace", ada.ID}, {second, "A", grace.ID}, {second, "B", ada.ID}} {
			if err := heardAs(tx, one.m, one.label, one.who); err != nil {
				return err
			}
			for i := range 45 {
				if _, err := tx.Exec(`INSERT INTO segments (meeting_id, start_ms, first, end_ms, speaker_id, label, chunks, text) VALUES (?, ?, ?, 1, '', ?, x'', '')`,
					one.m, i, tx.Next(), one.label); err != nil {
					return err
				}
			}
			for _, language := range []string{"", "de", "en"} {
				if _, err := tx.Exec(`INSERT INTO transcript_counts (meeting_id, speaker_id, label, language, settled, chunks, words, confidence, spoken_ms, start_ms, end_ms, longest_ms)
					VALUES (?, '', ?, ?, ?, 1, 1, 1, 1, 1, 1, 1)`, one.m, one.label, language, tx.Next()); err != nil {
					return err
				}
			}
		}
		return nil
	})
	ada.must("DELETE", "/v1/me", nil)
	s.erase(ada.ID)
	for query, want := range map[string]int64{
		`SELECT count(*) FROM segments WHERE speaker_id = ? AND label = ''`:            3 * 45,
		`SELECT count(*) FROM segments WHERE speaker_id <> ? AND label = 'A'`:          45,
		`SELECT count(*) FROM transcript_counts WHERE speaker_id = ?`:                  3 * 3,
		`SELECT count(*) FROM transcript_counts WHERE speaker_id <> ? AND label = 'A'`: 3,
		`SELECT count(*) FROM speakers WHERE user_id = ?`:                              0,
		`SELECT count(*) FROM speakers WHERE user_id <> ? AND label = 'A'`:             1,
		`SELECT count(*) FROM transcripts WHERE speaker_id = ? AND label = ''`:         3,
		`SELECT count(*) FROM transcripts WHERE speaker_id <> ? AND label = 'A'`:       1,
	} {
		if n := s.number(query, ada.ID); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
}

// TestWhyIsErasedFromTheRecord, which tells by id who did what.
func TestWhyIsErasedFromTheRecord(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	for _, p := range []*person{ada, grace} {
		meeting := p.plan("Plan")
		p.must("POST", meeting+"/notes/ops", `{"clientId":"c`+string(p.ID)+`","baseVersion":0,"edits":[{"clientSeq":1,"ops":[{"insert":"x"}]}]}`)
		p.must("POST", meeting+"/notes/rollback", `{"version":0,"reason":"my own words"}`)
	}
	const told = `SELECT count(*) FROM audit WHERE instr(detail, 'my own words') > 0`
	if n := s.number(told); n != 2 {
		t.Fatalf("%d entries", n)
	}
	ada.must("DELETE", "/v1/me", nil)
	s.erase(ada.ID)
	if n := s.number(told + fmt.Sprintf(` AND actor_id = '%s'`, grace.ID)); n != 1 || s.number(told) != 1 {
		t.Errorf("%d entries of others, %d in all", n, s.number(told))
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE actor_id = ? AND action = 'notes.rolled_back' AND json_extract(detail, '$.version') = '0'`, ada.ID); n != 1 {
		t.Errorf("%d entries tell what was done", n)
	}
}
