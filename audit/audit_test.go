package audit_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"connvo/audit"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is a log for failures that a test causes.
var quiet = slog.New(slog.DiscardHandler)

const org = "org_1"

// full is an entry that has everything.
var full = audit.Entry{
	Actor: "usr_1", Org: org, Session: "session_1", Action: audit.StreamOpened,
	Resource: "/v1/meetings/mtg_loc_1", Outcome: audit.Refused, Detail: `{"paths":["a","b"]}`,
	Request: "req_1", Address: "203.0.113.7", Agent: "curl/8.5.0",
}

// opened is an entry that names what was opened.
func opened(resource string) audit.Entry {
	return audit.Entry{
		Actor: "usr_1", Org: org, Action: audit.StreamOpened, Resource: resource, Outcome: audit.Allowed,
		Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
	}
}

// lines returns what is stored of the organization, oldest first.
func lines(t testing.TB, d *db.DB, org string) (all []audit.Line) {
	t.Helper()
	var after int64
	err := d.Read(t.Context(), func(tx db.Reader) error {
		for more := true; more; {
			part, err := audit.Feed(tx, org, audit.Filter{}, domain.Span{After: &after, Limit: 1000})
			if err != nil {
				return err
			}
			all, more = append(all, part.Items...), part.More
			if more {
				after = part.Items[len(part.Items)-1].Position
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEntryOfAWriteIsStoredWithIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	d := dbtest.Open(t, func(o *db.Options) { o.Now = func() time.Time { return now } })
	err := d.Write(t.Context(), func(tx *db.WriteTx) error { return audit.Record(tx, full) })
	if err != nil {
		t.Fatal(err)
	}
	want := []audit.Line{{Position: d.Committed(), At: now, Entry: full}}
	if got := lines(t, d, org); !reflect.DeepEqual(got, want) {
		t.Errorf("stored\n%+v, want\n%+v", got, want)
	}
}

func TestEntryIsUndoneWithItsWrite(t *testing.T) {
	d := dbtest.Open(t)
	undone := errors.New("no")
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		if err := audit.Record(tx, full); err != nil {
			return err
		}
		return undone
	})
	if got := lines(t, d, org); !errors.Is(err, undone) || len(got) != 0 {
		t.Errorf("%v, and %d lines are stored", err, len(got))
	}
}

func TestEntryNeedsAnActionAndAnOutcome(t *testing.T) {
	d := dbtest.Open(t)
	l := audit.NewLog(d, quiet)
	defer closeLog(t, l)
	for _, e := range []audit.Entry{
		{Action: audit.StreamOpened},
		{Action: audit.StreamOpened, Outcome: "perhaps"},
		{Outcome: audit.Allowed},
	} {
		if err := l.Note(e); domain.KindOf(err) != domain.Internal || err == nil {
			t.Errorf("%+v was noted: %v", e, err)
		}
		if err := d.Write(t.Context(), func(tx *db.WriteTx) error { return audit.Record(tx, e) }); err == nil {
			t.Errorf("%+v was recorded", e)
		}
	}
}

func TestOrganizationsAreApart(t *testing.T) {
	d := dbtest.Open(t)
	err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		for _, owner := range []string{org, "org_2", ""} {
			e := full
			e.Org = owner
			if err := audit.Record(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]int{org: 1, "org_2": 1, "org_3": 0, "": 0} {
		got := lines(t, d, owner)
		if len(got) != want || (want == 1 && got[0].Org != owner) {
			t.Errorf("%q has %d lines, want %d", owner, len(got), want)
		}
	}
}

// shapes are texts of every kind: longer than any bound, with characters of
// every width, with NULs, with bytes that are no character, JSON or not.
func shapes() *rapid.Generator[string] {
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "<", `"`, `\`, "\n", "é", "€", "😀", "\u2028", "\x00", "\xff", "\xe2\x82",
		strings.Repeat("x", 120), strings.Repeat("<", 700), strings.Repeat("€", 160), strings.Repeat("😀", 600), strings.Repeat("\x00", 700), strings.Repeat("\xff", 700),
	}), 0, 12)
	return rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(pieces.Draw(t, "pieces"), "")
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			b, _ := json.Marshal(map[string]string{"value": text})
			return string(b)
		case 1: // JSON to a careless reader
			return `"` + text + `"`
		}
		return text
	})
}

func TestTextsAreCutToTheirBounds(t *testing.T) {
	d := dbtest.Open(t)
	rapid.Check(t, func(t *rapid.T) {
		shape := shapes()
		e := audit.Entry{
			Actor: domain.UserID(shape.Draw(t, "actor")), Org: org, Session: shape.Draw(t, "session"),
			Action: audit.Action("x" + shape.Draw(t, "action")), Resource: shape.Draw(t, "resource"), Outcome: audit.Allowed,
			Detail: shape.Draw(t, "detail"), Request: shape.Draw(t, "request"), Address: shape.Draw(t, "address"), Agent: shape.Draw(t, "agent"),
		}
		var got audit.Line
		err := d.Write(t.Context(), func(tx *db.WriteTx) error {
			if err := audit.Record(tx, e); err != nil {
				return err
			}
			part, err := audit.Feed(tx, org, audit.Filter{}, domain.Span{Limit: 1})
			got = part.Items[0]
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		kept(t, "actor", string(e.Actor), string(got.Actor), audit.MaxID)
		kept(t, "session", e.Session, got.Session, audit.MaxID)
		kept(t, "action", string(e.Action), string(got.Action), audit.MaxAction)
		kept(t, "resource", e.Resource, got.Resource, audit.MaxResource)
		kept(t, "request", e.Request, got.Request, audit.MaxID)
		kept(t, "address", e.Address, got.Address, audit.MaxAddress)
		kept(t, "agent", e.Agent, got.Agent, audit.MaxAgent)
		switch {
		case len(got.Detail) > audit.MaxDetail, !utf8.ValidString(got.Detail), e.Detail != "" && !json.Valid([]byte(got.Detail)):
			t.Fatalf("detail %q of %q", got.Detail, e.Detail)
		case len(e.Detail) <= audit.MaxDetail && utf8.ValidString(e.Detail) && json.Valid([]byte(e.Detail)) && got.Detail != e.Detail:
			t.Fatalf("a JSON text that fits became %q", got.Detail)
		}
	})
}

// kept wants got to be the beginning of sent, as far as limit goes, and no less.
func kept(t *rapid.T, name, sent, got string, limit int) {
	clean := strings.ReplaceAll(strings.ToValidUTF8(sent, "\uFFFD"), "\x00", "")
	missing := clean[min(len(got), len(clean)):]
	_, next := utf8.DecodeRuneInString(missing)
	switch {
	case !utf8.ValidString(got), len(got) > limit, !strings.HasPrefix(clean, got):
		t.Fatalf("%s: %q was stored as %q", name, sent, got)
	case missing != "" && len(got)+next <= limit:
		t.Fatalf("%s: %d bytes of %d were kept, and the next character has %d", name, len(got), limit, next)
	}
}
