// The package eventsource of npm, with a bearer token unless TOKEN is empty.
import { createRequire } from "node:module";
import { join } from "node:path";
import { commands, obey, print } from "./follow.mjs";

const require = createRequire(join(process.env.MODULES, "x.js"));
const { EventSource } = require("eventsource");
const bearer = process.env.TOKEN ? { Authorization: `Bearer ${process.env.TOKEN}` } : {};
const plain = globalThis.fetch;

globalThis.fetch = (url, init) => plain(url, { ...init, headers: { ...init.headers, ...bearer } });
globalThis.EventSource = class extends EventSource {
  constructor(url) { super(url, { fetch: globalThis.fetch }); }
};
globalThis.tell = print;

await obey((command) => commands[command.do](command));
process.exit(); // whatever is still open
