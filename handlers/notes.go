package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/notes"
	"connvo/ratelimit"
)

// note is the notes of a meeting at one version.
type note struct {
	Content   string         `json:"content" doc:"Markdown, at most 100,000 UTF-16 code units."`
	Version   int64          `json:"version" doc:"0 before the first edit."`
	UpdatedAt *string        `json:"updatedAt" format:"date-time"`
	UpdatedBy *domain.UserID `json:"updatedBy"`
	Locked    bool           `json:"locked" doc:"Nobody may edit them. False for what they once were."`
}

// noteRevision is an edit of the notes, as it was applied.
type noteRevision struct {
	Version   int64         `json:"version"`
	ClientID  *string       `json:"clientId" doc:"Null for a rollback."`
	ClientSeq *int64        `json:"clientSeq" doc:"Null for a rollback."`
	UserID    domain.UserID `json:"userId"`
	Ops       appliedOps    `json:"ops"`
	CreatedAt string        `json:"createdAt" format:"date-time"`
}

func (r noteRevision) key() string     { return strconv.FormatInt(r.Version, 10) }
func (r noteRevision) position() int64 { return r.Version }
func (r noteRevision) order() int64    { return r.Version }

// ops are a Delta as a client sends it. They are read once the rest of its request is
// known to have the right shape.
type ops struct{ json.RawMessage }

// Schema describes them.
func (ops) Schema(huma.Registry) *huma.Schema { return deltaSchema(notes.MaxInsert, notes.MaxOps) }

// appliedOps are a Delta as it was applied: a rollback puts back all of a text, and what
// others have written may part an edit anywhere in it.
type appliedOps struct{ json.RawMessage }

// Schema describes them.
func (appliedOps) Schema(huma.Registry) *huma.Schema {
	return deltaSchema(notes.MaxDocument, 2*notes.MaxDocument)
}

// deltaSchema describes a Delta of at most count operations, each of which inserts at
// most text UTF-16 code units.
func deltaSchema(text, count int) *huma.Schema {
	least, most, one := 1.0, float64(notes.MaxDocument*10), 1
	length := &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most}
	op := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: false, MinProperties: &one, MaxProperties: &one,
		Properties: map[string]*huma.Schema{
			"retain": length, "delete": length, "insert": {Type: huma.TypeString, MinLength: &one, MaxLength: &text},
		},
	}
	for _, s := range []*huma.Schema{op, length, op.Properties["insert"]} {
		s.PrecomputeMessages()
	}
	list := &huma.Schema{
		Type: huma.TypeArray, Items: op, MaxItems: &count,
		Description: "A Delta: what is done to the text from its beginning; the rest is kept. Lengths are UTF-16 code units.",
	}
	list.PrecomputeMessages()
	return list
}

type noteEdits struct {
	MeetingParam
	Body struct {
		ClientID    string     `json:"clientId" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Of one open document: it belongs to the user and the meeting that first used it."`
		BaseVersion int64      `json:"baseVersion" minimum:"0" maximum:"9007199254740991" doc:"The version of the notes that the client has, with its own edits done after it."`
		Edits       []noteEdit `json:"edits" minItems:"1" maxItems:"500" doc:"They follow one another on the client's own document."`
	}
	edits []notes.Edit
}

type noteEdit struct {
	ClientSeq int64 `json:"clientSeq" minimum:"1" maximum:"9007199254740991" doc:"One more with every edit of the client, from 1."`
	Ops       ops   `json:"ops" doc:"At least one of them inserts or deletes: 422 for an edit that changes nothing. One that others have emptied is dropped before it gets a number."`
}

// Resolve reads the edits, outside of any transaction.
func (in *noteEdits) Resolve(huma.Context) []error {
	var wrong []error
	in.edits = make([]notes.Edit, len(in.Body.Edits))
	for i, e := range in.Body.Edits {
		d, err := notes.Parse(e.Ops.RawMessage)
		if err != nil {
			wrong = append(wrong, &huma.ErrorDetail{Location: fmt.Sprintf("body.edits[%d].ops", i), Message: err.Error()})
		}
		in.edits[i] = notes.Edit{Seq: e.ClientSeq, Delta: d}
	}
	return wrong
}

// acceptedEdits is what became of what a client sent.
type acceptedEdits struct {
	Version int64          `json:"version" doc:"Of the notes afterwards."`
	Edits   []acceptedEdit `json:"edits"`
}

type acceptedEdit struct {
	ClientSeq int64      `json:"clientSeq"`
	Version   int64      `json:"version"`
	Ops       appliedOps `json:"ops" doc:"As they were applied."`
}

type noteOpsInput struct {
	FeedParams
	MeetingParam
}

type noteVersionInput struct {
	LiveParams
	MeetingParam
	Version int64 `path:"version" minimum:"1" maximum:"9007199254740991"`
}

type noteRollback struct {
	MeetingParam
	Body struct {
		Version int64  `json:"version" minimum:"0" maximum:"9007199254740991" doc:"What the notes shall be again; 0 for empty."`
		Reason  string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (in *noteRollback) detail() map[string]string {
	return map[string]string{"version": strconv.FormatInt(in.Body.Version, 10), "reason": in.Body.Reason}
}

type noteLock struct {
	MeetingParam
	Body noteLocked
}

type noteLocked struct {
	Locked bool `json:"locked"`
}

func (in *noteLock) detail() map[string]string {
	return map[string]string{"locked": strconv.FormatBool(in.Body.Locked)}
}

type noteSearchInput struct {
	ListParams
	MeetingParam
	Q string `query:"q" required:"true" minLength:"1" maxLength:"200" doc:"Words, of which a line has every one. Case and accents do not matter; the last word stands for all that begin with it, when it has three characters or more."`
}

// foundLines are the lines of notes that have the words that were looked for.
type foundLines struct {
	Version    int64       `json:"version" doc:"Of the notes that were looked through; another than that of the page before where somebody has written meanwhile."`
	Items      []foundLine `json:"items"`
	NextCursor *string     `json:"nextCursor"`
}

type foundLine struct {
	Line    int    `json:"line" doc:"Its number, from 1."`
	Offset  int    `json:"offset" doc:"Where the first of the words begins, in UTF-16 code units from the beginning of the notes."`
	Snippet string `json:"snippet" doc:"The part of the line around the words, as plain text. What was found stands between ⟦ and ⟧, and … where it was cut."`
}

// notesPath is that of the notes of a meeting.
const notesPath = "/v1/meetings/{meetingId}/notes"

func (s *Server) noteRoutes() {
	const path = notesPath
	get(s, route{path: path, id: "getNotes", tag: "Notes", summary: "The notes of a meeting", about: "While the meeting is active, for those who have joined.", shared: true}, s.getNotes)
	write(s, route{path: path + "/ops", id: "editNotes", tag: "Notes", limit: ratelimit.Notes, summary: "Edit the notes",
		about: "Each edit is rewritten for what others have done since baseVersion, and answered as it was applied, perhaps as nothing; one that was applied before gets its first answer. " +
			"A request without an answer is to be sent again as it was. 409 with expectedClientSeq where edits are missing, or some are applied that cannot be answered any more: that one is next; " +
			"with version where none is applied since the base is unknown or too old: read the edits up to there first."}, s.editNotes)
	feed(s, route{path: path + "/ops", id: "listNoteEdits", tag: "Notes", summary: "The edits of the notes, in order",
		about: "after is a version. What is older than 90 days is there no more.", shared: true}, s.listNoteEdits)
	get(s, route{path: path + "/versions/{version}", id: "getNotesVersion", tag: "Notes", summary: "The notes as they once were",
		about: "For whoever may read the notes. version is that of an edit, as GET …/notes/ops tells it; 404 for one that is no more, or never was.", shared: true}, s.getNotesVersion)
	get(s, route{path: path + "/search", id: "searchNotes", tag: "Notes", limit: ratelimit.Search, summary: "Look for words in the notes",
		about: "The lines that have all of them, from the first on. What is committed is found.", shared: true}, s.searchNotes)
	write(s, route{path: path + "/rollback", id: "rollBackNotes", tag: "Notes", limit: ratelimit.Notes, audits: audit.NotesRolledBack,
		summary: "Make the notes what they once were", about: "The host only. It is a new edit, which everybody gets; the history stays."}, s.rollBackNotes)
	write(s, route{method: http.MethodPut, path: path + "/lock", id: "lockNotes", tag: "Notes", limit: ratelimit.Notes, audits: audit.NotesLocked,
		summary: "Close the notes to edits, or open them again", about: "The host only."}, s.lockNotes)
	s.noteExport(path + "/export")
}

func (s *Server) getNotes(ctx context.Context, who domain.Actor, in *meetingInput) (note, error) {
	n, err := s.Notes.Get(ctx, who, in.meeting())
	return noteOf(n), err
}

func (s *Server) getNotesVersion(ctx context.Context, who domain.Actor, in *noteVersionInput) (note, error) {
	n, err := s.Notes.At(ctx, who, in.meeting(), in.Version)
	return noteOf(n), err
}

func (s *Server) editNotes(ctx context.Context, who domain.Actor, in *noteEdits) (acceptedEdits, error) {
	a, err := s.Notes.Submit(ctx, who, in.meeting(), notes.Submission{Client: in.Body.ClientID, Base: in.Body.BaseVersion, Edits: in.edits})
	out := acceptedEdits{Version: a.Version, Edits: make([]acceptedEdit, len(a.Edits))}
	for i, e := range a.Edits {
		out.Edits[i] = acceptedEdit{ClientSeq: e.Seq, Version: e.Version, Ops: opsOf(e.Delta)}
	}
	return out, err
}

func (s *Server) listNoteEdits(ctx context.Context, who domain.Actor, in *noteOpsInput, span domain.Span) (domain.Part[noteRevision], error) {
	part, err := s.Notes.Feed(ctx, who, in.meeting(), span)
	return domain.Parts(part, noteRevisionOf), err
}

func noteRevisionOf(l notes.Logged) noteRevision {
	r := noteRevision{Version: l.Version, UserID: l.User, Ops: opsOf(l.Delta), CreatedAt: instant(l.CreatedAt)}
	if l.Client != "" {
		r.ClientID, r.ClientSeq = &l.Client, &l.Seq
	}
	return r
}

func (s *Server) searchNotes(ctx context.Context, who domain.Actor, in *noteSearchInput) (foundLines, error) {
	after, err := numberOf(in.Cursor, 0)
	if err != nil {
		return foundLines{}, err
	}
	found, err := s.Notes.Search(ctx, who, in.meeting(), in.Q, int(after), in.Limit)
	page := foundLines{Version: found.Version, Items: make([]foundLine, len(found.Lines))}
	for i, l := range found.Lines {
		page.Items[i] = foundLine{Line: l.Number, Offset: l.Offset, Snippet: l.Snippet}
	}
	if found.More {
		next := string(domain.NewCursor(strconv.Itoa(found.Lines[len(found.Lines)-1].Number)))
		page.NextCursor = &next
	}
	return page, err
}

func (s *Server) rollBackNotes(ctx context.Context, who domain.Actor, in *noteRollback) (note, error) {
	n, err := s.Notes.Rollback(ctx, who, in.meeting(), in.Body.Version)
	return noteOf(n), err
}

func (s *Server) lockNotes(ctx context.Context, who domain.Actor, in *noteLock) (noteLocked, error) {
	return in.Body, s.Notes.Lock(ctx, who, in.meeting(), in.Body.Locked)
}

func opsOf(d notes.Delta) appliedOps {
	text, _ := d.MarshalJSON() // texts and numbers always encode
	return appliedOps{text}
}

func noteOf(n notes.Note) note {
	out := note{Content: n.Content, Version: n.Version, UpdatedAt: maybe(n.UpdatedAt), Locked: n.Locked}
	if n.UpdatedBy != "" {
		out.UpdatedBy = &n.UpdatedBy
	}
	return out
}
