package handlers

import (
	"html"
	"net/http"
	"strings"

	"connvo/audit"
	"connvo/domain/notes"
)

type noteExportInput struct {
	MeetingParam
	Format string `query:"format" enum:"md,html,txt" default:"md"`
}

// noteMedia is what each format is sent as.
var noteMedia = map[string]string{
	"md":   "text/markdown; charset=utf-8",
	"html": "text/html; charset=utf-8",
	"txt":  "text/plain; charset=utf-8",
}

// noteExport registers the notes as a file. HTML shows the text as it was written,
// with nothing in it a tag: to make headings and links of Markdown takes the best
// library for Go more than five seconds where somebody has written 100,000 times
// ">", and it cannot be stopped.
func (s *Server) noteExport(path string) {
	download(s, route{path: path, id: "exportNotes", tag: "Notes", summary: "The notes as a file",
		about: "Markdown and text are what was written; HTML is a page that shows it, escaped."},
		[]string{"text/markdown", "text/html", "text/plain"}, s.exportNotes)
}

func (s *Server) exportNotes(w http.ResponseWriter, r *http.Request, c *call, in *noteExportInput) error {
	n, err := s.Notes.Get(r.Context(), c.who, in.meeting())
	if err != nil {
		return err
	}
	detail := map[string]string{"path": r.URL.RequestURI()}
	if err := s.Audit.Note(c.entry(r, audit.NotesExported, audit.Allowed, resourceOf(r.URL.Path), detail)); err != nil {
		return err
	}
	text := n.Content
	if in.Format == "html" {
		text = pageOfNotes(n)
	}
	h := w.Header()
	h.Set("Content-Type", noteMedia[in.Format])
	h.Set("Content-Disposition", `attachment; filename="notes.`+in.Format+`"`)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")
	h.Set("Cache-Control", "no-store")
	_, err = strings.NewReader(text).WriteTo(w)
	return err
}

// pageOfNotes returns an HTML page of the notes.
func pageOfNotes(n notes.Note) string {
	const begin = "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>Notes</title>\n</head>\n<body>\n<pre style=\"white-space: pre-wrap\">\n"
	return begin + html.EscapeString(n.Content) + "</pre>\n</body>\n</html>\n"
}
