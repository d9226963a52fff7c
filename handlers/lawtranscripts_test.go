package handlers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"pgregory.net/rapid"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/insights"
	"connvo/domain/transcripts"
	"connvo/jobs"
)

// lawTranscripts are feeds of whole transcripts and of parts of them. What a member
// said is not followed: when a label is named it is more than what was sent.
func lawTranscripts(w *lawWorld) []string {
	paths := each(w.meetings, "/v1/meetings/%s/transcripts?limit=3")
	for _, parameters := range []string{"", "&speaker=A", "&fromMs=1000&toMs=3000"} {
		paths = append(paths, each(w.meetings, "/v1/meetings/%s/transcripts?after=0"+parameters)...)
	}
	return paths
}

// lawSegments are all segments, and those of a label, of a person, of a time.
func lawSegments(w *lawWorld) []string {
	paths := each(w.meetings, "/v1/meetings/%s/segments")
	for _, parameters := range []string{"?limit=1", "?speaker=A", "?speaker=" + w.people[0], "?fromMs=1000&toMs=3000"} {
		paths = append(paths, each(w.meetings, "/v1/meetings/%s/segments"+parameters)...)
	}
	return paths
}

// lawChunks is what a random person says, or says that another has said.
func lawChunks(t *rapid.T, w *lawWorld) (string, string) {
	chunks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) json.RawMessage {
		start := rapid.IntRange(0, 5000).Draw(t, "start")
		who := rapid.SampledFrom([]string{"", `"speakerLabel":"A",`, `"speakerLabel":"B",`, fmt.Sprintf(`"speakerId":%q,`, w.people[0])}).Draw(t, "speaker")
		which := rapid.SampledFrom([]string{"", `"utteranceId":"u1",`, `"utteranceId":"u2",`, `"interim":true,`, `"interim":true,"utteranceId":"u1",`, `"interim":true,"utteranceId":"u3",`}).Draw(t, "which")
		return json.RawMessage(fmt.Sprintf(`{%s%s"text":"word","confidence":0.5,"startMs":%d,"endMs":%d}`, who, which, start, start+500))
	}), 1, 3).Draw(t, "chunks")
	body, err := json.Marshal(map[string]any{"chunks": chunks})
	if err != nil {
		t.Fatal(err)
	}
	return w.drawMeeting(t) + "/transcripts", string(body)
}

// lawSpeaker names a speaker, or not.
func lawSpeaker(t *rapid.T, w *lawWorld) (string, string) {
	return w.drawMeeting(t) + "/speakers/" + rapid.SampledFrom([]string{"A", "B"}).Draw(t, "label"),
		fmt.Sprintf(`{"userId":%q}`, rapid.SampledFrom(w.people).Draw(t, "whom"))
}

// settleChunks lets happen what follows from what was said.
func (w *lawWorld) settleChunks(t *rapid.T) {
	effect, err := transcripts.NewSettler(w.server.db).Settle(w.server.ctx, jobs.Task{})
	if err == nil {
		err = w.server.db.WriteBackground(w.server.ctx, func(tx *db.WriteTx) error {
			defer func() { w.commit = max(w.commit, tx.Number()) }()
			return errors.Join(effect(tx), w.eraseDeleted(tx))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// eraseDeleted does a part of what follows from the deletion of transcripts.
func (w *lawWorld) eraseDeleted(tx *db.WriteTx) error {
	for _, id := range w.meetings {
		m := domain.MeetingID(id)
		deleted, err := transcripts.Deleted(tx, m)
		if err == nil && deleted {
			_, err = transcripts.Erase(tx, m)
		}
		if err == nil && deleted {
			_, err = insights.Unhear(tx, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// speakerID is who speaks, in a chunk as it is sent.
var speakerID = regexp.MustCompile(`"speakerId":(null|"[^"]*"),("speakerLabel":)`)

// notFinal takes what is told beside the items, which changes none of them. It is
// never of an utterance of which the item was told.
func (p *lawPath) notFinal(data string) error {
	var list struct {
		Items []struct {
			Position    *int64
			UtteranceID string
		}
	}
	if err := json.Unmarshal([]byte(data), &list); err != nil {
		return err
	}
	for _, text := range list.Items {
		if text.Position != nil {
			return fmt.Errorf("%s: what is not final is at %d", p.path, *text.Position)
		}
		for _, item := range p.items {
			if text.UtteranceID != "" && strings.Contains(string(item), fmt.Sprintf(`"utteranceId":%q`, text.UtteranceID)) {
				return fmt.Errorf("%s: %s is told, of which there is %s", p.path, data, item)
			}
		}
	}
	if len(list.Items) == 0 || !strings.Contains(p.path, "/transcripts") {
		return fmt.Errorf("%s: %s", p.path, data)
	}
	return nil
}

// lasting is what of an item never changes: who speaks under a label is told when it
// is asked, and not sent again.
func lasting(item json.RawMessage) json.RawMessage { return speakerID.ReplaceAll(item, []byte("$2")) }
