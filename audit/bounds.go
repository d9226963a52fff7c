package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The bounds of an entry's texts, in bytes.
const (
	MaxID       = 128      // actor, organization, session, request: an id has at most 40
	MaxAction   = 64       // two words
	MaxResource = 512      // a path with two ids
	MaxAddress  = 64       // an IPv6 address with its zone
	MaxAgent    = 256      // what browsers send has at most 200
	MaxDetail   = 16 << 10 // the hundred paths of a live connection
)

// quoted is the most that a byte of text becomes in a JSON string.
const quoted = len(`\u0000`)

// bounded returns e as it can be stored. Its texts are copies, so that they keep
// nothing longer alive, such as the request that they were cut from.
func (e Entry) bounded() (Entry, error) {
	if e.Action == "" || (e.Outcome != Allowed && e.Outcome != Refused) {
		return Entry{}, fmt.Errorf("an audit entry with action %q and outcome %q", e.Action, e.Outcome)
	}
	return Entry{
		Actor:    cut(e.Actor, MaxID),
		Org:      cut(e.Org, MaxID),
		Session:  cut(e.Session, MaxID),
		Action:   cut(e.Action, MaxAction),
		Resource: cut(e.Resource, MaxResource),
		Outcome:  e.Outcome,
		Detail:   cutJSON(e.Detail),
		Request:  cut(e.Request, MaxID),
		Address:  cut(e.Address, MaxAddress),
		Agent:    cut(e.Agent, MaxAgent),
	}, nil
}

// size is how many bytes of text e has.
func (e Entry) size() int {
	return len(e.Actor) + len(e.Org) + len(e.Session) + len(e.Action) + len(e.Resource) +
		len(e.Outcome) + len(e.Detail) + len(e.Request) + len(e.Address) + len(e.Agent)
}

// cut returns a copy of the beginning of s: at most limit bytes, without NULs,
// in valid UTF-8. No character is split.
func cut[S ~string](s S, limit int) S {
	text := string(s)
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, string(utf8.RuneError))
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "")
	}
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return S(strings.Clone(text))
}

// cutJSON returns a copy of s when it is a JSON text that fits, else a JSON
// string of its beginning: half a JSON text would be none.
func cutJSON(s string) string {
	if s == "" {
		return ""
	}
	if len(s) <= MaxDetail && utf8.ValidString(s) && json.Valid([]byte(s)) {
		return strings.Clone(s)
	}
	text, _ := json.Marshal(cut(s, (MaxDetail-len(`""`))/quoted)) // a string always encodes
	return string(text)
}
