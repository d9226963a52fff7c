package notes_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"connvo/domain"
	"connvo/domain/notes"
)

func TestParseTakes(t *testing.T) {
	for text, want := range map[string]string{
		` [ { "retain" : 3 } , {"insert":"a\"\\ü"},{"delete":1000000} ] `: `[{"retain":3},{"insert":"a\"\\ü"},{"delete":1000000}]`,
		`[{"insert":"\ud83d\ude00"}]`:                                     `[{"insert":"😀"}]`,
		`[{"insert":"\uD83D\uDE00\\ud83d"}]`:                              `[{"insert":"😀\\ud83d"}]`,
		`[{"insert":"\ufffd�"}]`:                                          `[{"insert":"��"}]`,
		`[{"delete":1},{"insert":"x"},{"retain":7}]`:                      `[{"delete":1},{"insert":"x"},{"retain":7}]`,
		fmt.Sprintf(`[{"insert":%q}]`, strings.Repeat("ü", 20_000)):       fmt.Sprintf(`[{"insert":%q}]`, strings.Repeat("ü", 20_000)),
		`[{"insert":"` + strings.Repeat(`\u00fc`, 20_000) + `"}]`:         fmt.Sprintf(`[{"insert":%q}]`, strings.Repeat("ü", 20_000)),
		"[" + strings.Repeat(`{"delete":1},`, 1999) + `{"delete":1}]`:     "[" + strings.Repeat(`{"delete":1},`, 1999) + `{"delete":1}]`,
	} {
		if d, err := notes.Parse([]byte(text)); err != nil || show(d) != want {
			t.Errorf("%.80s: %.80s, %v", text, show(d), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		``, `null`, `{}`, `"x"`, `1`, `[`, `[null]`, `[1]`, `["x"]`, `[[]]`, `[{}]`, `[{"retain":1}`, `[{"insert":"x"}`, `[{"insert":"x"},]`,
		`[{"insert":"x"}] 1`, `[{"insert":"x"}][]`, `[{"insert":"x"}]]`, `[{"insert":"x"} {"insert":"x"}]`,
		`[{"insert":"x","insert":"x"}]`, `[{"retain":1,"delete":1}]`, `[{"retain":1,"attributes":{}}]`, `[{"Insert":"x"}]`, `[{"embed":"x"}]`,
		`[{"delete":01}]`, `[{"delete":+1}]`, `[{"delete":}]`, `[{"delete":`, `[{"insert":"`, `[{"insert":"\`, `[{"insert":"\"}]`, `[{"insert":"\x"}]`, `[{"insert":"\u12g4"}]`,
		`[{"in\u0073ert":"x"}]`, `[{"insert"}]`, `[{"retain""delete":1}]`, `[{"delete" 1}]`, `["delete":1]`, `[{insert:"x"}]`, `[{'insert':'x'}]`, `[,{"insert":"x"}]`,
		`[{"retain":0},{"insert":"x"}]`, `[{"delete":0}]`, `[{"delete":-1}]`, `[{"delete":1.5}]`, `[{"delete":1.0}]`, `[{"delete":1e2}]`, `[{"delete":"1"}]`,
		`[{"delete":1000001}]`, `[{"delete":4294967297}]`, `[{"delete":18446744073709551617}]`, `[{"delete":NaN}]`, `[{"delete":Infinity}]`,
		`[{"delete":null}]`, `[{"delete":true}]`, `[{"delete":[1]}]`, `[{"insert":1}]`, `[{"insert":null}]`, `[{"insert":{}}]`, `[{"insert":["x"]}]`,
		`[]`, ` [ ] `, `[{"insert":""}]`, `[{"retain":5}]`, `[{"retain":5},{"retain":1}]`, `[{"insert":"a\u0000"}]`,
		`[{"insert":"\ud83d"}]`, `[{"insert":"\ude00"}]`, `[{"insert":"\ude00\ud83d"}]`, `[{"insert":"\ud83d\ud83d"}]`, `[{"insert":"a\\\ud83dx\ude00"}]`,
		"[{\"insert\":\"\xed\xa0\xbd\"}]", "[{\"insert\":\"\xff\"}]", "[{\"insert\":\"a\nb\"}]",
		`[{"insert":"` + strings.Repeat("x", notes.MaxInsert) + `"},{"insert":"x"}]`,
		`[{"insert":"` + strings.Repeat("😀", notes.MaxInsert/2) + `x"}]`,
		"[" + strings.Repeat(`{"delete":1},`, notes.MaxOps) + `{"delete":1}]`,
		strings.Repeat(" ", notes.MaxJSON) + `[{"insert":"x"}]`,
	} {
		if d, err := notes.Parse([]byte(text)); domain.KindOf(err) != domain.Invalid {
			t.Errorf("%.80s: %s, %v", text, show(d), err)
		}
	}
}

func TestWhatIsStoredCanBeNothing(t *testing.T) {
	for _, d := range []notes.Delta{nil, {}, {notes.Retain(2_000_000)}, {notes.Insert("<😀>\u2028")}} {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back notes.Delta
		if err := json.Unmarshal(text, &back); len(d) > 0 && d[0] == notes.Retain(2_000_000) {
			if err == nil {
				t.Errorf("%s is read", text)
			}
		} else if err != nil || !back.Equal(d) {
			t.Errorf("%s: %s, %v", text, show(back), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"retain":3},{"insert":"a\ud83d\ude00"},{"delete":1}]`))
	f.Add([]byte(`[{"insert":"\ud83d\\ude00"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := notes.Parse(data)
		if err != nil {
			if domain.KindOf(err) != domain.Invalid {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if again, err := notes.Parse([]byte(show(d))); err != nil || !again.Equal(d) {
			t.Fatalf("%q: %s, %v", data, show(again), err)
		}
		if strings.Contains(show(d), `\ufffd`) || !utf8.ValidString(show(d)) {
			t.Fatalf("%q holds what no document may: %q", data, show(d))
		}
		// encoding/json says the same of what both take.
		var loose []struct {
			Retain, Delete int
			Insert         string
		}
		if err := json.Unmarshal(data, &loose); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		var same notes.Delta
		for _, op := range loose {
			switch {
			case op.Insert != "":
				same = append(same, notes.Insert(op.Insert))
			case op.Retain != 0:
				same = append(same, notes.Retain(op.Retain))
			default:
				same = append(same, notes.Delete(op.Delete))
			}
		}
		if !same.Equal(d) {
			t.Fatalf("%q: %s, want %s", data, show(d), show(same))
		}
	})
}
