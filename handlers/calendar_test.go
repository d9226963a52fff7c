package handlers_test

import (
	"net/url"
	"testing"
)

func TestCalendarIsPagedByTime(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	at := []string{"2999-01-03T00:00:00.000Z", "2999-01-01T00:00:00.000Z", "2999-01-02T00:00:00.000Z", "2999-01-02T00:00:00.000Z"}
	for _, when := range at {
		ada.must("POST", "/v1/meetings", `{"title":"Plan","scheduledAt":"`+when+`"}`)
	}
	ada.must("POST", "/v1/meetings", `{"title":"Some day"}`)
	var page struct {
		Items []struct {
			ID, ScheduledAt string
		}
		NextCursor *string
	}
	var got []string
	seen := map[string]bool{}
	path := "/v1/meetings?scheduledFrom=2999-01-01T00:00:00Z&limit=1"
	for next := path; next != ""; {
		page.NextCursor = nil
		ada.must("GET", next, nil).into(t, &page)
		for _, m := range page.Items {
			got, seen[m.ID] = append(got, m.ScheduledAt), true
		}
		if next = ""; page.NextCursor != nil {
			next = path + "&cursor=" + url.QueryEscape(*page.NextCursor)
		}
	}
	if len(got) != 4 || len(seen) != 4 || got[0] != at[1] || got[1] != at[2] || got[2] != at[2] || got[3] != at[0] {
		t.Errorf("%v, %d meetings", got, len(seen))
	}
	var newest struct{ NextCursor string }
	ada.must("GET", "/v1/meetings?limit=1", nil).into(t, &newest)
	for wrong, want := range map[string]int{
		"?scheduledFrom=yesterday": 422,
		"?scheduledFrom=2999-01-02T00:00:00Z&scheduledTo=2999-01-01T00:00:00Z":   422,
		"?scheduledFrom=2999-01-02T00:00:00Z&cursor=" + newest.NextCursor:        400, // of another order
		"?scheduledFrom=2999-01-02T00:00:00Z&cursor=WyJzb29uIiwibXRnX2xvY18xIl0": 400, // ["soon","mtg_loc_1"]
	} {
		if a := ada.do("GET", "/v1/meetings"+wrong, nil); a.Status != want || a.code() != "validation_failed" {
			t.Errorf("%s: %d %s", wrong, a.Status, a.Body)
		}
	}
}
