package notes

import (
	"context"
	"errors"
	"regexp"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
)

// MaxClient is the length of a clientId: a UUID or a ULID, with room for a prefix.
const MaxClient = 64

// ClientPattern is what a clientId looks like.
const ClientPattern = `^[A-Za-z0-9_-]{1,64}$`

var clientPattern = regexp.MustCompile(ClientPattern)

// How far a client may be behind: an offline queue of 10,000 edits that it sends in
// several requests from one base, and what others did meanwhile. It is 50 ms of the
// writer's time at most; whoever is further behind reads the history first.
const (
	maxBehind      = 12_000  // edits
	maxBehindBytes = 4 << 20 // of these, in JSON
)

// Submission is what a client sends: edits that follow one another on its own
// document, which is the one of version Base with its earlier edits done.
type Submission struct {
	Client string // as ClientPattern
	Base   int64
	Edits  []Edit // 1 to MaxEdits, each as Parse returns it
}

// Accepted is what became of a Submission.
type Accepted struct {
	Version int64      // of the notes afterwards
	Edits   []Revision // in the order in which they were sent
}

// Submit applies the edits of a client. Those that were applied before get the
// answer they have had, also where nothing new may be written; either all
// others are applied, or none.
//
// Errors: Forbidden to observers, and to who is not there while the meeting is
// active; MeetingNotActive when it is cancelled; Conflict when the notes are
// locked, when the clientId is of another user or meeting, with the member
// "expectedClientSeq" when edits are left out, or when the first were applied but
// cannot be answered with the others, and with the member "version" when none was
// applied and Base is unknown or too far back: the client must read on to that
// version first.
// Invalid is an edit that cannot be applied, or that makes the document too long.
func (s *Store) Submit(ctx context.Context, who domain.Actor, m domain.MeetingID, sub Submission) (Accepted, error) {
	var a Accepted
	if !clientPattern.MatchString(sub.Client) {
		return a, domain.FailField("body.clientId", "must match %s", ClientPattern)
	}
	err := s.db.Write(ctx, func(tx *db.WriteTx) (err error) {
		a = Accepted{}
		viewer, err := participants.Require(tx, who, m, participants.WriteContent)
		if err != nil {
			return err
		}
		h, err := headOf(tx, m)
		if err != nil {
			return err
		}
		c, err := clientOf(tx, who, m, sub.Client)
		if err != nil {
			return err
		}
		repeated, err := c.Repeated(sub.Edits)
		if err != nil {
			return failure(err, h)
		}
		if a.Edits, err = repeatedOf(tx, m, c, sub.Edits[:repeated]); err != nil {
			return err
		}
		if fresh := sub.Edits[repeated:]; len(fresh) > 0 {
			if err := h.checkOpen(tx, m, viewer); err != nil {
				return err
			}
			applied, err := s.apply(tx, who, m, h, c, sub, fresh)
			if repeated > 0 && errors.Is(err, ErrBase) {
				return expecting(c.Seq+1, "the edits before this one were applied; the others have a base that is unknown or too far back")
			}
			if err != nil {
				return failure(err, h)
			}
			a.Edits = append(a.Edits, applied...)
			a.Version = applied[len(applied)-1].Version
			return nil
		}
		a.Version = h.version
		return nil
	})
	return a, err
}

// clientOf returns what is known of a client, of which nothing is when it is new.
func clientOf(tx db.Reader, who domain.Actor, m domain.MeetingID, id string) (Client, error) {
	row, err := db.One(tx, scanClient, selectClient, id)
	switch {
	case errors.Is(err, db.ErrNone):
		return Client{ID: id}, nil
	case err != nil:
		return Client{}, err
	case row.user != who.User || row.meeting != m:
		return Client{}, domain.Fail(domain.Conflict, "the clientId was first used by another user or in another meeting; make a new one")
	}
	return row.Client, nil
}

// repeatedOf returns the answers that edits have had. Where they are older than
// Lifetime it tells what comes next, and not of a base: that would say that the
// edits are not applied.
func repeatedOf(tx db.Reader, m domain.MeetingID, c Client, edits []Edit) ([]Revision, error) {
	if len(edits) == 0 {
		return nil, nil
	}
	first := edits[0].Seq
	answers, err := db.All(tx, scanRevision, selectAnswers, m, c.ID, first, first+int64(len(edits))-1)
	if err == nil && len(answers) != len(edits) {
		return nil, expecting(c.Seq+1, "the edits were applied, and their answers are no longer kept")
	}
	return answers, err
}

// apply applies the fresh ones of the edits to the notes and stores what follows
// from that.
func (s *Store) apply(tx *db.WriteTx, who domain.Actor, m domain.MeetingID, h head, c Client, sub Submission, fresh []Edit) ([]Revision, error) {
	c, history, err := s.history(tx, m, h, c, sub.Base)
	if err != nil {
		return nil, err
	}
	next, applied, err := c.Rebase(history, h.units, sub.Base, sub.Edits)
	if err != nil {
		return nil, err
	}
	text, err := s.texts.take(tx, m, h)
	if err != nil {
		return nil, err
	}
	revisions := make([]Revision, len(applied))
	for i, d := range applied {
		if err := text.Apply(d); err != nil {
			return nil, err
		}
		if text.Units() > MaxDocument {
			return nil, domain.FailField("body.edits", "the notes would be longer than %d UTF-16 code units", MaxDocument)
		}
		revisions[i] = Revision{Client: c.ID, Seq: fresh[i].Seq, Delta: d}
	}
	if err := s.append(tx, who, m, h, revisions, text); err != nil {
		return nil, err
	}
	known, err := encode(next.Known)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(upsertClient, c.ID, m, who.User, next.Seq, next.Base, known)
	return revisions, err
}

// history returns the revisions that Rebase needs for edits with that base, and
// the client as it is to be rebased.
func (s *Store) history(tx db.Reader, m domain.MeetingID, h head, c Client, base int64) (Client, []Revision, error) {
	if err := h.checkVersion(tx, m, base); err != nil {
		return c, nil, err
	}
	if history, kept := s.texts.since(m, h, c.After(base)); kept {
		return c, history, nil
	}
	if base > c.Base && len(c.Known) > 0 {
		read, err := c.hasRead(tx, m, base)
		if err != nil {
			return c, nil, err
		}
		if read { // nothing is known any more, and what was before base is of no use
			c = Client{ID: c.ID, Seq: c.Seq, Base: base}
		}
	}
	after := c.After(base)
	if after < h.floor {
		return c, nil, ErrBase
	}
	if history, kept := s.texts.since(m, h, after); kept {
		return c, history, nil
	}
	most := behind{bytes: maxBehindBytes}
	history, err := db.All(tx, most.scan, selectOpsAfter, m, after, maxBehind+1)
	if err == nil && len(history) > maxBehind {
		err = ErrBase
	}
	return c, history, err
}

// hasRead reports whether a version has all revisions of the client.
func (c Client) hasRead(tx db.Reader, m domain.MeetingID, version int64) (bool, error) {
	last, err := db.One(tx, scanRevision, selectAnswers, m, c.ID, c.Seq, c.Seq)
	if errors.Is(err, db.ErrNone) { // it is older than the history
		return true, nil
	}
	return last.Version <= version, err
}

// behind scans revisions until they are too many bytes.
type behind struct{ bytes int }

func (b *behind) scan(r db.Row) (Revision, error) {
	v, n, err := scanOps(r)
	if b.bytes -= n; err == nil && b.bytes < 0 {
		return v, ErrBase
	}
	return v, err
}

// expecting tells a client which of its edits comes next.
func expecting(seq int64, detail string) error {
	return &domain.Error{Kind: domain.Conflict, Detail: detail, Members: map[string]int64{"expectedClientSeq": seq}}
}

// failure tells a client what to send instead.
func failure(err error, h head) error {
	if gap, found := errors.AsType[*Gap](err); found {
		return expecting(gap.Expected, gap.Error())
	}
	if errors.Is(err, ErrBase) {
		return &domain.Error{
			Kind: domain.Conflict, Detail: "the base version is unknown or too far back; read the edits up to version and send again",
			Members: map[string]int64{"version": h.version}, Cause: err,
		}
	}
	return err
}
