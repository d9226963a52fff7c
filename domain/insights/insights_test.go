package insights_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/connections"
	"connvo/domain/events"
	"connvo/domain/insights"
	"connvo/domain/interests"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/participants"
	"connvo/domain/profiles"
	"connvo/domain/settings"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/flags"
	"connvo/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a meeting that ada holds with grace, who takes part, and olga, who looks on;
// linus was invited and did not come.
type room struct {
	t                       *testing.T
	now                     time.Time
	db                      *db.DB
	meets                   *meetings.Store
	chat                    *messages.Store
	store                   *insights.Store
	settings                *settings.Store
	profiles                *profiles.Store
	flags                   *flags.Store
	ada, grace, olga, linus domain.Actor
	id                      domain.MeetingID
	happened                *events.Log
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), happened: events.NewLog(nil)} // a Sunday
	r.db = dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return r.now } })
	all := interests.NewStore(r.db)
	r.meets, r.chat = meetings.NewStore(r.db, r.happened, "loc"), messages.NewStore(r.db, r.happened)
	r.settings, r.profiles, r.flags = settings.NewStore(r.db), profiles.NewStore(r.db, all), flags.NewStore(r.db, "test")
	r.store = insights.NewStore(r.db, r.flags, r.profiles)
	for name, who := range map[string]*domain.Actor{"Ada Lovelace": &r.ada, "Grace Hopper": &r.grace, "Olga": &r.olga, "Linus": &r.linus} {
		a, err := users.NewStore(r.db).SignIn(t.Context(), users.Identity{Subject: name, Email: strings.Fields(name)[0] + "@example.com", Name: name, Org: "org_1", OrgRole: domain.OrgAdmin, At: r.now})
		r.must(err)
		*who = domain.Actor{User: a.User, Org: "org_1"}
	}
	m, err := r.meets.Create(t.Context(), r.ada, meetings.Draft{Title: "Plan", Invite: []meetings.Invitation{
		{User: r.grace.User, Role: participants.Participant}, {User: r.olga.User, Role: participants.Observer}, {User: r.linus.User, Role: participants.Participant}}})
	r.must(err)
	r.id = m.ID
	_, err = r.meets.Start(t.Context(), r.ada, r.id)
	r.must(err)
	for _, who := range []domain.Actor{r.grace, r.olga} {
		_, err = r.meets.Join(t.Context(), who, r.id)
		r.must(err)
	}
	return r
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// speak adds what ada says to the transcript.
func (r *room) speak(texts ...string) {
	r.t.Helper()
	for i, text := range texts {
		at := time.Duration(i) * time.Minute
		_, err := transcripts.NewStore(r.db, r.happened).Append(r.t.Context(), r.ada, r.id,
			[]transcripts.Draft{{Speaker: r.ada.User, Text: text, Confidence: 1, Start: at, End: at + time.Minute, Language: "en"}})
		r.must(err)
	}
}

func (r *room) post(who domain.Actor, content string) messages.Message {
	r.t.Helper()
	m, err := r.chat.Post(r.t.Context(), who, r.id, messages.Draft{Content: content})
	r.must(err)
	return m
}

func (r *room) note(text string) {
	r.t.Helper()
	_, err := notes.NewStore(r.db, r.happened).Submit(r.t.Context(), r.ada, r.id,
		notes.Submission{Client: "ada", Edits: []notes.Edit{{Seq: 1, Delta: notes.Delta{notes.Insert(text)}}}})
	r.must(err)
}

// end ends the meeting after 45 minutes.
func (r *room) end() {
	r.t.Helper()
	r.now = r.now.Add(45 * time.Minute)
	_, err := r.meets.End(r.t.Context(), r.ada, r.id)
	r.must(err)
}

// write does the job of the meeting's end.
func (r *room) write() {
	r.t.Helper()
	_, err := r.store.Write(r.t.Context(), r.id)
	r.must(err)
}

// of returns the insights of somebody, who has some.
func (r *room) of(who domain.Actor) insights.Insight {
	r.t.Helper()
	i, found, err := r.store.Of(r.t.Context(), who, r.id)
	if err != nil || !found {
		r.t.Fatalf("%v %v", found, err)
	}
	return i
}

func (r *room) number(query string, args ...any) (n int64) {
	r.t.Helper()
	r.must(r.db.Read(r.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	}))
	return n
}

func (r *room) exec(query string, args ...any) {
	r.t.Helper()
	r.must(r.db.Write(r.t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	}))
}

func (r *room) refused(err error, kind domain.Kind) {
	r.t.Helper()
	if err == nil || domain.KindOf(err) != kind {
		r.t.Errorf("%v, want kind %d", err, kind)
	}
}

// share sets whether what is known about somebody may be used.
func (r *room) share(who domain.Actor, shared bool) {
	r.t.Helper()
	_, err := r.settings.Update(r.t.Context(), who, settings.Change{Sharing: &shared})
	r.must(err)
}

// tells writes skills, goals and a time zone into somebody's profile.
func (r *room) tells(who domain.Actor, goals, zone string, skills ...string) {
	r.t.Helper()
	_, err := r.profiles.Update(r.t.Context(), who, profiles.Change{Skills: &skills, Goals: &goals, TimeZone: &zone})
	r.must(err)
}

func TestInsightsTellWhatWasSaidAndWritten(t *testing.T) {
	r := newRoom(t)
	r.tells(r.grace, "Learn more about SQLite", "Europe/Berlin", "Chess")
	r.speak("Let us talk about SQLite and the launch. We decided to use SQLite for the launch.",
		"I will write the page about the launch by Friday. Somebody has to tell the bank about the launch.")
	r.post(r.grace, "Olga will bring tea tomorrow.")
	r.note("- [ ] Grace: call the bank")
	r.end()
	r.write()
	i := r.of(r.grace)
	if !strings.HasPrefix(i.Summary, "The meeting took 45 minutes, and 1 person spoke.") || !strings.Contains(strings.Join(i.Topics, " "), "sqlite") {
		t.Errorf("%q of %q", i.Summary, i.Topics)
	}
	if want := []string{"We decided to use SQLite for the launch."}; !reflect.DeepEqual(i.Decisions, want) {
		t.Errorf("%q", i.Decisions)
	}
	berlin := func(day int) time.Time { return time.Date(2026, 3, day, 22, 59, 59, 999e6, time.UTC) }
	want := []insights.Action{
		{Text: "I will write the page about the launch by Friday.", Owner: r.ada.User, Due: berlin(6)},
		{Text: "Somebody has to tell the bank about the launch."},
		{Text: "Olga will bring tea tomorrow.", Owner: r.olga.User, Due: berlin(2)},
		{Text: "Grace: call the bank", Owner: r.grace.User},
	}
	if !reflect.DeepEqual(i.Actions, want) {
		t.Errorf("%+v\nwant %+v", i.Actions, want)
	}
	if due := r.of(r.ada).Actions[0].Due; !due.Equal(berlin(6).Add(time.Hour)) {
		t.Errorf("%v for who has told no time zone", due)
	}
	var advice []string
	for _, a := range i.Recommendations {
		if a.Reason == "" || a.Confidence <= 0 || a.Confidence > 1 {
			t.Errorf("%+v", a)
		}
		advice = append(advice, a.Text)
	}
	if len(advice) < 3 || advice[0] != "Begin with: Grace: call the bank" || advice[1] != "Stay with: sqlite" || advice[2] != "Agree on who does it: Somebody has to tell the bank about the launch." {
		t.Errorf("%q", advice)
	}
	if len(i.Segments) != 1 || i.GeneratedBy != insights.Local || !i.CreatedAt.Equal(r.now) || i.Helpful != nil {
		t.Errorf("%+v", i)
	}
}

// Each person who was there has one, of one kind of material, however often they are
// made; and nobody else has.
func TestInsightsAreOncePerPersonAndMaterial(t *testing.T) {
	r := newRoom(t)
	r.speak("We decided to use SQLite.")
	r.end()
	_, found, err := r.store.Of(t.Context(), r.grace, r.id)
	if err != nil || found {
		t.Errorf("%v %v before they are made", found, err)
	}
	r.write()
	first := r.of(r.grace)
	r.now = r.now.Add(time.Minute)
	r.write()
	if again := r.of(r.grace); !reflect.DeepEqual(again, first) || r.number(`SELECT count(*) FROM insights`) != 3 {
		t.Errorf("%+v\nand again %+v", first, again)
	}
	if _, found, err := r.store.Of(t.Context(), r.linus, r.id); err != nil || found {
		t.Errorf("who was not there: %v %v", found, err)
	}
	_, _, err = r.store.Of(t.Context(), domain.Actor{User: "usr_nobody"}, r.id)
	r.refused(err, domain.Unauthenticated)
	r.post(r.ada, "I will write it down.")
	r.renew(r.grace)
	if other := r.of(r.grace); other.ID == first.ID || len(other.Actions) != 1 || r.of(r.ada).CreatedAt.Equal(other.CreatedAt) || r.number(`SELECT count(*) FROM insights`) != 3 {
		t.Errorf("of other material: %+v", other)
	}
	if n := r.number(`SELECT count(*) FROM insight_lines WHERE NOT EXISTS (SELECT 1 FROM insights AS i WHERE i.user_id = insight_lines.user_id AND i.meeting_id = insight_lines.meeting_id)`); n != 0 {
		t.Errorf("%d lines of nothing", n)
	}
}

// renew asks for insights and does the job.
func (r *room) renew(who domain.Actor) {
	r.t.Helper()
	_, err := r.store.Generate(r.t.Context(), who, r.id)
	r.must(err)
	payload, _ := json.Marshal(map[string]any{"Meeting": r.id, "User": who.User}) // ids always encode
	_, err = r.store.Renewed(r.t.Context(), jobs.Task{Payload: payload})
	r.must(err)
	r.exec(`DELETE FROM jobs`)
}

func TestInsightsAreForWhoWasThereAndHasTheFlag(t *testing.T) {
	r := newRoom(t)
	generate := func(who domain.Actor) error {
		_, err := r.store.Generate(t.Context(), who, r.id)
		return err
	}
	r.refused(generate(r.ada), domain.Conflict)
	_, _, err := r.store.Of(t.Context(), r.ada, r.id)
	r.refused(err, domain.Conflict)
	r.end()
	r.refused(generate(r.linus), domain.Forbidden)
	r.refused(generate(domain.Actor{User: "usr_nobody"}), domain.Unauthenticated)
	if _, err := r.flags.Set(t.Context(), r.ada, flags.Insights, flags.Setting{Enabled: true, Users: []domain.UserID{r.grace.User}}, "a trial"); err != nil {
		t.Fatal(err)
	}
	r.refused(generate(r.ada), domain.Forbidden)
	r.must(generate(r.grace))
	r.must(generate(r.grace))
	if n := r.number(`SELECT count(*) FROM jobs`); n != 1 {
		t.Errorf("%d jobs", n)
	}
	r.write()
	if n := r.number(`SELECT count(*) FROM insights`); n != 1 {
		t.Errorf("%d, want those of who has the flag", n)
	}
	r.of(r.grace)
	r.exec(`UPDATE users SET active = 0 WHERE id = ?`, r.grace.User)
	r.exec(`DELETE FROM insights`)
	r.write()
	if n := r.number(`SELECT count(*) FROM insights`); n != 0 {
		t.Errorf("%d of who is deactivated", n)
	}
	r.now = r.now.Add(meetings.Remembered)
	r.exec(`UPDATE users SET active = 1`)
	r.refused(generate(r.grace), domain.Conflict)
}

// What a message said is not quoted any more once it is edited or gone.
func TestQuotesOfTheChatGoWithTheirMessages(t *testing.T) {
	r := newRoom(t)
	decided := r.post(r.grace, "Hello. We decided to buy the red one.")
	action := r.post(r.grace, "I will buy it.")
	r.post(r.grace, "I will drive there.")
	r.end()
	r.write()
	i := r.of(r.ada)
	if len(i.Decisions) != 1 || i.Decisions[0] != "We decided to buy the red one." || len(i.Actions) != 2 {
		t.Fatalf("%+v", i)
	}
	if n := r.number(`SELECT count(*) FROM insight_lines WHERE instr(text || reason, 'red') OR instr(text || reason, 'buy')`); n != 0 {
		t.Errorf("%d lines hold what the chat says", n)
	}
	_, err := r.chat.Edit(t.Context(), r.grace, r.id, decided.ID(), "Hello. We decided to buy the blue one.")
	r.must(err)
	r.must(r.chat.Delete(t.Context(), r.grace, r.id, action.ID()))
	i = r.of(r.ada)
	if len(i.Decisions) != 0 || len(i.Actions) != 1 || strings.Contains(fmt.Sprint(i), "buy") {
		t.Errorf("%+v", i)
	}
	r.exec(`DELETE FROM messages`)
	if i = r.of(r.ada); len(i.Actions) != 0 {
		t.Errorf("%+v", i)
	}
}

// Others are told of somebody while that person lets it be used, shows their profile,
// is active, and neither blocked nor connected: each taken away by itself, and at once.
func TestPeopleAreThoseWhoLetThemselvesBeTold(t *testing.T) {
	r := newRoom(t)
	r.tells(r.ada, "Learn chess", "", "Go")
	r.tells(r.grace, "Learn go, and travel to the moon", "", "Chess", "Secret Skill")
	r.tells(r.linus, "Learn go", "", "Chess")
	r.share(r.linus, true) // who was not there
	r.end()
	told := func() string {
		t.Helper()
		var all []string
		for _, p := range r.of(r.ada).People {
			if p.User == r.linus.User {
				t.Error("who was not there is told of")
			}
			all = append(all, p.Reason)
		}
		return strings.Join(all, "|")
	}
	r.write()
	if told() != "" || r.number(`SELECT count(*) FROM insight_people`) != 0 {
		t.Errorf("%q of nobody who shares", told())
	}
	r.share(r.grace, true)
	r.renew(r.ada)
	const reason = "They know what your goals ask for: Chess. You know what their goals ask for: Go."
	if told() != reason {
		t.Fatalf("%q", told())
	}
	for name, c := range map[string]struct{ take, give func() }{
		"sharing":    {func() { r.share(r.grace, false) }, func() { r.share(r.grace, true) }},
		"visibility": {func() { r.show(r.grace, settings.Private) }, func() { r.show(r.grace, settings.Public) }},
		"active":     {func() { r.exec(`UPDATE users SET active = 0 WHERE id = ?`, r.grace.User) }, func() { r.exec(`UPDATE users SET active = 1`) }},
		"block": {func() {
			_, err := connections.NewStore(r.db).Block(t.Context(), r.grace, r.ada.User)
			r.must(err)
		}, func() { r.exec(`DELETE FROM blocks`) }},
		"own block": {func() {
			_, err := connections.NewStore(r.db).Block(t.Context(), r.ada, r.grace.User)
			r.must(err)
		}, func() { r.exec(`DELETE FROM blocks`) }},
		"connection": {func() {
			c, err := connections.NewStore(r.db).Request(t.Context(), r.grace, r.ada.User, "")
			r.must(err)
			_, err = connections.NewStore(r.db).Accept(t.Context(), r.ada, c.ID)
			r.must(err)
		}, func() { r.exec(`DELETE FROM connections`) }},
		"profile": {func() { r.tells(r.grace, "", "") }, func() { r.tells(r.grace, "Learn go, and travel to the moon", "", "Chess", "Secret Skill") }},
	} {
		c.take()
		if told() != "" {
			t.Errorf("%s: still %q", name, told())
		}
		c.give()
		if told() != reason {
			t.Errorf("%s, given again: %q", name, told())
		}
	}
	if text := fmt.Sprint(r.of(r.ada), r.of(r.olga)); strings.Contains(text, "Secret") || strings.Contains(text, "moon") {
		t.Errorf("what is not in common is told: %s", text)
	}
	if n := r.number(`SELECT count(*) FROM insight_lines WHERE instr(text || reason, 'Chess') > 0`); n != 0 {
		t.Errorf("%d lines hold what the profile says", n)
	}
}

func (r *room) show(who domain.Actor, v settings.Visibility) {
	r.t.Helper()
	_, err := r.settings.Update(r.t.Context(), who, settings.Change{Visibility: &v})
	r.must(err)
}

func TestInsightsAreRatedAndDeletedByWhoseTheyAre(t *testing.T) {
	r := newRoom(t)
	r.end()
	r.write()
	mine, theirs := r.of(r.ada), r.of(r.grace)
	r.refused(r.store.Rate(t.Context(), r.ada, theirs.ID, true), domain.NotFound)
	r.refused(r.store.Delete(t.Context(), r.ada, theirs.ID), domain.NotFound)
	r.must(r.store.Rate(t.Context(), r.ada, mine.ID, false))
	if h := r.of(r.ada).Helpful; h == nil || *h || r.of(r.grace).Helpful != nil {
		t.Errorf("%v", h)
	}
	r.must(r.store.Delete(t.Context(), r.ada, mine.ID))
	r.refused(r.store.Delete(t.Context(), r.ada, mine.ID), domain.NotFound)
	r.refused(r.store.Rate(t.Context(), r.ada, mine.ID, true), domain.NotFound)
	if _, found, err := r.store.Of(t.Context(), r.ada, r.id); found || err != nil {
		t.Errorf("%v %v", found, err)
	}
	if r.of(r.grace).ID != theirs.ID {
		t.Error("others' are gone too")
	}
}

func TestListIsOfMeetingsOfWhichOneIsAMember(t *testing.T) {
	r := newRoom(t)
	r.end()
	r.write()
	list := func(who domain.Actor) int {
		t.Helper()
		all, more, err := r.store.List(t.Context(), who, "", 1)
		if err != nil || more {
			t.Errorf("%v %v", more, err)
		}
		return len(all)
	}
	if list(r.grace) != 1 || list(r.linus) != 0 {
		t.Error("not those of whose they are")
	}
	r.exec(`DELETE FROM participants WHERE user_id = ?`, r.grace.User)
	if list(r.grace) != 0 {
		t.Error("who is removed still has them")
	}
	_, _, err := r.store.List(t.Context(), domain.Actor{User: "usr_nobody"}, "", 1)
	r.refused(err, domain.Unauthenticated)
}

func TestInsightsAreForgottenWithTheirMeeting(t *testing.T) {
	r := newRoom(t)
	r.speak("We decided to use SQLite.")
	r.end()
	r.write()
	gone := int64(0)
	for range 3 {
		r.must(r.db.Write(t.Context(), func(tx *db.WriteTx) error {
			n, err := insights.Forget(tx, r.id)
			gone += n
			return errors.Join(err)
		}))
	}
	if left := r.number(`SELECT (SELECT count(*) FROM insights) + (SELECT count(*) FROM insight_lines) + (SELECT count(*) FROM insight_people)`); left != 0 || gone != 3 {
		t.Errorf("%d are left, %d deleted", left, gone)
	}
}
