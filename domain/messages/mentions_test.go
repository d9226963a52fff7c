package messages_test

import (
	"fmt"
	"strings"
	"testing"

	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notifications"
	"connvo/domain/participants"
	"connvo/domain/users"
)

// What is told to whom is in the conversation of notifications; here is what
// counts as naming somebody.
func TestMentions(t *testing.T) {
	d := dbtest.Open(t)
	r := openRoom(t, d)
	store, people := notifications.NewStore(d), users.NewStore(d)
	planned := r.another(t, "")
	guests := make([]domain.Actor, messages.MaxMentions+1)
	for i := range guests {
		name := fmt.Sprint("guest", i)
		a, err := people.SignIn(t.Context(), users.Identity{Subject: name, Email: name + "@example.com", At: d.Now()})
		if err != nil {
			t.Fatal(err)
		}
		guests[i] = domain.Actor{User: a.User}
		if _, err := r.meets.Invite(t.Context(), r.host, planned, meetings.Invitation{User: a.User, Role: participants.Observer}); err != nil {
			t.Fatal(err)
		}
	}
	// told posts the content and returns how many guests it was told to.
	told := func(content string) (n int) {
		t.Helper()
		id := r.post(t, planned, content).ID()
		for _, g := range guests {
			part, err := store.Feed(t.Context(), g, domain.Span{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(part.Items) == 1 && part.Items[0].Subject == string(id) {
				n++
			}
			if err := store.Read(t.Context(), g, domain.MaxNumber); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	first := string(guests[0].User)
	all := ""
	for _, g := range guests {
		all += fmt.Sprintf("@[%s]", g.User)
	}
	for content, want := range map[string]int{
		"@[" + first + "]":        1,
		"Hello,@[" + first + "]!": 1,
		"@[@[" + first + "]]":     1,
		strings.Repeat("@["+first+"]", messages.MaxMentions+1): 1,
		all:                                 messages.MaxMentions,
		"@[" + first + "]" + all:            messages.MaxMentions,
		"@" + first:                         0,
		"[" + first + "]":                   0,
		"@[" + first:                        0,
		"@[ " + first + "]":                 0,
		"@[" + first + "0]":                 0,
		"@[" + strings.ToLower(first) + "]": 0,
		"@[]":                               0,
		"@[usr_]":                           0,
	} {
		if got := told(content); got != want {
			t.Errorf("%q: %d were told, want %d", content, got, want)
		}
	}
}
