package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"connvo/db"
)

// wordIndex is a full-text index over the notes, by way of a view.
const wordIndex = `
CREATE VIEW note_texts AS SELECT seq, hex(topic) AS about, text FROM notes;
CREATE VIRTUAL TABLE note_words USING fts5 (about, text, content = 'note_texts', content_rowid = 'seq');
CREATE VIRTUAL TABLE own_words USING fts5 (text);
CREATE TRIGGER notes_written AFTER INSERT ON notes BEGIN
  INSERT INTO note_words (rowid, about, text) VALUES (NEW.seq, hex(NEW.topic), NEW.text);
END;`

func withIndex(o *db.Options) { o.Schema += wordIndex }

// Nothing tells the catalogue that MATCH reads a text; the index stands for it.
func TestFullTextIndexStandsForItsColumns(t *testing.T) {
	d := open(t, withIndex)
	deps := dependencies(t, d, "SELECT n.author FROM note_words w JOIN notes n ON n.seq = w.rowid WHERE w.note_words MATCH ?2 AND n.topic = ?1\n-- scope: notes.topic=?1", "a", "x")
	if len(deps) != 1 || deps[0].Whole || deps[0].Columns != columns(seq, topic, author, body) {
		t.Errorf("in a scope: %+v", deps)
	}
	deps = dependencies(t, d, "SELECT rowid FROM note_words WHERE note_words MATCH ?1", "x")
	if len(deps) != 1 || !deps[0].Whole || deps[0].Columns != columns(seq, topic, body) {
		t.Errorf("without its table: %+v", deps)
	}
}

// A rank counts the words of all rows, which no scope pins.
func TestFullTextOrderOfRankIsRefused(t *testing.T) {
	d := open(t, withIndex)
	for query, want := range map[string]string{
		"SELECT rowid FROM note_words WHERE note_words MATCH 'x' ORDER BY rowid":                 "",
		"SELECT rowid FROM note_words WHERE note_words MATCH 'x' ORDER BY rank":                  "ranks by words",
		"SELECT rowid, rank FROM note_words WHERE note_words MATCH 'x'":                          "ranks by words",
		"SELECT rowid FROM note_words WHERE note_words MATCH 'x' ORDER BY bm25(note_words, 1.0)": "ranks by words",
		"SELECT rowid FROM own_words WHERE own_words MATCH 'x'":                                  "does not know",
		"SELECT about FROM note_texts":                                                           "does not know",
	} {
		_, err := observe(t.Context(), d, query)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

// What an index keeps for itself concerns nobody: a change is told once.
func TestFullTextIndexIsNoChangeOfItsOwn(t *testing.T) {
	d := open(t, withIndex)
	var sets []db.ChangeSet
	d.OnCommit(func(s db.ChangeSet) { sets = append(sets, s) })
	err := d.Write(context.Background(), func(tx *db.WriteTx) error {
		_, err := tx.Exec("INSERT INTO notes (seq, topic, author, text) VALUES (1, 'a', 'ann', 'words of a note')")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if len(sets) != 1 || len(sets[0].Changes) != 1 || !sets[0].Has("notes") {
		t.Errorf("%+v", sets)
	}
	if slices.ContainsFunc(sets, func(s db.ChangeSet) bool { return s.Has("note_words") || s.Has("note_words_data") }) {
		t.Error("the index changed")
	}
}
