package meetings_test

import (
	"fmt"
	"strings"
	"testing"

	"connvo/audit"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
)

// What no request does by itself is recorded all the same, for the organization
// of the meeting.
func TestDeedsWithoutARequestAreRecorded(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	ada.Org = "org_1"
	m := w.plan(ada)
	_, err := w.meets.Invite(t.Context(), ada, m, meetings.Invitation{Email: "grace@example.com", Role: participant})
	ok(t, err)
	both := w.plan(ada)
	_, err = w.meets.Invite(t.Context(), ada, both, meetings.Invitation{Email: "grace@example.com", Role: participant})
	ok(t, err)
	w.exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES ('usr_grace', 'user_grace', 0, '', 'Grace', 0, 0)`)
	_, err = w.meets.Invite(t.Context(), ada, both, meetings.Invitation{User: "usr_grace", Role: participant})
	ok(t, err)
	grace := w.arrive("grace")
	_, err = w.meets.Start(t.Context(), ada, m)
	ok(t, err)
	w.exec(`UPDATE meetings SET started_at = 0, duration_ms = 60000 WHERE id = ?`, m)
	w.exec(`UPDATE events SET created_at = 0`)
	ok(t, w.db.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := w.meets.EndAbandoned(tx, m, noon.AddDate(-1, 0, 0))
		return err
	}))
	var got []string
	ok(t, w.db.Read(t.Context(), func(tx db.Reader) error {
		part, err := audit.Feed(tx, "org_1", audit.Filter{}, domain.Span{Limit: 10})
		for _, l := range part.Items {
			got = append(got, fmt.Sprint(l.Actor, " ", l.Action, " ", l.Resource, " ", l.Detail))
		}
		return err
	}))
	want := []string{
		fmt.Sprint(grace.User, " participant.claimed ", m, " {}"),
		fmt.Sprint(" meeting.ended ", m, ` {"by":"time"}`),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
