import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { client } from "./client.mjs";

const { connect, ProblemError } = await client();

/**
 * Stream serves /v1/live: each connection is given to the next of the scripts, with a
 * function that sends an event, and what is changed on it by PATCH.
 */
const stream = async (t, ...scripts) => {
  const opened = [];
  const changed = [];
  const server = createServer(async (request, response) => {
    if (request.method === "PATCH") {
      let body = "";
      for await (const data of request) body += data;
      changed.push(JSON.parse(body));
      response.writeHead(204).end();
      for (const wake of waiting.splice(0)) wake();
      return;
    }
    const names = new URL(request.url, "http://x").searchParams.getAll("q");
    opened.push({ names, last: request.headers["last-event-id"] });
    const send = (event, data, more = "") => response.write(`${more}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    await scripts[Math.min(opened.length, scripts.length) - 1]({ names, response, send, open: () => response.writeHead(200, { "Content-Type": "text/event-stream" }) });
  });
  const waiting = [];
  const patched = () => new Promise((resolve) => waiting.push(resolve));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, opened, changed, patched };
};

/** open makes a client that ends with the test: else it would come again for ever. */
const open = (t, { url }) => {
  const c = connect({ url, token: "x" });
  t.after(() => c.close());
  return c;
};

const ready = (commit, resumed = false) => ({ connectionId: "c", resumed, commit });
const items = (q, ...positions) => ({ q, event: "items", body: { items: positions.map((position) => ({ position })) } });
const feed = "/v1/meetings/m/messages";

test("a status other than 200 is for good, for all", async (t) => {
  const s = await stream(t, ({ response }) => response.writeHead(403, { "Content-Type": "application/problem+json" }).end(JSON.stringify({ status: 403, code: "forbidden", title: "x" })));
  const c = open(t, s);
  const one = c.live(feed);
  const two = c.live("/v1/me");
  await assert.rejects(async () => { for await (const _ of one); }, (e) => e instanceof ProblemError && e.code === "forbidden");
  assert.equal((await two.ended).status, 403);
  assert.equal(s.opened.length, 1);
});

test("what passes is tried again, not before the server's time", async (t) => {
  const times = [];
  const s = await stream(t,
    ({ open, send, response }) => { times.push(performance.now()); open(); send("problem", { status: 503, code: "shutting_down", title: "x" }, "retry: 1500\n"); response.end(); },
    ({ open, send }) => { times.push(performance.now()); open(); send("ready", ready(5)); send("round", { commit: 5, results: [{ q: "/v1/me", event: "snapshot", body: { id: "me" } }] }); });
  const c = open(t, s);
  for await (const e of c.live("/v1/me")) {
    assert.deepEqual(e, { type: "snapshot", body: { id: "me" }, commit: 5 });
    break;
  }
  assert.ok(times[1] - times[0] >= 1500, `${times[1] - times[0]} ms`);
});

test("after a break each feed goes on from its own position", async (t) => {
  const s = await stream(t,
    ({ open, send, response }) => {
      open();
      send("ready", ready(10));
      send("round", { commit: 10, results: [items(feed, 3, 7), items("/v1/notifications")] }, "id: 9\n");
      send("round", { commit: 12, results: [items(feed, 12)] });
      setTimeout(() => response.end(), 50);
    },
    ({ open, send, names }) => { open(); send("ready", ready(20, true)); send("round", { commit: 20, results: [items(names[1], 12, 15), items(names[0], 18)] }, "id: 20\n"); });
  const c = open(t, s);
  const got = [];
  c.live("/v1/notifications");
  for await (const e of c.live(feed)) {
    got.push(...e.items.map((item) => item.position));
    if (got.includes(15)) break;
  }
  assert.deepEqual(got, [3, 7, 12, 15]); // 12 once, though it was sent twice
  assert.deepEqual(s.opened[1], { names: ["/v1/notifications?after=10", `${feed}?after=12`], last: "10" });
});

test("a server that has gone back is begun anew with", async (t) => {
  const s = await stream(t,
    ({ open, send, response }) => { open(); send("ready", ready(100)); send("round", { commit: 100, results: [items(feed, 90)] }, "id: 100\n"); setTimeout(() => response.end(), 50); },
    ({ open, send }) => { open(); send("ready", ready(50, true)); },
    ({ open, send }) => { open(); send("ready", ready(51)); send("round", { commit: 51, results: [items(feed, 40)] }); });
  const c = open(t, s);
  const got = [];
  for await (const e of c.live(feed)) {
    got.push(e.type === "reset" ? "reset" : e.items[0].position);
    if (got.length === 3) break;
  }
  assert.deepEqual(got, [90, "reset", 40]);
  assert.deepEqual(s.opened[2], { names: [feed], last: undefined });
});

test("a slow reader is told no more until it has read, and then the rest", async (t) => {
  const s = await stream(t, async ({ open, send }) => {
    open();
    send("ready", ready(1));
    const patched = s.patched();
    for (let from = 0; from < 12_000; from += 200) {
      send("round", { commit: from + 200, results: [items(feed, ...Array.from({ length: 200 }, (_, i) => from + i + 1))] });
    }
    await patched;
    await s.patched();
    const [name] = s.changed.at(-1).subscribe;
    const after = Number(new URL(name, "http://x").searchParams.get("after"));
    send("round", { commit: 12_000, results: [items(name, ...Array.from({ length: 12_000 - after }, (_, i) => after + i + 1))] });
  });
  const c = open(t, s);
  const me = c.live("/v1/me"); // so that the connection stays
  const sub = c.live(feed);
  while (s.changed.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  let next = 1;
  for await (const e of sub) {
    for (const item of e.items) assert.equal(item.position, next++);
    if (next > 12_000) break;
  }
  assert.deepEqual(s.changed[0], { subscribe: [], unsubscribe: [feed] });
  me.close();
});

test("what is not final is told beside the items, to a slow reader the newest of it", async (t) => {
  const path = "/v1/meetings/m/transcripts";
  const interim = (q, text) => ({ q, event: "interim", body: { items: [{ text, utteranceId: "u" }] } });
  const s = await stream(t, ({ open, send }) => {
    open();
    send("ready", ready(1));
    send("round", { commit: 1, results: [items(path, 1)] });
    for (const text of ["Shall", "Shall we", "Shall we go"]) send("round", { commit: 1, results: [interim(path, text)] });
    send("round", { commit: 2, results: [interim(path, "Shall we begin"), items(path, 2)] });
  });
  const sub = open(t, s).live(path);
  while (sub.waiting < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  const got = [];
  for await (const e of sub) {
    got.push(e);
    if (e.commit === 2 && e.type === "items") break;
  }
  const [first, next, last] = got;
  assert.deepEqual([first.type, first.items[0].position, last.type, last.items[0].position], ["items", 1, "items", 2]);
  assert.deepEqual(next, { type: "interim", items: [{ text: "Shall we begin", utteranceId: "u" }], commit: 2 });
  assert.equal(got.length, 3);
});

test("what is closed is followed no longer, and the last one ends the connection", async (t) => {
  let gone;
  const ended = new Promise((resolve) => (gone = resolve));
  const s = await stream(t, ({ open, send, response }) => { open(); send("ready", ready(1)); response.on("close", gone); });
  const c = open(t, s);
  const one = c.live("/v1/me");
  const two = c.live(feed);
  const patched = s.patched();
  await new Promise((resolve) => setTimeout(resolve, 100));
  one.close();
  await patched;
  assert.deepEqual(s.changed, [{ subscribe: [], unsubscribe: ["/v1/me"] }]);
  two.close();
  await ended;
  assert.equal(await two.ended, undefined);
});

test("a listener that throws ends its subscription alone, and a hundred paths are the most", async (t) => {
  const s = await stream(t, ({ open, send, names }) => { open(); send("ready", ready(1)); send("round", { commit: 1, results: names.map((q) => ({ q, event: "snapshot", body: {} })) }); });
  const c = open(t, s);
  const bad = c.live("/v1/me", undefined, { event: () => { throw new Error("mine"); } });
  const good = c.live("/v1/me");
  assert.equal((await bad.ended).message, "mine");
  for await (const e of good) {
    assert.equal(e.type, "snapshot");
    break;
  }
  const all = Array.from({ length: 100 }, () => c.live("/v1/me"));
  assert.throws(() => c.live("/v1/me"), RangeError);
  for (const sub of all) sub.close();
});
