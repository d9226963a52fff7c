package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"connvo/domain"
	"connvo/realtime"
)

// Regions is where meetings live. Where Home is empty there is one region, and all of
// them live here.
type Regions struct {
	// Home are the labels of the meetings that live here, that of this region first.
	Home []string
	// URLs are the servers of other regions by their labels: scheme and host, without
	// a slash at the end.
	URLs map[string]string
	// Replays says that the server is on Fly.io, whose proxy sends a request on to the
	// region that is named in the header fly-replay.
	Replays bool
}

const (
	// maxReplayed is the largest body, in bytes, that Fly.io's proxy sends on.
	maxReplayed = 1_000_000
	// replayFields bound how long the proxy looks for a machine of the other region,
	// and bring the request back where it finds none: we say so in our own words, to a
	// stream so that it comes again.
	replayFields = ";timeout=5s;fallback=force_self"
)

// here is the label of this region, "" where there is only one.
func (g Regions) here() string {
	if len(g.Home) == 0 {
		return ""
	}
	return g.Home[0]
}

// other returns the label unless what has it lives here, "" then.
func (g Regions) other(label string) string {
	if len(g.Home) == 0 || slices.Contains(g.Home, label) {
		return ""
	}
	return label
}

// labelsOf returns the labels of what the GETs are about, each once, in order; what is
// in no meeting lives everywhere.
func labelsOf(all ...*url.URL) (labels []string) {
	for _, u := range all {
		if label := domain.MeetingID(resourceOf(u.Path)).Home(); label != "" {
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// followedBy returns the paths that a URL follows: those of a stream of many, else its own.
func followedBy(u *url.URL) (all []*url.URL) {
	if u.Path != livePath {
		return []*url.URL{u}
	}
	for _, name := range u.Query()["q"] {
		if path, err := parsePath(name); err == nil { // else it is refused elsewhere
			all = append(all, path)
		}
	}
	return all
}

// atHome answers an operation whose input is valid, by do, if what it is about lives
// here. Nothing is sent on in a rehearsal: the paths of a stream go together.
func (s *Server) atHome(do func(w http.ResponseWriter, r *http.Request)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		if callOf(r.Context()).resolves == nil {
			if err := s.misdirected(r); err != nil {
				s.refuse(w, r, err)
				return
			}
		}
		do(w, r)
	}}
}

// misdirected returns with what a request is answered that belongs to another region,
// nil for one that belongs here.
func (s *Server) misdirected(r *http.Request) error { return s.misdirectedTo(r, r.URL) }

// misdirectedTo is misdirected for a request that belongs where the URL does.
func (s *Server) misdirectedTo(r *http.Request, u *url.URL) error {
	labels := labelsOf(followedBy(u)...)
	at := slices.IndexFunc(labels, func(label string) bool { return s.Regions.other(label) != "" })
	switch {
	case at < 0:
		return nil
	case len(labels) > 1:
		return misplaced("its paths live in several regions (" + strings.Join(labels, ", ") + "): open a stream for each")
	}
	return s.sendOn(r, labels[at])
}

// misdirectedChange is misdirected for the change of a connection. What it shall follow
// from now on has to live where it is.
func (s *Server) misdirectedChange(r *http.Request, connection string, added []realtime.Path) error {
	if label, _, found := strings.Cut(connection, "_"); found && domain.IsLabel(label) && s.Regions.other(label) != "" {
		return s.sendOn(r, label)
	}
	for _, p := range added {
		for _, label := range labelsOf(&url.URL{Path: p.About}) {
			if s.Regions.other(label) != "" {
				return misplaced("a path lives in the region " + label + ", the connection does not: open a stream for it")
			}
		}
	}
	return nil
}

// sendOn returns with what a request is answered for something that lives in another
// region. No request goes round: one that another region has sent here is refused. The
// headers that tell so can be sent by anybody, who then harms himself.
func (s *Server) sendOn(r *http.Request, label string) error {
	p := misplaced("it lives in the region " + label + "; send the request there")
	p.members = map[string]any{"region": label}
	base, known := s.Regions.URLs[label]
	switch {
	case s.Regions.Replays && r.Header.Get("Fly-Replay-Failed") != "":
		return domain.Fail(domain.Unavailable, "the region %s does not answer now", label)
	case s.Regions.Replays && s.sentHere(r):
	case known:
		p.Title, p.Status = http.StatusText(http.StatusTemporaryRedirect), http.StatusTemporaryRedirect
		p.fields = map[string]string{"Location": base + r.URL.RequestURI()}
	case s.Regions.Replays && onFly(label) && r.ContentLength >= 0 && r.ContentLength <= maxReplayed:
		p.fields = map[string]string{"Fly-Replay": "region=" + label + replayFields}
	}
	return p
}

// misplaced returns the problem of a request that this region cannot answer.
func misplaced(detail string) *problem {
	return newProblem(http.StatusMisdirectedRequest, detail)
}

// sentHere reports whether a machine of another region has sent the request here; one
// of this region does so where it stands by for another machine.
func (s *Server) sentHere(r *http.Request) bool {
	source := r.Header.Get("Fly-Replay-Src")
	if source == "" {
		return false
	}
	for field := range strings.SplitSeq(source, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(field), "="); name == "region" {
			return value != s.Regions.here()
		}
	}
	return true
}

// onFly reports whether the label can be that of a region of Fly.io: three letters,
// but for two that stand for several regions.
func onFly(label string) bool {
	return len(label) == 3 && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz") == "" && label != "any" && label != "usa"
}
