import assert from "node:assert/strict";
import { test } from "node:test";
import { client } from "./client.mjs";

const { delta } = await client();

test("a place moves with what is done around it", () => {
  const insert = [{ retain: 2 }, { insert: "xy" }];
  assert.equal(delta.movePosition(insert, 1), 1);
  assert.equal(delta.movePosition(insert, 2), 2);
  assert.equal(delta.movePosition(insert, 2, true), 4);
  assert.equal(delta.movePosition(insert, 3), 5);
  const remove = [{ retain: 2 }, { delete: 3 }];
  assert.equal(delta.movePosition(remove, 2), 2);
  assert.equal(delta.movePosition(remove, 4), 2);
  assert.equal(delta.movePosition(remove, 7), 4);
  assert.equal(delta.moveBack(insert, 4), 2);
  assert.equal(delta.moveBack(insert, 5), 3);
  assert.equal(delta.moveBack(remove, 3), 6);
});

test("a difference makes the one text of the other and parts no pair", () => {
  for (const [from, to] of [["", "a"], ["a", ""], ["abc", "abxc"], ["aaa", "aa"], ["😀", "😁"], ["a😀b", "a𝒳b"], ["😀😀", "😀"], ["x😀", "y😀"]]) {
    const d = delta.diff(from, to);
    assert.equal(delta.apply(from, d), to);
  }
});

test("an edit that does not fit is refused", () => {
  assert.throws(() => delta.apply("ab", [{ retain: 3 }, { insert: "x" }]), RangeError);
  assert.throws(() => delta.apply("😀", [{ retain: 1 }, { insert: "x" }]), RangeError);
  assert.throws(() => delta.apply("😀", [{ delete: 1 }]), RangeError);
  assert.throws(() => delta.compose([{ insert: "😀" }], [{ retain: 1 }, { insert: "x" }]), RangeError);
});
