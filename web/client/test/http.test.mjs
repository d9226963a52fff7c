import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { client } from "./client.mjs";

const { connect, ProblemError, ConnectionError } = await client();

/** Serve answers as told, one request after the other, and notes what was asked. */
const serve = async (t, ...answers) => {
  const asked = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", () => {
      asked.push({ method: request.method, url: request.url, headers: request.headers, body });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer === "gone") return void request.socket.destroy();
      if (answer === "cut") {
        response.writeHead(409, { "Content-Type": "application/problem+json", "Content-Length": "100" });
        return void response.write('{"status":409,', () => request.socket.destroy());
      }
      const [status, value, headers] = answer;
      response.writeHead(status, { "Content-Type": "application/json", ...headers });
      response.end(typeof value === "string" ? value : JSON.stringify(value));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, asked };
};

const problem = (status, code) => [status, { status, code, title: code }];

test("a write that was not answered is sent again with its key", async (t) => {
  const s = await serve(t, "gone", problem(503, "unavailable"), [409, { status: 409, code: "conflict", title: "running" }, { "Retry-After": "0" }], [201, { id: "mtg_1" }]);
  const c = connect({ url: s.url, token: "x" });
  const meeting = await c.post("/v1/meetings", { body: { title: "Plan" } });
  assert.equal(meeting.id, "mtg_1");
  assert.equal(s.asked.length, 4);
  assert.equal(new Set(s.asked.map((r) => r.headers["idempotency-key"])).size, 1);
  assert.ok(s.asked[0].headers["idempotency-key"].length >= 16);
  assert.equal(new Set(s.asked.map((r) => r.body)).size, 1);
  assert.equal(s.asked[0].headers.authorization, "Bearer x");
});

test("a refusal that breaks off is no answer", async (t) => {
  const s = await serve(t, "cut", "cut", [200, { id: "usr_1" }]);
  assert.equal((await connect({ url: s.url, token: "x" }).get("/v1/me")).id, "usr_1");
  const cut = await serve(t, "cut");
  await assert.rejects(connect({ url: cut.url, token: "x", retries: 1 }).get("/v1/me"), ConnectionError);
});

test("a file is sent as it is, also again", async (t) => {
  const s = await serve(t, problem(503, "unavailable"), [202, { id: "aud_1" }]);
  const c = connect({ url: s.url, token: "x" });
  const piece = await c.post("/v1/meetings/{meetingId}/audio", { path: { meetingId: "m" }, query: { startMs: 7 }, body: new Blob(["RIFF"], { type: "audio/wav" }) });
  assert.equal(piece.id, "aud_1");
  assert.deepEqual(s.asked.map((r) => [r.url, r.headers["content-type"], r.body]), Array(2).fill(["/v1/meetings/m/audio?startMs=7", "audio/wav", "RIFF"]));
});

test("two writes have two keys, and a GET none", async (t) => {
  const s = await serve(t, [201, {}], [201, {}], [200, {}]);
  const c = connect({ url: s.url, token: "x" });
  await c.post("/v1/meetings", { body: { title: "One" } });
  await c.post("/v1/meetings", { body: { title: "Two" } });
  await c.get("/v1/me");
  const keys = s.asked.map((r) => r.headers["idempotency-key"]);
  assert.notEqual(keys[0], keys[1]);
  assert.equal(keys[2], undefined);
});

test("Retry-After is obeyed, and beyond its bound left to the caller", async (t) => {
  const s = await serve(t, [429, { status: 429, code: "rate_limited", title: "x" }, { "Retry-After": "1" }], [200, { id: "usr_1" }]);
  const began = performance.now();
  assert.equal((await connect({ url: s.url, token: "x" }).get("/v1/me")).id, "usr_1");
  assert.ok(performance.now() - began > 990);
  const late = await serve(t, [429, { status: 429, code: "rate_limited", title: "x" }, { "Retry-After": "3600" }]);
  await assert.rejects(connect({ url: late.url, token: "x" }).get("/v1/me"), (e) => e instanceof ProblemError && e.code === "rate_limited" && e.retryAfter === 3_600_000);
  assert.equal(late.asked.length, 1);
});

test("what is wrong for good is not asked twice", async (t) => {
  for (const status of [400, 403, 404, 409, 412, 422, 500]) {
    const s = await serve(t, problem(status, "conflict"));
    await assert.rejects(connect({ url: s.url, token: "x" }).put("/v1/meetings/{meetingId}/notes/lock", { path: { meetingId: "m" }, body: { locked: true } }), (e) => e instanceof ProblemError && e.status === status);
    assert.equal(s.asked.length, 1, `${status}`);
  }
});

test("attempts have a bound", async (t) => {
  const s = await serve(t, "gone");
  await assert.rejects(connect({ url: s.url, token: "x", retries: 2 }).get("/v1/me"), (e) => e instanceof ConnectionError && e.cause instanceof Error);
  assert.equal(s.asked.length, 3);
});

test("a token that is not taken is renewed once", async (t) => {
  const s = await serve(t, problem(401, "unauthenticated"), [200, { id: "usr_1" }], problem(401, "unauthenticated"));
  const stale = [];
  const c = connect({ url: s.url, getToken: (old) => (stale.push(old), `token${stale.length}`) });
  assert.equal((await c.get("/v1/me")).id, "usr_1");
  assert.deepEqual(stale, [undefined, "token1"]);
  assert.equal(s.asked[1].headers.authorization, "Bearer token2");
  await assert.rejects(c.get("/v1/me"), (e) => e.status === 401);
  assert.deepEqual(stale, [undefined, "token1", "token2"]);
});

test("an answer that is no problem document is one still", async (t) => {
  const s = await serve(t, [502, "<html>bad gateway</html>", { "Content-Type": "text/html" }]);
  await assert.rejects(connect({ url: s.url, token: "x", retries: 0 }).get("/v1/me"), (e) => e instanceof ProblemError && e.status === 502 && e.passes);
});

test("paths are filled in and parameters encoded", async (t) => {
  const s = await serve(t, [200, { items: [] }]);
  await connect({ url: `${s.url}/`, token: "x" }).get("/v1/meetings/{meetingId}/transcripts", { path: { meetingId: "a/b" }, query: { after: 0, speaker: "Ö &" } });
  assert.equal(s.asked[0].url, "/v1/meetings/a%2Fb/transcripts?after=0&speaker=%C3%96+%26");
  await assert.rejects(async () => connect({ url: s.url }).get("/v1/meetings/{meetingId}", { path: {} }), TypeError);
});
