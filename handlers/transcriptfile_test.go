package handlers_test

import (
	"bytes"
	"testing"
	"time"

	"connvo/db"
)

// A file of a meeting in which so much was said at once that it is not settled waits
// until it is, and lacks nothing.
func TestAFileWaitsForWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	const said = 2500
	s := newServer(t)
	ada, grace := s.signIn("ada"), s.signIn("grace")
	meeting := joined(ada, grace)
	err := s.DB.Write(t.Context(), func(tx *db.WriteTx) error {
		first := tx.Number() + 1
		for range said {
			tx.Next()
		}
		_, err := tx.Exec(`
			WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 - 1)
			INSERT INTO transcripts (position, meeting_id, created_at, start_ms, end_ms, confidence, speaker_id, label, language, utterance, text)
			SELECT ?1 + i, id, 0, 500 * i, 500 * i + 500, 1, '', '', '', '', 'word' FROM n, meetings`, first, said)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	file := make(chan answer, 1)
	go func() { file <- grace.do("GET", meeting+"/transcripts/export?format=txt", nil) }()
	select {
	case a := <-file:
		t.Fatalf("it has not waited: %d with %d lines", a.Status, bytes.Count(a.Body, []byte("\n")))
	case <-time.After(2 * exportPause):
	}
	s.settle()
	if a := <-file; a.Status != 200 || bytes.Count(a.Body, []byte("\n")) != said {
		t.Errorf("%d with %d lines of %d", a.Status, bytes.Count(a.Body, []byte("\n")), said)
	}
}

// exportPause is how often it is looked whether a file can be made.
const exportPause = 100 * time.Millisecond
