package handlers

import (
	"context"
	"net/http"

	"connvo/audit"
	"connvo/domain"
	"connvo/domain/interests"
	"connvo/domain/profiles"
	"connvo/domain/settings"
)

// ShownProfile is what others may be told of a profile. (Exported, like the others
// here, because huma looks into exported embedded structs only.)
type ShownProfile struct {
	Bio        *string  `json:"bio"`
	Goals      *string  `json:"goals"`
	Experience *string  `json:"experience"`
	Field      *string  `json:"field"`
	JobTitle   *string  `json:"jobTitle"`
	Company    *string  `json:"company"`
	Languages  []string `json:"languages" doc:"Tags of BCP 47."`
	Skills     []string `json:"skills"`
	TimeZone   *string  `json:"timeZone" doc:"A name of the IANA database."`
}

// profile is the caller's, to themselves.
type profile struct {
	ShownProfile
	Age         *int    `json:"age"`
	Gender      *string `json:"gender"`
	LinkedinURL *string `json:"linkedinUrl"`
	UpdatedAt   *string `json:"updatedAt" format:"date-time" doc:"Null where nothing was ever told."`
}

// userProfile is a person, to whom their profile is shown.
type userProfile struct {
	UserID      domain.UserID `json:"userId"`
	DisplayName string        `json:"displayName"`
	AvatarURL   *string       `json:"avatarUrl"`
	ShownProfile
	Interests []interest `json:"interests"`
}

// interest is an entry of the catalogue.
type interest struct {
	Key      string             `json:"key"`
	Label    string             `json:"label"`
	Category interests.Category `json:"category" enum:"academic,industry,skill,personal"`
}

type countedInterest struct {
	Key      string             `json:"key"`
	Label    string             `json:"label"`
	Category interests.Category `json:"category" enum:"academic,industry,skill,personal"`
	People   int64              `json:"people" doc:"How many people have it."`
}

type catalogue struct {
	Items      []countedInterest `json:"items"`
	NextCursor *string           `json:"nextCursor"`
}

type myInterests struct {
	Interests []interest `json:"interests" doc:"By key."`
}

// onboarding is what the caller has told before they begin.
type onboarding struct {
	Complete    bool       `json:"complete"`
	CompletedAt *string    `json:"completedAt" format:"date-time"`
	DisplayName string     `json:"displayName"`
	Profile     profile    `json:"profile"`
	Settings    preference `json:"settings"`
	Interests   []interest `json:"interests"`
}

// ProfileChange is what is to be told anew.
type ProfileChange struct {
	Bio         *string          `json:"bio,omitempty" maxLength:"1000"`
	Goals       *string          `json:"goals,omitempty" maxLength:"1000"`
	Experience  *string          `json:"experience,omitempty" maxLength:"1000"`
	Field       *string          `json:"field,omitempty" maxLength:"100" doc:"Of work or study."`
	JobTitle    *string          `json:"jobTitle,omitempty" maxLength:"100"`
	Company     *string          `json:"company,omitempty" maxLength:"100"`
	Languages   *[]string        `json:"languages,omitempty" maxItems:"20" maxLength:"35" doc:"Tags of BCP 47, such as en or pt-BR."`
	Skills      *[]string        `json:"skills,omitempty" maxItems:"50" maxLength:"60"`
	TimeZone    *string          `json:"timeZone,omitempty" maxLength:"64" doc:"A name of the IANA database, such as Europe/Berlin."`
	Age         *int             `json:"age,omitempty" minimum:"0" maximum:"120" doc:"From 13; 0 takes it back. Others are not told."`
	Gender      *profiles.Gender `json:"gender,omitempty" enum:"male,female,non-binary,prefer-not-to-say," doc:"Others are not told."`
	LinkedinURL *string          `json:"linkedinUrl,omitempty" maxLength:"2048" doc:"An https URL of linkedin.com. Others are not told."`
}

func (c ProfileChange) change() profiles.Change {
	return profiles.Change{
		Bio: c.Bio, Goals: c.Goals, Experience: c.Experience, Field: c.Field, JobTitle: c.JobTitle, Company: c.Company,
		Languages: c.Languages, Skills: c.Skills, TimeZone: c.TimeZone, Age: c.Age, Gender: c.Gender, LinkedinURL: c.LinkedinURL,
	}
}

type profileChange struct{ Body ProfileChange }

type interestsInput struct {
	ListParams
	Category interests.Category `query:"category" enum:"academic,industry,skill,personal" doc:"Only these."`
}

type interestsSet struct {
	Body struct {
		Interests []string `json:"interests" maxItems:"30" maxLength:"64" doc:"Keys of GET /v1/interests, in any order."`
	}
}

type onboard struct {
	Body struct {
		DisplayName string        `json:"displayName" minLength:"1" maxLength:"100"`
		Profile     ProfileChange `json:"profile"`
		Settings    SettingsSet   `json:"settings,omitempty"`
		Interests   []string      `json:"interests" maxItems:"30" maxLength:"64" doc:"Keys of GET /v1/interests."`
	}
}

// detail is of the settings: the rest is not recorded.
func (in *onboard) detail() map[string]string { return in.Body.Settings.detail() }

func (s *Server) profileRoutes() {
	const mine, chosen, begun = "/v1/me/profile", "/v1/me/interests", "/v1/me/onboarding"
	get(s, route{path: mine, id: "getMyProfile", tag: "Users", summary: "What I tell about myself",
		about: "All of it; others see it as the setting profileVisibility allows, without age, gender and LinkedIn address. What was never told is empty."}, s.getMyProfile)
	edit(s, route{method: http.MethodPatch, path: mine, id: "updateMyProfile", tag: "Users", summary: "Tell something about myself",
		about: "What is left out stays; an empty value takes back what was told. Texts are stored trimmed and in the normal form NFC of Unicode."},
		func(ctx context.Context, who domain.Actor, _ *profileChange) (profile, error) {
			return s.getMyProfile(ctx, who, nil)
		}, s.updateMyProfile)
	get(s, route{path: "/v1/users/{userId}/profile", id: "getUserProfile", tag: "Users", summary: "A person's profile",
		about: "403 where their setting profileVisibility keeps it from the caller, 404 for who does not exist, is deactivated, or blocks or is blocked by the caller. Age, gender and LinkedIn address are never shown."}, s.getUserProfile)
	get(s, route{path: "/v1/interests", id: "listInterests", tag: "Users", shared: true, summary: "The catalogue of interests",
		about: "By how many people have them, the most first."}, s.listInterests)
	get(s, route{path: chosen, id: "getMyInterests", tag: "Users", summary: "My interests",
		about: "By key, as they stand in GET /v1/interests."}, s.getMyInterests)
	edit(s, route{method: http.MethodPut, path: chosen, id: "setMyInterests", tag: "Users", summary: "Replace my interests",
		about: "Those that are left out are taken away. 422 for a key that is not in the catalogue."},
		func(ctx context.Context, who domain.Actor, _ *interestsSet) (myInterests, error) {
			return s.getMyInterests(ctx, who, nil)
		}, s.setMyInterests)
	get(s, route{path: begun, id: "getOnboarding", tag: "Users", summary: "What I have told before I begin",
		about: "Name, profile, settings and interests in one answer; completedAt is null until the first PUT."}, s.getOnboarding)
	edit(s, route{method: http.MethodPut, path: begun, id: "onboard", audits: audit.SettingsChanged, tag: "Users", summary: "Tell all of it, and begin",
		about: "Name, profile, settings and interests in one call. Of the profile and the settings what is left out stays; interests are replaced. A bio that is told has 10 characters at least. completedAt is that of the first call."},
		func(ctx context.Context, who domain.Actor, _ *onboard) (onboarding, error) {
			return s.getOnboarding(ctx, who, nil)
		}, s.onboard)
}

func (s *Server) getMyProfile(ctx context.Context, who domain.Actor, _ *meInput) (profile, error) {
	p, err := s.Profiles.Mine(ctx, who)
	return profileOf(p), err
}

func (s *Server) updateMyProfile(ctx context.Context, who domain.Actor, in *profileChange) (profile, error) {
	p, err := s.Profiles.Update(ctx, who, in.Body.change())
	return profileOf(p), err
}

func (s *Server) getUserProfile(ctx context.Context, who domain.Actor, in *userInput) (userProfile, error) {
	p, err := s.Profiles.Show(ctx, who, domain.UserID(in.UserID))
	return userProfile{
		UserID: p.Card.ID, DisplayName: p.Card.DisplayName, AvatarURL: text(p.Card.AvatarURL),
		ShownProfile: shownProfileOf(p.Profile), Interests: interestsOf(p.Interests),
	}, err
}

func (s *Server) listInterests(ctx context.Context, who domain.Actor, in *interestsInput) (catalogue, error) {
	page, next, err := s.Interests.List(ctx, who, interests.Query{Category: in.Category, Cursor: domain.Cursor(in.Cursor), Limit: in.Limit})
	items := make([]countedInterest, len(page))
	for i, e := range page {
		items[i] = countedInterest{Key: e.Key, Label: e.Label, Category: e.Category, People: e.People}
	}
	return catalogue{Items: items, NextCursor: text(string(next))}, err
}

func (s *Server) getMyInterests(ctx context.Context, who domain.Actor, _ *meInput) (myInterests, error) {
	all, err := s.Interests.Mine(ctx, who)
	return myInterests{Interests: interestsOf(all)}, err
}

func (s *Server) setMyInterests(ctx context.Context, who domain.Actor, in *interestsSet) (myInterests, error) {
	all, err := s.Interests.Set(ctx, who, in.Body.Interests)
	return myInterests{Interests: interestsOf(all)}, err
}

func (s *Server) getOnboarding(ctx context.Context, who domain.Actor, _ *meInput) (onboarding, error) {
	o, err := s.Profiles.Onboarding(ctx, who)
	return onboardingOf(o), err
}

func (s *Server) onboard(ctx context.Context, who domain.Actor, in *onboard) (onboarding, error) {
	o, err := s.Profiles.Onboard(ctx, who, profiles.Start{
		DisplayName: in.Body.DisplayName, Profile: in.Body.Profile.change(), Settings: settings.Change(in.Body.Settings), Interests: in.Body.Interests,
	})
	return onboardingOf(o), err
}

func shownProfileOf(p profiles.Profile) ShownProfile {
	return ShownProfile{
		Bio: text(p.Bio), Goals: text(p.Goals), Experience: text(p.Experience), Field: text(p.Field), JobTitle: text(p.JobTitle),
		Company: text(p.Company), Languages: p.Languages, Skills: p.Skills, TimeZone: text(p.TimeZone),
	}
}

func profileOf(p profiles.Profile) profile {
	out := profile{ShownProfile: shownProfileOf(p), Gender: text(string(p.Gender)), LinkedinURL: text(p.LinkedinURL), UpdatedAt: maybe(p.UpdatedAt)}
	if p.Age != 0 {
		out.Age = &p.Age
	}
	return out
}

func interestsOf(all []interests.Interest) []interest {
	items := make([]interest, len(all))
	for i, one := range all {
		items[i] = interest(one)
	}
	return items
}

func onboardingOf(o profiles.Onboarding) onboarding {
	return onboarding{
		Complete: !o.CompletedAt.IsZero(), CompletedAt: maybe(o.CompletedAt), DisplayName: o.DisplayName,
		Profile: profileOf(o.Profile), Settings: preferenceOf(o.Settings), Interests: interestsOf(o.Interests),
	}
}
