package handlers

import (
	"archive/zip"
	"bufio"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"connvo/audit"
	"connvo/domain"
	"connvo/privacy"
)

// maxExports is how many exports are made at once: each reads on one core, for as
// long as the slowest client takes.
const maxExports = 4

type exportInput struct{}

type eraseInput struct{}

// erasing says that somebody is being erased.
type erasing struct {
	UserID  domain.UserID `json:"userId" doc:"What stays of the account: others' meetings refer to it."`
	AskedAt string        `json:"askedAt" format:"date-time" doc:"It is done within a day, and most often within a minute."`
}

func (s *Server) privacyRoutes() {
	download(s, route{path: "/v1/me/export", id: "exportMe", tag: "Users", summary: "Everything that is stored about me",
		about: "A ZIP archive with a JSON array for each kind of thing. 409 while another export of the caller is being made. What others keep to themselves, such as whom they block, is not in it."},
		[]string{"application/zip"}, s.exportMe)
	write(s, route{method: http.MethodDelete, path: "/v1/me", id: "eraseMe", tag: "Users", audits: audit.UserErased, status: http.StatusAccepted, summary: "Erase me",
		about: "The account is deactivated at once and for good, as by POST /v1/users/{userId}/deactivate; then what is stored about the person is erased. Meetings stay, with \"Former participant\" in the place of the name; messages stay as deleted ones. Who signs in again has a new account."}, s.eraseMe)
}

// exports are the exports that are being made.
type exports struct {
	store *privacy.Store
	mu    sync.Mutex // guards of
	of    map[domain.UserID]bool
}

func newExports(store *privacy.Store) *exports {
	return &exports{store: store, of: map[domain.UserID]bool{}}
}

// begin lets somebody make an export until end is called. Errors: Conflict while
// another of theirs is being made, Unavailable while too many are.
func (e *exports) begin(user domain.UserID) (end func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.of[user]:
		return nil, domain.Fail(domain.Conflict, "an export of yours is being made; wait for its end")
	case len(e.of) >= maxExports:
		return nil, domain.Fail(domain.Unavailable, "too many exports are being made; try again later")
	}
	e.of[user] = true
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.of, user)
	}, nil
}

// exportMe writes the archive page by page, so that neither memory nor a read
// transaction grows with it. The first page decides whether the caller may; one who
// loses the right later gets no further page.
func (s *Server) exportMe(w http.ResponseWriter, r *http.Request, c *call, _ *exportInput) error {
	end, err := s.exports.begin(c.who.User)
	if err != nil {
		return err
	}
	defer end()
	var a *archive
	for p, err := range s.exports.store.Export(r.Context(), c.who) {
		if err != nil {
			return err
		}
		if a == nil {
			if err := s.Audit.Note(c.entry(r, audit.UserExported, audit.Allowed, r.URL.Path, nil)); err != nil {
				return err
			}
			a = newArchive(w, s.DB.Now())
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // where there are none, nothing is lost
		if err := a.write(p); err != nil {
			return err
		}
	}
	return a.close()
}

// archive writes the files of an export, one after the other.
type archive struct {
	buffer *bufio.Writer
	zip    *zip.Writer
	at     time.Time
	name   string    // of the file that is open
	file   io.Writer // the open one
	rows   int       // written into it
}

// newArchive begins the answer.
func newArchive(w http.ResponseWriter, at time.Time) *archive {
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="connvo.zip"`)
	h.Set("Cache-Control", "no-store")
	buffer := bufio.NewWriterSize(w, 64<<10)
	return &archive{buffer: buffer, zip: zip.NewWriter(buffer), at: at}
}

func (a *archive) write(p privacy.Page) (err error) {
	if p.File != a.name {
		if err := a.endFile(); err != nil {
			return err
		}
		a.name, a.rows = p.File, 0
		if a.file, err = a.zip.CreateHeader(&zip.FileHeader{Name: p.File, Method: zip.Deflate, Modified: a.at}); err != nil {
			return err
		}
	}
	for _, row := range p.Rows {
		separator := ",\n"
		if a.rows == 0 {
			separator = "[\n"
		}
		a.rows++
		if _, err := io.WriteString(a.file, separator); err != nil {
			return err
		}
		if _, err := a.file.Write(row); err != nil {
			return err
		}
	}
	return nil
}

// endFile ends the array of the open file.
func (a *archive) endFile() error {
	if a.name == "" {
		return nil
	}
	last := "\n]\n"
	if a.rows == 0 {
		last = "[]\n"
	}
	_, err := io.WriteString(a.file, last)
	return err
}

func (a *archive) close() error {
	if err := a.endFile(); err != nil {
		return err
	}
	if err := a.zip.Close(); err != nil {
		return err
	}
	return a.buffer.Flush()
}

func (s *Server) eraseMe(ctx context.Context, who domain.Actor, _ *eraseInput) (erasing, error) {
	e, err := s.Users.Erase(ctx, who)
	return erasing{UserID: e.User, AskedAt: instant(e.AskedAt)}, err
}
