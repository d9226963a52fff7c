package transcripts_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"connvo/domain/transcripts"
)

// file returns the chunks as a file, written in two pieces.
func file(f transcripts.Format, chunks ...transcripts.Spoken) string {
	w := transcripts.Writer{Format: f}
	half := len(chunks) / 2
	return string(w.End(w.Append(w.Append(nil, chunks[:half]), chunks[half:])))
}

func spoken(name, text string, start, end time.Duration) transcripts.Spoken {
	return transcripts.Spoken{Chunk: transcripts.Chunk{Position: 7, Text: text, Start: start, End: end, Confidence: 0.5}, Name: name}
}

func TestFilesAreWritten(t *testing.T) {
	chunks := []transcripts.Spoken{
		spoken("Ada <b>", "a --> b &\r\n\r\n<i>c", 0, 1500*time.Millisecond),
		spoken("", "42", 100*time.Hour+61*time.Second, 100*time.Hour+62*time.Second),
	}
	for f, want := range map[transcripts.Format]string{
		transcripts.Txt: "[00:00:00.000] Ada <b>: a --> b & <i>c\n[100:01:01.000] 42\n",
		transcripts.SRT: "1\n00:00:00,000 --> 00:00:01,500\nAda ‹b›: a → b & ‹i›c\n\n2\n100:01:01,000 --> 100:01:02,000\n42\n\n",
		transcripts.VTT: "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.500\n<v Ada &lt;b&gt;>a --&gt; b &amp; &lt;i&gt;c\n\n2\n100:01:01.000 --> 100:01:02.000\n42\n",
		transcripts.JSON: `{"items":[` + "\n" + `{"position":7,"startMs":0,"endMs":1500,"speakerId":null,"speakerLabel":null,"speakerName":"Ada \u003cb\u003e","text":"a --\u003e b \u0026\r\n\r\n\u003ci\u003ec","confidence":0.5,"language":null},` + "\n" +
			`{"position":7,"startMs":360061000,"endMs":360062000,"speakerId":null,"speakerLabel":null,"speakerName":null,"text":"42","confidence":0.5,"language":null}]}` + "\n",
	} {
		if got := file(f, chunks...); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", f, got, want)
		}
	}
	for f, want := range map[transcripts.Format]string{transcripts.Txt: "", transcripts.SRT: "", transcripts.VTT: "WEBVTT\n", transcripts.JSON: `{"items":[]}` + "\n"} {
		if got := file(f); got != want {
			t.Errorf("%s of nothing: %q, want %q", f, got, want)
		}
	}
}

// cue is what a player sees.
type cue struct{ start, end, name, text string }

var timing = regexp.MustCompile(`^(\d{2,}:\d\d:\d\d[.,]\d{3}) --> (\d{2,}:\d\d:\d\d[.,]\d{3})$`)

// cues reads subtitles as players do: blocks between blank lines, each with a line that
// has the arrow.
func cues(t *testing.T, text string) (all []cue) {
	text = strings.TrimPrefix(text, "WEBVTT\n")
	for block := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if block == "" {
			continue
		}
		lines := strings.Split(block, "\n")
		if len(lines) != 3 || strings.Count(block, "-->") != 1 {
			t.Fatalf("block %q", block)
		}
		times := timing.FindStringSubmatch(lines[1])
		if lines[0] != fmt.Sprint(len(all)+1) || times == nil {
			t.Fatalf("block %q", block)
		}
		all = append(all, cue{start: times[1], end: times[2], text: lines[2]})
	}
	return all
}

var voice = regexp.MustCompile(`^<v ([^<>]+)>`)

func FuzzFiles(f *testing.F) {
	f.Add("Ada", "hello\n\n2\n00:00:00,000 --> 00:00:01,000\nforged", "", "<v Bob>&lt;", uint32(5))
	f.Fuzz(func(t *testing.T, name1, text1, name2, text2 string, ms uint32) {
		at := time.Duration(ms%604_800_000) * time.Millisecond
		chunks := []transcripts.Spoken{spoken(name1, "x"+text1, at, at+1), spoken(name2, "x"+text2, at, at+time.Second)}
		srt, vtt := cues(t, file(transcripts.SRT, chunks...)), cues(t, file(transcripts.VTT, chunks...))
		txt := strings.Split(file(transcripts.Txt, chunks...), "\n")
		if len(srt) != 2 || len(vtt) != 2 || len(txt) != 3 {
			t.Fatalf("%d, %d and %d cues", len(srt), len(vtt), len(txt))
		}
		for i := range chunks {
			v := vtt[i]
			if m := voice.FindStringSubmatch(v.text); m != nil {
				v.name, v.text = unescape.Replace(m[1])+": ", v.text[len(m[0]):]
			}
			if strings.ContainsAny(v.text, "<>") {
				t.Fatalf("markup in %q", v.text)
			}
			// What a player shows is the line of the text file, which has it as it was said.
			said := v.name + unescape.Replace(v.text)
			if line := "[" + v.start + "] " + said; line != txt[i] {
				t.Fatalf("%q, in text %q", line, txt[i])
			}
			if strings.ContainsAny(srt[i].text, "<>") || strings.Replace(srt[i].start, ",", ".", 1) != v.start {
				t.Fatalf("%+v", srt[i])
			}
		}
		var document struct {
			Items []struct{ Text string } `json:"items"`
		}
		if err := json.Unmarshal([]byte(file(transcripts.JSON, chunks...)), &document); err != nil || len(document.Items) != 2 {
			t.Fatal(err, document)
		}
	})
}

// unescape is what a WebVTT parser does with what is escaped here; html knows more.
var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
