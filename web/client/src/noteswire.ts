// What one client asks the server about the notes of a meeting.

import type { NotesRequest } from "./draft.js";
import type { Http } from "./http.js";
import type { components } from "./openapi.js";
import { ProblemError, type Problem } from "./problem.js";

export type Note = components["schemas"]["Note"];

/** farSeq is above the number of any edit: what begins there has a gap before it, and the answer tells where. */
const farSeq = Number.MAX_SAFE_INTEGER - 1;

export class NotesWire {
  /** path is that of the meeting. */
  constructor(private readonly http: Http, readonly path: string, private readonly signal?: AbortSignal) {}

  /** read returns the notes as they are. */
  read(): Promise<Note> {
    return this.http.request({ method: "GET", path: `${this.path}/notes`, ...this.ending() }, (answer) => answer.json() as Promise<Note>);
  }

  /** has tells whether the notes were that text at a version: not where it is no version of theirs, or no longer. */
  async has(version: number, content: string): Promise<boolean> {
    const once = this.http.request({ method: "GET", path: `${this.path}/notes/versions/${version}`, ...this.ending() }, (answer) => answer.json() as Promise<Note>);
    const note = await once.catch((e: unknown) => {
      if (e instanceof ProblemError && e.status === 404) return undefined;
      throw e;
    });
    return note?.content === content;
  }

  /** submit sends edits, once. */
  submit(clientId: string, { baseVersion, edits }: NotesRequest): Promise<unknown> {
    const body = { clientId, baseVersion, edits };
    return this.http.request({ method: "POST", path: `${this.path}/notes/ops`, key: false, retries: 0, body, ...this.ending() }, (answer) => answer.json());
  }

  private ending(): { signal?: AbortSignal } {
    return this.signal ? { signal: this.signal } : {};
  }

  /** applied asks for the last edit that the server has of a client; undefined where the clientId is another's. */
  async applied(clientId: string): Promise<number | undefined> {
    try {
      await this.submit(clientId, { baseVersion: 0, edits: [{ clientSeq: farSeq, ops: [{ insert: " " }] }] });
    } catch (e) {
      if (!(e instanceof ProblemError) || e.status !== 409 || e.code !== "conflict") throw e;
      const expected = (e.problem as Problem).expectedClientSeq;
      return expected === undefined ? undefined : expected - 1;
    }
    throw new Error("an edit without those before it was taken");
  }

  /** both returns the notes, and the last edit of a client that is in them. Only who may write can ask for a client. */
  async both(clientId: string | undefined): Promise<{ note: Note; applied: number | undefined }> {
    if (clientId === undefined) return { note: await this.read(), applied: undefined };
    for (;;) {
      const applied = await this.applied(clientId);
      const note = await this.read();
      if (applied === (await this.applied(clientId))) return { note, applied };
    }
  }
}
