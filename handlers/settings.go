package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/settings"
)

// preference is the caller's settings.
type preference struct {
	ProfileVisibility settings.Visibility `json:"profileVisibility" enum:"public,organization,connections,private"`
	DataSharing       bool                `json:"dataSharing"`
	ActivityTracking  bool                `json:"activityTracking"`
	Email             bool                `json:"emailNotifications"`
	Push              bool                `json:"pushNotifications"`
	SMS               bool                `json:"smsNotifications"`
}

// SettingsSet is what is to be set anew: settings.Change on the wire. (Exported,
// because huma looks into exported structs only.)
type SettingsSet struct {
	Visibility *settings.Visibility `json:"profileVisibility,omitempty" enum:"public,organization,connections,private" doc:"Who may read GET /v1/users/{userId}/profile: everyone, the people of the same organization, those I am connected with, nobody else."`
	Sharing    *bool                `json:"dataSharing,omitempty" doc:"What I tell in my profile may be used in what others are shown: their insights name me as somebody to know. Off, what they were shown of me is gone at once."`
	Tracking   *bool                `json:"activityTracking,omitempty" doc:"It is noted when I was last seen, and how long I spoke by my name."`
	Email      *bool                `json:"emailNotifications,omitempty" doc:"Notifications are sent by e-mail too."`
	Push       *bool                `json:"pushNotifications,omitempty" doc:"Notifications are pushed to my devices too."`
	SMS        *bool                `json:"smsNotifications,omitempty" doc:"Notifications are sent as short messages too."`
}

type settingsChange struct{ Body SettingsSet }

func (c *settingsChange) detail() map[string]string { return c.Body.detail() }

// detail is which settings were sent, nil for none: what somebody wants is nobody's
// but theirs.
func (c SettingsSet) detail() map[string]string {
	var sent []string
	for name, given := range map[string]bool{
		"profileVisibility": c.Visibility != nil, "dataSharing": c.Sharing != nil, "activityTracking": c.Tracking != nil,
		"emailNotifications": c.Email != nil, "pushNotifications": c.Push != nil, "smsNotifications": c.SMS != nil,
	} {
		if given {
			sent = append(sent, name)
		}
	}
	if len(sent) == 0 {
		return nil
	}
	slices.Sort(sent)
	return map[string]string{"settings": strings.Join(sent, " ")}
}

func (s *Server) settingsRoutes() {
	const mine = "/v1/me/settings"
	get(s, route{path: mine, id: "getMySettings", tag: "Users", summary: "What I want done with what is known about me",
		about: "Nobody else's can be asked for. What each of them does is in docs/settings.md."}, s.getMySettings)
	edit(s, route{method: http.MethodPatch, path: mine, id: "updateMySettings", audits: audit.SettingsChanged, tag: "Users", summary: "Change my settings",
		about: "What is left out stays. The record tells the admins of the caller's organization which were changed, not what to. What each of them does is in docs/settings.md."},
		func(ctx context.Context, who domain.Actor, _ *settingsChange) (preference, error) {
			return s.getMySettings(ctx, who, nil)
		}, s.updateMySettings)
}

func (s *Server) getMySettings(ctx context.Context, who domain.Actor, _ *meInput) (preference, error) {
	set, err := s.Settings.Get(ctx, who)
	return preferenceOf(set), err
}

func (s *Server) updateMySettings(ctx context.Context, who domain.Actor, in *settingsChange) (preference, error) {
	set, err := s.Settings.Update(ctx, who, settings.Change(in.Body))
	return preferenceOf(set), err
}

func preferenceOf(s settings.Settings) preference {
	return preference{
		ProfileVisibility: s.Visibility, DataSharing: s.Sharing, ActivityTracking: s.Tracking, Email: s.Email, Push: s.Push, SMS: s.SMS,
	}
}
