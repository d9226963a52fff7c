// A page of the server in Chromium, signed in as EMAIL unless it is empty.
import { launch, open } from "./browser.mjs";
import { commands, obey, print } from "./follow.mjs";

const login = `${process.env.ORIGIN}/dev/login?returnTo=/dev/login`;

const browser = await launch();
try {
  const page = await open(browser);
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
