package handlers_test

import (
	"fmt"
	"net/http"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain"
)

// conclude adds a meeting that everyone was in and that is over, of which they have
// insights that quote the chat and name the second of them.
func (w *lawWorld) conclude(t *rapid.T, plan string) {
	w.send(t, w.people[0], http.MethodPost, "/v1/meetings", plan)
	id := w.meetings[len(w.meetings)-1]
	w.send(t, w.people[0], http.MethodPost, "/v1/meetings/"+id+"/messages", `{"content":"We decided to go. I will go tomorrow."}`)
	for _, query := range []string{
		`UPDATE participants SET status = 'joined' WHERE meeting_id = ?1`,
		`UPDATE meetings SET state = 'concluded', started_at = created_at, ended_at = created_at WHERE id = ?1`,
		`INSERT INTO user_interests (user_id, interest) SELECT user_id, 'music' FROM participants WHERE meeting_id = ?1`,
		`INSERT INTO settings (user_id, visibility, sharing, tracking, email, push, sms)
			SELECT user_id, 'public', 1, 1, 0, 0, 0 FROM participants WHERE meeting_id = ?1 AND role = 'participant'`,
	} {
		w.exec(t, query, id)
	}
	w.write(t, id)
}

// reflect does the job of the end of a meeting, which finds out whether it has ended.
func (w *lawWorld) reflect(t *rapid.T) {
	w.write(t, rapid.SampledFrom(w.meetings).Draw(t, "meeting"))
}

func (w *lawWorld) write(t *rapid.T, meeting string) {
	_, err := w.server.insights.Write(w.server.ctx, domain.MeetingID(meeting))
	if err != nil {
		t.Fatal(err)
	}
	w.commit = max(w.commit, w.server.db.Committed())
	err = w.server.db.Read(w.server.ctx, func(tx db.Reader) error {
		ids, err := db.All(tx, func(r db.Row) (id string, err error) {
			err = r.Scan(&id)
			return id, err
		}, `SELECT id FROM insights WHERE meeting_id = ?`, meeting)
		w.insights = append(w.insights, ids...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func lawFeedback(t *rapid.T, w *lawWorld) (string, string) {
	return "/v1/insights/" + rapid.SampledFrom(append(w.insights, "ins_none")).Draw(t, "insights") + "/feedback",
		fmt.Sprintf(`{"helpful":%v}`, rapid.Bool().Draw(t, "helpful"))
}
