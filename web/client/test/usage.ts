// It is compiled, not run: what the types allow, and what they refuse.

import { connect, type Client, type NotesDocument } from "../src/index.js";

export async function usage(client: Client, meetingId: string): Promise<NotesDocument> {
  const me = await client.get("/v1/me");
  const name: string = me.displayName;
  const meeting = await client.post("/v1/meetings", { body: { title: name } });
  const path = { meetingId: meeting.id };
  const page = await client.get("/v1/meetings/{meetingId}/messages", { path, query: { after: 0, limit: 200 } });
  const last: number = page.last;
  await client.patch("/v1/meetings/{meetingId}", { path, body: { title: "Plan" }, headers: { "If-Match": '"x"' } });
  await client.delete("/v1/meetings/{meetingId}/participants/{userId}", { path: { ...path, userId: "usr_1" } });
  await client.post("/v1/meetings/{meetingId}/start", { path });
  const piece = await client.post("/v1/meetings/{meetingId}/audio", { path, query: { startMs: 0 }, body: new Blob([], { type: "audio/webm" }) });
  const utterance: string = piece.id;
  console.log(utterance);
  const file: Response = await client.raw("get", "/v1/meetings/{meetingId}/notes/export", { path, query: { format: "md" } });
  await file.text();

  for await (const event of client.live("/v1/meetings/{meetingId}/messages", { path, query: { after: last } })) {
    if (event.type === "reset") continue;
    const said: string | undefined = event.items[0]?.content;
    if (said === "stop") break;
  }
  const watch = client.live("/v1/meetings/{meetingId}", { path }, {
    event: ({ body }) => console.log(body.state),
    live: (live) => console.log(live),
    end: (reason) => console.log(reason?.message),
  });
  watch.close();
  client.live(`/v1/meetings/${meetingId}/events?limit=5`, undefined, { event: (event) => console.log(event.type) });

  for await (const event of client.live("/v1/meetings/{meetingId}/transcripts", { path })) {
    if (event.type === "reset") continue;
    const text: string | undefined = event.items[0]?.text;
    if (event.type === "interim") console.log(event.items[0]?.utteranceId, text);
    else console.log(event.items[0]?.position, text);
    // @ts-expect-error what is not final has no position
    if (event.type === "interim") console.log(event.items[0]?.position);
  }

  // @ts-expect-error there is no such path
  await client.get("/v1/nothing");
  // @ts-expect-error the path has a parameter
  await client.get("/v1/meetings/{meetingId}");
  // @ts-expect-error it cannot be posted to
  await client.post("/v1/me");
  // @ts-expect-error a meeting has a title
  await client.post("/v1/meetings", { body: {} });
  // @ts-expect-error speech is a file
  await client.post("/v1/meetings/{meetingId}/audio", { path, body: { text: "Hello" } });
  // @ts-expect-error it has no such parameter
  await client.get("/v1/meetings/{meetingId}/messages", { path, query: { until: 3 } });
  // @ts-expect-error a parameter of the connection is the client's business
  client.live("/v1/me", { query: { lastEventId: "1" } });

  const notes = await client.notes(meeting.id, { on: (event) => event.type === "change" && console.log(event.delta) });
  notes.replace(0, 0, "Hello");
  await notes.flush();
  return notes;
}

export const client: Client = connect({ url: "http://127.0.0.1:8080", getToken: async (stale?: string) => stale ?? "token" });
