package handlers

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"connvo/audit"
	"connvo/domain"
	"connvo/flags"
)

// flagState is whether a flag is on for the caller.
type flagState struct {
	Key     flags.Key `json:"key"`
	Enabled bool      `json:"enabled"`
}

type flagStates struct {
	Items      []flagState `json:"items"`
	NextCursor *string     `json:"nextCursor"`
}

// FlagSetting is a flag as the admins of an organization have set it. (Exported,
// because huma looks into exported embedded structs only.)
type FlagSetting struct {
	Key           flags.Key       `json:"key"`
	Description   string          `json:"description"`
	Environment   string          `json:"environment" doc:"The deployment that the setting is for; elsewhere a copy of the database has the defaults."`
	Enabled       bool            `json:"enabled" doc:"False turns it off for everybody."`
	Percentage    int             `json:"percentage" doc:"How many of a hundred people have it, always the same ones. A greater one only adds people."`
	Organizations []string        `json:"organizations" doc:"For whose people it is on, whatever the percentage."`
	Users         []domain.UserID `json:"users" doc:"For whom it is on, whatever the percentage."`
	Version       int64           `json:"version" doc:"The number of the last change; 0 when there was none."`
	UpdatedAt     *string         `json:"updatedAt" format:"date-time"`
	UpdatedBy     *domain.UserID  `json:"updatedBy"`
}

type flagSettings struct {
	Items      []FlagSetting `json:"items"`
	NextCursor *string       `json:"nextCursor"`
}

// flag is a flag with what was done to it.
type flag struct {
	FlagSetting
	History []flagChange `json:"history" doc:"The last 20 changes, the newest first."`
}

type flagChange struct {
	Version       int64           `json:"version"`
	At            string          `json:"at" format:"date-time"`
	By            domain.UserID   `json:"by"`
	Reason        string          `json:"reason"`
	Default       bool            `json:"default" doc:"It was given its default again."`
	Enabled       bool            `json:"enabled"`
	Percentage    int             `json:"percentage"`
	Organizations []string        `json:"organizations"`
	Users         []domain.UserID `json:"users"`
	Description   string          `json:"description"`
}

type flagsInput struct{ ListParams }

type flagInput struct {
	LiveParams
	FlagParam
}

// FlagParam names the flag in the path.
type FlagParam struct {
	Key string `path:"key" maxLength:"64" doc:"The flag's key."`
}

type flagUpdate struct {
	FlagParam
	Body struct {
		Enabled       bool     `json:"enabled"`
		Percentage    int      `json:"percentage" minimum:"0" maximum:"100"`
		Organizations []string `json:"organizations" maxItems:"1" maxLength:"128" doc:"Your own, or none: with it everybody in it has the flag."`
		Users         []string `json:"users" maxItems:"200" maxLength:"128"`
		Description   string   `json:"description,omitempty" maxLength:"500" doc:"What the program says when left out."`
		Reason        string   `json:"reason" minLength:"1" maxLength:"500" doc:"Why, for the history."`
	}
}

type flagReset struct {
	FlagParam
	Reason string `query:"reason" required:"true" minLength:"1" maxLength:"500" doc:"Why, for the history."`
}

// detail is what the record keeps of a change; the history has all of it.
func (u flagUpdate) detail() map[string]string {
	return map[string]string{"enabled": strconv.FormatBool(u.Body.Enabled), "percentage": strconv.Itoa(u.Body.Percentage), "reason": u.Body.Reason}
}

func (r flagReset) detail() map[string]string {
	return map[string]string{"default": "true", "reason": r.Reason}
}

const flagPath = "/v1/admin/flags/{key}"

func (s *Server) flagRoutes() {
	get(s, route{path: "/v1/flags", id: "listFlags", tag: "Flags", summary: "What is on for me",
		about: "A change by an admin is told at once. Who belongs to no organization has the defaults."}, s.listFlags)
	get(s, route{path: "/v1/admin/flags", id: "listFlagSettings", tag: "Administration",
		summary: "The flags of my organization", about: "For admins. The defaults come with the program; what an admin changes holds for their own organization."}, s.listFlagSettings)
	get(s, route{path: flagPath, id: "getFlagSetting", tag: "Administration",
		summary: "A flag of my organization, and what was done to it", about: "For admins."}, s.getFlagSetting)
	edit(s, route{method: http.MethodPut, path: flagPath, id: "setFlag", tag: "Administration", audits: audit.FlagChanged,
		summary: "Set a flag for my organization", about: "For admins. It is on for those who are named, and for the percentage of all others, always the same people; for nobody where enabled is false."},
		func(ctx context.Context, who domain.Actor, in *flagUpdate) (flag, error) {
			return s.getFlag(ctx, who, in.FlagParam)
		}, s.setFlag)
	edit(s, route{method: http.MethodDelete, path: flagPath, id: "resetFlag", tag: "Administration", audits: audit.FlagChanged,
		summary: "Give a flag its default again", about: "For admins. Its history stays. Repeated it changes nothing."},
		func(ctx context.Context, who domain.Actor, in *flagReset) (flag, error) {
			return s.getFlag(ctx, who, in.FlagParam)
		}, s.resetFlag)
}

func (s *Server) listFlags(ctx context.Context, who domain.Actor, in *flagsInput) (flagStates, error) {
	all, err := s.Flags.Mine(ctx, who)
	if err != nil {
		return flagStates{}, err
	}
	page, next, err := pageByKey(all, in.ListParams, func(f flags.State) flags.Key { return f.Key })
	items := make([]flagState, len(page))
	for i, f := range page {
		items[i] = flagState(f)
	}
	return flagStates{Items: items, NextCursor: next}, err
}

func (s *Server) listFlagSettings(ctx context.Context, who domain.Actor, in *flagsInput) (flagSettings, error) {
	all, err := s.Flags.List(ctx, who)
	if err != nil {
		return flagSettings{}, err
	}
	page, next, err := pageByKey(all, in.ListParams, func(f flags.Flag) flags.Key { return f.Key })
	items := make([]FlagSetting, len(page))
	for i, f := range page {
		items[i] = flagSettingOf(f)
	}
	return flagSettings{Items: items, NextCursor: next}, err
}

// pageByKey returns the page of a list that is in the order of its keys, and the
// cursor of the next.
func pageByKey[T any](all []T, params ListParams, keyOf func(T) flags.Key) (page []T, next *string, err error) {
	after, err := domain.Cursor(params.Cursor).Key(1)
	if err != nil {
		return nil, nil, err
	}
	if after != nil {
		first, _ := slices.BinarySearchFunc(all, after[0]+"\x00", func(one T, key string) int { return strings.Compare(string(keyOf(one)), key) })
		all = all[first:]
	}
	if len(all) > params.Limit {
		all = all[:params.Limit]
		cursor := string(domain.NewCursor(string(keyOf(all[len(all)-1]))))
		next = &cursor
	}
	return all, next, nil
}

func (s *Server) getFlagSetting(ctx context.Context, who domain.Actor, in *flagInput) (flag, error) {
	return s.getFlag(ctx, who, in.FlagParam)
}

func (s *Server) getFlag(ctx context.Context, who domain.Actor, name FlagParam) (flag, error) {
	f, err := s.Flags.Get(ctx, who, flags.Key(name.Key))
	return flagOf(f), err
}

func (s *Server) setFlag(ctx context.Context, who domain.Actor, in *flagUpdate) (flag, error) {
	to := flags.Setting{Enabled: in.Body.Enabled, Percentage: in.Body.Percentage, Organizations: in.Body.Organizations, Description: in.Body.Description}
	for _, id := range in.Body.Users {
		to.Users = append(to.Users, domain.UserID(id))
	}
	f, err := s.Flags.Set(ctx, who, flags.Key(in.Key), to, in.Body.Reason)
	return flagOf(f), err
}

func (s *Server) resetFlag(ctx context.Context, who domain.Actor, in *flagReset) (flag, error) {
	f, err := s.Flags.Reset(ctx, who, flags.Key(in.Key), in.Reason)
	return flagOf(f), err
}

func flagSettingOf(f flags.Flag) FlagSetting {
	setting := FlagSetting{
		Key: f.Key, Description: f.Description, Environment: f.Environment, Enabled: f.Enabled, Percentage: f.Percentage,
		Organizations: f.Organizations, Users: f.Users, Version: f.Version, UpdatedAt: maybe(f.UpdatedAt),
	}
	if f.UpdatedBy != "" {
		setting.UpdatedBy = &f.UpdatedBy
	}
	return setting
}

func flagOf(f flags.Flag) flag {
	history := make([]flagChange, len(f.History))
	for i, c := range f.History {
		history[i] = flagChange{
			Version: c.Version, At: instant(c.At), By: c.By, Reason: c.Reason, Default: c.IsDefault, Enabled: c.Enabled,
			Percentage: c.Percentage, Organizations: c.Organizations, Users: c.Users, Description: c.Description,
		}
	}
	return flag{FlagSetting: flagSettingOf(f), History: history}
}
