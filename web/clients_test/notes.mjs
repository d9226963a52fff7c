// What can happen to one open document of web/client, on a real server: Ada is the
// host of the meeting, Grace takes part.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const { connect } = await import(pathToFileURL(join(process.env.CLIENT, "index.js")));
const { URL: url, TOKEN: token, GUEST: guest, GUESTID: userId } = process.env;
const ada = connect({ url, token });
const grace = connect({ url, token: guest });

const plan = async () => {
  const meeting = await ada.post("/v1/meetings", { body: { title: "Plan", participants: [{ userId, role: "participant" }] } });
  const path = { meetingId: meeting.id };
  return { id: meeting.id, path, text: async () => (await ada.get("/v1/meetings/{meetingId}/notes", { path })).content };
};
const until = async (holds) => {
  while (!holds()) await sleep(5);
};
const memory = (state) => ({ state, saves: 0, load() { return this.state; }, save(next) { this.state = JSON.parse(JSON.stringify(next)); this.saves++; } });
/**
 * Faulty is Ada's client on a network that loses edits while lost says so: "request",
 * before the server has them, or "answer", after it. It notes what was sent, with its status.
 */
const faulty = () => {
  const network = { lost: "", sent: [], statuses: [] };
  const fetch = async (url, init) => {
    if (init?.method !== "POST" || !url.endsWith("/notes/ops")) return globalThis.fetch(url, init);
    network.sent.push(init.body);
    if (network.lost === "request") throw new TypeError("lost");
    const answer = await globalThis.fetch(url, init);
    network.statuses.push(answer.status);
    if (network.lost === "answer") throw new TypeError("lost");
    return answer;
  };
  return { client: connect({ url, token, fetch }), network };
};
const edits = async (path) => (await ada.get("/v1/meetings/{meetingId}/notes/ops", { path, query: { after: 0, limit: 200 } })).items;

const tests = {
  "what is typed on while a request is on its way is one edit": async () => {
    const { id, path, text } = await plan();
    const doc = await ada.notes(id);
    for (const letter of "Hello, world") doc.replace(doc.text.length, 0, letter);
    doc.replace(5, 1, "");
    await doc.flush();
    assert.equal(await text(), "Hello world");
    assert.ok((await edits(path)).length <= 3);
  },

  "a long text is pasted, and what cannot be in notes is replaced": async () => {
    const { id, text } = await plan();
    const doc = await ada.notes(id);
    const long = "a" + "😀".repeat(25_000);
    doc.replace(0, 0, long);
    doc.replace(1, 0, "x\0\ud83dy");
    await doc.flush();
    assert.equal(await text(), `ax\ufffd\ufffdy${long.slice(1)}`);
    assert.throws(() => doc.replace(6, 0, "x"), RangeError); // within a pair
    assert.throws(() => doc.replace(0, 1e6, "x"), RangeError);
    assert.throws(() => doc.replace(0, 0, "x".repeat(60_000)), RangeError);
    doc.setText("b😁");
    await doc.flush();
    assert.equal(await text(), "b😁");
  },

  "a cursor moves with what others write, and is shared": async () => {
    const { id } = await plan();
    const [one, two] = [await ada.notes(id), await grace.notes(id)];
    one.replace(0, 0, "Hello world");
    await one.flush();
    await until(() => two.text === "Hello world");
    const mine = two.cursor(6);
    one.replace(0, 5, "Good morning");
    two.replace(6, 0, "my ");
    assert.equal(mine.at, 9);
    await Promise.all([one.flush(), two.flush()]);
    await until(() => one.text === two.text && one.version === two.version);
    assert.equal(two.text, "Good morning my world");
    assert.equal(mine.at, 16);
    two.replace(0, 0, "> ");
    const shared = two.share(mine.at); // with an edit that nobody else has
    assert.deepEqual(shared, { version: one.version, at: 16 });
    one.replace(0, 1, "g");
    assert.equal(one.place(shared.version, shared.at), 16);
    assert.equal(one.place(1, 0), undefined);
  },

  "a lock and the loss of rights are told, and edits wait": async () => {
    const { id, path, text } = await plan();
    const seen = [];
    const doc = await grace.notes(id, { on: (e) => e.type === "status" && seen.push(e.status) });
    doc.replace(0, 0, "one");
    await doc.flush();
    await ada.put("/v1/meetings/{meetingId}/notes/lock", { path, body: { locked: true } });
    await until(() => doc.status === "locked");
    doc.replace(3, 0, " two");
    await ada.put("/v1/meetings/{meetingId}/notes/lock", { path, body: { locked: false } });
    await doc.flush();
    await ada.patch("/v1/meetings/{meetingId}/participants/{userId}", { path: { ...path, userId }, body: { role: "observer" } });
    doc.replace(7, 0, " three");
    await until(() => doc.status === "forbidden");
    assert.equal(doc.problem.status, 403);
    await ada.patch("/v1/meetings/{meetingId}/participants/{userId}", { path: { ...path, userId }, body: { role: "participant" } });
    await doc.flush();
    assert.equal(await text(), "one two three");
    await ada.put("/v1/meetings/{meetingId}/notes/lock", { path, body: { locked: true } });
    await until(() => doc.status === "locked");
    doc.replace(0, 0, "never "); // waits, so that it cannot be stored before who wrote it is removed
    await ada.delete("/v1/meetings/{meetingId}/participants/{userId}", { path: { ...path, userId } });
    assert.equal((await doc.closed).status, 404);
    assert.equal(doc.text, "never one two three");
    await assert.rejects(doc.flush(), (e) => e.status === 404);
    // Whatever happens, and time, may open the notes again, so that it tries again, and may be refused again.
    const refused = seen.filter((status) => !["live", "offline"].includes(status));
    assert.match(refused.filter((status, i) => refused[i - 1] !== status).join(" "), /^locked forbidden locked (forbidden )?ended$/);
  },

  "what is too long waits until something is removed": async () => {
    const { id, text } = await plan();
    const [one, two] = [await ada.notes(id), await grace.notes(id)];
    one.replace(0, 0, "a".repeat(60_000));
    two.replace(0, 0, "b".repeat(60_000));
    await Promise.any([one.flush(), two.flush()]);
    await until(() => one.status === "refused" || two.status === "refused");
    const late = one.status === "refused" ? one : two;
    assert.equal(late.problem.status, 422);
    const at = late.text.indexOf(late === one ? "a" : "b");
    late.replace(at, 30_000, "");
    await Promise.all([one.flush(), two.flush()]);
    assert.equal((await text()).length, 90_000);
    await until(() => one.text === two.text);
  },

  "a document that somebody else's client has begun is gone on with": async () => {
    const { id, text } = await plan();
    const store = memory();
    const first = await ada.notes(id, { store });
    first.replace(0, 0, "Ada");
    await first.flush();
    await first.close();
    const stolen = memory({ ...store.state, unsent: [[{ insert: "Grace, " }]] });
    const doc = await grace.notes(id, { store: stolen });
    assert.equal(doc.text, "Grace, Ada");
    await doc.flush();
    assert.equal(await text(), "Grace, Ada");
    assert.notEqual(stolen.state.clientId, store.state.clientId);
  },

  "two that share a store lose nothing": async () => {
    const { id, text } = await plan();
    const store = memory();
    const begin = await ada.notes(id, { store });
    begin.replace(0, 0, ".");
    await begin.flush();
    await begin.close();
    const [one, two] = [await ada.notes(id, { store: memory(store.state) }), await ada.notes(id, { store: memory(store.state) })];
    one.replace(0, 0, "one");
    two.replace(1, 0, "two");
    await one.flush();
    await two.flush();
    await until(() => one.text === two.text);
    assert.equal(await text(), "one.two");
  },

  "a base that the server does not know is left, with nothing lost": async () => {
    const sent = [{ clientSeq: 7, ops: [{ retain: 15 }, { insert: "!" }] }];
    const lost = (base) => ({ clientId: "from-a-lost-copy", base, content: "Hello old world", sent, request: { baseVersion: base, edits: sent }, unsent: [], clientSeq: 7 });
    const { id, text } = await plan();
    const other = await grace.notes(id);
    other.replace(0, 0, "Hello world");
    await other.flush();
    const store = memory(lost(other.version + 1_000_000));
    const doc = await ada.notes(id, { store });
    doc.replace(0, 0, "> ");
    await doc.flush();
    assert.equal(await text(), "> Hello world!");
    assert.equal(doc.text, "> Hello world!");
    doc.replace(0, 2, "");
    await doc.flush();
    await until(() => other.text === "Hello world!");
  },

  "who only reads has the document loaded anew, too": async () => {
    const { id, path, text } = await plan();
    const other = await ada.notes(id);
    other.replace(0, 0, "Hello");
    await other.flush();
    await ada.patch("/v1/meetings/{meetingId}/participants/{userId}", { path: { ...path, userId }, body: { role: "observer" } });
    const doc = await grace.notes(id, { store: memory({ clientId: "of-a-reader", base: other.version + 1_000_000, content: "Hello old world", sent: [], request: null, unsent: [], clientSeq: 3 }) });
    await until(() => doc.text === "Hello");
    other.replace(5, 0, ", Grace");
    await until(() => doc.text === "Hello, Grace");
    assert.equal(doc.status, "live");
    assert.equal(await text(), "Hello, Grace");
  },

  "what is no edit is refused at once, and nothing waits behind it": async () => {
    const { id, text } = await plan();
    const doc = await ada.notes(id);
    doc.replace(0, 0, "Hello");
    for (const op of [{ retain: 1.5 }, { retain: -1 }, { delete: NaN }, { delete: Infinity }, { retain: "1" }, {}, { embed: 1 }, { insert: { image: "x" } }, { insert: "x", attributes: { bold: true } }]) {
      assert.throws(() => doc.edit([op, { insert: "x" }]), RangeError, JSON.stringify(op));
    }
    assert.equal(doc.text, "Hello");
    await doc.flush();
    assert.equal(await text(), "Hello");
  },

  "a request without an answer is sent again as it was": async () => {
    for (const lost of ["request", "answer"]) {
      const { id, path, text } = await plan();
      const { client, network } = faulty();
      const [one, two] = [await client.notes(id), await grace.notes(id)];
      one.replace(0, 0, "Hello world");
      await one.flush();
      await until(() => two.text === "Hello world");
      const before = network.sent.length;
      network.lost = lost;
      one.replace(0, 6, "");
      await until(() => network.sent.length > before);
      one.replace(0, 0, "Dear ");
      two.replace(0, 6, "");
      await two.flush();
      await until(() => one.version >= two.version || lost === "answer");
      await until(() => one.text === "Dear world");
      network.lost = "";
      await one.flush();
      assert.equal(await text(), "Dear world");
      // Each number is sent in one form, however often it takes, as what was typed meanwhile may also have to be repeated.
      const forms = new Set(network.sent);
      assert.equal(forms.size, new Set([...forms].map((body) => JSON.parse(body).edits[0].clientSeq)).size, lost);
      if (lost === "request") assert.ok(network.sent.filter((body) => body === network.sent[before]).length > 1);
      assert.deepEqual(new Set(network.statuses), new Set([200]));
      const [, hers, his] = lost === "request" ? (await edits(path)).map((e) => e.ops) : [0, 0, 0];
      if (lost === "request") assert.deepEqual([hers, his], [[{ delete: 6 }], []]); // sent, and emptied by the server
    }
  },

  "what others have emptied before it is sent is not sent": async () => {
    const { id, path, text } = await plan();
    const { client, network } = faulty();
    const [one, two] = [await client.notes(id), await grace.notes(id)];
    one.replace(0, 0, "Hello world");
    await one.flush();
    await until(() => two.text === "Hello world");
    network.lost = "request";
    one.replace(11, 0, "!");
    await until(() => network.sent.length > 1);
    one.replace(0, 6, "");
    assert.equal(one.pending, 2);
    two.replace(0, 6, "");
    await two.flush();
    await until(() => one.pending === 1);
    network.lost = "";
    await one.flush();
    assert.equal(await text(), "world!");
    assert.deepEqual(new Set(network.statuses), new Set([200]));
    assert.deepEqual((await edits(path)).map((e) => e.ops.length), [1, 1, 2]);
  },

  // Four MiB of edits come between; what was applied is known all the same.
  "a request whose base has become too old is made anew, unless it is applied": async () => {
    const { id, path, text } = await plan();
    const [late, done] = [faulty(), faulty()];
    const docs = [await late.client.notes(id), await done.client.notes(id)];
    docs[0].replace(0, 0, "Hello.");
    await docs[0].flush();
    await until(() => docs[1].text === "Hello.");
    late.network.lost = "request";
    done.network.lost = "answer";
    docs[0].replace(0, 5, ""); // which somebody else does, too
    docs[0].replace(docs[0].text.length, 0, "late");
    docs[1].replace(docs[1].text.length, 0, "done");
    await until(() => late.network.sent.length > 1 && done.network.statuses.length > 0);
    const long = [[{ insert: "x".repeat(20_000) }], [{ delete: 20_000 }]];
    let last = { version: docs[0].version };
    const others = [[[{ delete: 5 }]], ...Array.from({ length: 6 }, () => Array.from({ length: 40 }, () => long).flat())];
    for (let i = 0, clientSeq = 1; i < others.length; clientSeq += others[i++].length) {
      const edits = others[i].map((ops, n) => ({ clientSeq: clientSeq + n, ops }));
      last = await grace.post("/v1/meetings/{meetingId}/notes/ops", { path, body: { clientId: `of-${id}`, baseVersion: last.version, edits } });
    }
    await until(() => docs.every((doc) => doc.version === last.version));
    late.network.lost = done.network.lost = "";
    await Promise.all(docs.map((doc) => doc.flush()));
    assert.equal(await text(), ".donelate");
    assert.deepEqual(late.network.statuses, [200, 409, 200]);
    assert.deepEqual(new Set(done.network.statuses), new Set([200]));
    await until(() => docs[0].version === docs[1].version);
    assert.deepEqual(docs.map((doc) => doc.text), [".donelate", ".donelate"]);
  },

  "nothing is sent that is not written down": async () => {
    const { id, path, text } = await plan();
    let [full, tried] = [true, 0];
    const store = memory();
    const save = store.save;
    store.save = async function (state) {
      tried++;
      await sleep(20);
      if (full) throw new Error("the disk is full");
      save.call(this, state);
    };
    const doc = await ada.notes(id, { store });
    doc.replace(0, 0, "x");
    await until(() => tried > 2);
    assert.deepEqual(await edits(path), []);
    full = false;
    await doc.flush();
    assert.equal(await text(), "x");
    assert.equal(store.state.clientSeq, 1);
  },

  "a rollback is an edit of nobody's, and what waits is done after it": async () => {
    const { id, path, text } = await plan();
    const doc = await ada.notes(id);
    doc.replace(0, 0, "one");
    await doc.flush();
    const { version } = doc;
    doc.setText("two");
    await doc.flush();
    await ada.post("/v1/meetings/{meetingId}/notes/rollback", { path, body: { version, reason: "a mistake" } });
    doc.replace(doc.text.length, 0, "!");
    await doc.flush();
    assert.equal(await text(), doc.text);
    assert.equal(doc.text, "one!");
  },
};

let failed = 0;
const only = process.argv[2];
await Promise.all(Object.entries(tests).filter(([name]) => !only || name.includes(only)).map(async ([name, test]) => {
  try {
    await Promise.race([test(), sleep(300_000, undefined, { ref: false }).then(() => Promise.reject(new Error("it does not end")))]);
    console.log(`ok ${name}`);
  } catch (e) {
    failed++;
    console.error(`not ok ${name}:`, e);
  }
}));
process.exit(failed);
