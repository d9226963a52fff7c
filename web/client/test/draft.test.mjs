import assert from "node:assert/strict";
import { test } from "node:test";
import { client } from "./client.mjs";

const { Diverged, Draft, delta } = await client();

const open = (content, more) => new Draft({ clientId: "me", base: 1, content, sent: [], request: null, unsent: [], clientSeq: 0, ...more });
const remove = (at, n) => (at > 0 ? [{ retain: at }, { delete: n }] : [{ delete: n }]);
const put = (at, text) => (at > 0 ? [{ retain: at }, { insert: text }] : [{ insert: text }]);
const revision = (version, ops, clientId = "other", clientSeq = version) => ({ version, clientId, clientSeq, ops });
const again = (draft) => new Draft(JSON.parse(JSON.stringify(draft.state())));

test("what others have emptied before it is sent gets no number", () => {
  const d = open("abc");
  d.edit(remove(0, 1));
  d.edit(remove(1, 1)); // of bc, c
  d.edit(put(0, "x"));
  assert.deepEqual(d.receive(revision(2, remove(0, 1))), []);
  assert.equal(d.text, "xb");
  assert.deepEqual(d.next(), { baseVersion: 2, edits: [{ clientSeq: 1, ops: remove(1, 1) }, { clientSeq: 2, ops: put(0, "x") }] });
  assert.equal(d.waiting, 2);
  const idle = open("abc");
  idle.edit(remove(0, 3));
  idle.receive(revision(2, remove(0, 3)));
  assert.equal(idle.next(), undefined);
  assert.deepEqual([idle.count, idle.waiting, idle.clientSeq], [0, 0, 0]);
});

test("a request is the same until it has an answer, also for who starts again", () => {
  let d = open("abc");
  d.edit(remove(1, 1));
  const request = d.next();
  assert.deepEqual(request, { baseVersion: 1, edits: [{ clientSeq: 1, ops: remove(1, 1) }] });
  d.edit(put(0, "x"));
  d.receive(revision(2, remove(1, 1)));
  assert.equal(d.text, "xac");
  assert.equal(d.next(), request);
  d = again(d);
  assert.deepEqual(d.next(), request);
  assert.equal(d.text, "xac");
  d.receive(revision(3, [], "me", 1)); // it has become nothing at the server
  assert.deepEqual(d.next(), { baseVersion: 3, edits: [{ clientSeq: 2, ops: put(0, "x") }] });
});

test("an answer ends the request, and so does the first of its revisions", () => {
  const d = open("");
  d.edit(put(0, "a"));
  const first = d.next();
  d.edit(put(0, "b"));
  d.answered(first);
  const second = d.next();
  d.answered(first); // late
  assert.equal(d.next(), second);
  d.receive(revision(2, put(0, "a"), "me", 1));
  assert.equal(d.next(), second);
  d.receive(revision(3, put(0, "b"), "me", 2));
  assert.deepEqual([d.next(), d.count, d.base, d.content], [undefined, 0, 3, "ba"]);
  d.refused(second); // late, too
  assert.equal(d.clientSeq, 2);
  assert.throws(() => d.receive(revision(4, put(0, "c"), "me", 3)), Diverged);
});

test("no edit is over the bounds of the server, whatever it is made of", () => {
  const places = (n, first) => [...put(first, ""), ...Array.from({ length: n }, () => [{ insert: "abc" }, { delete: 3 }, { retain: 12 }]).flat()];
  const bytes = (ops) => Buffer.byteLength(JSON.stringify(ops));
  const d = open("x".repeat(99_990));
  assert.throws(() => d.edit(places(6_500, 1)), RangeError);
  assert.deepEqual([d.count, d.text], [0, d.content]);
  for (const first of [1, 5, 9]) d.edit(delta.normalize(places(5_800, first)));
  d.refused(d.next());
  d.merge();
  assert.ok(d.count > 1 && d.unsent.every((ops) => ops.length <= 20_000 && bytes(ops) <= 256 << 10));
  assert.equal(d.pending.reduce((text, ops) => delta.apply(text, ops), d.content), d.text);
});

test("what is refused is sent anew as it is by then, and its numbers are given again", () => {
  const d = open("abc");
  d.edit(put(3, "!"));
  d.answered(d.next());
  d.edit(remove(0, 1));
  d.edit(put(0, "x"));
  const refused = d.next();
  d.edit(put(0, "y"));
  d.receive(revision(2, remove(0, 2)));
  d.refused(refused);
  assert.deepEqual([d.clientSeq, d.count, d.waiting], [1, 3, 2]);
  assert.deepEqual(d.next(), { baseVersion: 2, edits: [{ clientSeq: 2, ops: put(0, "x") }, { clientSeq: 3, ops: put(0, "y") }] });
  assert.equal(d.text, "yxc!");
});

test("the server tells which edit comes next", () => {
  const d = open("", { sent: [4, 5, 6].map((clientSeq) => ({ clientSeq, ops: put(0, "abc"[clientSeq - 4]) })), unsent: [put(0, "d")], clientSeq: 6 });
  for (const [expected, possible, waits, last] of [[3, false, 1, 6], [8, false, 1, 6], [7, true, 1, 6], [5, true, 3, 4], [4, true, 4, 3]]) {
    assert.equal(d.expect(expected), possible, `${expected}`);
    assert.deepEqual([d.waiting, d.clientSeq, d.count, d.text], [waits, last, 4, "dcba"], `${expected}`);
  }
});

test("what is typed and removed is no edit, unless it may have been sent", () => {
  const d = open("ab");
  d.edit(put(1, "x"));
  d.edit(remove(1, 1));
  assert.deepEqual([d.next(), d.text], [undefined, "ab"]);
  d.edit(put(1, "x"));
  const request = d.next();
  d.edit(remove(1, 1));
  assert.equal(request.edits.length, 1);
  d.answered(request);
  assert.deepEqual(d.next().edits, [{ clientSeq: 2, ops: remove(1, 1) }]);
});

test("a document that is loaded anew keeps what it lacks", () => {
  const begun = () => {
    const d = open("abc");
    d.edit(put(0, "1"));
    d.answered(d.next());
    d.edit(put(4, "2"));
    d.next();
    d.edit(remove(1, 1));
    return d;
  };
  for (const [applied, content, text, clientId, clientSeq] of [
    [2, "1abc2!", "1bc2!", "me", 2],
    [1, "1abc!", "1bc!2", "me", 1],
    [0, "abc!", "1bc!2", "me", 0],
    [1, "1", "12", "me", 1], // a is gone already
    [7, "abc!", "1bc!2", "new", 0],
    [undefined, "abc!", "1bc!2", "new", 0],
  ]) {
    const d = begun();
    d.reload(content, 9, applied, "new");
    assert.deepEqual([d.text, d.content, d.base, d.clientId, d.clientSeq], [text, content, 9, clientId, clientSeq], `${applied} ${content}`);
    assert.equal(d.pending.reduce((text, ops) => delta.apply(text, ops), content), text);
    assert.ok(d.pending.every((ops) => ops.length > 0));
  }
});
