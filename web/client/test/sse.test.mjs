import assert from "node:assert/strict";
import { test } from "node:test";
import { client } from "./client.mjs";

const { SSEParser } = await client();

const parse = (pieces) => {
  const events = [];
  const parser = new SSEParser((event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  return { events, retry: parser.retry };
};

const stream = "\ufeffretry: 250\n: a comment\nevent: round\r\nid: 7\r\ndata: {\"a\":\ndata:  1}\n\ndata\ndata: \rdata:x\r\r" +
  "event: nothing\n\nid: a\0b\nid\ndata: 😀\n\nunknown: y\nretry: 1x\ndata: last\r\n\r\n\n\n\ndata: cut off";
const want = [
  { name: "round", id: "7", data: "{\"a\":\n 1}" },
  { name: "message", id: undefined, data: "\n\nx" },
  { name: "message", id: "", data: "😀" },
  { name: "message", id: undefined, data: "last" },
];

test("events are as the standard has them", () => {
  assert.deepEqual(parse([stream]), { events: want, retry: 250 });
});

test("however a stream is cut, its events are the same", () => {
  for (let at = 0; at <= stream.length; at++) {
    for (let to = at; to <= stream.length; to += 7) {
      assert.deepEqual(parse([stream.slice(0, at), stream.slice(at, to), stream.slice(to)]).events, want);
    }
  }
  assert.deepEqual(parse(stream.split("")).events, want);
});

test("random streams, cut at random, are the same as whole", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed;
  const chance = (n) => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) % n;
  const words = ["data:", "data: x", "id: 1", "event: e", "\n", "\r", "\r\n", "\n\n", "\r\r", ":", "retry: 5", "é", "\ufeff"];
  for (let run = 0; run < 5_000; run++) {
    const text = Array.from({ length: chance(30) }, () => words[chance(words.length)]).join("");
    const pieces = [];
    for (let from = 0; from < text.length; ) {
      const length = chance(4);
      pieces.push(text.slice(from, from + length));
      from += length;
    }
    assert.deepEqual(parse(pieces), parse([text]), `seed ${seed}, ${JSON.stringify(text)}`);
  }
});
