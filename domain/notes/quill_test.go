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
	compare(t, 100_000, "testdata/quill.cjs", "NODE_PATH="+module(t, "quill-delta"), anyQuestion)
}

// The client in TypeScript computes the same, also the canonical form and what
// becomes of pending edits: it must, or its text is another.
func TestEditsAreThoseOfTheClient(t *testing.T) {
	t.Parallel()
	compiled := t.TempDir()
	tsc := exec.CommandContext(t.Context(), "node", filepath.Join(module(t, "typescript"), "typescript/bin/tsc"), "-p", "../../web/client", "--outDir", compiled)
	if said, err := tsc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if err := os.WriteFile(filepath.Join(compiled, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	compare(t, 30_000, "testdata/client.mjs", "CLIENT="+compiled, func(t *testing.T, rng *rand.Rand) (question, want []any) {
		question, want = anyQuestion(t, rng)
		text := question[0].(string)
		raw, edit := anyEdit(rng.IntN, text), anyEdit(rng.IntN, text).Normalize()
		var pending []notes.Delta
		for after := text; len(pending) < 3; after = apply(t, after, pending[len(pending)-1]) {
			pending = append(pending, anyEdit(rng.IntN, after).Normalize())
		}
		lifted, over := notes.Lift(pending, edit)
		return append(question, raw, pending, edit), append(want, raw.Normalize(), lifted, over)
	})
}

// module returns the directory of the npm modules, in which the one named is, with
// Node to run it.
func module(t *testing.T, name string) string {
	t.Helper()
	modules, err := filepath.Abs("../../.tools/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = exec.LookPath("node"); err == nil {
		_, err = os.Stat(filepath.Join(modules, name))
	}
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%v; make clients installs it", err)
	} else if err != nil {
		t.Skipf("%v; make clients installs it", err)
	}
	return modules
}

// compare has a script answer many questions, a line each, and compares its
// answers with what is wanted.
func compare(t *testing.T, pairs int, script, variable string, anyQuestion func(*testing.T, *rand.Rand) (question, want []any)) {
	t.Helper()
	for _, dir := range []string{"testdata", "../../web/client/src"} {
		if _, err := os.ReadDir(dir); err != nil { // so that go test knows what Node reads
			t.Fatal(err)
		}
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
	node := exec.CommandContext(t.Context(), "node", script)
	node.Env = append(os.Environ(), variable)
	questions := bytes.Split(asked.Bytes(), []byte("\n"))
	node.Stdin, node.Stdout, node.Stderr = bytes.NewReader(asked.Bytes()), &answered, os.Stderr
	if err := node.Run(); err != nil {
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
			t.Fatalf("%s: %s says %s, we say %s", questions[i], script, answer, ours)
		}
	}
}

// anyQuestion returns what a script is asked, and what it should answer.
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
