// What a page and a program have in common. It runs where EventSource and tell
// are, and nothing else of this directory.

const names = ["ready", "snapshot", "items", "round", "heartbeat", "problem"];

// commands are what the test asks for, each by one object.
export const commands = {
  follow: ({ stream, url, names }) => {
    const source = new EventSource(url);
    for (const name of names) {
      source.addEventListener(name, (e) => tell({ stream, name, id: e.lastEventId, data: e.data }));
    }
    source.onerror = () => tell({ stream, name: "error", state: source.readyState });
  },
  send: async ({ stream, url, method, body }) => {
    const answer = await fetch(url, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    tell({ stream, name: "answer", state: answer.status, data: await answer.text() });
  },
};

// obey reads commands from the standard input, one a line, until it ends.
export const obey = async (run) => {
  let rest = "";
  for await (const chunk of process.stdin) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines) await run({ ...JSON.parse(line), names });
  }
};

export const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
