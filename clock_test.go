package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestClockThatJumps an hour forth and back again, and another back, keeps nobody from
// writing, and neither loses a write nor stores one twice, here and in the replica.
// What the replica itself does goes by a clock that never jumps.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	url := "file://" + t.TempDir()
	s := startServeAt(t, clock, "--replica-url="+url, "--new", "--no-demo", "--rate-limits=off")
	ids := map[string]string{}
	for i, jump := range []time.Duration{0, time.Hour, 0, -time.Hour, 0} {
		ahead.Store(int64(jump))
		_, said := s.ask("POST", "/dev/token", `{"email":"ada@example.com"}`)
		var token struct{ AccessToken string }
		if err := json.Unmarshal([]byte(said), &token); err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			title := fmt.Sprint(i, "/", n)
			status, said := s.ask("POST", "/v1/meetings", fmt.Sprintf(`{"title":%q}`, title), "Authorization", "Bearer "+token.AccessToken, "Prefer", "durability=replicated")
			var made struct{ ID string }
			if err := json.Unmarshal([]byte(said), &made); err != nil || status != http.StatusCreated || ids[made.ID] != "" {
				t.Fatalf("%d %s %v", status, said, err)
			}
			ids[made.ID] = title
		}
	}
	output := filepath.Join(t.TempDir(), "restored.db")
	r := &restoreCommand{place: place{url}, DB: output}
	if err := r.Run(t.Context(), terminal{out: t.Output(), err: t.Output()}); err != nil {
		t.Fatal(err)
	}
	for id, title := range ids {
		if have := value(t, output, `SELECT count(*) || ' ' || max(title) FROM meetings WHERE id = '`+id+`'`); have != "1 "+title {
			t.Errorf("%s: %s", title, have)
		}
	}
	if have := value(t, output, `SELECT count(*) FROM meetings`); have != fmt.Sprint(len(ids)) {
		t.Errorf("%s meetings, want %d", have, len(ids))
	}
}
