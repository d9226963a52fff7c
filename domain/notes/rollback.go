package notes

import (
	"context"
	"strconv"
	"unicode/utf8"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/events"
	"connvo/domain/participants"
)

// Rollback makes the notes what they were at a version, by a new edit: the history
// stays as it is, and what others write at the same time is kept. Where they are
// that already, it changes nothing.
//
// Errors: Forbidden to all but a host who is there; MeetingNotActive when the
// meeting is cancelled; Conflict when the notes are locked; Invalid, naming the
// field, for what is no version of theirs, or is so no longer (see Store.At).
func (s *Store) Rollback(ctx context.Context, who domain.Actor, m domain.MeetingID, version int64) (n Note, err error) {
	err = s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, m, participants.Preside)
		if err != nil {
			return err
		}
		h, err := headOf(tx, m)
		if err != nil {
			return err
		}
		if err := h.checkOpen(tx, m, viewer); err != nil {
			return err
		}
		then, err := h.noteAt(tx, m, version)
		if domain.KindOf(err) == domain.NotFound {
			return domain.FailField("body.version", "is no version of the notes, or one that is kept no longer")
		}
		if err != nil {
			return err
		}
		if n, err = h.noteAt(tx, m, h.version); err != nil || then.Content == n.Content {
			return err
		}
		undo := []Revision{{Delta: Between(n.Content, then.Content)}}
		if err := s.append(tx, who, m, h, undo, NewText(then.Content)); err != nil {
			return err
		}
		n = Note{Content: then.Content, Version: undo[0].Version, UpdatedAt: tx.Now, UpdatedBy: who.User}
		_, err = s.log.Append(tx, events.Event{Meeting: m, Type: events.NotesRolledBack, Actor: who.User, Subject: strconv.FormatInt(version, 10)})
		return err
	})
	return n, err
}

// Lock says whether the notes are closed to everybody's edits. Said again it
// changes nothing.
//
// Errors: Forbidden to all but a host who is there; MeetingNotActive when the
// meeting is cancelled.
func (s *Store) Lock(ctx context.Context, who domain.Actor, m domain.MeetingID, locked bool) error {
	return s.db.Write(ctx, func(tx *db.WriteTx) error {
		viewer, err := participants.Require(tx, who, m, participants.Preside)
		if err != nil {
			return err
		}
		if err := checkKept(tx, m, viewer); err != nil {
			return err
		}
		h, err := headOf(tx, m)
		if err != nil || h.locked == locked {
			return err
		}
		h.locked = locked
		if err := h.store(tx, m); err != nil {
			return err
		}
		t := events.NotesUnlocked
		if locked {
			t = events.NotesLocked
		}
		_, err = s.log.Append(tx, events.Event{Meeting: m, Type: t, Actor: who.User, Subject: string(m)})
		return err
	})
}

// Between returns the Delta that makes one text of another: it keeps what they
// begin and end with, and replaces what is between.
func Between(from, to string) Delta {
	head := 0
	for head < len(from) && head < len(to) && from[head] == to[head] {
		head++
	}
	for head > 0 && !(startsAt(from, head) && startsAt(to, head)) {
		head--
	}
	tail := 0
	for tail < len(from)-head && tail < len(to)-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	for tail > 0 && !(startsAt(from, len(from)-tail) && startsAt(to, len(to)-tail)) {
		tail--
	}
	d := Delta{Retain(unitsOf(from[:head])), Insert(to[head : len(to)-tail]), Delete(unitsOf(from[head : len(from)-tail]))}
	return d.Normalize()
}

// startsAt reports whether a character begins, or the text ends, at a byte.
func startsAt(text string, at int) bool { return at == len(text) || utf8.RuneStart(text[at]) }
