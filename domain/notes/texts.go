package notes

import (
	"cmp"
	"slices"
	"sync"

	"connvo/db"
	"connvo/domain"
)

// What is kept in memory of the documents that were edited last: of so many the
// text, and so many bytes of their newest revisions. It is some megabytes, 50 if
// all are as long as they may be.
const (
	maxTexts  = 200
	maxRecent = 128 << 10 // some 700 keystrokes: a hundred editors are a hundred behind
)

// texts are the documents that were edited last, as that has left them, so that
// who types does not have them read again.
//
// One of which the version is that of the head is what the database has: every
// write that gives notes a version puts their text here, and writes are one after
// the other. One that was undone leaves a version that its head does not have, or
// has only once another write has put its own text here.
type texts struct {
	mu sync.Mutex // guards of
	of map[domain.MeetingID]edited
}

type edited struct {
	version int64
	text    *Text // nil when it was taken and not put back
	recent  recent
}

// recent is the newest revisions of a document.
type recent struct {
	after     int64 // the version before the first
	revisions []Revision
	bytes     int // about, in memory
}

// take returns the text at the version of the head for the caller to change, who
// puts it back if the change is written.
func (t *texts) take(tx db.Reader, m domain.MeetingID, h head) (*Text, error) {
	t.mu.Lock()
	kept := t.of[m]
	if kept.text != nil {
		t.of[m] = edited{version: kept.version, recent: kept.recent}
	}
	t.mu.Unlock()
	if kept.text != nil && kept.version == h.version {
		return kept.text, nil
	}
	n, err := h.noteAt(tx, m, h.version)
	return NewText(n.Content), err
}

// since returns the revisions after a version up to that of the head, and whether
// all of them are kept. They are not to be changed.
func (t *texts) since(m domain.MeetingID, h head, after int64) ([]Revision, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, found := t.of[m]
	if !found || kept.version != h.version || after < kept.recent.after {
		return nil, false
	}
	all := kept.recent.revisions
	i, _ := slices.BinarySearchFunc(all, after+1, func(r Revision, v int64) int { return cmp.Compare(r.Version, v) })
	return all[i:len(all):len(all)], true
}

// put keeps the text of the meeting's notes in place of that of the version before,
// from which the revisions have made it.
func (t *texts) put(m domain.MeetingID, before int64, revisions []Revision, text *Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, found := t.of[m]
	for other := range t.of {
		if found || len(t.of) < maxTexts {
			break
		}
		delete(t.of, other)
	}
	if kept.version != before {
		kept.recent = recent{after: before}
	}
	kept.recent.add(revisions)
	t.of[m] = edited{revisions[len(revisions)-1].Version, text, kept.recent}
}

// add appends revisions, and drops the oldest when they are too many.
func (r *recent) add(revisions []Revision) {
	r.revisions = append(r.revisions, revisions...)
	for _, v := range revisions {
		r.bytes += v.bytes()
	}
	if r.bytes <= maxRecent {
		return
	}
	from, bytes := len(r.revisions), 0
	for from > 0 && bytes+r.revisions[from-1].bytes() <= maxRecent/2 {
		from--
		bytes += r.revisions[from].bytes()
	}
	*r = recent{r.revisions[from-1].Version, slices.Clone(r.revisions[from:]), bytes}
}

// bytes is about what a revision takes in memory.
func (r Revision) bytes() int {
	n := 64 + len(r.Client)
	for _, op := range r.Delta {
		n += 32 + len(op.text)
	}
	return n
}
