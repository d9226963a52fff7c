package handlers_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"connvo/audit"
	"connvo/db"
)

// deeds returns what the organization's record says, without who asks for it.
func (s *server) deeds(org string) []string {
	s.t.Helper()
	var all []string
	for _, l := range s.recorded(org) {
		all = append(all, fmt.Sprint(l.Action, " ", l.Outcome, " ", l.Detail))
	}
	return all
}

func equalDeeds(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWritesAreRecordedWithTheirEffect(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signInAs("ada", "org_1", "member"), s.signIn("grace")
	meeting := ada.plan("Plan", grace, "observer")
	ada.must("POST", meeting+"/start", nil)
	ada.must("POST", meeting+"/start", nil) // changes nothing
	guest := meeting + "/participants/" + string(grace.ID)
	ada.must("PATCH", guest, `{"role":"cohost"}`)
	ada.must("POST", meeting+"/participants", `{"email":"secret@example.org","role":"observer"}`, "Idempotency-Key", "one")
	ada.must("POST", meeting+"/participants", `{"email":"secret@example.org","role":"observer"}`, "Idempotency-Key", "one")
	if a := ada.do("POST", meeting+"/start", `{}`, "Idempotency-Key", "a b"); a.Status != 422 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	ada.must("POST", meeting+"/messages", `{"content":"what is said is not recorded"}`)
	ada.must("DELETE", guest, nil)
	at := func(path string) string { return fmt.Sprintf(`"path":%q`, path) }
	equalDeeds(t, s.deeds("org_1"),
		`meeting.created allowed {`+at("/v1/meetings")+`}`,
		`meeting.started allowed {`+at(meeting+"/start")+`}`,
		`participant.role_changed allowed {`+at(guest)+`,"role":"cohost"}`,
		`participant.invited allowed {`+at(meeting+"/participants")+`,"role":"observer","userId":""}`,
		`participant.removed allowed {`+at(guest)+`}`,
	)
	if n := s.number(`SELECT count(*) FROM audit WHERE action = 'meeting.created' AND resource = ?`, strings.TrimPrefix(meeting, "/v1/meetings/")); n != 1 {
		t.Errorf("the meeting that was made is named %d times", n)
	}
}

func TestRefusalsAreRecorded(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signInAs("ada", "org_1", "member"), s.signInAs("grace", "org_2", "member")
	meeting := ada.plan("Plan", grace, "observer")
	grace.do("POST", meeting+"/end", nil)
	grace.do("POST", meeting+"/messages", `{"content":"no"}`)
	grace.do("GET", meeting+"/nothing", nil)                                                 // is no path
	grace.do("GET", "/v1/meetings/mtg_loc_none", nil, "Accept", "text/event-stream")         // tells a stranger from nobody
	grace.do("POST", meeting+"/messages", `{"content":""}`)                                  // is wrong, not forbidden
	grace.do("GET", "/v1/users/usr_none", nil)                                               // is no refusal
	grace.do("GET", "/v1/admin/streams", nil)                                                //
	s.nobody().do("GET", "/v1/me", nil)                                                      // shows nothing
	s.nobody().do("GET", "/v1/me", nil, "Authorization", "Bearer not.a.token")               // shows something
	s.nobody().do("GET", "/v1/me?ticket=stolen", nil, "Accept", "text/event-stream")         //
	s.nobody().do("POST", "/v1/meetings", `{"title":"x"}`, "Cookie", "connvo_session=guess") //
	refused := func(action, method, path, code string) string {
		return fmt.Sprintf(`%s refused {"code":%q,"method":%q,"path":%q}`, action, code, method, path)
	}
	ada.do("DELETE", meeting+"/messages/msg_999", nil) // is a mistake of a member
	// What is tried at a meeting is for the admins of its organization.
	equalDeeds(t, s.deeds("org_1"),
		`meeting.created allowed {"path":"/v1/meetings"}`,
		refused("meeting.ended", "POST", meeting+"/end", "forbidden"),
		refused("request.made", "POST", meeting+"/messages", "forbidden"),
	)
	if n := s.number(`SELECT count(*) FROM audit WHERE org_id = 'org_2' AND actor_id = ? AND detail IN (?, ?)`, grace.ID,
		`{"code":"not_found","method":"GET","path":"/v1/meetings/mtg_loc_none"}`, `{"code":"forbidden","method":"GET","path":"/v1/admin/streams"}`); n != 2 {
		t.Errorf("%d refusals elsewhere", n)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE org_id = '' AND actor_id = '' AND outcome = 'refused'`); n != 3 {
		t.Errorf("%d refusals of nobody", n)
	}
	if n := s.number(`SELECT count(*) FROM audit WHERE detail LIKE '%stolen%' OR detail LIKE '%token%' OR detail LIKE '%guess%' OR resource LIKE '%stolen%'`); n != 0 {
		t.Errorf("%d entries hold what was shown", n)
	}
}

// What somebody wants is nobody's but theirs; that they have changed it is recorded.
func TestChangedSettingsAreRecordedWithoutTheirValues(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	for range 2 { // the second changes nothing
		ada.must("PATCH", "/v1/me/settings", `{"profileVisibility":"private","dataSharing":true}`)
	}
	ada.do("PATCH", "/v1/me/settings", `{"profileVisibility":"friends"}`)
	ada.must("GET", "/v1/me/settings", nil)
	ada.must("PUT", "/v1/me/onboarding", `{"displayName":"Ada","profile":{},"interests":[]}`)
	ada.must("PUT", "/v1/me/onboarding", `{"displayName":"Ada","profile":{},"settings":{"smsNotifications":true},"interests":[]}`)
	equalDeeds(t, s.deeds("org_1"), `settings.changed allowed {"path":"/v1/me/settings","settings":"dataSharing profileVisibility"}`,
		`settings.changed allowed {"path":"/v1/me/onboarding","settings":"smsNotifications"}`)
}

func TestReadsOfAMeetingAreRecordedOnceInAWhile(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signInAs("ada", "org_1", "admin"), s.signInAs("grace", "org_1", "member")
	meeting := ada.plan("Plan", grace, "observer")
	for range 3 {
		ada.must("GET", meeting, nil)
		ada.must("GET", meeting+"/messages?limit=3", nil)
		grace.must("GET", meeting+"/messages", nil)
		ada.must("GET", "/v1/me", nil)
		ada.must("GET", "/v1/admin/audit?limit=1", nil)
	}
	read := func(action, path string) string { return fmt.Sprintf(`%s allowed {"path":%q}`, action, path) }
	equalDeeds(t, s.deeds("org_1"), read("meeting.created", "/v1/meetings"), read("meeting.read", meeting),
		read("meeting.read", meeting+"/messages"), read("admin.read", "/v1/admin/audit?limit=1"))
	// What cannot be recorded is not told.
	if a := s.signIn("late").do("GET", "/v1/me", nil); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	other := ada.plan("Other")
	for range 2 { // the second is not taken for told
		if a := ada.do("GET", other, nil); a.Status != http.StatusServiceUnavailable || strings.Contains(string(a.Body), "Other") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
}

// An organization's admin role opens no meeting, so it tells no words of its chat.
func TestWhatIsLookedForInAChatIsNotTold(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	meeting := ada.plan("Plan")
	search := meeting + "/messages/search"
	ada.must("GET", search+"?q=dismissal", nil)
	boss := s.signInAs("boss", "org_1", "admin")
	st := ada.follow(live(search + "?q=dismissal"))
	st.ready()
	if a := boss.must("GET", figuresPath, nil); !strings.Contains(string(a.Body), search) || strings.Contains(string(a.Body), "dismissal") {
		t.Errorf("%s", a.Body)
	}
	st.close()
	for _, st := range []*stream{ada.follow(search + "?q=dismissal"), ada.follow(live(search+"?q=dismissal", meeting))} {
		st.ready()
		st.close()
	}
	equalDeeds(t, s.deeds("org_1"), `meeting.created allowed {"path":"/v1/meetings"}`, fmt.Sprintf(`meeting.read allowed {"path":%q}`, search),
		fmt.Sprintf(`stream.opened allowed {"paths":[%q]}`, search), fmt.Sprintf(`admin.read allowed {"path":%q}`, figuresPath),
		fmt.Sprintf(`stream.opened allowed {"paths":[%q]}`, search), fmt.Sprintf(`stream.opened allowed {"paths":[%q,%q]}`, search, meeting))
}

func TestRecordIsReadByTheAdminsOfTheOrganization(t *testing.T) {
	s := newServer(t)
	ada, grace := s.signInAs("ada", "org_1", "admin"), s.signInAs("grace", "org_1", "member")
	eve := s.signInAs("eve", "org_2", "admin")
	first, second := grace.plan("First"), ada.plan("Second")
	ada.must("POST", second+"/cancel", nil)
	id := strings.TrimPrefix(second, "/v1/meetings/")
	var page struct {
		Items []struct {
			Position                  int64
			ActorID, Action, Resource string
		}
		Last int64
		More bool
	}
	for query, want := range map[string]string{
		"outcome=refused":                                        "",
		"action=meeting.created":                                 "meeting.created meeting.created",
		"action=meeting.created&actor=" + string(grace.ID):       "meeting.created",
		"resource=" + id + "&action=meeting.cancelled":           "meeting.cancelled",
		"resource=" + id + "&actor=" + string(grace.ID):          "",
		"action=meeting.created&to=2020-01-01T00:00:00Z":         "",
		"action=meeting.cancelled&from=2020-01-01T00:00:00Z":     "meeting.cancelled",
		"resource=" + strings.TrimPrefix(first, "/v1/meetings/"): "meeting.created",
	} {
		page.Items = nil
		ada.must("GET", "/v1/admin/audit?"+query, nil).into(t, &page)
		var got []string
		for _, item := range page.Items {
			got = append(got, item.Action)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	eve.must("GET", "/v1/admin/audit?action=meeting.created", nil).into(t, &page)
	if len(page.Items) != 0 {
		t.Errorf("an admin of another organization reads %+v", page.Items)
	}
	if a := ada.do("GET", "/v1/admin/audit?from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z", nil); a.Status != 422 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	// It is a feed like any other.
	st := ada.follow("/v1/admin/audit?after=0&action=meeting.started")
	st.ready()
	grace.must("POST", first+"/start", nil)
	if items, _ := st.items(); len(items) != 1 {
		t.Errorf("%+v", items)
	}
}

func TestRecordIsExportedWhole(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "admin")
	const many = 2500 // more than two pages
	if err := s.DB.Write(t.Context(), func(tx *db.WriteTx) error {
		for i := range many {
			e := audit.Entry{Org: "org_1", Actor: ada.ID, Action: "test.made", Resource: fmt.Sprint(i), Outcome: audit.Allowed, Agent: "=1+1", Detail: `{"n":"1,\"2"}`}
			if err := audit.Record(tx, e); err != nil {
				return err
			}
		}
		return audit.Record(tx, audit.Entry{Org: "org_2", Action: "test.made", Outcome: audit.Allowed})
	}); err != nil {
		t.Fatal(err)
	}
	a := ada.must("GET", "/v1/admin/audit/export?action=test.made", nil)
	lines := strings.Split(strings.TrimSpace(string(a.Body)), "\n")
	if len(lines) != many || a.Header.Get("Content-Type") != "application/x-ndjson" || a.Header.Get("Content-Disposition") != `attachment; filename="audit.ndjson"` {
		t.Fatalf("%d lines, %v", len(lines), a.Header)
	}
	for i, line := range lines {
		var l struct{ Resource string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Resource != fmt.Sprint(i) {
			t.Fatalf("line %d: %s, %v", i, line, err)
		}
	}
	a = ada.must("GET", "/v1/admin/audit/export?format=csv&action=test.made", nil)
	rows, err := csv.NewReader(strings.NewReader(string(a.Body))).ReadAll()
	if err != nil || len(rows) != many+1 || rows[0][3] != "action" || rows[1][10] != "'=1+1" || rows[1][6] != `{"n":"1,\"2"}` || rows[many][4] != fmt.Sprint(many-1) {
		t.Errorf("%d rows, %v, %v", len(rows), rows[:2], err)
	}
	if a := ada.do("GET", "/v1/admin/audit/export?format=xml", nil); a.Status != 422 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if got := strings.Count(strings.Join(s.deeds("org_1"), "\n"), "audit.exported allowed"); got != 2 {
		t.Errorf("%d exports are recorded", got)
	}
}

// However long a path is, the refusal of a stranger fills a line of the record and
// of the log, not a page.
func TestRefusalsOfStrangersAreSmallInTheRecord(t *testing.T) {
	s := newServer(t)
	long := "/v1/meetings/" + strings.Repeat("x", 12<<10)
	if a := s.nobody().do("GET", long, nil, "Authorization", "Bearer not.a.token"); a.Status != http.StatusUnauthorized {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	lines := s.recorded("")
	if n := s.number(`SELECT max(length(detail) + length(resource)) FROM audit`); n > 3*audit.MaxResource || len(lines) > 0 {
		t.Errorf("%d characters are recorded", n)
	}
	if n := len(s.Log.String()); n > 4*audit.MaxResource {
		t.Errorf("%d characters are logged", n)
	}
}

// hooked is an answer that does something when its first part is written.
type hooked struct {
	http.ResponseWriter
	meanwhile func()
}

// Write writes, and then does it, the first time.
func (h *hooked) Write(b []byte) (int, error) {
	n, err := h.ResponseWriter.Write(b)
	if h.meanwhile != nil {
		h.meanwhile()
		h.meanwhile = nil
	}
	return n, err
}

// Who signs out, or is no admin any more, while the record is exported gets no
// further page.
func TestExportEndsWithTheRight(t *testing.T) {
	s := newServer(t)
	const many = 3000
	if err := s.DB.Write(t.Context(), func(tx *db.WriteTx) error {
		for range many {
			if err := audit.Record(tx, audit.Entry{Org: "org_1", Action: "test.made", Outcome: audit.Allowed, Agent: strings.Repeat("x", 200)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lose func(p *person)
		all  bool
	}{
		"nothing": {func(*person) {}, true},
		"log-out": {func(p *person) { p.must("POST", logoutPath, nil) }, false},
		"role":    {func(p *person) { p.s.exec(`UPDATE users SET org_role = 'member' WHERE id = ?`, p.ID) }, false},
	} {
		p := s.signInAs(strings.ReplaceAll(name, "-", ""), "org_1", "admin")
		sent := httptest.NewRecorder()
		aborted := func() (aborted bool) {
			defer func() { aborted = recover() == http.ErrAbortHandler }()
			s.API.ServeHTTP(&hooked{sent, func() { c.lose(p) }}, p.request(t.Context(), "GET", "/v1/admin/audit/export?action=test.made", nil))
			return false
		}()
		if lines := strings.Count(sent.Body.String(), "\n"); aborted == c.all || (lines == many) != c.all {
			t.Errorf("%s: %d lines, cut %v", name, lines, aborted)
		}
	}
}

// The list of insights quotes what was said in meetings, so it is recorded who reads it.
func TestInsightsAreReadAndDeletedOnTheRecord(t *testing.T) {
	s := newServer(t)
	ada := s.signInAs("ada", "org_1", "member")
	meeting := ada.plan("Plan")
	ada.must("POST", meeting+"/start", nil)
	ada.must("POST", meeting+"/end", nil)
	s.reflect(meeting)
	var list struct{ Items []struct{ ID string } }
	for range 2 { // once in a while
		ada.must("GET", "/v1/insights?limit=3", nil).into(t, &list)
	}
	one := "/v1/insights/" + list.Items[0].ID
	s.signInAs("grace", "org_1", "member").do("DELETE", one, nil) // which is not hers, and changes nothing
	ada.must("DELETE", one, nil)
	did := func(action, path string) string { return fmt.Sprintf(`%s allowed {"path":%q}`, action, path) }
	deeds := s.deeds("org_1")
	slices.Sort(deeds) // a read is stored later than a write
	equalDeeds(t, deeds, did("insights.deleted", one), did("meeting.created", "/v1/meetings"), did("meeting.ended", meeting+"/end"),
		did("meeting.read", "/v1/insights?limit=3"), did("meeting.started", meeting+"/start"))
}

// Who is known and is not let in is named, so that the admins of their organization
// learn of it.
func TestRefusalsNameWhomTheyRefuse(t *testing.T) {
	s := newServer(t)
	gone, out := s.signInAs("gone", "org_1", "member"), s.signInAs("out", "org_1", "member")
	cookie := gone.cookie()
	gone.deactivate()
	out.must("POST", logoutPath, nil)
	gone.do("GET", "/v1/me", nil)
	s.nobody().do("POST", "/v1/meetings", `{"title":"Plan"}`, "Cookie", cookie)
	out.do("GET", "/v1/meetings", nil)
	refused := map[string]int{}
	for _, l := range s.recorded("org_1") {
		if l.Outcome == audit.Refused && l.Session != "" {
			refused[string(l.Actor)+" "+l.Resource+" "+string(l.Action)]++
		}
	}
	for _, want := range []string{
		string(gone.ID) + " /v1/me request.made", string(gone.ID) + " /v1/meetings meeting.created", string(out.ID) + " /v1/meetings request.made",
	} {
		if refused[want] != 1 {
			t.Errorf("%q is recorded %d times: %v", want, refused[want], refused)
		}
	}
	if log := s.Log.String(); !strings.Contains(log, "status=403") || strings.Count(log, "user="+string(gone.ID)) != 2 {
		t.Errorf("the log does not name who was refused:\n%s", log)
	}
}

// What is done to a person is found by their id, whoever has done it.
func TestWhatIsDoneToAPersonIsFoundByTheirID(t *testing.T) {
	s := newServer(t)
	boss, ada, eve := s.signInAs("boss", "org_1", "admin"), s.signInAs("ada", "org_1", "member"), s.signInAs("eve", "org_1", "member")
	eve.do("POST", "/v1/users/"+string(ada.ID)+"/deactivate", nil)
	boss.must("POST", "/v1/users/"+string(ada.ID)+"/deactivate", nil)
	boss.must("POST", "/v1/users/"+string(ada.ID)+"/activate", nil)
	var got []string
	for _, l := range s.recorded("org_1") {
		if l.Resource == string(ada.ID) {
			got = append(got, fmt.Sprint(l.Actor == boss.ID, " ", l.Action, " ", l.Outcome))
		}
	}
	slices.Sort(got) // a refusal is stored later than a write
	equalDeeds(t, got, "false user.deactivated refused", "true user.activated allowed", "true user.deactivated allowed")
}
