package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"pgregory.net/rapid"
)

// lawNotes is what the law knows of notes.
type lawNotes struct {
	versions []string // paths of what notes were
	clients  int      // that have edited notes
}

// noteWritten notes the version that an edit has made.
func (w *lawWorld) noteWritten(t *rapid.T, path string, answer lawAnswer) {
	meeting, edits := strings.CutSuffix(path, "/notes/ops")
	if !edits || answer.status != http.StatusOK {
		return
	}
	var a struct{ Version int64 }
	if err := json.Unmarshal(answer.body, &a); err != nil {
		t.Fatal(err)
	}
	w.versions = append(w.versions, fmt.Sprintf("%s/notes/versions/%d", meeting, a.Version))
}

// noteVersions are all versions of notes, and another one.
func (w *lawWorld) noteVersions(other int) []string {
	return append(w.versions[:len(w.versions):len(w.versions)], fmt.Sprintf("/v1/meetings/%s/notes/versions/%d", w.meetings[0], other))
}

func (w *lawWorld) drawVersion(t *rapid.T) (meeting, version string) {
	meeting, version, _ = strings.Cut(rapid.SampledFrom(w.noteVersions(0)).Draw(t, "version"), "/notes/versions/")
	return meeting, version
}

func lawNoteEdits(w *lawWorld) []string {
	return append(each(w.meetings, "/v1/meetings/%s/notes/ops?limit=3"), each(w.meetings, "/v1/meetings/%s/notes/ops?after=0")...)
}

func lawNoteSearch(w *lawWorld) []string {
	return append(each(w.meetings, "/v1/meetings/%s/notes/search?q=law"), each(w.meetings, "/v1/meetings/%s/notes/search?q=law&limit=1")...)
}

// lawNoteEdit is two edits by a client of its own, of notes as they were once.
func lawNoteEdit(t *rapid.T, w *lawWorld) (string, string) {
	meeting, version := w.drawVersion(t)
	if version == "0" {
		meeting = w.drawMeeting(t)
	}
	w.clients++
	return meeting + "/notes/ops", fmt.Sprintf(`{"clientId":"%s-%d","baseVersion":%s,"edits":[{"clientSeq":1,"ops":[{"insert":"%d law\n"}]},{"clientSeq":2,"ops":[{"delete":1}]}]}`,
		w.org, w.clients, version, w.clients)
}

func lawNoteRollback(t *rapid.T, w *lawWorld) (string, string) {
	meeting, version := w.drawVersion(t)
	return meeting + "/notes/rollback", fmt.Sprintf(`{"version":%s,"reason":"law"}`, version)
}

func lawNoteLock(t *rapid.T, w *lawWorld) (string, string) {
	return w.drawMeeting(t) + "/notes/lock", fmt.Sprintf(`{"locked":%v}`, rapid.IntRange(0, 3).Draw(t, "locked") == 0)
}
