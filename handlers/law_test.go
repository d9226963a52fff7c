package handlers_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"connvo/db"
)

// TestLiveEqualsFresh is the law of the house: whatever anyone does, when a
// stream's heartbeat has passed the commit, what the stream has told is what a
// fresh GET answers. Random people do random things over every mutating route
// while streams on every GET are open. They mostly wait for heartbeats, so several
// servers are tried at once, each in its part of the runs.
func TestLiveEqualsFresh(t *testing.T) {
	const servers = 4
	checks := flag.Lookup("rapid.checks")
	all, err := strconv.Atoi(checks.Value.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := checks.Value.Set(strconv.Itoa((all + servers - 1) / servers)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(strconv.Itoa(all)) }) // it was taken before
	for i := range servers {
		t.Run(fmt.Sprint("server", i+1), func(t *testing.T) {
			t.Parallel()
			server := newLawServer(t)
			checkCoverage(t, server)
			checkLaw(t, server)
		})
	}
}

func checkLaw(t *testing.T, server *lawServer) {
	rapid.Check(t, func(t *rapid.T) {
		w := newLawWorld(t, server)
		defer w.close()
		t.Repeat(map[string]func(*rapid.T){
			"watch":      w.watch,
			"follow":     w.follow,
			"change":     w.change,
			"mutate":     w.mutate,
			"burst":      w.burst,
			"reconnect":  w.reconnect,
			"deactivate": w.deactivate,
			"remove":     w.remove,
			"arrive":     w.arrive,
			"hear":       w.hear,
			"expire":     w.expire,
			"follows":    w.settleChunks,
			"reflect":    w.reflect,
			"":           func(*rapid.T) {},
		})
		w.settle(t)
	})
}

// lawPaths is, for each GET, the paths that the law follows. A GET that is not
// here fails the test: add what a stream of it may ask for.
var lawPaths = map[string]func(w *lawWorld) []string{
	"/v1/me":                     func(*lawWorld) []string { return []string{"/v1/me"} },
	"/v1/users/{userId}":         func(w *lawWorld) []string { return each(w.people, "/v1/users/%s") },
	"/v1/users/{userId}/profile": func(w *lawWorld) []string { return each(w.people, "/v1/users/%s/profile") },
	"/v1/users": func(*lawWorld) []string {
		return []string{"/v1/users?org=mine", "/v1/users?org=mine&limit=1", "/v1/users?org=mine&name=a"}
	},
	"/v1/interests": func(*lawWorld) []string {
		return []string{"/v1/interests?limit=2", "/v1/interests?category=personal&limit=3"}
	},
	"/v1/me/profile":           func(*lawWorld) []string { return []string{"/v1/me/profile"} },
	"/v1/me/settings":          func(*lawWorld) []string { return []string{"/v1/me/settings"} },
	"/v1/me/interests":         func(*lawWorld) []string { return []string{"/v1/me/interests"} },
	"/v1/me/onboarding":        func(*lawWorld) []string { return []string{"/v1/me/onboarding"} },
	"/v1/flags":                func(*lawWorld) []string { return []string{"/v1/flags", "/v1/flags?limit=2"} },
	"/v1/admin/flags":          func(*lawWorld) []string { return []string{"/v1/admin/flags"} },
	"/v1/admin/flags/{key}":    func(*lawWorld) []string { return []string{"/v1/admin/flags/incall", "/v1/admin/flags/precall"} },
	"/v1/admin/retention":      func(*lawWorld) []string { return []string{"/v1/admin/retention"} },
	"/v1/notifications/unread": func(*lawWorld) []string { return []string{"/v1/notifications/unread"} },
	"/v1/notifications": func(*lawWorld) []string {
		return []string{"/v1/notifications", "/v1/notifications?limit=1", "/v1/notifications?after=0"}
	},
	"/v1/connections": func(*lawWorld) []string {
		return []string{"/v1/connections", "/v1/connections?limit=1", "/v1/connections?status=pending&direction=received", "/v1/connections?status=accepted"}
	},
	"/v1/blocks": func(*lawWorld) []string { return []string{"/v1/blocks", "/v1/blocks?limit=1"} },
	"/v1/meetings": func(*lawWorld) []string {
		return []string{"/v1/meetings", "/v1/meetings?limit=2", "/v1/meetings?state=active", "/v1/meetings?state=scheduled&limit=1",
			"/v1/meetings?scheduledFrom=2990-01-01T00:00:00Z", "/v1/meetings?scheduledTo=2999-06-01T00:00:00Z&state=scheduled&limit=1"}
	},
	"/v1/meetings/{meetingId}":              func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s") },
	"/v1/meetings/{meetingId}/invitations":  func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/invitations") },
	"/v1/meetings/{meetingId}/participants": func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/participants") },
	"/v1/meetings/{meetingId}/state":        func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/state") },
	"/v1/meetings/{meetingId}/analytics":    func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/analytics") },
	"/v1/meetings/{meetingId}/insights":     func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/insights") },
	"/v1/insights":                          func(*lawWorld) []string { return []string{"/v1/insights", "/v1/insights?limit=1"} },
	"/v1/meetings/{meetingId}/events": func(w *lawWorld) []string {
		return append(each(w.meetings, "/v1/meetings/%s/events"), each(w.meetings, "/v1/meetings/%s/events?after=0")...)
	},
	"/v1/meetings/{meetingId}/notes":                    func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/notes") },
	"/v1/meetings/{meetingId}/notes/ops":                lawNoteEdits,
	"/v1/meetings/{meetingId}/notes/search":             lawNoteSearch,
	"/v1/meetings/{meetingId}/notes/versions/{version}": func(w *lawWorld) []string { return w.noteVersions(1) },
	"/v1/meetings/{meetingId}/transcripts":              lawTranscripts,
	"/v1/meetings/{meetingId}/segments":                 lawSegments,
	"/v1/meetings/{meetingId}/transcripts/search": func(w *lawWorld) []string {
		return append(each(w.meetings, "/v1/meetings/%s/transcripts/search?q=wor"), each(w.meetings, "/v1/meetings/%s/transcripts/search?q=word&limit=1&speaker="+w.people[0])...)
	},
	"/v1/meetings/{meetingId}/transcripts/stats": func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/transcripts/stats") },
	"/v1/meetings/{meetingId}/speakers":          func(w *lawWorld) []string { return each(w.meetings, "/v1/meetings/%s/speakers") },
	"/v1/meetings/{meetingId}/messages": func(w *lawWorld) []string {
		paths := append(each(w.meetings, "/v1/meetings/%s/messages?limit=3"), each(w.meetings, "/v1/meetings/%s/messages?after=0")...)
		for _, at := range w.messages {
			cut := strings.LastIndex(at, "/")
			paths = append(paths, at[:cut]+"?thread="+at[cut+1:], at[:cut]+"?after=0&thread="+at[cut+1:])
		}
		return paths
	},
	// What is stored in the transactions that it is about; the rest is stored in
	// its own time, by the very requests that compare.
	"/v1/admin/audit": func(w *lawWorld) []string {
		return append(each(w.meetings, "/v1/admin/audit?action=meeting.joined&outcome=allowed&resource=%s"), "/v1/admin/audit?action=participant.invited&outcome=allowed",
			"/v1/admin/audit?after=0&action=meeting.created&outcome=allowed&actor="+w.people[0])
	},
	"/v1/meetings/{meetingId}/messages/search": func(w *lawWorld) []string {
		return append(each(w.meetings, "/v1/meetings/%s/messages/search?q=hel"), each(w.meetings, "/v1/meetings/%s/messages/search?q=x&limit=1")...)
	},
}

// lawWrites is, for each mutating route, how a random person uses it. A route
// that is not here fails the test: add what a person may send.
var lawWrites = map[string]func(t *rapid.T, w *lawWorld) (path, body string){
	"PATCH /v1/me": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/me", rapid.SampledFrom([]string{`{"displayName":"A"}`, `{"displayName":"B"}`, `{"avatarUrl":"https://example.com/a.png"}`, `{}`}).Draw(t, "change")
	},
	"PATCH /v1/me/profile": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/me/profile", rapid.SampledFrom([]string{`{"bio":"b"}`, `{"bio":"","skills":["chess"]}`, `{"age":30,"timeZone":"Europe/Berlin"}`, `{}`}).Draw(t, "change")
	},
	"PATCH /v1/me/settings": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/me/settings", rapid.SampledFrom([]string{`{"profileVisibility":"private"}`, `{"profileVisibility":"organization","activityTracking":false}`,
			`{"profileVisibility":"public","activityTracking":true}`, `{"smsNotifications":true}`, `{"dataSharing":true}`, `{"dataSharing":false}`}).Draw(t, "change")
	},
	"PUT /v1/me/interests": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/me/interests", rapid.SampledFrom([]string{`{"interests":[]}`, `{"interests":["music","travel"]}`, `{"interests":["travel","yoga"]}`}).Draw(t, "interests")
	},
	"PUT /v1/me/onboarding": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/me/onboarding", rapid.SampledFrom([]string{`{"displayName":"A","profile":{"bio":"on board now"},"interests":["yoga"]}`,
			`{"displayName":"C","profile":{},"settings":{"dataSharing":true},"interests":["music"]}`}).Draw(t, "onboarding")
	},
	"PUT /v1/admin/flags/{key}": func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/admin/flags/" + drawFlag(t), fmt.Sprintf(`{"enabled":%v,"percentage":%d,"organizations":[],"users":[%q],"reason":"law"}`,
			rapid.Bool().Draw(t, "enabled"), rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "percentage"), rapid.SampledFrom(w.people).Draw(t, "who"))
	},
	"DELETE /v1/admin/flags/{key}": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/admin/flags/" + drawFlag(t) + "?reason=law", ""
	},
	"POST /v1/admin/jobs/{jobId}/retry": func(t *rapid.T, w *lawWorld) (string, string) { return "/v1/admin/jobs/1/retry", "" },
	"POST /v1/notifications/read": func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/notifications/read", fmt.Sprintf(`{"upTo":%d}`, rapid.Int64Range(max(0, w.commit-30), w.commit).Draw(t, "upTo"))
	},
	"PUT /v1/admin/retention": func(t *rapid.T, _ *lawWorld) (string, string) {
		return "/v1/admin/retention", fmt.Sprintf(`{"messagesDays":%d,"transcriptsDays":90}`, rapid.SampledFrom([]int{1, 90, 3650}).Draw(t, "days"))
	},
	"POST /v1/users/{userId}/deactivate": func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/users/" + rapid.SampledFrom([]string{"usr_nobody", "usr_none", w.people[len(w.people)-1]}).Draw(t, "whom") + "/deactivate", ""
	},
	"DELETE /v1/me": func(t *rapid.T, _ *lawWorld) (string, string) { return "/v1/me", `{"no":"body"}` }, // refused: who is gone says no more
	"POST /v1/users/{userId}/activate": func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/users/" + w.people[len(w.people)-1] + "/activate", ""
	},
	"POST /v1/connections":              lawPerson("/v1/connections"),
	"POST /v1/connections/{id}/accept":  lawConnection("/accept"),
	"POST /v1/connections/{id}/decline": lawConnection("/decline"),
	"DELETE /v1/connections/{id}":       lawConnection(""),
	"POST /v1/blocks":                   lawPerson("/v1/blocks"),
	"DELETE /v1/blocks/{userId}": func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/blocks/" + rapid.SampledFrom(w.people).Draw(t, "whom"), ""
	},
	"POST /v1/meetings": func(t *rapid.T, w *lawWorld) (string, string) {
		guest := rapid.SampledFrom(w.people).Draw(t, "guest")
		role := drawRole(t)
		return "/v1/meetings", fmt.Sprintf(`{"title":"T","maxParticipants":2,"participants":[{"userId":%q,"role":%q},{"email":"nobody@example.org","role":%q}]}`, guest, role, role)
	},
	"PATCH /v1/meetings/{meetingId}": func(t *rapid.T, w *lawWorld) (string, string) {
		return w.drawMeeting(t), rapid.SampledFrom([]string{`{"title":"U"}`, `{"maxParticipants":1}`, `{"maxParticipants":3,"kind":"webinar"}`, `{"scheduledAt":"2999-01-01T00:00:00Z"}`, `{"scheduledAt":"2999-12-01T00:00:00Z"}`, `{"scheduledAt":null}`, `{}`}).Draw(t, "change")
	},
	"POST /v1/meetings/{meetingId}/participants": func(t *rapid.T, w *lawWorld) (string, string) {
		whom := fmt.Sprintf(`"userId":%q`, rapid.SampledFrom(w.people).Draw(t, "guest"))
		if rapid.Bool().Draw(t, "email") {
			whom = fmt.Sprintf(`"email":"law-%d@example.com"`, w.server.people.Load()+rapid.Int64Range(0, 1).Draw(t, "newcomer"))
		}
		return w.drawMeeting(t) + "/participants", fmt.Sprintf(`{%s,"role":%q}`, whom, drawRole(t))
	},
	"PATCH /v1/meetings/{meetingId}/participants/{userId}": func(t *rapid.T, w *lawWorld) (string, string) {
		return w.drawParticipant(t), fmt.Sprintf(`{"role":%q}`, drawRole(t))
	},
	"DELETE /v1/meetings/{meetingId}/participants/{userId}": func(t *rapid.T, w *lawWorld) (string, string) { return w.drawParticipant(t), "" },
	"POST /v1/meetings/{meetingId}/transfer": func(t *rapid.T, w *lawWorld) (string, string) {
		return w.drawMeeting(t) + "/transfer", fmt.Sprintf(`{"userId":%q}`, rapid.SampledFrom(w.people).Draw(t, "heir"))
	},
	"POST /v1/meetings/{meetingId}/cancel": lawStep("cancel"),
	"POST /v1/meetings/{meetingId}/start":  lawStep("start"),
	"POST /v1/meetings/{meetingId}/join":   lawStep("join"),
	"POST /v1/meetings/{meetingId}/leave":  lawStep("leave"),
	"POST /v1/meetings/{meetingId}/end":    lawStep("end"),
	"POST /v1/meetings/{meetingId}/rating": func(t *rapid.T, w *lawWorld) (string, string) {
		return w.drawMeeting(t) + "/rating", fmt.Sprintf(`{"rating":%d}`, rapid.IntRange(1, 5).Draw(t, "rating"))
	},
	"POST /v1/meetings/{meetingId}/insights/generate": lawStep("insights/generate"),
	"POST /v1/insights/{insightId}/feedback":          lawFeedback,
	"DELETE /v1/insights/{insightId}": func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/insights/" + rapid.SampledFrom(append(w.insights, "ins_none")).Draw(t, "insights"), ""
	},
	"POST /v1/meetings/{meetingId}/notes/ops":      lawNoteEdit,
	"POST /v1/meetings/{meetingId}/notes/rollback": lawNoteRollback,
	"PUT /v1/meetings/{meetingId}/notes/lock":      lawNoteLock,
	"POST /v1/meetings/{meetingId}/transcripts":    lawChunks,
	"DELETE /v1/meetings/{meetingId}/transcripts":  lawStep("transcripts"),
	"POST /v1/meetings/{meetingId}/audio": func(t *rapid.T, w *lawWorld) (string, string) {
		return w.drawMeeting(t) + "/audio?startMs=" + rapid.SampledFrom([]string{"0", "1000"}).Draw(t, "start"), string(wav(time.Second))
	},
	"PUT /v1/meetings/{meetingId}/speakers/{label}": lawSpeaker,
	"POST /v1/meetings/{meetingId}/messages":        lawMessage,
	"PATCH /v1/meetings/{meetingId}/messages/{messageId}": func(t *rapid.T, w *lawWorld) (string, string) {
		return rapid.SampledFrom(w.messages).Draw(t, "message"), rapid.SampledFrom([]string{`{"content":"x"}`, `{"content":"y"}`}).Draw(t, "edit")
	},
	"DELETE /v1/meetings/{meetingId}/messages/{messageId}": func(t *rapid.T, w *lawWorld) (string, string) {
		return rapid.SampledFrom(w.messages).Draw(t, "message"), ""
	},
}

func lawStep(name string) func(t *rapid.T, w *lawWorld) (string, string) {
	return func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/meetings/" + rapid.SampledFrom(w.meetings).Draw(t, "meeting") + "/" + name, ""
	}
}

func lawPerson(path string) func(t *rapid.T, w *lawWorld) (string, string) {
	return func(t *rapid.T, w *lawWorld) (string, string) {
		return path, fmt.Sprintf(`{"userId":%q}`, rapid.SampledFrom(w.people).Draw(t, "whom"))
	}
}

func lawConnection(step string) func(t *rapid.T, w *lawWorld) (string, string) {
	return func(t *rapid.T, w *lawWorld) (string, string) {
		return "/v1/connections/" + rapid.SampledFrom(append(w.connections, "con_none")).Draw(t, "connection") + step, ""
	}
}

func lawMessage(t *rapid.T, w *lawWorld) (string, string) {
	if len(w.messages) > 0 && rapid.Bool().Draw(t, "answers") {
		at := rapid.SampledFrom(w.messages).Draw(t, "message")
		cut := strings.LastIndex(at, "/")
		return at[:cut], fmt.Sprintf(`{"content":"hello","replyTo":%q}`, at[cut+1:])
	}
	return "/v1/meetings/" + rapid.SampledFrom(w.meetings).Draw(t, "meeting") + "/messages",
		fmt.Sprintf(`{"content":"hello @[%s]","attachments":[{"url":"https://example.com/a"}]}`, rapid.SampledFrom(w.people).Draw(t, "mentioned"))
}

func drawFlag(t *rapid.T) string {
	return rapid.SampledFrom([]string{"incall", "precall"}).Draw(t, "flag")
}

func drawRole(t *rapid.T) string {
	return rapid.SampledFrom([]string{"cohost", "participant", "observer"}).Draw(t, "role")
}

func (w *lawWorld) drawMeeting(t *rapid.T) string {
	return "/v1/meetings/" + rapid.SampledFrom(w.meetings).Draw(t, "meeting")
}

// drawParticipant is the path of somebody who may be in a meeting.
func (w *lawWorld) drawParticipant(t *rapid.T) string {
	return w.drawMeeting(t) + "/participants/" + rapid.SampledFrom(append(w.invitations, w.people...)).Draw(t, "participant")
}

func each(ids []string, format string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = fmt.Sprintf(format, id)
	}
	return all
}

// checkCoverage fails where a route is in neither table.
func checkCoverage(t *testing.T, s *lawServer) {
	for _, r := range s.routes {
		_, read := lawPaths[r.Path]
		_, written := lawWrites[r.Method+" "+r.Path]
		if r.Memory || r.LiveOnly || r.Download {
			continue // it is not of the database; that of many paths is followed besides
		}
		if (r.Method == http.MethodGet && !read) || (r.Method != http.MethodGet && !written) {
			t.Errorf("%s %s is not under the law: add it to law_test.go", r.Method, r.Path)
		}
	}
}

// lawWorld is the people, meetings and streams of one run.
type lawWorld struct {
	server      *lawServer
	org         string
	tokens      map[string]string // by user
	people      []string
	meetings    []string
	messages    []string // their paths
	invitations []string
	lawNotes
	connections []string
	insights    []string
	streams     []*lawStream
	commit      int64 // of the last write
	gone        []string
}

const (
	maxLawStreams = 24
	maxLawPeople  = 6
)

func newLawWorld(t *rapid.T, s *lawServer) *lawWorld {
	w := &lawWorld{server: s, tokens: map[string]string{}}
	// The first of them administers their organization.
	w.org = fmt.Sprintf("org_law_%d", s.people.Load())
	for i := range 3 {
		token, id := s.newcomer(t, w.org, []string{"admin", "member", "member"}[i])
		w.tokens[id] = token
		w.people = append(w.people, id)
	}
	// A meeting that runs with everyone in it, and one that is planned.
	invited := fmt.Sprintf(`{"title":"T","participants":[{"userId":%q,"role":"participant"},{"userId":%q,"role":"observer"}]}`, w.people[1], w.people[2])
	for range 2 {
		w.send(t, w.people[0], http.MethodPost, "/v1/meetings", invited)
	}
	w.send(t, w.people[0], http.MethodPost, "/v1/meetings/"+w.meetings[0]+"/start", "")
	w.send(t, w.people[1], http.MethodPost, "/v1/meetings/"+w.meetings[0]+"/join", "")
	w.send(t, w.people[1], http.MethodPost, "/v1/meetings/"+w.meetings[0]+"/messages", `{"content":"first"}`)
	w.conclude(t, invited)
	return w
}

func (w *lawWorld) close() {
	for _, s := range w.streams {
		s.close()
	}
}

// send lets somebody do something and notes what came of it.
func (w *lawWorld) send(t *rapid.T, who, method, path, body string) {
	answer := w.server.do(t, w.tokens[who], method, path, body)
	w.commit = max(w.commit, answer.commit)
	w.noteWritten(t, path, answer)
	if answer.status != http.StatusCreated {
		return
	}
	var made struct{ ID, InvitationID string }
	if err := json.Unmarshal(answer.body, &made); err != nil {
		t.Fatal(err)
	}
	switch {
	case path == "/v1/meetings":
		w.meetings = append(w.meetings, made.ID)
	case path == "/v1/connections":
		w.connections = append(w.connections, made.ID)
	case made.InvitationID != "":
		w.invitations = append(w.invitations, made.InvitationID)
	case made.ID != "":
		w.messages = append(w.messages, path+"/"+made.ID)
	}
}

func (w *lawWorld) mutate(t *rapid.T) {
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(lawWrites))).Draw(t, "route")
	method, _, _ := strings.Cut(name, " ")
	path, body := lawWrites[name](t, w)
	w.send(t, rapid.SampledFrom(w.people).Draw(t, "who"), method, path, body)
}

// burst is many messages at once, which share commits.
func (w *lawWorld) burst(t *rapid.T) {
	who := rapid.SampledFrom(w.people).Draw(t, "who")
	path := "/v1/meetings/" + rapid.SampledFrom(w.meetings).Draw(t, "meeting") + "/messages"
	n := rapid.SampledFrom([]int{3, 30, 250}).Draw(t, "messages")
	answers := make(chan lawAnswer, n)
	for range n {
		go func() { answers <- w.server.do(t, w.tokens[who], http.MethodPost, path, `{"content":"burst"}`) }()
	}
	for range n {
		w.commit = max(w.commit, (<-answers).commit)
	}
}

// watch opens a stream on a random path for a random person.
func (w *lawWorld) watch(t *rapid.T) {
	if len(w.streams) >= maxLawStreams {
		w.settle(t)
		return
	}
	who := rapid.SampledFrom(w.people).Draw(t, "who")
	s := newLawStream(w.server, w.tokens[who], false, w.drawPath(t))
	s.open(t)
	w.streams = append(w.streams, s)
}

// drawPath is a random path of a random GET.
func (w *lawWorld) drawPath(t *rapid.T) string {
	route := rapid.SampledFrom(slices.Sorted(maps.Keys(lawPaths))).Draw(t, "route")
	return rapid.SampledFrom(lawPaths[route](w)).Draw(t, "path")
}

// follow opens a stream on many random paths.
func (w *lawWorld) follow(t *rapid.T) {
	if len(w.streams) >= maxLawStreams {
		w.settle(t)
		return
	}
	var paths []string
	for range rapid.IntRange(0, 6).Draw(t, "paths") {
		paths = append(paths, w.drawPath(t))
	}
	who := rapid.SampledFrom(w.people).Draw(t, "who")
	s := newLawStream(w.server, w.tokens[who], true, paths...)
	s.open(t)
	w.streams = append(w.streams, s)
}

// change lets an open stream follow other paths.
func (w *lawWorld) change(t *rapid.T) {
	open := slices.DeleteFunc(slices.Clone(w.streams), func(s *lawStream) bool { return !s.multiplexed || s.ended() })
	if len(open) == 0 {
		return
	}
	s := open[rapid.IntRange(0, len(open)-1).Draw(t, "stream")]
	s.change(t, w.drawPath(t), rapid.Bool().Draw(t, "adds"))
}

// reconnect breaks a stream and takes it up where it was.
func (w *lawWorld) reconnect(t *rapid.T) {
	if len(w.streams) == 0 {
		return
	}
	s := w.streams[rapid.IntRange(0, len(w.streams)-1).Draw(t, "stream")]
	if s.ended() {
		return
	}
	s.close()
	s.open(t)
}

// deactivate takes every right from someone, below the API.
func (w *lawWorld) deactivate(t *rapid.T) {
	if len(w.gone) > 0 || !rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "really") {
		return
	}
	id := rapid.SampledFrom(w.people).Draw(t, "who")
	w.gone = append(w.gone, id)
	w.exec(t, `UPDATE users SET active = 0 WHERE id = ?`, id)
}

// remove takes someone out of a meeting, below the API.
func (w *lawWorld) remove(t *rapid.T) {
	w.exec(t, `DELETE FROM participants WHERE meeting_id = ? AND user_id = ?`,
		rapid.SampledFrom(w.meetings).Draw(t, "meeting"), rapid.SampledFrom(w.people[1:]).Draw(t, "who"))
}

// expire deletes the beginning of a feed, below the API, as its time does.
func (w *lawWorld) expire(t *rapid.T) {
	w.server.expired.Store(true)
	w.exec(t, rapid.SampledFrom([]string{
		`DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE meeting_id = ?1 ORDER BY seq LIMIT 2)`,
		`DELETE FROM events WHERE position IN (SELECT position FROM events WHERE meeting_id = ?1 ORDER BY position LIMIT 3)`,
		`DELETE FROM notifications WHERE position IN (SELECT position FROM notifications WHERE meeting_id = ?1 ORDER BY position LIMIT 1)`,
	}).Draw(t, "collection"), rapid.SampledFrom(w.meetings).Draw(t, "meeting"))
}

// arrive signs in somebody new, who may have been invited by e-mail.
func (w *lawWorld) arrive(t *rapid.T) {
	if len(w.people) >= maxLawPeople {
		return
	}
	token, id := w.server.newcomer(t, w.org, "member")
	w.tokens[id] = token
	w.people = append(w.people, id)
	w.commit = max(w.commit, w.server.db.Committed())
}

func (w *lawWorld) exec(t *rapid.T, query string, args ...any) {
	err := w.server.db.Write(w.server.ctx, func(tx *db.WriteTx) error {
		if _, err := tx.Exec(query, args...); err != nil {
			return err
		}
		w.commit = max(w.commit, tx.Number())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// settle waits until every stream has considered the last write, and compares
// each with a fresh answer.
func (w *lawWorld) settle(t *rapid.T) {
	for _, s := range w.streams {
		s.awaitCommit(t, w.commit)
	}
	for _, s := range w.streams {
		s.compare(t)
	}
}
