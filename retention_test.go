package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/analytics"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/insights"
	"connvo/domain/interests"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/notifications"
	"connvo/domain/participants"
	"connvo/domain/profiles"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/flags"
	"connvo/jobs"
	"connvo/retention"
)

// kept is a database with the jobs of the server that delete and hand over.
type kept struct {
	*told
	chat   *messages.Store
	policy *retention.Store
}

// newKept must run in a bubble.
func newKept(t *testing.T) *kept {
	d := dbtest.Open(t)
	happened := events.NewLog(map[events.Type][]events.Follow{
		events.MeetingCancelled: {notifications.Follow}, events.MeetingTransferred: {notifications.Follow},
		events.MeetingEnded: {transcripts.Close},
	})
	meets := meetings.NewStore(d, happened, "loc")
	runner := jobs.NewRunner(d, slog.New(slog.DiscardHandler), withSettling(d, happened, withSweeps(d, map[string]jobs.Handler{
		users.Deactivated: effect(handOver(meets)), notifications.TellRest: effect(notifications.TellMembers),
		transcripts.Closed: effect(transcripts.ForgetUtterances), transcripts.Lull: effect(transcripts.NoticeLull),
	})))
	runner.Start()
	t.Cleanup(func() {
		if err := runner.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := newSweeper(d).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &kept{
		told: &told{t: t, db: d, meets: meets, people: users.NewStore(d), store: notifications.NewStore(d)},
		chat: messages.NewStore(d, happened), policy: retention.NewStore(d),
	}
}

func (k *kept) arriveAt(name, org, role string) domain.Actor {
	k.t.Helper()
	a, err := k.people.SignIn(k.t.Context(), users.Identity{Subject: name, Email: name + "@example.com", Org: org, OrgRole: role, At: k.db.Now()})
	if err != nil {
		k.t.Fatal(err)
	}
	return domain.Actor{User: a.User, Org: org}
}

// talk makes a meeting with messages in it.
func (k *kept) talk(host domain.Actor, n int) domain.MeetingID {
	k.t.Helper()
	m, err := k.meets.Create(k.t.Context(), host, meetings.Draft{Title: "Plan"})
	if err != nil {
		k.t.Fatal(err)
	}
	k.say(host, m.ID, n)
	return m.ID
}

func (k *kept) say(host domain.Actor, m domain.MeetingID, n int) {
	k.t.Helper()
	for i := range n {
		if _, err := k.chat.Post(k.t.Context(), host, m, messages.Draft{Content: fmt.Sprint("unforgettable word", i)}); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *kept) left(m domain.MeetingID) int64 {
	k.t.Helper()
	return k.number(`SELECT count(*) FROM messages WHERE meeting_id = ?`, m)
}

const day = 24 * time.Hour

func TestMessagesAreKeptAsTheirOrganizationDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		ada, bob, cora := k.arriveAt("ada", "org_1", domain.OrgAdmin), k.arriveAt("bob", "org_2", domain.OrgAdmin), k.arrive("cora")
		for who, days := range map[domain.Actor]int{ada: 200, bob: 10} {
			if err := k.policy.Set(t.Context(), who, retention.Policy{MessagesDays: days, TranscriptsDays: 90}); err != nil {
				t.Fatal(err)
			}
		}
		long, short, standard := k.talk(ada, 70), k.talk(bob, 70), k.talk(cora, 70)
		expect := func(when string, inLong, inShort, inStandard int64) {
			t.Helper()
			if a, b, c := k.left(long), k.left(short), k.left(standard); a != inLong || b != inShort || c != inStandard {
				t.Errorf("%s: %d, %d, %d are left, want %d, %d, %d", when, a, b, c, inLong, inShort, inStandard)
			}
		}
		k.after(5 * day)
		k.say(bob, short, 3)
		k.after(5*day - time.Millisecond)
		expect("within ten days", 70, 73, 70)
		k.after(retention.Grain + time.Second)
		expect("after ten days", 70, 3, 70)
		k.after(5 * day)
		expect("after fifteen days", 70, 0, 70)
		k.after(75 * day)
		expect("after ninety days", 70, 0, 0)
		if err := k.policy.Set(t.Context(), ada, retention.Policy{MessagesDays: 365, TranscriptsDays: 90}); err != nil {
			t.Fatal(err)
		}
		k.after(111 * day)
		expect("after the time that was made longer", 70, 0, 0)
		k.say(ada, long, 2)
		if err := k.policy.Set(t.Context(), ada, retention.Policy{MessagesDays: 1, TranscriptsDays: 90}); err != nil {
			t.Fatal(err)
		}
		k.after(time.Second)
		expect("at once after it was made shorter", 2, 0, 0)
		k.after(2 * day)
		expect("a day later", 0, 0, 0)
		if n := k.number(`SELECT count(*) FROM chats`); n != 0 {
			t.Errorf("%d chats without messages", n)
		}
	})
}

// TestWordsOfDeletedMessagesLeaveTheIndex, which marks them only at first.
// hear makes a meeting that runs, with chunks of a transcript in it.
func (k *kept) hear(host domain.Actor, n int) domain.MeetingID {
	k.t.Helper()
	m, err := k.meets.Create(k.t.Context(), host, meetings.Draft{Title: "Plan"})
	if err == nil {
		_, err = k.meets.Start(k.t.Context(), host, m.ID)
	}
	for range n {
		if err == nil {
			_, err = transcripts.NewStore(k.db, events.NewLog(nil)).Append(k.t.Context(), host, m.ID,
				[]transcripts.Draft{{Label: "A", Text: "word", End: time.Second, Utterance: fmt.Sprint(k.number(`SELECT last FROM sequence`))}})
		}
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return m.ID
}

// TestTranscriptsAreKeptAsTheirOrganizationDecides also hears when nobody speaks.
func TestTranscriptsAreKeptAsTheirOrganizationDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		ada, bob := k.arriveAt("ada", "org_1", domain.OrgAdmin), k.arriveAt("bob", "org_2", domain.OrgAdmin)
		if err := k.policy.Set(t.Context(), bob, retention.Policy{MessagesDays: 90, TranscriptsDays: 10}); err != nil {
			t.Fatal(err)
		}
		long, short := k.hear(ada, 70), k.hear(bob, 70)
		severity := func(want string, after time.Duration) {
			t.Helper()
			k.after(after)
			if n := k.number(`SELECT count(*) FROM conversations WHERE severity = ?`, want); n != 2 {
				t.Errorf("after %v %d lulls are %s", after, n, want)
			}
		}
		severity("mild", 30*time.Second+time.Millisecond)
		severity("severe", 30*time.Second)
		for m, ended := range map[domain.MeetingID]domain.Actor{long: ada, short: bob} {
			if _, err := k.meets.End(t.Context(), ended, m); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(when string, inLong, inShort int64) {
			t.Helper()
			const query = `SELECT count(*) FROM transcripts WHERE meeting_id = ?`
			if a, b := k.number(query, long), k.number(query, short); a != inLong || b != inShort {
				t.Errorf("%s: %d and %d are left, want %d and %d", when, a, b, inLong, inShort)
			}
		}
		k.after(time.Second)
		if n := k.number(`SELECT count(*) FROM utterances`); n != 0 {
			t.Errorf("%d utterances are left after the end", n)
		}
		k.after(10*day - 2*time.Minute)
		expect("within ten days", 70, 70)
		k.after(retention.Grain + 3*time.Minute)
		expect("after ten days", 70, 0)
		if n := k.number(`SELECT count(*) FROM speakers`); n != 2 {
			t.Errorf("%d labels are left, which segments have yet", n)
		}
		k.after(80 * day)
		expect("after ninety days", 0, 0)
		if n := k.number(`SELECT count(*) FROM transcribed`); n != 0 {
			t.Errorf("%d rows tell of transcripts that are gone", n)
		}
		if n := k.number(`SELECT count(*) FROM segments`); n == 0 {
			t.Error("segments are gone with their chunks")
		}
		k.after(purgeEvery + time.Second)
		if n := k.number(`SELECT count(*) FROM transcript_words_data WHERE instr(block, CAST('word' AS BLOB)) > 0`); n != 0 {
			t.Errorf("%d pages of the index have the word yet", n)
		}
		k.after(280 * day)
		if n := k.number(`SELECT count(*) FROM segments`) + k.number(`SELECT count(*) FROM transcript_counts`) + k.number(`SELECT count(*) FROM speakers`); n != 0 {
			t.Errorf("%d rows are left after a year", n)
		}
		if n := k.number(`SELECT count(*) FROM horizons WHERE collection = 'transcripts'`); n != 2 {
			t.Errorf("%d feeds tell that something is gone", n)
		}
	})
}

func TestWordsOfDeletedMessagesLeaveTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		k.talk(k.arrive("ada"), 50)
		const words = `SELECT count(*) FROM message_words_data WHERE instr(block, CAST('unforgettable' AS BLOB)) > 0`
		if n := k.number(words); n == 0 {
			t.Fatal("the word is not in the index")
		}
		k.after(90*day + retention.Grain)
		k.after(purgeEvery + time.Second)
		if n := k.number(words); n != 0 {
			t.Errorf("the word is in %d parts of the index", n)
		}
	})
}

func TestWhatAMeetingLeavesIsKeptForAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		ada := k.arrive("ada")
		m := k.talk(ada, 1)
		must(t)(k.meets.Start(t.Context(), ada, m))
		k.write(func(tx *db.WriteTx) error {
			for i := range 120 {
				if _, err := tx.Exec(`INSERT INTO speaking (meeting_id, user_id, spoken_at, total_ms, words, newest, recent) VALUES (?, ?, 0, 1, 1, 0, '[]')`, m, fmt.Sprint("usr_", i)); err != nil {
					return err
				}
			}
			_, err := tx.Exec(`INSERT INTO conversations (meeting_id, topics) VALUES (?, '["a topic"]')`, m)
			return err
		})
		must(t)(k.meets.End(t.Context(), ada, m))
		if err := analytics.NewStore(k.db).Rate(t.Context(), ada, m, analytics.Rating{Rating: 5, Comment: "good"}); err != nil {
			t.Fatal(err)
		}
		told := insights.NewStore(k.db, flags.NewStore(k.db, "test"), profiles.NewStore(k.db, interests.NewStore(k.db)))
		if _, err := told.Write(t.Context(), m); err != nil || k.number(`SELECT count(*) FROM insight_lines`) == 0 {
			t.Fatal(err)
		}
		k.write(func(tx *db.WriteTx) error {
			return audit.Record(tx, audit.Entry{Actor: ada.User, Org: "org_1", Action: audit.MeetingEnded, Outcome: audit.Allowed})
		})
		const all = `SELECT (SELECT count(*) FROM speaking) + (SELECT count(*) FROM conversations) + (SELECT count(*) FROM ratings) + (SELECT count(*) FROM concluded)
			+ (SELECT count(*) FROM events) + (SELECT count(*) FROM audit) + (SELECT count(*) FROM insights) + (SELECT count(*) FROM insight_lines)`
		before := k.number(all)
		k.after(365*day - time.Second)
		if n := k.number(all); n != before {
			t.Errorf("%d rows of %d are left within their time", n, before)
		}
		k.after(retention.Grain + time.Minute)
		if n := k.number(all); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if _, err := conversation.NewStore(k.db).State(t.Context(), ada, m); err != nil {
			t.Errorf("the meeting itself: %v", err)
		}
	})
}

// A meeting that was cancelled has ended too: its notes are not kept for good.
func TestNotesOfACancelledMeetingAreKeptForAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		ada := k.arrive("ada")
		m := k.talk(ada, 0)
		edit := notes.Submission{Client: "ada", Edits: []notes.Edit{{Seq: 1, Delta: notes.Delta{notes.Insert("what was planned")}}}}
		if _, err := notes.NewStore(k.db, events.NewLog(nil)).Submit(t.Context(), ada, m, edit); err != nil {
			t.Fatal(err)
		}
		k.after(30 * day)
		must(t)(k.meets.Cancel(t.Context(), ada, m))
		const all = `SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM note_ops) + (SELECT count(*) FROM note_snapshots) + (SELECT count(*) FROM note_clients)`
		k.after(365*day - time.Second)
		if n := k.number(all); n == 0 {
			t.Error("they are gone within their time")
		}
		k.after(retention.Grain + time.Minute)
		if n := k.number(all); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

func TestMeetingsOfWhoIsDeactivatedAreHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		boss, host := k.arriveAt("boss", "org_1", domain.OrgAdmin), k.arriveAt("host", "org_1", domain.OrgMember)
		older, younger, guest := k.arrive("older"), k.arrive("younger"), k.arrive("guest")
		invite := func(role participants.Role, people ...domain.Actor) (all []meetings.Invitation) {
			for _, p := range people {
				all = append(all, meetings.Invitation{User: p.User, Role: role})
			}
			return all
		}
		plan := func(invited []meetings.Invitation) domain.MeetingID {
			m, err := k.meets.Create(t.Context(), host, meetings.Draft{Title: "Plan", Invite: invited})
			if err != nil {
				t.Fatal(err)
			}
			return m.ID
		}
		shared := plan(append(invite(participants.Cohost, younger, older), invite(participants.Participant, guest)...))
		running := plan(nil)
		must(t)(k.meets.Start(t.Context(), host, running))
		// More than is read at once, which the host is only a guest of.
		k.write(func(tx *db.WriteTx) error {
			for i := range 1100 {
				id := domain.NewMeetingID("loc", fmt.Sprintf("%026d", i))
				if _, err := tx.Exec(`INSERT INTO meetings (id, state, organizer_id, org_id, kind, duration_ms, max_participants, recording, transcription, created_at, updated_at, title, description)
					VALUES (?, 'scheduled', ?, '', 'webinar', 1, 1, 0, 0, 0, 0, '', '')`, id, guest.User); err != nil {
					return err
				}
				if err := participants.Add(tx, id, host.User, participants.Observer); err != nil {
					return err
				}
			}
			return nil
		})
		const many = 10
		for range many {
			plan(invite(participants.Participant, guest))
		}
		for _, who := range []domain.Actor{guest, k.arriveAt("foreign", "org_2", domain.OrgAdmin)} {
			if err := k.people.Deactivate(t.Context(), who, host.User); domain.KindOf(err) != domain.Forbidden {
				t.Errorf("somebody else may deactivate: %v", err)
			}
		}
		if err := k.people.Deactivate(t.Context(), boss, host.User); err != nil {
			t.Fatal(err)
		}
		if err := k.people.Standing(t.Context(), host); domain.KindOf(err) != domain.Forbidden {
			t.Errorf("who is deactivated is served: %v", err)
		}
		k.after(time.Minute)
		if n := k.number(`SELECT count(*) FROM participants WHERE meeting_id = ? AND user_id = ? AND role = 'host'`, shared, older.User); n != 1 {
			t.Error("the cohost with the oldest account is not the host")
		}
		if n := k.number(`SELECT count(*) FROM participants WHERE meeting_id = ? AND role = 'host'`, shared); n != 1 {
			t.Errorf("%d hosts", n)
		}
		if n := k.number(`SELECT count(*) FROM meetings WHERE state = 'cancelled'`); n != many {
			t.Errorf("%d meetings are cancelled, want %d", n, many)
		}
		if n := k.number(`SELECT count(*) FROM meetings WHERE id = ? AND state = 'active'`, running); n != 1 {
			t.Error("the meeting that runs is not as it was")
		}
		if got := k.types(older); got != "[role.changed]" {
			t.Errorf("the heir was told %s", got)
		}
		if n := k.number(`SELECT count(*) FROM notifications WHERE user_id = ? AND type = 'meeting.cancelled'`, guest.User); n != many {
			t.Errorf("the guest was told of %d meetings", n)
		}
		if n := k.number(`SELECT count(*) FROM audit WHERE actor_id = ? AND action IN ('meeting.transferred', 'meeting.cancelled') AND org_id = 'org_1'`, boss.User); n != many+1 {
			t.Errorf("%d entries in the record", n)
		}
		if err := k.people.Activate(t.Context(), boss, host.User); err != nil {
			t.Fatal(err)
		}
		if err := k.people.Standing(t.Context(), host); err != nil {
			t.Errorf("who is activated again: %v", err)
		}
	})
}
