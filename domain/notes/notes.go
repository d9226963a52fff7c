// Package notes is the shared document of a meeting.
//
// A document changes by Deltas, which may be made at the same time in many
// places. The server puts them into one order and rewrites each for the document
// it meets ([Client.Rebase]); every client does the same with what it has not yet
// sent ([Lift]). Both walk the same squares of Transform, one edit against one
// edit, and so come to the same text: docs/notes.md tells how, and why edits are
// never put together on the way.
package notes

// What is taken from a client. Lengths are UTF-16 code units.
const (
	MaxDocument = 100_000   // of a document, some 40 pages
	MaxInsert   = 20_000    // of all that one edit inserts, a pasted article
	MaxOps      = 2_000     // in one edit: everything replaced in a document, word by word, takes several
	MaxEdits    = 500       // in one request: a minute of typing
	MaxJSON     = 256 << 10 // bytes of one edit: MaxInsert units as \u escapes, and MaxOps lengths
)
