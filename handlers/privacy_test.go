package handlers_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/jobs"
	"connvo/privacy"
)

// erase does what the jobs of the person's erasure do, the first look only.
func (s *server) erase(who domain.UserID) {
	s.t.Helper()
	eraser := privacy.NewEraser(s.DB)
	for s.number(`SELECT count(*) FROM erasures WHERE user_id = ? AND done_at IS NULL`, who) > 0 {
		var payload string
		err := s.DB.Read(s.t.Context(), func(tx db.Reader) (err error) {
			payload, err = db.One(tx, func(r db.Row) (p string, err error) { return p, r.Scan(&p) }, `SELECT payload FROM jobs WHERE name = ?`, users.Erased+":"+string(who))
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
		effect, err := eraser.Erase(s.t.Context(), jobs.Task{Payload: json.RawMessage(payload)})
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.DB.Write(s.t.Context(), effect); err != nil {
			s.t.Fatal(err)
		}
	}
}

// file returns what is in the database's file and in its log, in lower case.
func (s *server) file() []byte {
	s.t.Helper()
	var path string
	err := s.DB.Read(s.t.Context(), func(tx db.Reader) (err error) {
		path, err = db.One(tx, func(r db.Row) (p string, err error) { return p, r.Scan(&p) }, `SELECT file FROM pragma_database_list WHERE name = 'main'`)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var all []byte
	for _, name := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, b...)
	}
	return bytes.ToLower(all)
}

// planted are words that nobody says by chance; no two begin alike, since the index
// of words stores beginnings once.
var planted = map[string]string{
	"email": "aqorwimail", "name": "bumzelname", "avatar": "cytrofavatar", "bio": "dwexabbio", "goals": "ekpyrogoals", "company": "fjoldecompany",
	"job": "ghastujob", "request": "hrimnirequest", "message": "ixtlamessage", "edited": "jofkuredited", "attachment": "kvelpoattachment",
	"comment": "lundvycomment", "agent": "mzuriagent", "label": "nwibralabel", "sound": "oxpledsound",
}

// settle lets happen what follows from what was said.
func (s *server) settle() {
	s.t.Helper()
	effect, err := transcripts.NewSettler(s.DB).Settle(s.t.Context(), jobs.Task{})
	if err == nil {
		err = s.DB.WriteBackground(s.t.Context(), effect)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// plantEverywhere has the person of that name leave a word wherever they can.
func plantEverywhere(s *server) (*person, *person, string) {
	ada, grace := s.signIn(planted["email"]), s.signIn("grace")
	agent := []string{"User-Agent", planted["agent"]}
	key := func(n int) []string { return append([]string{"Idempotency-Key", fmt.Sprint("k", n)}, agent...) }
	ada.must("PATCH", "/v1/me", `{"displayName":"`+planted["name"]+`","avatarUrl":"https://pictures.example/`+planted["avatar"]+`"}`, key(1)...)
	ada.must("PATCH", "/v1/me/profile", `{"bio":"`+planted["bio"]+`","goals":"`+planted["goals"]+`","company":"`+planted["company"]+`","jobTitle":"`+planted["job"]+`"}`, key(2)...)
	ada.must("PATCH", "/v1/me/settings", `{"dataSharing":true}`, key(3)...)
	ada.must("PUT", "/v1/me/interests", `{"interests":["music","books"]}`, key(4)...)
	ada.must("POST", "/v1/connections", `{"userId":"`+string(grace.ID)+`","message":"`+planted["request"]+`"}`, key(5)...)
	meeting := grace.plan("Plan", ada, "participant")
	for i := range 30 {
		grace.say(meeting, fmt.Sprintf("hello %d apple banana ixtland kvel", i))
	}
	var m struct{ ID string }
	ada.must("POST", meeting+"/messages", `{"content":"say `+planted["edited"]+`"}`, key(6)...).into(s.t, &m)
	ada.must("PATCH", meeting+"/messages/"+m.ID, `{"content":"say other"}`, key(7)...)
	ada.must("POST", meeting+"/messages", `{"content":"I will bring `+planted["message"]+` to all","attachments":[{"name":"`+planted["attachment"]+`","url":"https://files.example/1","contentType":"text/plain","sizeBytes":1}]}`, key(8)...)
	for i := range 30 {
		grace.say(meeting, fmt.Sprintf("goodbye %d cherry jofk lund", i))
	}
	grace.must("POST", meeting+"/start", nil)
	ada.must("POST", meeting+"/join", nil, agent...)
	grace.must("POST", meeting+"/transcripts", `{"chunks":[{"speakerLabel":"`+planted["label"]+`","text":"pear plum","confidence":1,"startMs":0,"endMs":900},
		{"speakerLabel":"G","text":"of nobody's concern","confidence":1,"startMs":0,"endMs":900}]}`, key(10)...)
	ada.must("POST", meeting+"/audio?startMs=0", append(wav(time.Second)[:44+8000-len(planted["sound"])], planted["sound"]...), key(11)...)
	s.settle()
	ada.must("PUT", meeting+"/speakers/"+planted["label"], `{"userId":"`+string(ada.ID)+`"}`, agent...)
	grace.must("POST", meeting+"/end", nil)
	grace.must("PATCH", "/v1/me/profile", `{"skills":["`+planted["goals"]+`"]}`)
	s.reflect(meeting)
	ada.must("POST", meeting+"/rating", `{"rating":4,"comment":"`+planted["comment"]+`"}`, key(9)...)
	return ada, grace, meeting
}

// reflect does the job of a meeting's end that makes insights.
func (s *server) reflect(meeting string) {
	s.t.Helper()
	if _, err := s.API.Insights.Write(s.t.Context(), domain.MeetingID(strings.TrimPrefix(meeting, "/v1/meetings/"))); err != nil {
		s.t.Fatal(err)
	}
}

func TestNothingOfWhoIsErasedIsLeftInTheFile(t *testing.T) {
	s := newServer(t)
	ada, grace, meeting := plantEverywhere(s)
	if a := string(grace.must("GET", meeting+"/insights", nil).Body); !strings.Contains(a, `"ownerId":"`+string(ada.ID)) || !strings.Contains(a, `"people":[{"userId":"`+string(ada.ID)) {
		t.Errorf("the insights of others do not name them: %s", a)
	}
	grace.must("PATCH", "/v1/me/profile", `{"skills":[]}`) // which is the same word
	before := s.file()
	for what, word := range planted {
		if !bytes.Contains(before, []byte(word)[1:]) {
			t.Errorf("%s is not in the file before", what)
		}
	}
	if a := ada.must("DELETE", "/v1/me", nil, "Idempotency-Key", "last", "User-Agent", planted["agent"]); a.Status != http.StatusAccepted || !strings.Contains(string(a.Body), string(ada.ID)) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := ada.do("GET", "/v1/me", nil); a.Status != http.StatusUnauthorized {
		t.Errorf("who is being erased is served: %d", a.Status)
	}
	s.erase(ada.ID)
	after := s.file()
	for what, word := range planted {
		if at := bytes.Index(after, []byte(word)[1:]); at >= 0 {
			t.Errorf("%s is in the file at %d: %q", what, at, after[max(0, at-40):min(len(after), at+40)])
		}
	}
	var card struct{ DisplayName string }
	grace.must("GET", "/v1/users/"+string(ada.ID), nil).into(t, &card)
	if card.DisplayName != users.Former {
		t.Errorf("the name is %q", card.DisplayName)
	}
	var page struct {
		Items []struct {
			UserID    domain.UserID
			Content   *string
			DeletedAt *string
		}
	}
	grace.must("GET", meeting+"/messages?limit=100", nil).into(t, &page)
	deleted := 0
	for _, m := range page.Items {
		if m.UserID == ada.ID && m.DeletedAt != nil {
			deleted++
		}
	}
	if deleted != 2 || len(page.Items) != 62 {
		t.Errorf("%d of %d messages are deleted", deleted, len(page.Items))
	}
	if a := string(grace.must("GET", meeting+"/insights", nil).Body); strings.Contains(a, string(ada.ID)) || strings.Contains(a, "to all") {
		t.Errorf("the insights of others are %s", a)
	}
	if n := s.number(`SELECT (SELECT count(*) FROM insights WHERE user_id = ?1) + (SELECT count(*) FROM insight_lines WHERE user_id = ?1 OR owner_id = ?1) + (SELECT count(*) FROM insight_people WHERE user_id = ?1 OR other_id = ?1)`, ada.ID); n != 0 {
		t.Errorf("%d rows of insights tell of them", n)
	}
	// What was said stays, without a label that may be their name.
	if a := string(grace.must("GET", meeting+"/transcripts", nil).Body); !strings.Contains(a, `"speakerId":"`+string(ada.ID)+`","speakerLabel":null,"text":"pear plum"`) ||
		!strings.Contains(a, `"speakerId":null,"speakerLabel":"G"`) {
		t.Errorf("the transcript is %s", a)
	}
	if a := string(grace.must("GET", meeting+"/segments", nil).Body); !strings.Contains(a, `"speakerId":"`+string(ada.ID)+`","speakerLabel":null,"text":"pear plum"`) ||
		!strings.Contains(a, `"speakerId":null,"speakerLabel":"G"`) {
		t.Errorf("the segments are %s", a)
	}
	if a := string(grace.must("GET", meeting+"/transcripts/stats", nil).Body); !strings.Contains(a, `{"speakerId":"`+string(ada.ID)+`","speakerLabel":null,"chunks":1,"words":2,"spokenMs":900}`) {
		t.Errorf("the statistics are %s", a)
	}
	var found struct{ Items []any }
	grace.must("GET", meeting+"/messages/search?q=cherry", nil).into(t, &found)
	if len(found.Items) == 0 {
		t.Error("what others have said is not found any more")
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE actor_id = ? AND session = '' AND address = '' AND agent = '' AND action = 'user.erased'`, ada.ID); n != 1 {
		t.Errorf("%d entries of the record tell of it", n)
	}
}

// TestErasureGoesOnWhereItWas runs each of its stages twice, and all of it again.
func TestErasureGoesOnWhereItWas(t *testing.T) {
	s := newServer(t)
	ada, _, _ := plantEverywhere(s)
	ada.must("DELETE", "/v1/me", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as when the server stops: nothing is lost
	payload, _ := json.Marshal(users.Progress{User: ada.ID})
	if _, err := privacy.NewEraser(s.DB).Erase(ctx, jobs.Task{Payload: payload}); err == nil {
		t.Error("it was done in no time")
	}
	s.erase(ada.ID)
	rows := s.rows()
	for _, again := range []bool{false, true} {
		payload, _ := json.Marshal(users.Progress{User: ada.ID, Again: again})
		if _, err := privacy.NewEraser(s.DB).Erase(t.Context(), jobs.Task{Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	if s.rows() != rows {
		t.Error("done again, it has changed something")
	}
}

// TestWhoWasErasedComesBackAsSomebodyElse, with a token from afterwards only.
func TestWhoWasErasedComesBackAsSomebodyElse(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", domain.OrgMember)
	boss := s.signInAs("boss", "org_1", domain.OrgAdmin)
	other := s.signInAs("ada", "org_1", domain.OrgMember) // another session
	s.Clock.Advance(2 * time.Second)
	ada.must("DELETE", "/v1/me", nil)
	if a := boss.do("POST", "/v1/users/"+string(ada.ID)+"/activate", nil); a.Status != http.StatusConflict {
		t.Errorf("an admin brings back whoever is being erased: %d %s", a.Status, a.Body)
	}
	if a := other.do("GET", "/v1/me", nil); a.Status != http.StatusForbidden {
		t.Errorf("another session, before the end: %d %s", a.Status, a.Body)
	}
	s.erase(ada.ID)
	if a := other.do("GET", "/v1/me", nil); a.Status != http.StatusUnauthorized {
		t.Errorf("another session, after the end: %d %s", a.Status, a.Body)
	}
	s.Clock.Advance(2 * time.Second)
	anew := s.signInAs("ada", "org_1", domain.OrgMember)
	if anew.ID == ada.ID || anew.must("GET", "/v1/me", nil).Status != 200 {
		t.Errorf("%s has come back as %s", ada.ID, anew.ID)
	}
}

// TestSubjectOfWhoWasErasedNeedsANewToken is about WorkOS, which goes on calling
// a person by the same name.
func TestSubjectOfWhoWasErasedNeedsANewToken(t *testing.T) {
	s := newServer(t)
	people := users.NewStore(s.DB)
	told := users.Identity{Subject: "user_1", Email: "vera@example.org", At: s.Clock.Now()}
	a, err := people.SignIn(t.Context(), told)
	if err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Minute)
	if _, err := people.Erase(t.Context(), domain.Actor{User: a.User}); err != nil {
		t.Fatal(err)
	}
	s.erase(a.User)
	if _, err := people.SignIn(t.Context(), told); domain.KindOf(err) != domain.Unauthenticated {
		t.Errorf("an old token: %v", err)
	}
	told.At = s.Clock.Now()
	if b, err := people.SignIn(t.Context(), told); err != nil || b.User == a.User || !b.Active {
		t.Errorf("a new one: %+v, %v", b, err)
	}
}

// TestOlderFileForgetsAgain is a file that was restored, in which somebody is back.
func TestOlderFileForgetsAgain(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	list := []users.Erasure{{User: ada.ID, AskedAt: s.Clock.Now()}, {User: "usr_unknown", AskedAt: s.Clock.Now()}}
	if err := s.DB.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := users.EraseAgain(tx, list)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.erase(ada.ID)
	s.erase("usr_unknown")
	if n := s.number(`SELECT count(*) FROM users WHERE id = ? AND email = '' AND active = 0`, ada.ID); n != 1 {
		t.Error("the account has kept its person")
	}
	s.exec(`UPDATE users SET subject = 'back', email = 'back@example.org' WHERE id = ?`, ada.ID)
	s.exec(`DELETE FROM jobs`)
	if err := users.ResumeErasures(t.Context(), s.DB); err != nil {
		t.Fatal(err)
	}
	if n := s.number(`SELECT count(*) FROM jobs`); n != 1 {
		t.Errorf("%d erasures go on at a start, want the one whose person is back", n)
	}
	s.erase(ada.ID)
	if n := s.number(`SELECT count(*) FROM users WHERE email <> ''`); n != 0 {
		t.Error("who was back is still there")
	}
}

func TestExportHoldsWhatIsStored(t *testing.T) {
	s := newServer(t)
	ada, grace, meeting := plantEverywhere(s)
	s.signIn("linus").must("POST", "/v1/blocks", `{"userId":"`+string(ada.ID)+`"}`)
	grace.say(meeting, "of nobody's concern")
	many := s.number(`SELECT last FROM sequence`)
	s.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
		INSERT INTO notifications (position, user_id, type, cause, meeting_id, actor_id, subject, created_at)
		SELECT ?1 + i, ?2, 'meeting.started', i, 'mtg_x', '', '', 0 FROM n`, many+1000, ada.ID)
	files := unzip(t, ada.must("GET", "/v1/me/export", nil).Body)
	for what, word := range planted {
		if what == "edited" || what == "sound" {
			continue // what was edited away is only in the log, until that begins anew; what waits to be transcribed is told of
		}
		if !slices.ContainsFunc(files["all"], func(f string) bool { return strings.Contains(f, word) }) {
			t.Errorf("%s is not in the export", what)
		}
	}
	all := strings.Join(files["all"], "")
	for _, secret := range []string{"of nobody's concern", "hello 1", "grace@example.com", `"sealed"`} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is in the export", secret)
		}
	}
	if got := files["events.json"][0]; !strings.Contains(got, `"type":"participants.joined","actorId":"`+string(ada.ID)+`"`) || !strings.Contains(got, `"subjectId":"`+string(ada.ID)+`"`) ||
		strings.Contains(got, `"type":"participants.joined","actorId":"`+string(grace.ID)) {
		t.Errorf("the events are %s", got)
	}
	if got := files["insights.json"][0]; !strings.Contains(got, `"lines":[{"part":`) {
		t.Errorf("the insights are %s", got)
	}
	if got := files["audio.json"][0]; !strings.Contains(got, `"durationMs":1000,"format":"wav","bytes":8044}`) {
		t.Errorf("it tells of audio: %s", got)
	}
	if got := strings.TrimSpace(files["blocks.json"][0]); got != "[]" {
		t.Errorf("it tells who blocks: %s", got)
	}
	var told []any
	if err := json.Unmarshal([]byte(files["notifications.json"][0]), &told); err != nil || len(told) < 1500 {
		t.Errorf("%d notifications, %v", len(told), err)
	}
	// What the host deletes is in no export from then on, though no job has come to it.
	grace.must("DELETE", meeting+"/transcripts", nil)
	files = unzip(t, ada.must("GET", "/v1/me/export", nil).Body)
	for _, name := range []string{"transcripts.json", "insights.json", "audio.json"} {
		if got := strings.TrimSpace(files[name][0]); got != "[]" {
			t.Errorf("%s has what was deleted: %s", name, got)
		}
	}
}

// unzip returns the files of an archive by name, each valid JSON, and all together.
func unzip(t *testing.T, archive []byte) map[string][]string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for _, f := range r.File {
		var b bytes.Buffer
		open, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReadFrom(open); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b.Bytes()) {
			t.Errorf("%s is no JSON: %s", f.Name, b.String())
		}
		files[f.Name] = append(files[f.Name], b.String())
		files["all"] = append(files["all"], b.String())
	}
	return files
}

func TestExportIsMadeOnceAtATime(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	// A client that takes nothing keeps its export under way: more than the buffers
	// on the way hold, and nothing that would compress.
	meeting := ada.plan("Plan")
	s.hear(func(tx *db.WriteTx) error {
		for range 3000 {
			_, err := tx.Exec(`INSERT INTO messages (seq, meeting_id, thread, position, user_id, created_at, attachments, content) VALUES (?1, ?2, ?1, ?1, ?3, 0, '', hex(randomblob(2000)))`,
				tx.Next(), meetingIDOf(meeting), ada.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	conn := ada.stuckAt("/v1/me/export", "application/zip")
	defer func() { _ = conn.Close() }()
	if a := ada.do("GET", "/v1/me/export", nil); a.Status != http.StatusConflict {
		t.Errorf("beside another: %d", a.Status)
	}
	if a := s.signIn("grace").do("GET", "/v1/me/export", nil); a.Status != http.StatusOK {
		t.Errorf("of another person: %d", a.Status)
	}
}
