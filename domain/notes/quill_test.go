package notes_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"connvo/domain/notes"
)

// The same is computed by an algorithm that others have written: npm's
// quill-delta, on as many pairs. Its b.transform(a, true) is Transform(a, b,
// false): what has priority there stands first here. Left out is what it sees
// otherwise: it transforms edits as they are, canonical or not, writes down
// insertions of nothing, and parts surrogate pairs.
func TestEditsAreThoseOfQuill(t *testing.T) {
	t.Parallel()
	const pairs = 100_000
	modules, err := filepath.Abs("../../.tools/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "quill-delta"))
	}
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%v; make clients installs it", err)
	} else if err != nil {
		t.Skipf("%v; make clients installs it", err)
	}
	var asked, answered bytes.Buffer
	rng, want := rand.New(rand.NewPCG(1, 1)), make([][]any, pairs)
	for i := range want {
		var question []any
		question, want[i] = anyQuestion(t, rng)
		if err := json.NewEncoder(&asked).Encode(question); err != nil {
			t.Fatal(err)
		}
	}
	quill := exec.CommandContext(t.Context(), node, "testdata/quill.cjs")
	quill.Env = append(os.Environ(), "NODE_PATH="+modules)
	questions := bytes.Split(asked.Bytes(), []byte("\n"))
	quill.Stdin, quill.Stdout, quill.Stderr = bytes.NewReader(asked.Bytes()), &answered, os.Stderr
	if err := quill.Run(); err != nil {
		t.Fatal(err)
	}
	answers := bytes.Split(answered.Bytes(), []byte("\n"))
	if len(answers) != pairs {
		t.Fatalf("%d answers", len(answers))
	}
	for i, answer := range answers {
		ours, err := json.Marshal(want[i])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(answer, ours) {
			t.Fatalf("%s: quill-delta says %s, we say %s", questions[i], answer, ours)
		}
	}
}

// anyQuestion returns what quill.cjs is asked, and what it should answer.
func anyQuestion(t *testing.T, rng *rand.Rand) (question, want []any) {
	text := anyText(rng.IntN, 1+rng.IntN(30))
	a, b := anyEdit(rng.IntN, text).Normalize(), anyEdit(rng.IntN, text).Normalize()
	after := apply(t, text, a)
	c := anyEdit(rng.IntN, after).Normalize()
	undo, err := a.Invert(text)
	if err != nil {
		t.Fatal(err)
	}
	return []any{text, a, b, c}, []any{after, compose(t, a, c), notes.Transform(a, b, true), notes.Transform(a, b, false), undo}
}
