// Runs the emulator until the standard input ends. A line of milliseconds sets
// its clock ahead, which is answered with an empty line.
import { createInterface } from 'node:readline';
import { createEmulator } from 'workos/emulate';

const now = Date.now;
let ahead = 0;
Date.now = () => now() + ahead;

const emulator = await createEmulator({ port: 0, seed: JSON.parse(process.argv[1]) });
console.log(JSON.stringify({ url: emulator.url, key: emulator.apiKey }));
for await (const line of createInterface({ input: process.stdin })) {
  ahead += Number(line);
  console.log();
}
process.exit();
