package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/insights"
	"connvo/domain/transcripts"
)

// said are words that are only in the transcript, its labels, utterances and sound.
var said = map[string]string{"text": "quokka", "label": "Wolpertinger", "utterance": "uttermost", "sound": "gramophone"}

// speak makes a meeting of ada's in which it is said, and which is over.
func (s *stage) speak() (path string) {
	s.t.Helper()
	path = s.begin()
	s.do("ada", "POST", path+"/transcripts", `{"chunks":[
		{"text":"We decided to feed the quokka on Sunday. The quokka is hungry.","speakerLabel":"Wolpertinger","utteranceId":"uttermost","confidence":1,"startMs":0,"endMs":4000,"language":"en"},
		{"text":"The quokka sleeps.","confidence":1,"startMs":5000,"endMs":6000,"language":"en"}]}`)
	s.write(func(tx *db.WriteTx) error {
		_, err := tx.Exec(`INSERT INTO audio (number, meeting_id, user_id, created_at, start_ms, duration_ms, format, size, sound)
			SELECT ?, id, organizer_id, ?, 0, 1000, 'wav', 10, CAST('gramophone' AS BLOB) FROM meetings WHERE id = ?`, tx.Next(), tx.Now.UnixMilli(), s.id)
		return err
	})
	s.do("ada", "POST", path+"/end", "")
	return path
}

// tells complains unless everything that is answered of the meeting has the word, or
// nothing has.
func (s *stage) tells(meeting string, want bool, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if answer := s.do("ada", "GET", meeting+part, ""); strings.Contains(answer, "quokka") != want || !want && strings.Contains(answer, "Wolpertinger") {
			s.t.Errorf("%s tells of what was said, or not: %s", part, answer)
		}
	}
}

// inFiles returns which of what was said is in the file, or beside it.
func inFiles(t *testing.T, path string) (found []string) {
	t.Helper()
	var all []byte
	for _, name := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for what, word := range said {
		if bytes.Contains(all, []byte(word)[1:]) { // the index of words stores beginnings once
			found = append(found, what)
		}
	}
	return found
}

// A server that is killed between the request and its job goes on with it after the next
// start. Nothing of what was said is answered from the request on, and in the end nothing
// is in the file, or beside it, be it settled before or not.
func TestDeletedTranscriptIsGoneAfterBeingKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "connvo.db")
	s := newStage(t, path, nil)
	s.jobs.Start()
	told := s.speak()
	id := s.id
	s.await(0, waiting, transcripts.Settle)
	s.await(0, waiting, writeInsights+":"+string(id))
	s.close()

	s = newStage(t, path, nil) // whose jobs never run
	fresh := s.speak()
	parts := []string{"/transcripts", "/transcripts?after=0", "/transcripts/search?q=quokka", "/transcripts/export", "/segments"}
	s.tells(told, true, append(parts, "/insights", "/state")...)
	s.tells(fresh, true, parts...)
	if found := inFiles(t, path); len(found) != len(said) {
		t.Fatalf("only %v is in the file before", found)
	}
	for _, m := range []string{told, fresh} {
		s.do("ada", "DELETE", m+"/transcripts", "")
		s.tells(m, false, append(parts, "/insights", "/state", "/speakers", "/transcripts/stats", "/analytics")...)
	}
	if n := s.number(`SELECT count(*) FROM jobs WHERE kind = ?`, transcripts.Deletion); n != 2 {
		t.Errorf("%d jobs in the commits of the requests", n)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE action = 'transcript.deleted' AND outcome = 'allowed'`); n != 2 {
		t.Errorf("%d entries of the record", n)
	}
	s.close()

	s = newStage(t, path, nil)
	s.jobs.Start()
	for _, kind := range []string{transcripts.Deletion, transcripts.Settle, insights.Renew, transcripts.Closed, writeInsights} {
		s.await(0, `SELECT count(*) FROM jobs WHERE kind = ?`, kind)
	}
	const left = `SELECT (SELECT count(*) FROM transcripts) + (SELECT count(*) FROM segments) + (SELECT count(*) FROM transcript_counts) + (SELECT count(*) FROM speakers)
		+ (SELECT count(*) FROM transcribed) + (SELECT count(*) FROM transcript_buckets) + (SELECT count(*) FROM utterances) + (SELECT count(*) FROM audio)`
	if n := s.number(left); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if got := s.do("ada", "GET", told+"/insights", ""); !strings.Contains(got, `"summary":"`) {
		t.Errorf("no insights are made of the rest: %s", got)
	}
	if found := inFiles(t, path); len(found) > 1 || len(found) == 1 && found[0] != "text" { // which the index may have for a minute more
		t.Errorf("%v is in the file after the job", found)
	}
	// How long who spoke stays.
	if got := s.do("ada", "GET", told+"/state", ""); !strings.Contains(got, `"totalMs":5000`) {
		t.Error(got)
	}
	if n := s.number(waiting, purgeTranscripts); n != 1 {
		t.Errorf("%d jobs take the words out of the index", n)
	}
	s.close()

	s = newStage(t, path, func() time.Time { return time.Now().Add(purgeSoon) })
	defer s.close()
	s.jobs.Start()
	s.await(0, waiting, purgeTranscripts)
	s.tells(told, false, parts...)
	if found := inFiles(t, path); len(found) != 0 {
		t.Errorf("%v is in the file", found)
	}
	s.id = domain.MeetingID(strings.TrimPrefix(fresh, "/v1/meetings/"))
	if err := s.db.Read(t.Context(), func(tx db.Reader) error {
		deleted, err := transcripts.Deleted(tx, s.id)
		if err == nil && !deleted {
			t.Error("it is forgotten that the transcript was deleted")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
