package domain_test

import (
	"slices"
	"strings"
	"testing"

	"connvo/domain"
)

func TestCursorGivesBackItsKey(t *testing.T) {
	for _, key := range [][]string{{"mtg_loc_01"}, {""}, {"a", "b"}, {`"\,[]`, "ü"}} {
		got, err := domain.NewCursor(key...).Key(len(key))
		if err != nil || !slices.Equal(got, key) {
			t.Errorf("%q comes back as %q, %v", key, got, err)
		}
	}
	if key, err := domain.Cursor("").Key(1); key != nil || err != nil {
		t.Errorf("the empty cursor is %q, %v", key, err)
	}
}

func TestCursorThatNobodyGaveIsMalformed(t *testing.T) {
	whole := string(domain.NewCursor("mtg_loc_01"))
	for name, c := range map[string]string{
		"of another shape": string(domain.NewCursor("a", "b")),
		"cut off":          whole[:len(whole)-1],
		"padded":           whole + "=",
		"no base 64":       "!!",
		"no JSON":          "AAAA",
		"too long":         strings.Repeat("A", 513),
		"with white space": whole + "\n",
	} {
		if key, err := domain.Cursor(c).Key(1); domain.KindOf(err) != domain.Malformed || err == nil {
			t.Errorf("%s: %q, %v", name, key, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(string(domain.NewCursor("mtg_loc_01")))
	f.Add("WyJhIl0")
	f.Add("%%%")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := domain.Cursor(text).Key(1)
		if err != nil {
			if domain.KindOf(err) != domain.Malformed {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if text != "" && string(domain.NewCursor(key...)) != text {
			t.Fatalf("%q and %q are both cursors of %q", text, domain.NewCursor(key...), key)
		}
	})
}

func TestMessageIDGivesBackItsNumber(t *testing.T) {
	for _, seq := range []int64{1, 31, 32, 1 << 40, domain.MaxNumber - 1} {
		if got, ok := domain.NewMessageID(seq).Seq(); !ok || got != seq {
			t.Errorf("%d comes back as %d, %v", seq, got, ok)
		}
	}
}

func FuzzMessageID(f *testing.F) {
	f.Add("msg_00000000009")
	f.Add("msg_ZZZZZZZZZZZ")
	f.Add("usr_00000000009")
	f.Fuzz(func(t *testing.T, text string) {
		seq, ok := domain.MessageID(text).Seq()
		if ok && string(domain.NewMessageID(seq)) != text {
			t.Fatalf("%q and %q are both ids of %d", text, domain.NewMessageID(seq), seq)
		}
	})
}

func TestHomeOfAMeeting(t *testing.T) {
	for id, home := range map[domain.MeetingID]string{
		domain.NewMeetingID("loc", "01M8326TVXVQGRYEANGM6T87RK"): "loc",
		"mtg_a_b_01":               "a",
		"mtg_":                     "",
		"mtg_01":                   "",
		"mtg__01":                  "",
		"mtg_FRA_01":               "",
		"mtg_fra;app=x_01":         "",
		"mtg_fra\r\n_01":           "",
		"mtg_abcdefghijklmnop_01":  "abcdefghijklmnop",
		"mtg_abcdefghijklmnopq_01": "",
		"usr_loc_01":               "",
		"":                         "",
	} {
		if got := id.Home(); got != home {
			t.Errorf("%q is at home in %q, want %q", id, got, home)
		}
	}
}
