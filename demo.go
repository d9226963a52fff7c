package main

import (
	"context"

	"connvo/auth"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
)

// demoULID is in the id of the demo meeting, so that the README can name it.
const demoULID = "0000000000000000000000DEM0"

// seed seeds the demo and returns its meeting, "" where there is none.
func (c *serveCommand) seed(ctx context.Context, dev *auth.DevProvider, meets *meetings.Store) (domain.MeetingID, error) {
	if !c.demo() {
		return "", nil
	}
	return seedDemo(ctx, c.Region, dev, meets)
}

// seedDemo makes two people and an active meeting with both in it, once, and
// returns the meeting.
func seedDemo(ctx context.Context, home string, dev *auth.DevProvider, meets *meetings.Store) (domain.MeetingID, error) {
	id := domain.NewMeetingID(home, demoULID)
	ada, err := demoActor(ctx, dev, "ada@example.com", "Ada")
	if err != nil {
		return "", err
	}
	grace, err := demoActor(ctx, dev, "grace@example.com", "Grace")
	if err != nil {
		return "", err
	}
	if _, err := meets.Get(ctx, ada, id); domain.KindOf(err) != domain.NotFound {
		return id, err
	}
	_, err = meets.Create(ctx, ada, meetings.Draft{
		ID: id, Title: "The demo meeting", Description: "Follow it in one terminal, write in another.",
		Invite: []meetings.Invitation{{User: grace.User, Role: participants.Participant}},
	})
	if err != nil {
		return "", err
	}
	if _, err := meets.Start(ctx, ada, id); err != nil {
		return "", err
	}
	_, err = meets.Join(ctx, grace, id)
	return id, err
}

func demoActor(ctx context.Context, dev *auth.DevProvider, email, name string) (domain.Actor, error) {
	grant, err := dev.Token(ctx, auth.TokenRequest{Email: email, Name: name})
	return domain.Actor{User: grant.User.ID}, err
}
