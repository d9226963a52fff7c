package insights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/participants"
	"connvo/domain/profiles"
	"connvo/flags"
	"connvo/jobs"
)

// method is changed when the same material makes other insights than before.
const method = "local/1"

// Write makes the insights of all who were in a meeting that has ended, for the job that
// its end starts. However often it is done there is one of each person, and of the same
// material the same. All is done when it returns; it has no effect besides.
//
// Errors: Unavailable while it is not known all that was said.
func (s *Store) Write(ctx context.Context, m domain.MeetingID) (effect func(tx *db.WriteTx) error, err error) {
	var people []domain.UserID
	if err := s.db.Read(ctx, func(tx db.Reader) error {
		people, err = attended(tx, m)
		return err
	}); err != nil {
		return nil, err
	}
	return nil, s.write(ctx, m, people)
}

// Renewed is the handler of the jobs of the kind Renew.
func (s *Store) Renewed(ctx context.Context, t jobs.Task) (jobs.Effect, error) {
	var w wish
	if err := json.Unmarshal(t.Payload, &w); err != nil {
		return nil, err
	}
	return nil, s.write(ctx, w.Meeting, []domain.UserID{w.User})
}

// write makes insights for those of the people who may have some.
func (s *Store) write(ctx context.Context, m domain.MeetingID, people []domain.UserID) error {
	var mat Material
	var found Found
	for _, user := range people {
		var me person
		if err := s.db.Read(ctx, func(tx db.Reader) (err error) {
			me, err = s.person(tx, m, user)
			return err
		}); err != nil {
			return err
		}
		if !me.wants {
			continue
		}
		if mat.Meeting == "" { // it is read once, and not for nobody
			var err error
			if mat, err = s.material(ctx, m); err != nil {
				return err
			}
			found = Extract(mat)
		}
		if err := s.store(ctx, mat, found, me); err != nil {
			return err
		}
	}
	return nil
}

// person is somebody for whom insights are made, and what these say of others.
type person struct {
	user   domain.UserID
	wants  bool // they may have insights
	me     profiles.Shown
	others []domain.UserID // whom they might want to know
}

// person reads what the insights of somebody are made of besides the meeting.
func (s *Store) person(tx db.Reader, m domain.MeetingID, user domain.UserID) (p person, err error) {
	p.user = user
	if p.wants, err = s.wants(tx, m, user); err != nil || !p.wants {
		return p, err
	}
	shown, err := s.profiles.Readable(tx, user, []domain.UserID{user})
	if err != nil {
		return p, err
	}
	p.me = shown[user]
	people, err := attended(tx, m)
	if err != nil {
		return p, err
	}
	p.others, err = s.candidates(tx, user, people)
	return p, err
}

// wants reports whether somebody is served, was in the meeting, which has ended, and has
// the flag on.
func (s *Store) wants(tx db.Reader, m domain.MeetingID, user domain.UserID) (bool, error) {
	err := requireEnded(tx, domain.Actor{User: user}, m, participants.Reflect)
	if err != nil {
		if kind := domain.KindOf(err); kind == domain.Internal || kind == domain.Unavailable {
			return false, err
		}
		return false, nil
	}
	return s.flags.Enabled(tx, user, flags.Insights)
}

// store stores what somebody is told, in place of what they were told of other material.
func (s *Store) store(ctx context.Context, mat Material, found Found, p person) error {
	material, err := digest([]any{method, mat, p.me.Profile, p.me.Interests, p.others})
	if err != nil {
		return err
	}
	lines := p.lines(mat, found)
	return s.db.WriteBackground(ctx, func(tx *db.WriteTx) error {
		if wants, err := s.wants(tx, mat.Meeting, p.user); err != nil || !wants {
			return err
		}
		if err := checkKept(tx, mat); err != nil {
			return err
		}
		before, err := db.One(tx, scanMaterial, selectMaterial, p.user, mat.Meeting)
		if err != nil && !errors.Is(err, db.ErrNone) || bytes.Equal(before, material) {
			return err
		}
		if _, err := tx.Exec(deleteOf, p.user, mat.Meeting); err != nil {
			return err
		}
		if _, err := tx.Exec(insertInsight, p.user, mat.Meeting, domain.InsightPrefix+tx.ULID(), tx.Now.UnixMilli(), Local, mat.heard(), material); err != nil {
			return err
		}
		for place, l := range lines {
			if err := l.insert(tx, p.user, mat.Meeting, place); err != nil {
				return err
			}
		}
		for place, other := range p.others {
			if _, err := tx.Exec(insertPerson, p.user, mat.Meeting, other, place); err != nil {
				return err
			}
		}
		return nil
	})
}

// lines returns what the person is told.
func (p person) lines(mat Material, found Found) []line {
	all := []line{{part: summary, text: found.Facts}}
	for _, q := range found.Summary {
		all = append(all, q.line(summary, ""))
	}
	for _, t := range found.Topics {
		all = append(all, line{part: topic, text: t})
	}
	for _, q := range found.Decisions {
		all = append(all, q.line(decision, ""))
	}
	for _, q := range found.Actions {
		l := q.line(action, "")
		l.owner, l.due = q.Owner, due(q.Text, q.At.In(p.zone()))
		all = append(all, l)
	}
	return slices.Concat(all, advise(p.user, p.me, mat, found))
}

// zone is where the person's days begin and end: that of others is not asked for.
func (p person) zone() *time.Location {
	zone, err := time.LoadLocation(p.me.Profile.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

func (l line) insert(tx *db.WriteTx, user domain.UserID, m domain.MeetingID, place int) error {
	var owner, confidence, seq, version, from, to any
	if l.owner != "" {
		owner = l.owner
	}
	if l.part == advice {
		confidence = l.confidence
	}
	if l.seq != 0 {
		seq, version, from, to = l.seq, l.version, l.quoted.from, l.quoted.to
	}
	_, err := tx.Exec(insertLine, user, m, l.part, place, owner, db.Millis(l.due), confidence, seq, version, from, to, l.segment, l.reason, l.text)
	return err
}
