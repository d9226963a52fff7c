// The notes of a meeting as one client has them open: edits are done here at once,
// sent one request at a time, and count once.

import { diff, moveBack, movePosition, normalize, partsPair, type Delta } from "./delta.js";
import { Diverged, Draft, maxDocument, pieces, well, type NotesState, type Revision } from "./draft.js";
import { backoff, newId, sleep, type Http } from "./http.js";
import type { Live } from "./live.js";
import type { components } from "./openapi.js";
import { ProblemError, type Problem } from "./problem.js";
import type { Subscription } from "./subscription.js";
import type { AnyEvent } from "./types.js";

/** Where a document is kept, so that nothing is lost when the program ends: one for each open document. */
export interface NotesStore {
  load(): NotesState | null | undefined | Promise<NotesState | null | undefined>;
  /** It must have written the state when it returns: nothing is sent that is not written. A failure is tried again. */
  save(state: NotesState): void | Promise<void>;
}

export interface NotesOptions {
  store?: NotesStore;
  /** Called with what happens. */
  on?: (event: NotesEvent) => void;
}

/**
 * live: what others do is seen, and what is done here is sent. offline: there is no
 * connection, edits wait. locked, forbidden (an observer, or somebody who has left,
 * or notes that are closed) and refused (the document would be too long): edits wait
 * until that changes; after refused, with the next edit. ended: for good.
 */
export type NotesStatus = "live" | "offline" | "locked" | "forbidden" | "refused" | "ended";

/** change: delta leads from the text before to that of now. pending: how many edits are not yet known to be applied. */
export type NotesEvent =
  | { type: "change"; delta: Delta; local: boolean }
  | { type: "status"; status: NotesStatus; problem: Error | undefined }
  | { type: "pending"; pending: number };

/** A place in the text that moves with every change of it. */
export interface Cursor {
  at: number;
  close(): void;
}

/** Bounds, in milliseconds. */
const sendEvery = 100; // between two requests, of the 20 a second that a user may send
const firstDelay = 500; // after a failure
const maxDelay = 30_000;
const blockedDelay = 15_000; // after a refusal that may pass without a word
const saveDelay = 1_000; // of what need not be written before it is sent
const slice = 10; // of work without a pause

/** maxRecent is how many revisions are kept, to place cursors that others have told. */
const maxRecent = 1_000;

/** farSeq is above the number of any edit: what begins there has a gap before it, and the answer tells where. */
const farSeq = Number.MAX_SAFE_INTEGER - 1;

type Note = components["schemas"]["Note"];

export async function openNotes(http: Http, live: Live, meetingId: string, options: NotesOptions): Promise<NotesDocument> {
  const path = `/v1/meetings/${encodeURIComponent(meetingId)}`;
  let state = await options.store?.load();
  let locked = false;
  if (!state) {
    const note = await read(http, path);
    state = { clientId: newId(), base: note.version, content: note.content, pending: [], clientSeq: 0 };
    locked = note.locked;
  }
  return new NotesDocument(http, live, path, new Draft(state), options, locked);
}

function read(http: Http, path: string, signal?: AbortSignal): Promise<Note> {
  return http.request({ method: "GET", path: `${path}/notes`, ...(signal ? { signal } : {}) }, (answer) => answer.json() as Promise<Note>);
}

export class NotesDocument {
  /** Resolves when it is closed, or has ended for good: then with the reason. */
  readonly closed: Promise<Error | undefined>;

  private readonly stop = new AbortController();
  private readonly cursors = new Set<Cursor & { own: boolean }>();
  private readonly flushes: { resolve: () => void; reject: (reason: Error) => void }[] = [];
  private readonly recent: { version: number; ops: Delta }[] = [];
  private edits: Subscription | undefined;
  private blocked: { status: NotesStatus; problem: ProblemError | undefined } | undefined;
  private broken = false; // it must be loaded anew
  private shared = false; // another uses its clientId
  private catchUp = 0; // the version that must be read before anything is sent
  private over = false;
  private ending: Error | undefined;
  private told: NotesStatus = "offline";
  private toldPending = 0;
  private wake: (() => void) | undefined;
  private awake = false;
  private mended: (() => void) | undefined;
  private saving: Promise<void> = Promise.resolve();
  private saveTimer: ReturnType<typeof setTimeout> | undefined;
  private settle!: (reason: Error | undefined) => void;

  /** @internal */
  constructor(
    private readonly http: Http, private readonly connection: Live, private readonly path: string,
    private readonly draft: Draft, private readonly options: NotesOptions, locked: boolean,
  ) {
    this.closed = new Promise((resolve) => (this.settle = resolve));
    if (locked) this.blocked = { status: "locked", problem: undefined };
    this.toldPending = draft.pending.length;
    this.recent.push({ version: draft.base, ops: [] });
    const watch = connection.follow(`${path}/events?limit=20`, { event: (event: AnyEvent) => this.happened(event) });
    void this.closed.then(() => watch.close());
    void this.follow();
    void this.pump();
  }

  /** The text as the user sees it: with every edit done. */
  get text(): string {
    return this.draft.text;
  }

  /** The version that the text rests on. */
  get version(): number {
    return this.draft.base;
  }

  /** How many edits are not yet known to be applied. */
  get pending(): number {
    return this.draft.pending.length;
  }

  get status(): NotesStatus {
    if (this.over) return "ended";
    return this.blocked?.status ?? (this.edits?.live ? "live" : "offline");
  }

  /** What the server has said where the status is a refusal, or why it has ended. */
  get problem(): Error | undefined {
    return this.ending ?? this.blocked?.problem;
  }

  /**
   * replace puts text in the place of so many UTF-16 code units. What cannot be in
   * notes, U+0000 and half surrogate pairs, becomes U+FFFD. It throws a RangeError,
   * and changes nothing, where it reaches past the end, parts a pair, makes the
   * notes too long, or where too many edits wait.
   */
  replace(at: number, removed: number, text: string): void {
    const put = well(text);
    const end = at + removed;
    if (!Number.isInteger(at) || !Number.isInteger(removed) || at < 0 || removed < 0 || end > this.text.length) throw new RangeError("no such place in the notes");
    if (partsPair(this.text, at) || partsPair(this.text, end)) throw new RangeError("the edit parts a surrogate pair, two UTF-16 code units that are one character");
    if (put.length > removed && this.text.length - removed + put.length > maxDocument) throw new RangeError(`the notes would be longer than ${maxDocument} UTF-16 code units`);
    for (const d of pieces(at, removed, put)) this.edit(d);
  }

  /** setText makes the text another by one replacement that keeps what both begin and end with: for plain text fields. */
  setText(text: string): void {
    const to = well(text);
    const [head, ...rest] = diff(this.text, to);
    if (!head) return;
    const at = "retain" in head ? head.retain : 0;
    const ops = "retain" in head ? rest : [head, ...rest];
    const put = ops.map((op) => ("insert" in op ? op.insert : "")).join("");
    const removed = ops.reduce((n, op) => n + ("delete" in op ? op.delete : 0), 0);
    this.replace(at, removed, put);
  }

  /** edit does one edit of the text. It throws a RangeError, and changes nothing, where the edit does not fit or is over a bound. */
  edit(d: Delta): void {
    if (this.over) throw new Error("the notes are closed");
    const canonical = normalize(d);
    if (canonical.length === 0) return;
    this.draft.edit(canonical);
    if (this.blocked?.status === "refused") {
      this.draft.merge(); // what was too much may be removed by this
      this.blocked = undefined;
    }
    this.changed(canonical, true);
    this.tell();
    this.saveSoon();
    this.rouse();
  }

  /** cursor follows a place: one of the user's own is pushed by what is typed there. */
  cursor(at: number, own = true): Cursor {
    const cursor = { at, own, close: () => void this.cursors.delete(cursor) };
    this.cursors.add(cursor);
    return cursor;
  }

  /** share returns a place of the text as presence tells it to others: in the document of a version. */
  share(at: number): { version: number; at: number } {
    return { version: this.draft.base, at: this.draft.pending.reduceRight((place, e) => moveBack(e.ops, place), at) };
  }

  /** place returns where in the text a place is that another has shared; undefined where its version is not known here. */
  place(version: number, at: number): number | undefined {
    const from = this.recent.findIndex((r) => r.version === version);
    if (from < 0) return undefined;
    return [...this.recent.slice(from + 1).map((r) => r.ops), ...this.draft.pending.map((e) => e.ops)].reduce((place, d) => movePosition(d, place), at);
  }

  /** flush resolves when every edit is known to be applied, and rejects when the document ends before. */
  flush(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    if (this.over) return Promise.reject(this.ending ?? new Error("the notes are closed"));
    return new Promise((resolve, reject) => this.flushes.push({ resolve, reject }));
  }

  /** close lets go of the document, and resolves once its store has what waits. */
  async close(): Promise<void> {
    this.finish(undefined);
    await this.saving.catch(() => undefined);
    if (this.options.store) await this.save();
  }

  private finish(reason: Error | undefined): void {
    if (this.over) return;
    this.over = true;
    this.ending = reason;
    clearTimeout(this.saveTimer);
    if (reason && this.options.store) void this.save().catch(() => undefined);
    this.edits?.close();
    this.stop.abort();
    for (const flush of this.flushes.splice(0)) flush.reject(reason ?? new Error("the notes are closed"));
    this.tell();
    this.mended?.();
    this.rouse();
    this.settle(reason);
  }

  /** tell tells the status and what is pending, where they have changed. */
  private tell(): void {
    if (this.status !== this.told) {
      this.told = this.status;
      this.options.on?.({ type: "status", status: this.told, problem: this.problem });
    }
    if (this.pending !== this.toldPending) {
      this.toldPending = this.pending;
      this.options.on?.({ type: "pending", pending: this.toldPending });
    }
    if (this.pending === 0) for (const flush of this.flushes.splice(0)) flush.resolve();
  }

  private changed(delta: Delta, local: boolean): void {
    for (const cursor of this.cursors) cursor.at = movePosition(delta, cursor.at, local && cursor.own);
    this.options.on?.({ type: "change", delta, local });
  }

  /** happened looks at the log of the meeting: what has happened may have opened the notes again. */
  private happened(event: AnyEvent): void {
    const items = event.type === "items" ? (event.items as { type?: string }[]) : [];
    const last = items.filter((item) => item.type === "notes.locked" || item.type === "notes.unlocked").pop();
    if (last?.type === "notes.locked") this.blocked ??= { status: "locked", problem: undefined };
    else if (this.blocked?.status === (last ? "locked" : "forbidden")) this.blocked = undefined;
    this.tell();
    this.rouse();
  }

  /** follow reads what is applied, until the document ends. */
  private async follow(): Promise<void> {
    while (!this.over) {
      let sub: Subscription;
      try {
        sub = this.connection.follow(`${this.path}/notes/ops?after=${this.draft.base}`);
      } catch (e) {
        return this.finish(e as Error); // too many paths, or the client is closed
      }
      this.edits = sub;
      sub.onLive = () => {
        this.tell();
        this.rouse();
      };
      try {
        for await (const event of sub) {
          if (event.type === "reset") throw new RangeError("the history has a gap");
          if (event.type === "items") await this.receive(event.items as Revision[]);
          if (this.over) break;
          this.rouse();
        }
      } catch (e) {
        if (this.over) return;
        if (!(e instanceof Diverged || e instanceof RangeError)) return this.finish(e as Error);
        const mended = new Promise<void>((resolve) => (this.mended = resolve));
        this.shared = e instanceof Diverged;
        this.broken = true;
        this.rouse();
        await mended;
      }
      if (this.broken && !this.over) await new Promise<void>((resolve) => (this.mended = resolve));
    }
  }

  /** receive takes revisions, with pauses where they are many and much is pending. */
  private async receive(revisions: Revision[]): Promise<void> {
    let began = performance.now();
    for (const r of revisions) {
      if (performance.now() - began > slice) {
        await sleep(0);
        began = performance.now();
      }
      if (this.over || this.broken) return;
      if (r.version <= this.draft.base) continue;
      const over = this.draft.receive(r);
      this.recent.push({ version: r.version, ops: r.ops });
      if (this.recent.length > maxRecent) this.recent.splice(0, maxRecent / 2);
      if (over.length > 0) this.changed(over, false);
    }
    this.tell();
    this.saveSoon();
  }

  /** pump sends what waits, one request at a time, until the document ends. */
  private async pump(): Promise<void> {
    for (let failures = 0; !this.over; ) {
      try {
        if (this.broken) await this.reload();
        else if (this.sendable()) await this.send();
        else {
          await this.sleepy();
          continue;
        }
        failures = 0;
        await sleep(sendEvery, this.stop.signal);
      } catch (e) {
        if (this.over) return;
        if (e instanceof ProblemError && e.status === 401) return this.finish(e);
        const advice = e instanceof ProblemError ? e.retryAfter ?? 0 : 0;
        await sleep(Math.max(advice, backoff(failures++, firstDelay, maxDelay)), this.stop.signal).catch(() => undefined);
      }
    }
  }

  private sendable(): boolean {
    return this.draft.waiting > 0 && !this.blocked && this.edits?.live === true && this.edits.waiting === 0 && this.draft.base >= this.catchUp;
  }

  /** sleepy waits until something may have changed. */
  private async sleepy(): Promise<void> {
    const timer = this.blocked && this.blocked.status !== "refused" && this.draft.waiting > 0
      ? setTimeout(() => {
          this.blocked = undefined;
          this.rouse();
        }, blockedDelay)
      : undefined;
    if (!this.awake) await new Promise<void>((resolve) => (this.wake = resolve));
    this.awake = false;
    clearTimeout(timer);
  }

  private rouse(): void {
    this.awake = true;
    this.wake?.();
    this.wake = undefined;
  }

  private async send(): Promise<void> {
    const { draft } = this;
    const last = draft.batch().at(-1)?.clientSeq ?? 0;
    if (this.options.store && draft.saved < last) await this.save();
    const edits = draft.batch().filter((e) => e.clientSeq <= last); // as the feed has left them meanwhile
    if (edits.length === 0 || this.broken) return;
    const base = draft.base;
    try {
      await this.submit(base, edits);
      draft.acknowledged = Math.max(draft.acknowledged, last);
    } catch (e) {
      if (!(e instanceof ProblemError) || e.passes) throw e;
      await this.refused(e, base);
    }
    this.tell();
  }

  private submit(baseVersion: number, edits: { clientSeq: number; ops: Delta }[]): Promise<unknown> {
    return this.http.request({
      method: "POST", path: `${this.path}/notes/ops`, key: false, retries: 0, signal: this.stop.signal,
      body: { clientId: this.draft.clientId, baseVersion, edits: edits.map(({ clientSeq, ops }) => ({ clientSeq, ops })) },
    }, (answer) => answer.json());
  }

  /** refused does what a refusal asks for. */
  private async refused(e: ProblemError, base: number): Promise<void> {
    const { draft } = this;
    const { expectedClientSeq: expected, version } = e.problem as Problem;
    if (e.status === 409 && expected !== undefined) {
      if (expected > draft.clientSeq || expected < (draft.pending[0]?.clientSeq ?? draft.clientSeq + 1)) this.breakOff();
      else draft.acknowledged = expected - 1;
    } else if (e.status === 409 && version !== undefined) {
      draft.acknowledged = 0;
      this.catchUp = version;
      if (base >= version) this.breakOff(); // it has everything, and still its base is not known
    } else if (e.status === 409 && e.code === "conflict") {
      if ((await this.applied()) === undefined) this.breakOff();
      else this.blocked = { status: "locked", problem: e };
    } else if (e.status === 403 || e.status === 404 || e.status === 409) {
      this.blocked = { status: "forbidden", problem: e };
    } else if (e.status === 401) {
      throw e;
    } else {
      this.blocked = { status: "refused", problem: e };
    }
  }

  /** breakOff stops reading, so that the document is loaded anew. */
  private breakOff(): void {
    this.broken = true;
    this.edits?.close();
  }

  /** applied asks for the last edit that the server has of this client; undefined where the clientId is another's. */
  private async applied(): Promise<number | undefined> {
    try {
      await this.submit(this.draft.base, [{ clientSeq: farSeq, ops: [] }]);
    } catch (e) {
      if (!(e instanceof ProblemError) || e.status !== 409 || e.code !== "conflict") throw e;
      const expected = (e.problem as Problem).expectedClientSeq;
      return expected === undefined ? undefined : expected - 1;
    }
    throw new Error("an edit without those before it was taken");
  }

  /**
   * reload goes on from the document as the server has it, with what is not in it
   * yet. Nothing that was typed is lost, and nothing is there twice: the server tells
   * which edits it has, before and after the document is read.
   */
  private async reload(): Promise<void> {
    const { draft } = this;
    let applied: number | undefined;
    let note: Note;
    try {
      do {
        applied = await this.applied();
        note = await read(this.http, this.path, this.stop.signal);
      } while (applied !== (await this.applied()));
    } catch (e) {
      if (e instanceof ProblemError && (e.status === 403 || e.status === 404)) this.finish(e);
      throw e;
    }
    if (this.over) return;
    const first = draft.pending[0]?.clientSeq ?? draft.clientSeq + 1;
    const ours = !this.shared && applied !== undefined && applied >= first - 1 && applied <= draft.clientSeq;
    const over = draft.reload(note.content, note.version, ours ? (applied as number) : first - 1, ours ? undefined : newId());
    this.recent.splice(0, this.recent.length, { version: note.version, ops: [] });
    this.catchUp = 0;
    this.blocked = note.locked ? { status: "locked", problem: undefined } : undefined;
    if (over.length > 0) this.changed(over, false);
    if (this.options.store) await this.save();
    this.broken = this.shared = false;
    this.tell();
    this.mended?.();
  }

  private saveSoon(): void {
    if (!this.options.store || this.saveTimer !== undefined || this.over) return;
    this.saveTimer = setTimeout(() => {
      this.saveTimer = undefined;
      this.save().catch(() => this.saveSoon());
    }, saveDelay);
  }

  /** save writes the document down as it is now, after whatever is being written. */
  private save(): Promise<void> {
    const saved = this.saving.catch(() => undefined).then(async () => {
      const written = this.draft.writing();
      await this.options.store?.save(written.state);
      written.done();
    });
    this.saving = saved;
    saved.catch(() => undefined);
    return saved;
  }
}
