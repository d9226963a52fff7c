package handlers

import (
	"context"
	"net/http"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
)

// participant is a member as other members see them, or an invitation by e-mail.
// Where it went is told apart, to host and cohosts.
type participant struct {
	UserID       domain.UserID       `json:"userId,omitempty" doc:"Absent while invitationId is there."`
	InvitationID domain.InvitationID `json:"invitationId,omitempty" doc:"In place of userId until somebody comes with the verified e-mail address that was invited."`
	Role         string              `json:"role" enum:"host,cohost,participant,observer"`
	Status       string              `json:"status" enum:"invited,joined,left"`
	JoinedAt     *string             `json:"joinedAt" format:"date-time"`
	LeftAt       *string             `json:"leftAt" format:"date-time"`
	User         *shortCard          `json:"user,omitempty" doc:"Absent while invitationId is there."`
}

type shortCard struct {
	DisplayName string  `json:"displayName"`
	AvatarURL   *string `json:"avatarUrl"`
}

type participantList struct {
	Items      []participant `json:"items"`
	NextCursor *string       `json:"nextCursor" doc:"Always null: a meeting's members fit on one page."`
}

// sentInvitation is an invitation by e-mail that nobody has claimed.
type sentInvitation struct {
	InvitationID domain.InvitationID `json:"invitationId"`
	Email        string              `json:"email"`
	Role         string              `json:"role" enum:"cohost,participant,observer"`
	InvitedBy    domain.UserID       `json:"invitedBy"`
	CreatedAt    string              `json:"createdAt" format:"date-time"`
}

type invitationList struct {
	Items      []sentInvitation `json:"items"`
	NextCursor *string          `json:"nextCursor" doc:"Always null: a meeting's invitations fit on one page."`
}

// invitation names whom to invite: a user, or whoever has the e-mail address.
type invitation struct {
	UserID string `json:"userId,omitempty" minLength:"1" maxLength:"128" doc:"Either this or email."`
	Email  string `json:"email,omitempty" minLength:"1" maxLength:"320" doc:"Either this or userId. Somebody of the caller's organization becomes a member at once. All others do when they next come with this address, verified: the answer does not tell whether they have an account."`
	Role   string `json:"role" enum:"cohost,participant,observer"`
}

func (i invitation) invitation() meetings.Invitation {
	return meetings.Invitation{User: domain.UserID(i.UserID), Email: i.Email, Role: participants.Role(i.Role)}
}

type participantDraft struct {
	MeetingParam
	Body invitation
}

// ParticipantParam names somebody in the meeting in the path.
type ParticipantParam struct {
	MeetingParam
	UserID string `path:"userId" maxLength:"128" doc:"The userId or the invitationId of the participant."`
}

type participantChange struct {
	ParticipantParam
	Body struct {
		Role string `json:"role" enum:"cohost,participant,observer"`
	}
}

type meetingTransfer struct {
	MeetingParam
	Body struct {
		UserID string `json:"userId" minLength:"1" maxLength:"128" doc:"The member who becomes the host."`
	}
}

func (in *participantDraft) detail() map[string]string {
	return map[string]string{"userId": in.Body.UserID, "role": in.Body.Role}
}

func (in *participantChange) detail() map[string]string {
	return map[string]string{"role": in.Body.Role}
}

func (in *meetingTransfer) detail() map[string]string {
	return map[string]string{"userId": in.Body.UserID}
}

func (s *Server) participantRoutes() {
	const all, one = "/v1/meetings/{meetingId}/participants", "/v1/meetings/{meetingId}/participants/{userId}"
	get(s, route{path: all, id: "listParticipants", tag: "Meetings", summary: "A meeting's members",
		about: "Then the invitations by e-mail that nobody has claimed.", shared: true}, s.listParticipants)
	get(s, route{path: "/v1/meetings/{meetingId}/invitations", id: "listInvitations", tag: "Meetings", summary: "Where invitations by e-mail went",
		about: "Host and cohosts, who can tell them apart by the address; others see their invitationId among the members. Those that nobody has claimed, oldest first."}, s.listInvitations)
	write(s, route{path: all, id: "inviteParticipant", audits: audit.ParticipantInvited, tag: "Meetings", status: http.StatusCreated, summary: "Invite somebody",
		about: "Host and cohosts, to roles below their own, until the meeting is over."}, s.inviteParticipant)
	write(s, route{method: http.MethodPatch, path: one, id: "updateParticipant", audits: audit.ParticipantRoleChanged, tag: "Meetings", summary: "Change somebody's role",
		about: "Host and cohosts: of those below them, to roles below their own."}, s.updateParticipant)
	write(s, route{method: http.MethodDelete, path: one, id: "removeParticipant", audits: audit.ParticipantRemoved, tag: "Meetings", summary: "Remove somebody from a meeting",
		about: "Host and cohosts: those below them, who lose everything in it at once."}, s.removeParticipant)
	write(s, route{path: "/v1/meetings/{meetingId}/transfer", id: "transferMeeting", audits: audit.MeetingTransferred, tag: "Meetings", summary: "Make another member the host",
		about: "The host, who becomes a cohost."}, s.transferMeeting)
}

func (s *Server) listParticipants(ctx context.Context, who domain.Actor, in *meetingInput) (participantList, error) {
	guests, err := s.Meetings.Participants(ctx, who, in.meeting())
	list := participantList{Items: make([]participant, len(guests))}
	for i, g := range guests {
		list.Items[i] = participantOf(g)
	}
	return list, err
}

func (s *Server) listInvitations(ctx context.Context, who domain.Actor, in *meetingInput) (invitationList, error) {
	all, err := s.Meetings.Addresses(ctx, who, in.meeting())
	list := invitationList{Items: make([]sentInvitation, len(all))}
	for i, a := range all {
		list.Items[i] = sentInvitation{a.Invitation, a.Email, string(a.Role), a.By, instant(a.At)}
	}
	return list, err
}

func (s *Server) inviteParticipant(ctx context.Context, who domain.Actor, in *participantDraft) (participant, error) {
	g, err := s.Meetings.Invite(ctx, who, in.meeting(), in.Body.invitation())
	return participantOf(g), err
}

func (s *Server) updateParticipant(ctx context.Context, who domain.Actor, in *participantChange) (participant, error) {
	g, err := s.Meetings.ChangeRole(ctx, who, in.meeting(), in.UserID, participants.Role(in.Body.Role))
	return participantOf(g), err
}

func (s *Server) removeParticipant(ctx context.Context, who domain.Actor, in *ParticipantParam) (nothing, error) {
	return nothing{}, s.Meetings.Remove(ctx, who, in.meeting(), in.UserID)
}

func (s *Server) transferMeeting(ctx context.Context, who domain.Actor, in *meetingTransfer) (meeting, error) {
	m, err := s.Meetings.Transfer(ctx, who, in.meeting(), domain.UserID(in.Body.UserID))
	return meetingOf(m), err
}

func participantOf(g meetings.Guest) participant {
	p := participant{
		UserID: g.User, InvitationID: g.Invitation, Role: string(g.Role), Status: string(g.Status),
		JoinedAt: maybe(g.JoinedAt), LeftAt: maybe(g.LeftAt),
	}
	if g.User != "" {
		p.User = &shortCard{DisplayName: g.Card.DisplayName, AvatarURL: text(g.Card.AvatarURL)}
	}
	return p
}
