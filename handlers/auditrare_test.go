package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"connvo/audit"
	"connvo/db"
)

// ballast records so many deeds of the organization that nobody asks for.
func (s *server) ballast(org string, entries int) {
	s.t.Helper()
	err := s.DB.Write(s.t.Context(), func(tx *db.WriteTx) error {
		first := tx.Number()
		for range entries {
			tx.Next()
		}
		_, err := tx.Exec(`
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
			INSERT INTO audit (position, org_id, actor_id, action, at, resource, outcome, session, request, address, agent, detail)
			SELECT ?1 + i, ?3, 'usr_often', 'often.deed', 0, '/v1/x', 'allowed', '', '', '', '', '{}' FROM n`, first, entries, org)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// rare records one deed that is asked for, and returns its position.
func (s *server) rare(org string) (position int64) {
	s.t.Helper()
	err := s.DB.Write(s.t.Context(), func(tx *db.WriteTx) error {
		return audit.Record(tx, audit.Entry{Actor: "usr_rare", Org: org, Action: "rare.deed", Outcome: audit.Allowed})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.number(`SELECT max(position) FROM audit WHERE action = 'rare.deed'`)
}

// What a filter leaves out of a long record makes pages short, and loses nothing:
// page by page, live, beside another path, and in a file.
func TestRareFiltersOfTheRecordLoseNothing(t *testing.T) {
	s := newServer(t)
	boss := s.signInAs("boss", "org_1", "admin")
	first := s.rare("org_1")
	s.ballast("org_1", 25_000)
	second := s.rare("org_1")
	s.ballast("org_1", 25_000)
	const path = "/v1/admin/audit?action=rare.deed"

	for _, forward := range []bool{true, false} {
		next, got, pages := path+"&after=0", []int64{}, 0
		if !forward {
			next = path
		}
		for next != "" {
			var page struct {
				Items       []struct{ Position int64 }
				First, Last int64
				More        bool
			}
			boss.must("GET", next, nil).into(t, &page)
			for _, item := range page.Items {
				got = append(got, item.Position)
			}
			pages++
			switch {
			case !page.More || pages > 9:
				next = ""
			case forward:
				next = fmt.Sprintf("%s&after=%d", path, page.Last)
			default:
				next = fmt.Sprintf("%s&before=%d", path, page.First)
			}
		}
		if len(got) != 2 || got[0]+got[1] != first+second || pages != 3 {
			t.Errorf("forward %v: %v on %d pages, want %d and %d", forward, got, pages, first, second)
		}
	}

	st, many := boss.follow(path+"&after=0"), boss.follow(live(path+"&after=0", "/v1/me"))
	st.ready()
	many.ready()
	third := s.rare("org_1")
	want := fmt.Sprint([]int64{first, second, third})
	got := []int64{}
	for len(got) < 3 {
		items, _ := st.items()
		for _, item := range items {
			got = append(got, item.Position)
		}
	}
	if fmt.Sprint(got) != want {
		t.Errorf("live: %v, want %s", got, want)
	}
	got = nil
	for len(got) < 3 {
		for _, r := range many.round().Results {
			var page struct{ Items []struct{ Position int64 } }
			if r.Event == "items" {
				if err := json.Unmarshal(r.Body, &page); err != nil {
					t.Fatal(err)
				}
			}
			for _, item := range page.Items {
				got = append(got, item.Position)
			}
		}
	}
	if fmt.Sprint(got) != want {
		t.Errorf("among others: %v, want %s", got, want)
	}
	file := boss.must("GET", "/v1/admin/audit/export?action=rare.deed", nil).Body
	if n := bytes.Count(file, []byte("\n")); n != 3 {
		t.Errorf("the file has %d lines: %s", n, file)
	}
}
