package main

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain/users"
	"connvo/jobs"
	"connvo/privacy"
)

// TestJobsEraseWhoAsksForIt, look once more, and forget what only old tokens need.
func TestJobsEraseWhoAsksForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		ada, bob := k.arrive("ada"), k.arrive("bob")
		hers, his := k.talk(ada, 70), k.talk(bob, 5)
		claimed := func(address string) {
			k.write(func(tx *db.WriteTx) error {
				return jobs.Enqueue(tx, jobs.Job{Kind: claimMore, Payload: claim{ada.User, address}, RunAt: tx.Now.Add(day)})
			})
		}
		claimed("ada@example.com")
		claimed("bob@example.com")
		claimed("nada@example.com") // which ends like hers
		k.write(func(tx *db.WriteTx) error {
			_, err := tx.Exec(`UPDATE jobs SET last_error = 'no box of <ada@example.com>' WHERE instr(payload, 'bob@example.com') > 0`)
			return err
		})
		if _, err := k.people.Erase(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		// It is noted, as an entry of the record may be, when most is done.
		k.after(time.Minute)
		k.write(func(tx *db.WriteTx) error {
			return audit.Record(tx, audit.Entry{Actor: ada.User, Action: audit.RequestMade, Outcome: audit.Refused, Address: "203.0.113.7"})
		})
		for query, want := range map[string]int64{
			`SELECT count(*) FROM users WHERE subject = 'ada' OR email LIKE 'ada%'`:                                       0,
			`SELECT count(*) FROM users WHERE display_name = 'Former participant' AND active = 0`:                         1,
			`SELECT count(*) FROM erasures WHERE done_at IS NOT NULL`:                                                     1,
			`SELECT count(*) FROM messages WHERE content <> ''`:                                                           5,
			`SELECT count(*) FROM jobs WHERE kind = 'invitations.claim'`:                                                  2,
			`SELECT count(*) FROM jobs WHERE last_error <> ''`:                                                            0,
			`SELECT count(*) FROM erased_subjects`:                                                                        1,
			`SELECT count(*) FROM meetings WHERE id = '` + string(hers) + `' AND state = 'cancelled'`:                     1,
			`SELECT count(*) FROM meetings WHERE id = '` + string(his) + `' AND state = 'scheduled'`:                      1,
			`SELECT count(*) FROM message_words_data WHERE instr(block, CAST('word69' AS BLOB)) + instr(block, '69') > 0`: 0,
		} {
			if n := k.number(query); n != want {
				t.Errorf("%s: %d, want %d", query, n, want)
			}
		}
		k.after(10 * time.Minute)
		if n := k.number(`SELECT count(*) FROM audit WHERE address <> ''`); n != 0 {
			t.Error("what was stored late is still there")
		}
		k.after(day + time.Hour + time.Minute)
		if n := k.number(`SELECT count(*) FROM erased_subjects`); n != 0 {
			t.Error("the digest of the subject is still there")
		}
	})
}

// staysWithID are the tables that go on naming whoever was erased, by id alone, and
// why; and those that another function than privacy's statements takes care of.
var staysWithID = map[string]string{
	"users":          "users.Anonymise",
	"messages":       "messages.Erase",
	"erasures":       "the list itself",
	"meetings":       "others meet in them",
	"participants":   "who was in a meeting is of all who were",
	"events":         "the history of a meeting",
	"speaking":       "how much was said in a meeting is of all who were in it",
	"notes":          "they are of the meeting",
	"note_ops":       "the history of notes is of the meeting",
	"note_snapshots": "as note_ops",
	"note_clients":   "it goes with the notes",
	"flag_changes":   "what an organization has decided",
}

// TestErasureKnowsEveryTableThatNamesPeople fails for a new one, until it is erased
// or there is a reason.
func TestErasureKnowsEveryTableThatNamesPeople(t *testing.T) {
	var erased strings.Builder
	for _, c := range constants(program(house(t))) {
		if c.dir() == "privacy" {
			erased.WriteString(c.value + "\n")
		}
	}
	named := tablesOfPeople(t)
	for table := range named {
		changed := regexp.MustCompile(`(DELETE FROM|UPDATE) ` + table + `\n`).MatchString(erased.String())
		if changed == (staysWithID[table] != "") {
			t.Errorf("%s names people: erase them in privacy/sql.go, or give the reason why the id may stay in staysWithID, and not both", table)
		}
	}
	for table := range staysWithID {
		if !named[table] {
			t.Errorf("%s names nobody: take it out of staysWithID", table)
		}
	}
}

// notExported are the tables that name people and are in no export, and why.
var notExported = map[string]string{
	"rate_limits":       "it tells how much was asked for in the last minutes, not what",
	"erasures":          "whoever is in it is served no more",
	"ended_requests":    "that somebody has declined is theirs to tell",
	"invitations":       "whom they invited is in the meeting's events; who invites them, where they become a member",
	"notes":             "they are of the meeting",
	"note_ops":          "as notes; their members read them with GET …/notes/ops",
	"note_snapshots":    "as notes",
	"note_clients":      "as notes",
	"segments":          "they are made of transcripts",
	"transcript_counts": "as segments",
	"insight_people":    "whom they might want to know is for those to let be told, and in GET /v1/insights",
	"flag_changes":      "what an organization has decided; the deed is in the record",
	"dev_users":         "a development server's, the same as the account",
}

// TestExportKnowsEveryTableThatNamesPeople fails for a new one, until it is exported or
// there is a reason.
func TestExportKnowsEveryTableThatNamesPeople(t *testing.T) {
	var exported strings.Builder
	for _, c := range constants(program(house(t))) {
		if c.dir() == "privacy" && strings.HasPrefix(c.name, "export") {
			exported.WriteString(c.value + "\n")
		}
	}
	named := tablesOfPeople(t)
	for table := range named {
		told := regexp.MustCompile(`(FROM|JOIN) ` + table + `\b`).MatchString(exported.String())
		if told == (notExported[table] != "") {
			t.Errorf("%s names people: export it in privacy/files.go, or give the reason why not in notExported, and not both", table)
		}
	}
	for table := range notExported {
		if !named[table] {
			t.Errorf("%s names nobody: take it out of notExported", table)
		}
	}
}

// tablesOfPeople are those with a column that names somebody.
func tablesOfPeople(t *testing.T) map[string]bool {
	t.Helper()
	person := regexp.MustCompile(`^(user_id|owner_id|other_id|actor_id|subject|subject_id|who|email|requester_id|organizer_id|started_by|invited_by|changed_by|updated_by|created_by|speaker_id|named_by)$`)
	named := map[string]bool{}
	for _, column := range columnsOf(t, dbtest.Open(t)) {
		if table, name, _ := strings.Cut(column, "."); person.MatchString(name) {
			named[table] = true
		}
	}
	return named
}

// BenchmarkErase erases somebody who has said 10,000 things among 90,000 of others,
// while somebody else writes a row again and again: worst-wait is the longest of
// those writes, its own commit included.
func BenchmarkErase(b *testing.B) { benchmarkErase(b, 0) }

// BenchmarkEraseNamed is BenchmarkErase of somebody who was also named as who speaks in
// 300 meetings, in a hundred segments of each.
func BenchmarkEraseNamed(b *testing.B) { benchmarkErase(b, 300) }

func benchmarkErase(b *testing.B, named int) {
	for range b.N {
		b.StopTimer()
		d := dbtest.Open(b, func(o *db.Options) { o.Log = slog.New(slog.DiscardHandler) })
		f := newFiller(b, d)
		f.messages(100_000)
		f.named("usr_2", named, 100)
		err := d.Write(b.Context(), func(tx *db.WriteTx) error {
			if _, err := tx.Exec(`INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at) VALUES ('usr_2', 's2', 0, 'two@example.org', 'Two', 0, 0)`); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE messages SET user_id = 'usr_2' WHERE seq % 10 = 0`); err != nil {
				return err
			}
			_, err := users.EraseAgain(tx, []users.Erasure{{User: "usr_2", AskedAt: tx.Now}})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := d.EmptyLog(b.Context()); err != nil { // of what the benchmark has stored itself
			b.Fatal(err)
		}
		runner := jobs.NewRunner(d, slog.New(slog.DiscardHandler), map[string]jobs.Handler{users.Erased: privacy.NewEraser(d).Erase})
		done := make(chan struct{})
		d.OnCommit(func(set db.ChangeSet) {
			if set.Has("erasures") {
				close(done)
			}
		})
		stop, waits := probe(b, d)
		b.StartTimer()
		runner.Start()
		<-done
		b.StopTimer()
		close(stop)
		worst := time.Duration(0)
		for _, w := range <-waits {
			worst = max(worst, w)
		}
		if err := runner.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		if n := rowsOf(b, d, `SELECT count(*) FROM messages WHERE user_id = 'usr_2' AND content <> ''`); n != 0 {
			b.Fatal(fmt.Sprint(n, " messages are left"))
		}
		if n := rowsOf(b, d, `SELECT (SELECT count(*) FROM segments WHERE label <> '') + (SELECT count(*) FROM speakers)`); n != 0 {
			b.Fatal(fmt.Sprint(n, " labels are left"))
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst-wait")
	}
}
