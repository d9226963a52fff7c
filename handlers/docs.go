package handlers

import (
	"compress/gzip"
	"embed"
	"html/template"
	"io"
	"net/http"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

// pages are what people read in a browser.
//
//go:embed pages
var pages embed.FS

// pageAssets are the files of pages that browsers load by name.
var pageAssets = map[string]string{
	"connvo.css": "text/css; charset=utf-8",
	"icon.svg":   "image/svg+xml",
	"home.js":    "text/javascript; charset=utf-8",
	"docs.js":    "text/javascript; charset=utf-8",
}

// docsAssets are the files of Swagger UI that the documentation page needs;
// they are part of the binary, so the page works without the internet.
var docsAssets = map[string]string{
	"swagger-ui.css":       "text/css; charset=utf-8",
	"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}

// Content-Security-Policy of our pages, and of the documentation, whose style
// sheet has pictures within it.
const (
	strictPolicy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
	docsPolicy   = strictPolicy + "; img-src 'self' data:"
)

// defaultHost is where the commands look for a server by themselves.
const defaultHost = "127.0.0.1:8080"

// docsRoutes are the first page, the documentation and their files.
func (s *Server) docsRoutes() {
	templates := template.Must(template.ParseFS(pages, "pages/*.html"))
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		render(w, templates, "home.html", strictPolicy, map[string]any{
			"Development": s.Dev != nil, "Demo": s.Demo, "URL": "http://" + r.Host, "Elsewhere": r.Host != defaultHost, "People": demoPeople,
		})
	})
	s.mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		render(w, templates, "docs.html", docsPolicy, nil)
	})
	s.mux.HandleFunc("GET /assets/{file}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if media, found := pageAssets[name]; found {
			w.Header().Set("Content-Type", media)
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, pages, "pages/"+name)
			return
		}
		if media, found := docsAssets[name]; found {
			serveCompressed(w, r, media, name+".gz")
			return
		}
		s.refuse(w, r, newProblem(http.StatusNotFound, "there is no such file"))
	})
	if s.Dev != nil {
		s.mux.HandleFunc("GET /dev/login", func(w http.ResponseWriter, r *http.Request) {
			if err := localOnly(r); err != nil {
				s.refuse(w, r, err)
				return
			}
			render(w, templates, "login.html", strictPolicy, map[string]any{
				"ReturnTo": s.ownPath(r.URL.Query().Get("returnTo")), "People": demoPeople,
			})
		})
	}
}

func render(w http.ResponseWriter, t *template.Template, name, policy string, values any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	_ = t.ExecuteTemplate(w, name, values) // the client may be gone
}

// serveCompressed serves a file that is kept compressed.
func serveCompressed(w http.ResponseWriter, r *http.Request, media, name string) {
	f, err := static.FS.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "public, max-age=86400")
	h.Add("Vary", "Accept-Encoding")
	var content io.Reader = f
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
	} else if content, err = gzip.NewReader(f); err != nil {
		http.NotFound(w, r)
		return
	}
	_, _ = io.Copy(w, content) // the client may be gone
}
