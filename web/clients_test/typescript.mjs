// The client of web/client, as somebody whose first token is not taken.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { obey, print } from "./follow.mjs";

const { connect } = await import(pathToFileURL(join(process.env.CLIENT, "index.js")));
const { ORIGIN: url, EMAIL: email } = process.env;

const getToken = async (stale) => {
  if (stale === undefined) return "nonsense";
  const answer = await fetch(`${url}/dev/token`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email }) });
  return (await answer.json()).accessToken;
};
const client = connect({ url, getToken, retries: 20 });
const subscriptions = new Map();

const commands = {
  follow: ({ stream, url: path }) => {
    subscriptions.set(stream, client.live(path, undefined, {
      event: (e) => print({ stream, name: e.type, data: JSON.stringify(e) }),
      live: (live) => print({ stream, name: "live", state: live ? 1 : 0 }),
      end: (reason) => print({ stream, name: "end", state: reason?.status ?? 0, data: String(reason ?? "") }),
    }));
  },
  close: ({ url }) => subscriptions.get(Number(url)).close(),
  send: async ({ stream, url: path, method, body }) => {
    const answer = await client[method.toLowerCase()](path, { body }).then((value) => [200, value], (reason) => [reason.status ?? 0, String(reason)]);
    print({ stream, name: "answer", state: answer[0], data: JSON.stringify(answer[1] ?? null) });
  },
};

await obey((command) => void commands[command.do](command)); // one does not wait for another
await client.close();
process.exit();
