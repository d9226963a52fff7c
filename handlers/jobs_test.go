package handlers_test

import (
	"strconv"

	"connvo/db"
	"connvo/jobs"
)

// deadJob makes a job of the organization that has failed for good, and returns
// its id.
func (s *server) deadJob(org string) string {
	s.t.Helper()
	id := s.job(org, "test.fails", "")
	s.exec(`UPDATE jobs SET dead = 1, attempts = 16, last_error = 'refused' WHERE id = ?`, id)
	return id
}

// job makes a job of the organization that waits, and returns its id.
func (s *server) job(org, kind, name string) string {
	s.t.Helper()
	var id int64
	err := s.DB.Write(s.t.Context(), func(tx *db.WriteTx) error {
		err := jobs.Enqueue(tx, jobs.Job{Kind: kind, Name: name, Org: org, Payload: "secret"})
		id = tx.Number()
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return strconv.FormatInt(id, 10)
}
