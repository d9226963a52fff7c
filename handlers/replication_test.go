package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connvo/domain"
	"connvo/handlers"
)

// TestWriteWaitsForTheReplica when it is asked to, and only then.
func TestWriteWaitsForTheReplica(t *testing.T) {
	var asked int
	var fails error
	s := startServer(t, false, func(c *handlers.Config) {
		c.Replicated = func(ctx context.Context) error {
			asked++
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the wait has no end")
			}
			return fails
		}
	})
	ada := s.signIn("ada")
	send := func(prefer ...string) answer {
		t.Helper()
		r := ada.request(t.Context(), "POST", "/v1/meetings", `{"title":"Plan"}`)
		r.Header["Prefer"] = prefer
		a, err := s.send(r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, prefer := range [][]string{nil, {"durability=local"}, {"return=minimal"}, {"replicated"}, {""}} {
		if a := send(prefer...); a.Status != http.StatusCreated || a.Header.Get("Preference-Applied") != "" || asked != 0 {
			t.Errorf("%q: %d, applied %q, asked %d times", prefer, a.Status, a.Header.Get("Preference-Applied"), asked)
		}
	}
	for i, prefer := range [][]string{{"durability=replicated"}, {`respond-async, Durability="replicated"; x=y`}, {"return=minimal", "durability = replicated"}} {
		if a := send(prefer...); a.Status != http.StatusCreated || a.Header.Get("Preference-Applied") != "durability=replicated" || asked != i+1 {
			t.Errorf("%q: %d, applied %q, asked %d times", prefer, a.Status, a.Header.Get("Preference-Applied"), asked)
		}
	}
	before := s.number(`SELECT count(*) FROM meetings`)
	fails = errors.New("a replica that is away")
	a := send("durability=replicated")
	var p struct {
		Code    string
		Applied bool
		Commit  int64
	}
	a.into(t, &p)
	if a.Status != http.StatusServiceUnavailable || p.Code != "unavailable" || !p.Applied || p.Commit != s.number(`SELECT last FROM sequence`) || a.Header.Get("Preference-Applied") != "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if n := s.number(`SELECT count(*) FROM meetings`); n != before+1 {
		t.Errorf("%d meetings, want one more than %d: it says that it is applied", n, before)
	}
}

// TestAnswerOfAWriteWithoutAReplica says that the preference was not applied, by
// saying nothing.
func TestAnswerOfAWriteWithoutAReplica(t *testing.T) {
	s := newServer(t)
	a := s.signIn("ada").do("POST", "/v1/meetings", `{"title":"Plan"}`, "Prefer", "durability=replicated")
	if a.Status != http.StatusCreated || a.Header.Get("Preference-Applied") != "" {
		t.Errorf("%d, applied %q", a.Status, a.Header.Get("Preference-Applied"))
	}
}

// TestWriteOfAServerThatMayNotWrite is refused where nothing was stored, and says what
// was stored where another server may have gone on without it.
func TestWriteOfAServerThatMayNotWrite(t *testing.T) {
	s := newServer(t)
	ada := s.signIn("ada")
	asked, lapses := 0, 1 // at which question the lease has lapsed
	s.DB.Fence(func() error {
		if asked++; asked < lapses {
			return nil
		}
		return domain.Fail(domain.Unavailable, "lapsed")
	})
	a := ada.do("POST", "/v1/meetings", `{"title":"Plan"}`)
	if a.Status != http.StatusServiceUnavailable || a.code() != "unavailable" || strings.Contains(string(a.Body), "applied") || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	asked, lapses = 0, 2
	a = ada.do("POST", "/v1/meetings", `{"title":"Plan"}`)
	if want := fmt.Sprintf(`"applied":true,"commit":%d`, s.number(`SELECT last FROM sequence`)); a.Status != http.StatusServiceUnavailable || a.code() != "unavailable" || !strings.Contains(string(a.Body), want) {
		t.Errorf("%d %s, want %s", a.Status, a.Body, want)
	}
	asked, lapses = 0, 1000
	if n := s.number(`SELECT count(*) FROM meetings`); n != 1 {
		t.Errorf("%d meetings", n)
	}
}

func TestReplicationIsTold(t *testing.T) {
	const path = "/v1/admin/replication"
	told := func(s *server) string {
		return string(s.signInAs("ada", "org_1", domain.OrgAdmin).must("GET", path, nil).Body)
	}
	if have, want := told(newServer(t)), `{"state":"off","behindSince":null,"lastSyncAt":null,"transaction":0,"local":0,"snapshots":0,"localBytes":0,"diskPercent":0,"lease":"off","generation":0,"owner":null,"lastVerifiedAt":null,"problem":null}`; have != want {
		t.Errorf("%s, want %s", have, want)
	}
	s := startServer(t, false, func(c *handlers.Config) {
		c.Replication = func() handlers.Replication {
			return handlers.Replication{State: "behind", Since: time.UnixMilli(0), Transaction: 1, Local: 2, Snapshots: 3, LocalBytes: 4, DiskPercent: 5, Verified: time.UnixMilli(6), Problem: "a page", Lease: "lapsed", Generation: 6, Owner: "machine 7"}
		}
	})
	if have, want := told(s), `{"state":"behind","behindSince":"1970-01-01T00:00:00.000Z","lastSyncAt":null,"transaction":1,"local":2,"snapshots":3,"localBytes":4,"diskPercent":5,"lease":"lapsed","generation":6,"owner":"machine 7","lastVerifiedAt":"1970-01-01T00:00:00.006Z","problem":"a page"}`; have != want {
		t.Errorf("%s, want %s", have, want)
	}
}
