// Pages of other origins in a browser that is signed in: what is listed may use
// the API by token and ticket, and nobody but the server's own page by cookie.
import assert from "node:assert/strict";
import { launch, open } from "./browser.mjs";

const [url, listed, unlisted] = process.argv.slice(2);

const grant = await (await fetch(`${url}/dev/token`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email: "ada@example.com" }),
})).json();
const bearer = { Authorization: `Bearer ${grant.accessToken}` };

const browser = await launch();

// ask sends a request from the page; what the browser keeps from it is "kept back".
const ask = (page, path, options) => page.evaluate(async ([to, options]) => {
  try {
    const a = await fetch(to, options);
    return { status: a.status, id: a.headers.get("X-Request-Id"), limit: a.headers.get("RateLimit"), body: await a.text() };
  } catch {
    return "kept back";
  }
}, [url + path, options]);

// follow opens a stream from the page and returns the first event that it is told.
const follow = (page, path) => page.evaluate((to) => new Promise((tell) => {
  const source = new EventSource(to);
  const end = (name) => { source.close(); tell(name); };
  source.addEventListener("ready", () => end("ready"));
  source.onerror = () => end("error");
}), url + path);

const ticket = async () => {
  const a = await fetch(`${url}/v1/stream-tickets`, {
    method: "POST", headers: { ...bearer, "Content-Type": "application/json" }, body: JSON.stringify({ path: "/v1/me" }),
  });
  return (await a.json()).ticket;
};

try {
  const page = await open(browser);
  await page.goto(`${url}/dev/login?returnTo=/dev/login`);
  await page.getByLabel("E-mail").fill("ada@example.com");
  const signedIn = page.waitForResponse((r) => r.request().method() === "GET" && r.url().endsWith("/dev/login"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await signedIn;
  await page.waitForLoadState();
  assert.equal((await ask(page, "/v1/me")).status, 200);

  await page.goto(listed);
  const me = await ask(page, "/v1/me", { headers: bearer });
  assert.equal(me.status, 200);
  assert.ok(me.id && me.limit, "the page sees the headers");
  const change = { method: "PATCH", headers: { ...bearer, "Content-Type": "application/json", "Idempotency-Key": "k" }, body: '{"displayName":"Ada L."}' };
  assert.equal((await ask(page, "/v1/me", change)).status, 200);
  assert.match((await ask(page, "/v1/me")).body, /unauthenticated/);
  assert.equal(await follow(page, `/v1/me?ticket=${await ticket()}`), "ready");
  assert.equal(await follow(page, "/v1/me"), "error");
  // The ports of one host share their cookies: the browser sends it, the server does not take it.
  assert.equal(await ask(page, "/v1/me", { credentials: "include" }), "kept back");
  await ask(page, "/auth/logout", { method: "POST", mode: "no-cors", credentials: "include" });

  await page.goto(unlisted);
  assert.equal(await ask(page, "/v1/me", { headers: bearer }), "kept back");
  assert.equal(await ask(page, "/v1/me", change), "kept back");
  assert.equal(await follow(page, `/v1/me?ticket=${await ticket()}`), "error");

  await page.goto(`${url}/dev/login`);
  assert.equal((await ask(page, "/v1/me")).status, 200, "still signed in");
} finally {
  await browser.close();
}
