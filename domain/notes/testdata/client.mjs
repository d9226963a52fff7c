// Answers each line of standard input, [text, a, b, c, raw, pending, edit] with edits
// a and b of text and c of what a makes of it, with what the client in TypeScript
// makes of them.
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { delta } = await import(pathToFileURL(join(process.env.CLIENT, "index.js")));
const answers = [];
for await (const line of createInterface({ input: process.stdin })) {
  const [text, a, b, c, raw, pending, edit] = JSON.parse(line);
  answers.push(JSON.stringify([
    delta.apply(text, a), delta.compose(a, c), delta.transform(a, b, true), delta.transform(a, b, false), delta.invert(a, text),
    delta.normalize(raw), ...delta.lift(pending, edit),
  ]));
}
process.stdout.write(answers.join("\n"));
