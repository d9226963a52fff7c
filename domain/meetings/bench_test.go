package meetings_test

import (
	"slices"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
)

// crowd fills the database with meetings of ada, each with so many people in it.
func crowd(b *testing.B, meetings, people int) (*town, domain.Actor, domain.MeetingID) {
	b.Helper()
	w := newTown(b)
	ada := w.arrive("ada")
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at)
		SELECT printf('usr_%026d', i), i, 0, i, 'Somebody of a usual name', 0, 0 FROM n`, people+1)
	w.exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO meetings (id, state, organizer_id, org_id, kind, duration_ms, max_participants, recording, transcription,
		  created_at, updated_at, title, description)
		SELECT printf('mtg_loc_%026d', i), 'scheduled', ?1, '', 'small-group', 60000, 100, 0, 0, 0, 0, 'Plan', 'What we want to talk about' FROM n`,
		ada.User, meetings)
	w.exec(`
		INSERT INTO participants (meeting_id, user_id, meeting_state, role, status)
		SELECT m.id, u.id, 'scheduled', CASE u.id WHEN ?1 THEN 'host' ELSE 'participant' END, 'invited'
		FROM meetings AS m, (SELECT id FROM users WHERE id = ?1 UNION ALL SELECT id FROM (SELECT id FROM users WHERE id <> ?1 ORDER BY id LIMIT ?2)) AS u`,
		ada.User, people-1)
	return w, ada, domain.NewMeetingID("loc", "00000000000000000000000001")
}

// measure runs f and reports its 95th percentile.
func measure(b *testing.B, f func() error) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}

func BenchmarkListOfTenThousand(b *testing.B) {
	w, ada, _ := crowd(b, 10_000, 5)
	for name, state := range map[string]string{"all": "", "scheduled": "scheduled"} {
		b.Run(name, func(b *testing.B) {
			var below domain.MeetingID
			measure(b, func() error {
				list, more, err := w.meets.List(b.Context(), ada, participants.State(state), below, 50)
				if err == nil && len(list) != 50 {
					b.Fatalf("%d meetings", len(list))
				}
				if below = ""; more {
					below = list[len(list)-1].ID
				}
				return err
			})
		})
	}
}

func BenchmarkParticipantsOfAHundred(b *testing.B) {
	w, ada, m := crowd(b, 100, 100)
	measure(b, func() error {
		guests, err := w.meets.Participants(b.Context(), ada, m)
		if err == nil && len(guests) != 100 {
			b.Fatalf("%d participants", len(guests))
		}
		return err
	})
}

func BenchmarkInvite(b *testing.B) {
	w := newTown(b)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	m := w.plan(ada)
	measure(b, func() error {
		if _, err := w.meets.Invite(b.Context(), ada, m, meetings.Invitation{User: grace.User, Role: observer}); err != nil {
			return err
		}
		return w.meets.Remove(b.Context(), ada, m, string(grace.User))
	})
}
