// A page of the server in Chromium, signed in as EMAIL unless it is empty.
import { createRequire } from "node:module";
import { join } from "node:path";
import { commands, obey, print } from "./follow.mjs";

const require = createRequire(join(process.env.MODULES, "x.js"));
const { chromium } = require("playwright-core");
const login = `${process.env.ORIGIN}/dev/login?returnTo=/dev/login`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  await page.goto(login);
  if (process.env.EMAIL) {
    await page.getByLabel("E-mail").fill(process.env.EMAIL);
    const signedIn = page.waitForResponse((r) => r.request().method() === "GET" && r.url().endsWith("/dev/login"));
    await page.getByRole("button", { name: "Sign in" }).click();
    await signedIn;
    await page.waitForLoadState();
  }
  await page.exposeFunction("tell", print);
  await obey((command) => page.evaluate(commands[command.do], command));
} finally {
  await browser.close();
}
