// A page of another origin in Chromium, with the client of web/client: two documents
// of one meeting, and a feed that is live.
import { createRequire } from "node:module";
import { join } from "node:path";
import assert from "node:assert/strict";

const [url, origin, meetingId, token] = process.argv.slice(2);
const require = createRequire(join(process.env.MODULES, "x.js"));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  await page.goto(`${origin}/page`);
  const told = await page.evaluate(async ([url, meetingId, token]) => {
    const { connect } = await import("/index.js");
    const client = connect({ url, token });
    const [one, two] = [await client.notes(meetingId), await client.notes(meetingId)];
    one.replace(0, 0, "Hello 😀");
    await one.flush();
    while (two.text !== one.text) await new Promise((resolve) => setTimeout(resolve, 10));
    two.replace(0, 5, "Bye");
    await two.flush();
    while (two.text !== one.text) await new Promise((resolve) => setTimeout(resolve, 10));
    await client.post("/v1/meetings/{meetingId}/messages", { path: { meetingId }, body: { content: "said" } });
    let said;
    for await (const e of client.live("/v1/meetings/{meetingId}/messages", { path: { meetingId } })) {
      said = e.items[0].content;
      break;
    }
    const text = one.text;
    await client.close();
    return [text, said];
  }, [url, meetingId, token]);
  assert.deepEqual(told, ["Bye 😀", "said"]);
} finally {
  await browser.close();
}
