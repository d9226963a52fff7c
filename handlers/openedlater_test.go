package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	"connvo/audit"
)

// Where the answers of many paths are too much for the first turn, the record
// tells of the rest when their rights are known, and not before.
func TestPathsThatWaitTheirTurnAreRecordedWithTheirRights(t *testing.T) {
	s := newServer(t)
	ada, eve := s.signInAs("ada", "org_1", "member"), s.signInAs("eve", "org_1", "member")
	own, others := ada.plan("Own"), eve.plan("Others")
	ada.must("POST", own+"/start", nil)
	ada.must("POST", own+"/notes/ops", fmt.Sprintf(`{"clientId":"a","baseVersion":0,"edits":[%s]}`, strings.Join(inserts(5, 20_000), ",")))
	notes := own + "/notes"
	paths := []string{}
	for i := range 14 { // the same 100,000 characters, by so many spellings
		at := len("/v1/meetings/") + i
		paths = append(paths, notes[:at]+fmt.Sprintf("%%%02X", notes[at])+notes[at+1:])
	}
	st := ada.follow(live(append(paths, others, "/v1/me")...))
	st.ready()
	told := map[string]string{}
	for len(told) < 16 {
		for _, r := range st.round().Results {
			told[r.Q] = r.Event
		}
	}
	st.close()
	if told[others] != "problem" || told["/v1/me"] != "snapshot" {
		t.Errorf("%v", told)
	}
	allowed, later, refused := 0, 0, 0
	for _, l := range s.recorded("org_1") {
		mentions := strings.Count(l.Detail, `"/v1/`)
		switch {
		case strings.Contains(l.Detail, others) && l.Action != audit.MeetingCreated:
			if refused++; l.Outcome != audit.Refused {
				t.Errorf("%+v", l)
			}
		case l.Action == audit.StreamOpened:
			allowed += mentions
		case l.Action == audit.StreamChanged:
			later += mentions
		}
	}
	if allowed+later != 15 || later == 0 || allowed == 0 || refused != 1 {
		t.Errorf("%d paths at once, %d later, %d refused", allowed, later, refused)
	}
}

// inserts are edits of a note, each of so many characters.
func inserts(edits, characters int) (all []string) {
	for i := range edits {
		all = append(all, fmt.Sprintf(`{"clientSeq":%d,"ops":[{"insert":%q}]}`, i+1, strings.Repeat("x", characters)))
	}
	return all
}
