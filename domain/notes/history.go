package notes

import (
	"errors"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/jobs"
)

// When the notes are kept as they are, so that what they were at any version is
// found with few edits: after so many edits, and a quarter of the text in bytes of
// edits, so that snapshots stay in proportion to the history; at the latest after so
// many edits, or bytes of them, which is a few milliseconds to apply.
const (
	leastEdits = 64
	mostEdits  = 500
	mostBytes  = 256 << 10
)

func (h head) wantsSnapshot() bool {
	return h.edits >= mostEdits || h.bytes >= mostBytes || h.edits >= leastEdits && h.bytes >= int64(h.units)/4
}

// append stores revisions, which it gives their versions, and the text that they
// make.
func (s *Store) append(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, h head, revisions []Revision, text *Text) error {
	if h.version == h.floor { // there was nothing to compact
		if err := h.compactAt(tx, m, tx.Now.Add(Lifetime)); err != nil {
			return err
		}
	}
	before := h.version
	for i := range revisions {
		r := &revisions[i]
		ops, err := r.Delta.MarshalJSON()
		if err != nil {
			return err
		}
		r.Version = tx.Next()
		if _, err := tx.Exec(insertOps, m, r.Version, r.Client, r.Seq, who.User, tx.Now.UnixMilli(), string(ops)); err != nil {
			return err
		}
		h.version = r.Version
		h.edits++
		h.bytes += int64(len(ops))
	}
	h.units, h.at, h.by = text.Units(), tx.Now, who.User
	if h.wantsSnapshot() {
		n := Note{Content: text.String(), Version: h.version, UpdatedAt: h.at, UpdatedBy: h.by}
		if err := n.keep(tx, m); err != nil {
			return err
		}
		h.edits, h.bytes = 0, 0
	}
	if err := h.store(tx, m); err != nil {
		return err
	}
	s.texts.put(m, before, revisions, text)
	return nil
}

// keep makes a snapshot of the notes.
func (n Note) keep(tx *db.WriteTx, m domain.MeetingID) error {
	_, err := tx.Exec(insertSnapshot, m, n.Version, n.UpdatedAt.UnixMilli(), n.UpdatedBy, n.Content)
	return err
}

// noteAt returns the notes as they were at a version, 0 for before the first edit.
func (h head) noteAt(tx db.Reader, m domain.MeetingID, version int64) (Note, error) {
	n, err := db.One(tx, scanNote, selectSnapshot, m, version)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return n, err
	}
	if n.Version == version { // or there is none, and that is asked for
		return n, nil
	}
	missing := domain.Fail(domain.NotFound, "the notes have no such version, or have it no longer")
	if version < h.floor {
		return Note{}, missing
	}
	edits, err := db.All(tx, scanLogged, selectLoggedBetween, m, n.Version, version)
	if err != nil {
		return n, err
	}
	if len(edits) == 0 || edits[len(edits)-1].Version != version {
		return Note{}, missing
	}
	text := NewText(n.Content)
	for _, e := range edits {
		if err := text.Apply(e.Delta); err != nil {
			return n, err
		}
	}
	last := edits[len(edits)-1]
	return Note{Content: text.String(), Version: version, UpdatedAt: last.CreatedAt, UpdatedBy: last.User}, nil
}

// Lifetime is how long the edits of notes are kept one by one. What the notes were
// remains in snapshots.
const Lifetime = 90 * 24 * time.Hour

// compactEvery is how often the history of a meeting's notes is looked at at most.
const compactEvery = 24 * time.Hour

// Compaction is the kind of the jobs that delete old edits; their payload is the id
// of the meeting.
const Compaction = "notes.compact"

// maxCompacted is how many edits one transaction deletes: a few milliseconds of
// the writer's time.
const maxCompacted = 500

func (h head) compactAt(tx *db.WriteTx, m domain.MeetingID, at time.Time) error {
	org, err := meetings.OrgOf(tx, m)
	if err != nil {
		return err
	}
	return jobs.Enqueue(tx, jobs.Job{Kind: Compaction, Name: Compaction + ":" + string(m), Org: org, Payload: m, RunAt: at})
}

// Compact deletes edits of a meeting's notes that are older than Lifetime, after
// it has made a snapshot of the last of them, and leaves to another job what is
// too much for tx, or not yet old enough.
func Compact(tx *db.WriteTx, m domain.MeetingID) error {
	h, err := headOf(tx, m)
	if err != nil {
		return err
	}
	last, err := lastUntil(tx, m, tx.Now.Add(-Lifetime))
	if err != nil {
		return err
	}
	if last > h.floor {
		n, err := h.noteAt(tx, m, last)
		if err != nil {
			return err
		}
		if err := n.keep(tx, m); err != nil {
			return err
		}
		h.floor = last
		if err := h.store(tx, m); err != nil {
			return err
		}
	}
	deleted, err := tx.Exec(deleteOps, m, h.floor, maxCompacted)
	if err != nil {
		return err
	}
	if deleted == maxCompacted {
		return h.compactAt(tx, m, tx.Now)
	}
	left, err := db.All(tx, scanLogged, selectLoggedAfter, m, h.floor, 1)
	if err != nil || len(left) == 0 {
		return err
	}
	next := left[0].CreatedAt.Add(Lifetime)
	if soon := tx.Now.Add(compactEvery); next.Before(soon) {
		next = soon
	}
	return h.compactAt(tx, m, next)
}

// lastUntil returns the version of the last edit that was made until then, 0 for
// none: the newest snapshot of that time, or one of the edits that follow it.
func lastUntil(tx db.Reader, m domain.MeetingID, then time.Time) (int64, error) {
	last, err := db.One(tx, db.Int, selectSnapshotUntil, m, then.UnixMilli())
	if err != nil && !errors.Is(err, db.ErrNone) {
		return 0, err
	}
	edits, err := db.All(tx, scanLogged, selectLoggedAfter, m, last, mostEdits+MaxEdits)
	if err != nil {
		return 0, err
	}
	for _, e := range edits {
		if e.CreatedAt.After(then) {
			break
		}
		last = e.Version
	}
	return last, nil
}
