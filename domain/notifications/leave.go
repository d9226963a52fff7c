package notifications

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/settings"
	"connvo/jobs"
)

// Channel is a way in which a notification leaves the server.
type Channel string

// The channels.
const (
	Email Channel = "email"
	Push  Channel = "push"
	SMS   Channel = "sms"
)

// Send is the kind of the jobs by which a notification leaves; their payload is a
// Parcel.
const Send = "notifications.send"

// Parcel is a notification that is to leave.
type Parcel struct {
	Position int64
	Channel  Channel
}

// SetChannels says which channels lead anywhere, and no others: Tell has no job
// made for what nobody can send. It is called at each start.
func SetChannels(tx *db.WriteTx, open ...Channel) error {
	list, _ := json.Marshal(append([]Channel{}, open...)) // strings always encode
	if _, err := tx.Exec(deleteChannels, string(list)); err != nil {
		return err
	}
	_, err := tx.Exec(insertChannels, string(list))
	return err
}

// leave has a job made for each channel by which somebody who was told, at the
// position, wants to hear of it.
func leave(tx *db.WriteTx, told map[domain.UserID]int64) error {
	if len(told) == 0 {
		return nil
	}
	people := make([]domain.UserID, 0, len(told))
	for user := range told {
		people = append(people, user)
	}
	list, _ := json.Marshal(people) // strings always encode
	unset := settings.Defaults()
	wanted, err := db.All(tx, scanWish, selectWishes, string(list), unset.Email, unset.Push, unset.SMS)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if err := jobs.Enqueue(tx, jobs.Job{Kind: Send, Payload: Parcel{told[w.user], w.channel}}); err != nil {
			return err
		}
	}
	return nil
}

// Letter is a notification as it leaves.
type Letter struct {
	ID      string // the same whenever it is read again
	Channel Channel
	Notification
	User    domain.UserID
	Name    string // the user's
	Address string // the user's, "" while the provider has not verified that it is theirs
	Title   string // the meeting's, or ""
	Text    string // a sentence that says it all
	// ActorName is of whoever did it, "" where there is nobody.
	ActorName string
}

// Read returns the letter of a parcel, and false when it is not to be sent any
// more: the notification is gone, the user is deactivated, is not in the meeting
// any more, does not want it, or is kept by a block from whoever turns to them. It asks for no rights: it is read by a job.
func (p Parcel) Read(tx db.Reader) (Letter, bool, error) {
	l, err := db.One(tx, scanLetter, selectLetter, p.Position)
	if errors.Is(err, db.ErrNone) {
		return l, false, nil
	}
	if err != nil {
		return l, false, err
	}
	if l.Type.personal() && l.Actor != "" {
		if hidden, err := blocks.Between(tx, l.User, l.Actor); err != nil || hidden {
			return l, false, err
		}
	}
	set, err := settings.Of(tx, l.User)
	wants := map[Channel]bool{Email: set.Email && l.Address != "", Push: set.Push, SMS: set.SMS}
	l.ID, l.Channel, l.Text = fmt.Sprintf("ntf-%d-%s", p.Position, p.Channel), p.Channel, l.sentence()
	return l, wants[p.Channel], err
}

// sentence is what a letter says.
func (l Letter) sentence() string {
	who := cmp.Or(l.ActorName, "Somebody")
	title := strings.Join(strings.Fields(l.Title), " ")
	switch l.Type {
	case MeetingInvited:
		return fmt.Sprintf("%s has invited you to “%s”", who, title)
	case MeetingStarting:
		return fmt.Sprintf("“%s” begins within %d minutes", title, int(Notice/time.Minute))
	case MeetingStarted:
		return fmt.Sprintf("“%s” has begun", title)
	case MeetingCancelled:
		return fmt.Sprintf("“%s” is cancelled", title)
	case RoleChanged:
		return fmt.Sprintf("You are %s of “%s” now", l.Subject, title)
	case ConnectionRequested:
		return fmt.Sprintf("%s asks to be connected with you", who)
	case ConnectionAccepted:
		return fmt.Sprintf("%s is connected with you now", who)
	case MessageMentioned:
		return fmt.Sprintf("%s has mentioned you in “%s”", who, title)
	}
	return "There is something new for you"
}
