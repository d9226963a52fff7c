// Two browsers on the first page: one is Ada, the other Grace. What one says,
// the other reads without doing anything; nothing breaks the page's policy.
import { join } from "node:path";
import assert from "node:assert/strict";
import { launch, open } from "./browser.mjs";

const [url, directory] = process.argv.slice(2);

const browser = await launch();
const faults = [];

const person = async (name) => {
  const page = await open(browser, { colorScheme: "light" });
  page.on("pageerror", (e) => faults.push(`${name}: ${e}`));
  page.on("console", (m) => { if (m.type() === "error" && !m.text().includes("401")) faults.push(`${name}: ${m.text()}`); });
  page.on("request", (r) => { if (!r.url().startsWith(url)) faults.push(`${name}: asked for ${r.url()}`); });
  await page.goto(url);
  await page.getByRole("button", { name, exact: true }).click();
  await page.getByText(`You are ${name}.`).waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  return page;
};

const say = async (page, text) => {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
};

try {
  const ada = await person("Ada");
  const grace = await person("Grace");
  await say(ada, "Hello, Grace");
  await grace.getByText("Ada Hello, Grace").waitFor();
  await say(grace, "<b>Hello</b>, Ada");
  await ada.getByText("Grace <b>Hello</b>, Ada").waitFor();
  assert.equal(await ada.locator("#messages li:not(.system)").count(), 2);
  await ada.screenshot({ path: join(directory, "home.png"), fullPage: true });

  const login = await open(browser);
  login.on("pageerror", (e) => faults.push(`docs: ${e}`));
  login.on("console", (m) => { if (m.type() === "error") faults.push(`docs: ${m.text()}`); });
  await login.goto(`${url}/dev/login?returnTo=/docs`);
  await login.getByLabel("E-mail").fill("linus@example.com");
  await login.getByRole("button", { name: "Sign in" }).click();
  await login.waitForURL(`${url}/docs`);
  await login.getByText("/v1/meetings/{meetingId}/messages").first().waitFor();
  // The documentation is used, not only shown: what it opens obeys the policy too.
  await login.locator("[id$=-getMe]").first().click();
  await login.getByRole("button", { name: "Try it out" }).click();
  await login.getByRole("button", { name: "Execute", exact: true }).click();
  await login.getByText('"email": "linus@example.com"').first().waitFor();
  await login.getByRole("button", { name: "Authorize" }).first().click();
  await login.getByRole("heading", { name: "Available authorizations" }).waitFor();
  await login.screenshot({ path: join(directory, "docs.png") });
  if (process.env.SCREENSHOTS) {
    await ada.screenshot({ path: join(process.env.SCREENSHOTS, "home.png"), fullPage: true });
    await login.screenshot({ path: join(process.env.SCREENSHOTS, "docs.png") });
  }
  assert.deepEqual(faults, []);
} finally {
  await browser.close();
}
