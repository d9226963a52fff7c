// A page of another origin in Chromium, with the client of web/client: two documents
// of one meeting, and a feed that is live.
import assert from "node:assert/strict";
import { launch, open } from "./browser.mjs";

const [url, origin, meetingId, token] = process.argv.slice(2);

const browser = await launch();
try {
  const page = await open(browser);
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
