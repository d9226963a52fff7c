// Chromium, as the scripts of this directory start it.
import { createRequire } from "node:module";
import { join } from "node:path";

/** patience is how long each step may take, in milliseconds: a busy machine needs far longer than the 30 s of Playwright to start a browser. */
const patience = 120_000;

const { chromium } = createRequire(join(process.env.MODULES, "x.js"))("playwright-core");

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM,
  timeout: patience,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** open returns a page of its own, which shares nothing with others. */
export const open = async (browser, options) => {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  return context.newPage();
};
