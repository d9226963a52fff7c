package meetings_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/domain/meetings"
	"connvo/domain/participants"
)

func TestPlanIsChecked(t *testing.T) {
	w := newTown(t)
	ada := w.arrive("ada")
	m := w.plan(ada)
	// It can be written down with an offset, and would be answered with a year of five digits.
	lastSecond := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
	for _, c := range []struct {
		change meetings.Change
		says   string
	}{
		{meetings.Change{Title: new(strings.Repeat("ä", meetings.MaxTitle))}, ""},
		{meetings.Change{Title: new(strings.Repeat("x", 10_000))}, "at most 200 characters"},
		{meetings.Change{Title: new(" ")}, "must not be empty"},
		{meetings.Change{Description: new(strings.Repeat("x", meetings.MaxDescription+1))}, "at most 5000 characters"},
		{meetings.Change{Description: new("")}, ""},
		{meetings.Change{Duration: new(-time.Minute)}, "must be from 60000 to 86400000"},
		{meetings.Change{Duration: new(time.Duration(0))}, "must be from"},
		{meetings.Change{Duration: new(meetings.MaxDuration + 1)}, "must be from"},
		{meetings.Change{Duration: new(meetings.MinDuration)}, ""},
		{meetings.Change{MaxParticipants: new(0)}, "must be from 1 to 1000"},
		{meetings.Change{MaxParticipants: new(meetings.MaxCapacity + 1)}, "must be from 1 to 1000"},
		{meetings.Change{MaxParticipants: new(1)}, ""},
		{meetings.Change{ScheduledAt: new(noon.Add(-time.Millisecond))}, "in the past"},
		{meetings.Change{ScheduledAt: new(noon)}, ""},
		{meetings.Change{ScheduledAt: new(time.Time{})}, "in the past"},
		{meetings.Change{ScheduledAt: new(lastSecond)}, "before the year 10000"},
	} {
		_, err := w.meets.Update(t.Context(), ada, m, c.change)
		if c.says == "" {
			ok(t, err)
		} else {
			refused(t, err, domain.Invalid, c.says)
		}
	}
	for says, d := range map[string]meetings.Draft{
		"in the past":            {Title: "Plan", ScheduledAt: new(noon.Add(-time.Millisecond))},
		"must not be in the pas": {Title: "Plan", ScheduledAt: new(time.Time{})}, // the year 1, not no time
		"before the year 10000":  {Title: "Plan", ScheduledAt: new(lastSecond)},
		"must be from 60000":     {Title: "Plan", Duration: -time.Hour},
		"must be from 1":         {Title: "Plan", MaxParticipants: -1},
		"at most 200":            {Title: strings.Repeat("x", 10_000)},
		"must not be empty":      {Title: "\t"},
		"at most 5000 characte":  {Title: "Plan", Description: strings.Repeat("x", 10_000)},
	} {
		_, err := w.meets.Create(t.Context(), ada, d)
		refused(t, err, domain.Invalid, says)
	}
}

func TestPlanChangesUntilTheMeetingIsOver(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	m := w.plan(ada, grace, cohost)
	later := noon.Add(time.Hour + time.Microsecond)
	got, err := w.meets.Update(t.Context(), grace, m, meetings.Change{ScheduledAt: &later, Kind: new(meetings.Webinar), Recording: new(true)})
	if err != nil || !got.ScheduledAt.Equal(noon.Add(time.Hour)) || got.Kind != meetings.Webinar || !got.Recording || got.Title != "Plan" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = w.meets.Start(t.Context(), ada, m)
	ok(t, err)
	_, err = w.meets.Join(t.Context(), grace, m)
	ok(t, err)
	_, err = w.meets.Update(t.Context(), ada, m, meetings.Change{ScheduledAt: new(later.Add(time.Hour))})
	refused(t, err, domain.Conflict, "has begun")
	_, err = w.meets.Update(t.Context(), ada, m, meetings.Change{ScheduledAt: &later, Title: new("Same time")})
	ok(t, err)
	_, err = w.meets.Update(t.Context(), ada, m, meetings.Change{MaxParticipants: new(1)})
	refused(t, err, domain.Conflict, "2 are in the meeting")
	_, err = w.meets.Update(t.Context(), ada, m, meetings.Change{MaxParticipants: new(2)})
	ok(t, err)
	_, err = w.meets.Cancel(t.Context(), ada, m)
	refused(t, err, domain.Conflict, "cannot be cancelled")
	_, err = w.meets.End(t.Context(), ada, m)
	ok(t, err)
	_, err = w.meets.Update(t.Context(), ada, m, meetings.Change{Title: new("Late")})
	refused(t, err, domain.Conflict, "concluded")
	if got, want := w.told(m), "meetings.updated meetings.started participants.joined participants.joined meetings.updated meetings.updated meetings.ended"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCancelledMeetingIsCancelledForAll(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	m := w.plan(ada, grace, participant)
	_, err := w.meets.Cancel(t.Context(), grace, m)
	refused(t, err, domain.Forbidden, "only the host and cohosts")
	got, err := w.meets.Cancel(t.Context(), ada, m)
	if err != nil || got.State != participants.Cancelled || !got.EndedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	list, _, err := w.meets.List(t.Context(), grace, participants.Cancelled, "", 10)
	if err != nil || len(list) != 1 || list[0].ID != m {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = w.meets.Cancel(t.Context(), ada, m)
	refused(t, err, domain.Conflict, "cannot be cancelled")
	if got := w.told(m); got != "meetings.cancelled" {
		t.Error(got)
	}
}

func TestPlannedMeetingsComeSoonestFirst(t *testing.T) {
	w := newTown(t)
	ada, grace := w.arrive("ada"), w.arrive("grace")
	plan := func(after time.Duration) domain.MeetingID {
		t.Helper()
		m := w.plan(ada, grace, participant)
		_, err := w.meets.Update(t.Context(), ada, m, meetings.Change{ScheduledAt: new(noon.Add(after))})
		ok(t, err)
		return m
	}
	w.plan(ada, grace, participant) // at no time
	third, first, alsoThird := plan(3*time.Hour), plan(time.Hour), plan(3*time.Hour)
	second := plan(2 * time.Hour)
	_, err := w.meets.Cancel(t.Context(), ada, second)
	ok(t, err)
	for _, c := range []struct {
		name string
		of   meetings.Period
		want []domain.MeetingID
	}{
		{"all", meetings.Period{}, []domain.MeetingID{first, second, third, alsoThird}},
		{"from its instant", meetings.Period{From: noon.Add(2 * time.Hour)}, []domain.MeetingID{second, third, alsoThird}},
		{"before an instant", meetings.Period{To: noon.Add(2 * time.Hour)}, []domain.MeetingID{first}},
		{"by state", meetings.Period{State: participants.Cancelled}, []domain.MeetingID{second}},
		{"behind one of the same time", meetings.Period{From: noon.Add(3 * time.Hour), After: third}, []domain.MeetingID{alsoThird}},
		{"none", meetings.Period{From: noon.Add(4 * time.Hour)}, nil},
	} {
		list, more, err := w.meets.Planned(t.Context(), grace, c.of, 4)
		var got []domain.MeetingID
		for _, m := range list {
			got = append(got, m.ID)
		}
		if err != nil || more || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, more %v, %v", c.name, got, more, err)
		}
	}
	list, more, err := w.meets.Planned(t.Context(), grace, meetings.Period{}, 3)
	if err != nil || !more || len(list) != 3 {
		t.Errorf("a page of three: %d, more %v, %v", len(list), more, err)
	}
	// Who is invited after the time was set has it in their list too.
	late := w.arrive("late")
	_, err = w.meets.Invite(t.Context(), ada, first, meetings.Invitation{User: late.User, Role: participant})
	ok(t, err)
	if list, _, err := w.meets.Planned(t.Context(), late, meetings.Period{}, 3); err != nil || len(list) != 1 || list[0].ID != first {
		t.Errorf("%+v, %v", list, err)
	}
}
