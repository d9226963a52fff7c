// Answers each line of standard input, [text, a, b, c] with edits a and b of text
// and c of what a makes of it, with what quill-delta makes of them.
const Delta = require("quill-delta")
const { createInterface } = require("node:readline")

const answers = []
createInterface({ input: process.stdin }).on("line", (line) => {
  const [text, a, b, c] = JSON.parse(line).map((ops) => (Array.isArray(ops) ? new Delta(ops) : ops))
  const document = new Delta().insert(text)
  answers.push(
    JSON.stringify([
      document.compose(a).reduce((all, op) => all + op.insert, ""),
      a.compose(c).ops,
      b.transform(a, false).ops, // a first
      b.transform(a, true).ops,
      a.invert(document).ops,
    ]),
  )
}).on("close", () => process.stdout.write(answers.join("\n")))
