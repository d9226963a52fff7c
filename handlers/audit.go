package handlers

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connvo/audit"
	"connvo/domain"
)

// exportPage is how many entries of an export one read transaction holds.
const exportPage = 1000

// auditLine is an entry of the record, to an admin.
type auditLine struct {
	Position  int64          `json:"position"`
	At        string         `json:"at" format:"date-time" doc:"When it happened."`
	ActorID   *domain.UserID `json:"actorId" doc:"Null when nobody was signed in."`
	Action    audit.Action   `json:"action" doc:"The kind of thing it was done to, a dot, the deed."`
	Resource  string         `json:"resource" doc:"The id of the meeting that it was done to or in, or of the person, else a path."`
	Outcome   audit.Outcome  `json:"outcome" enum:"allowed,refused"`
	Detail    map[string]any `json:"detail" doc:"What belongs to the action, such as the path or the new role."`
	SessionID *string        `json:"sessionId"`
	RequestID string         `json:"requestId"`
	Address   string         `json:"address"`
	Agent     string         `json:"agent" doc:"What the client calls itself."`
}

func (l auditLine) key() string     { return strconv.FormatInt(l.Position, 10) }
func (l auditLine) position() int64 { return l.Position }
func (l auditLine) order() int64    { return l.Position }

// AuditParams say which entries of the record are asked for.
type AuditParams struct {
	Actor    string       `query:"actor" maxLength:"128" doc:"Only what this user has done."`
	Resource string       `query:"resource" maxLength:"512" doc:"Only what was done to this: the id of a meeting or of a person, else a path."`
	Action   string       `query:"action" maxLength:"64" doc:"Only this, such as meeting.joined. The description of the operation names them all."`
	Outcome  string       `query:"outcome" enum:"allowed,refused" doc:"Only what ended so."`
	From     instantParam `query:"from" doc:"Only what happened then or later."`
	To       instantParam `query:"to" doc:"Only what happened before then."`
}

func (p AuditParams) filter() (audit.Filter, error) {
	if !p.To.IsZero() && p.To.Before(p.From.Time) {
		return audit.Filter{}, domain.FailField("query.to", "must not be before from")
	}
	return audit.Filter{Actor: domain.UserID(p.Actor), Resource: p.Resource, Action: audit.Action(p.Action), Outcome: audit.Outcome(p.Outcome), From: p.From.Time, To: p.To.Time}, nil
}

type auditInput struct {
	FeedParams
	AuditParams
}

type auditExport struct {
	AuditParams
	Format string `query:"format" enum:"ndjson,csv" default:"ndjson"`
}

func (s *Server) auditRoutes() {
	feed(s, route{path: "/v1/admin/audit", id: "listAudit", tag: "Administration", summary: "Who did what in my organization",
		about: "For admins: sign-ins, refusals, streams, reads of meetings (once in ten minutes each), changes of rights, the life of meetings, deletions, exports, and reads like this one. " +
			"The position tells the order of storing, within a second of the deed. " +
			"The actions are " + actionNames() + "."}, s.listAudit)
	download(s, route{path: "/v1/admin/audit/export", id: "exportAudit", tag: "Administration", summary: "The record as a file",
		about: "For admins: everything stored until now, in order. A cell of CSV that a spreadsheet would take for a formula begins with an apostrophe."},
		[]string{"application/x-ndjson", "text/csv"}, s.exportAudit)
}

// actionNames are the names of the actions, for people.
func actionNames() string {
	var names []string
	for _, a := range audit.Actions() {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

func (s *Server) listAudit(ctx context.Context, who domain.Actor, in *auditInput, span domain.Span) (domain.Part[auditLine], error) {
	f, err := in.filter()
	if err != nil {
		return domain.Part[auditLine]{}, err
	}
	part, err := s.Users.Audit(ctx, who, f, span)
	return domain.Parts(part, auditLineOf), err
}

// exportAudit writes the record page by page, so that neither memory nor a read
// transaction grows with it. The first page decides whether the caller may; one
// who loses the right later, or signs out, gets no further page.
func (s *Server) exportAudit(w http.ResponseWriter, r *http.Request, c *call, in *auditExport) error {
	f, err := in.filter()
	if err != nil {
		return err
	}
	// An answer is compared with by its position, so what is written from now on,
	// this export among it, is behind the end.
	end := s.DB.Committed()
	span := domain.Span{After: new(int64), Limit: exportPage}
	page, err := s.Users.Audit(r.Context(), c.who, f, span)
	if err != nil {
		return err
	}
	if err := s.Audit.Note(c.entry(r, audit.AuditExported, audit.Allowed, r.URL.Path, map[string]string{"query": r.URL.RawQuery})); err != nil {
		return err
	}
	lines := newLineWriter(w, in.Format)
	for {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // where there are none, nothing is lost
		for _, l := range page.Items {
			if l.Position > end {
				return lines.flush()
			}
			if err := lines.write(auditLineOf(l)); err != nil {
				return err
			}
		}
		if !page.More || page.Looked >= end {
			return lines.flush()
		}
		next := page.Looked // where it is 0 there are items
		for _, l := range page.Items {
			next = max(next, l.Position)
		}
		span.After = &next
		if err := s.Users.Standing(r.Context(), c.who); err != nil {
			return err
		}
		if page, err = s.Users.Audit(r.Context(), c.who, f, span); err != nil {
			return err
		}
	}
}

// lineWriter writes entries one by one.
type lineWriter struct {
	to    *bufio.Writer
	csv   *csv.Writer // nil for NDJSON
	plain *json.Encoder
}

// auditColumns are the first line of a CSV export.
var auditColumns = []string{"position", "at", "actorId", "action", "resource", "outcome", "detail", "sessionId", "requestId", "address", "agent"}

// newLineWriter begins the answer.
func newLineWriter(w http.ResponseWriter, format string) *lineWriter {
	media := "application/x-ndjson"
	lines := &lineWriter{to: bufio.NewWriterSize(w, 64<<10)}
	if format == "csv" {
		media = "text/csv; charset=utf-8; header=present"
		lines.csv = csv.NewWriter(lines.to)
		_ = lines.csv.Write(auditColumns) // is buffered; flush tells
	} else {
		lines.plain = json.NewEncoder(lines.to)
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", `attachment; filename="audit.`+format+`"`)
	h.Set("Cache-Control", "no-store")
	return lines
}

func (w *lineWriter) write(l auditLine) error {
	if w.csv == nil {
		return w.plain.Encode(l)
	}
	cell := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	detail, err := json.Marshal(l.Detail)
	if err != nil {
		return err
	}
	row := []string{strconv.FormatInt(l.Position, 10), l.At, cell((*string)(l.ActorID)), string(l.Action), l.Resource, string(l.Outcome), string(detail),
		cell(l.SessionID), l.RequestID, l.Address, l.Agent}
	for i, text := range row {
		row[i] = unspread(text)
	}
	return w.csv.Write(row)
}

// flush sends what is buffered.
func (w *lineWriter) flush() error {
	if w.csv != nil {
		if w.csv.Flush(); w.csv.Error() != nil {
			return w.csv.Error()
		}
	}
	return w.to.Flush()
}

// unspread keeps a spreadsheet from calculating what a stranger has written: an
// agent may call itself =HYPERLINK(…).
func unspread(text string) string {
	if text != "" && strings.ContainsAny(text[:1], "=+-@\t\r") {
		return "'" + text
	}
	return text
}

func auditLineOf(l audit.Line) auditLine {
	line := auditLine{
		Position: l.Position, At: instant(l.At), Action: l.Action, Resource: l.Resource, Outcome: l.Outcome,
		Detail: map[string]any{}, SessionID: text(l.Session), RequestID: l.Request, Address: l.Address, Agent: l.Agent,
	}
	if l.Actor != "" {
		line.ActorID = &l.Actor
	}
	if l.Detail != "" && json.Unmarshal([]byte(l.Detail), &line.Detail) != nil {
		line.Detail = map[string]any{"text": l.Detail} // one that was cut
	}
	return line
}
