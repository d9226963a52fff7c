// So many clients of web/client write the notes of one meeting, crash and come
// back, until each knows that all of its edits are applied. Then all must have the
// text of the server, in which each mark that was typed stands once.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const { connect, delta } = await import(pathToFileURL(join(process.env.CLIENT, "index.js")));
const { URL: url, TOKEN: token, MEETING: meetingId } = process.env;
const [seed, writers, edits, offline] = ["SEED", "WRITERS", "EDITS", "OFFLINE"].map((name) => Number(process.env[name]));
const deletes = process.env.DELETES === "yes";

// chance returns numbers from 0 to n-1 that are the same for the same seed.
const chance = (seed) => (n) => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
};

const marksOf = (text, writer) => (text.match(/<[0-9]+\.[0-9]+>/g) ?? []).filter((mark) => mark.startsWith(`<${writer}.`));

class Writer {
  constructor(number) {
    this.number = number;
    this.chance = chance(seed * 1000 + number);
    this.client = connect({ url, token, retries: 20 }); // it opens notes while the server starts again
    this.cursors = 0;
  }

  // open goes on from what was written down, and forgets what was not.
  async open() {
    let kept = this.kept;
    const store = { dead: false, load: () => kept && JSON.parse(kept), save: (state) => {
      if (store.dead) throw new Error("the program has ended");
      this.kept = kept = JSON.stringify(state);
    } };
    this.store = store;
    this.doc = await this.client.notes(meetingId, { store, on: (e) => this.happened(e) });
    this.shadow = this.doc.text;
    this.marks = new Set(marksOf(this.doc.text, this.number));
    this.cursor = this.doc.cursor(this.shadow.length);
  }

  // The changes that are told lead to the text that is shown.
  happened(e) {
    if (e.type !== "change" || this.shadow === undefined) return;
    this.shadow = delta.apply(this.shadow, e.delta);
    assert.equal(this.shadow, this.doc.text);
    assert.ok(this.cursor.at >= 0 && this.cursor.at <= this.shadow.length);
  }

  edit() {
    const { doc } = this;
    const letters = Array.from(doc.text.slice(0, 2000)); // whole characters
    let at = Array.from({ length: this.chance(letters.length + 1) }, (_, i) => letters[i].length).reduce((a, b) => a + b, 0);
    if (deletes && this.chance(3) === 0 && at < doc.text.length) {
      const end = Array.from(doc.text.slice(at)).slice(0, 1 + this.chance(6)).join("").length;
      doc.replace(at, end, this.chance(2) ? "" : "😀");
      return;
    }
    while (!deletes && /<[0-9.]*$/.test(doc.text.slice(0, at))) at--; // not within a mark
    this.made = (this.made ?? 0) + 1;
    const mark = `<${this.number}.${this.made}>`;
    this.marks.add(mark);
    doc.replace(at, 0, mark);
  }

  async crash() {
    this.store.dead = true;
    this.shadow = undefined;
    await this.doc.close().catch(() => undefined);
    await this.open();
  }

  async write() {
    await this.open();
    for (let i = 0; i < (this.number === 0 ? offline : 0); i++) this.edit();
    for (let i = 0; i < edits; i++) {
      this.edit();
      if (this.chance(4) > 0) await sleep(this.chance(60));
      if (i < edits / 2 && this.number > 0 && this.chance(40) === 0) await this.crash();
      if (i === edits / 2) process.stdout.write("half\n");
    }
    await this.doc.flush();
  }
}

const all = Array.from({ length: writers }, (_, i) => new Writer(i));
try {
  await Promise.all(all.map((w) => w.write()));
  const note = await all[0].client.get("/v1/meetings/{meetingId}/notes", { path: { meetingId } });
  for (const w of all) {
    while (w.doc.version < note.version) await sleep(10);
    assert.equal(w.doc.text, note.content, `writer ${w.number}`);
    if (!deletes) assert.deepEqual(marksOf(note.content, w.number).sort(), [...w.marks].sort(), `the marks of writer ${w.number}`);
  }
  process.stdout.write(`equal ${note.version} ${note.content.length}\n`);
} catch (e) {
  console.error(`SEED=${seed}:`, e);
  process.exitCode = 1;
}
for (const w of all) await w.client.close();
process.exit();
