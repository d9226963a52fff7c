package insights

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/participants"
	"connvo/domain/transcripts"
	"connvo/domain/users"
)

// What is read of a meeting, in transactions of a page each.
const (
	maxHeard    = 2 << 20 // bytes of what was said: a day and a half of speech
	maxPosts    = 2000    // messages, the first
	maxNamedFor = 200     // members who are listened for as doing something, the first by id
	page        = 100     // segments, or messages
)

// Material is what insights are made of. The same material makes the same insights.
type Material struct {
	Meeting domain.MeetingID
	Began   time.Time
	Ended   time.Time
	Heard   []Heard // in order of start
	Posts   []Post  // in order of their last change, without deleted ones and the server's
	Notes   string
	Members []Member // who have joined, by id
}

// Heard is a segment of the transcript.
type Heard struct {
	Segment domain.SegmentID
	Speaker domain.UserID // "" where nobody knows
	At      time.Time
	Until   time.Time
	Pieces  []string // which make its text, with a space between them
	Tag     string   // the language, "" where nobody has said
}

// Post is a message.
type Post struct {
	Seq, Position int64
	User          domain.UserID
	At            time.Time
	Content       string
}

// Member is somebody who was in the meeting.
type Member struct {
	User domain.UserID
	Name string // as everybody sees it
}

// heard reports whether something that was said is among it.
func (mat Material) heard() bool { return len(mat.Heard) > 0 }

// digest returns what stands for a value.
func digest(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	sum := sha256.Sum256(b)
	return sum[:], err
}

// attended returns who was in the meeting.
func attended(tx db.Reader, m domain.MeetingID) ([]domain.UserID, error) {
	people, err := participants.List(tx, m)
	var all []domain.UserID
	for _, p := range people {
		if p.User != "" && p.Status != participants.Invited {
			all = append(all, p.User)
		}
	}
	return all, err
}

// material reads what there is of a meeting that has ended, a page in a transaction.
func (s *Store) material(ctx context.Context, m domain.MeetingID) (mat Material, err error) {
	mat = Material{Meeting: m}
	err = s.db.Read(ctx, func(tx db.Reader) error {
		when, err := db.One(tx, scanWhen, selectWhen, m)
		if err != nil {
			return err
		}
		mat.Began, mat.Ended = when.began, when.ended
		note, err := notes.Written(tx, m)
		if err != nil {
			return err
		}
		mat.Notes = note.Content
		mat.Members, err = members(tx, m)
		return err
	})
	if err != nil {
		return mat, err
	}
	if err := s.hear(ctx, &mat); err != nil {
		return mat, err
	}
	return mat, s.readPosts(ctx, &mat)
}

func members(tx db.Reader, m domain.MeetingID) ([]Member, error) {
	people, err := attended(tx, m)
	if err != nil {
		return nil, err
	}
	people = people[:min(len(people), maxNamedFor)]
	cards, err := users.ActiveCards(tx, people)
	all := make([]Member, 0, len(people))
	for _, user := range people {
		if card, active := cards[user]; active {
			all = append(all, Member{user, card.DisplayName})
		}
	}
	return all, err
}

// hear reads what was said.
func (s *Store) hear(ctx context.Context, mat *Material) error {
	size := 0
	for after := (transcripts.Place{}); size < maxHeard; {
		err := s.db.Read(ctx, func(tx db.Reader) error {
			segments, next, err := transcripts.Said(tx, mat.Meeting, after, page)
			for _, g := range segments {
				h := Heard{Segment: g.ID(), Speaker: g.Speaker, At: mat.Began.Add(g.Start), Until: mat.Began.Add(g.End), Tag: g.Chunks[0].Language}
				for _, c := range g.Chunks {
					h.Pieces = append(h.Pieces, c.Text)
					size += len(c.Text)
				}
				mat.Heard = append(mat.Heard, h)
			}
			after = next
			return err
		})
		if err != nil || after == (transcripts.Place{}) {
			return err
		}
	}
	return nil
}

// readPosts reads the chat.
func (s *Store) readPosts(ctx context.Context, mat *Material) error {
	for read, after := 0, int64(0); read < maxPosts; {
		n := 0
		err := s.db.Read(ctx, func(tx db.Reader) error {
			posts, err := messages.After(tx, mat.Meeting, after, page)
			for _, p := range posts {
				after = p.Position
				if !p.System() && p.DeletedAt.IsZero() {
					mat.Posts = append(mat.Posts, Post{p.Seq, p.Position, p.User, p.CreatedAt, p.Content})
				}
			}
			n = len(posts)
			return err
		})
		if err != nil || n < page {
			return err
		}
		read += n
	}
	return nil
}

// speakers returns how many people were heard, of those who are known.
func (mat Material) speakers() int {
	var all []domain.UserID
	for _, h := range mat.Heard {
		if h.Speaker != "" && !slices.Contains(all, h.Speaker) {
			all = append(all, h.Speaker)
		}
	}
	return len(all)
}
