// The notes of a meeting as one client has them open: edits are done here at once,
// sent one request at a time, and count once.

import { diff, normalize, partsPair, type Delta } from "./delta.js";
import { checkOps, Diverged, Draft, maxDocument, pieces, well, type NotesRequest, type Revision } from "./draft.js";
import { backoff, newId, sleep, type Http } from "./http.js";
import { Keeper, type NotesStore } from "./keeper.js";
import type { Live } from "./live.js";
import { NotesWire } from "./noteswire.js";
import { Places, type Cursor } from "./places.js";
import { ProblemError, type Problem } from "./problem.js";
import type { Subscription } from "./subscription.js";
import type { AnyEvent } from "./types.js";

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

/** Bounds, in milliseconds. */
const sendEvery = 100; // between two requests, of the 20 a second that a user may send
const firstDelay = 500; // after a failure
const maxDelay = 30_000;
const blockedDelay = 15_000; // after a refusal that may pass without a word
const slice = 10; // of work without a pause

export async function openNotes(http: Http, live: Live, meetingId: string, options: NotesOptions): Promise<NotesDocument> {
  const path = `/v1/meetings/${encodeURIComponent(meetingId)}`;
  let state = await options.store?.load();
  let locked = false;
  const kept = state ? { version: state.base, content: state.content } : undefined;
  if (!state) {
    const note = await new NotesWire(http, path).read();
    state = { clientId: newId(), base: note.version, content: note.content, sent: [], request: null, unsent: [], clientSeq: 0 };
    locked = note.locked;
  }
  return new NotesDocument(http, live, path, new Draft(state), options, locked, kept);
}

export class NotesDocument {
  /** Resolves when it is closed, or has ended for good: then with the reason. */
  readonly closed: Promise<Error | undefined>;

  private readonly stop = new AbortController();
  private readonly flushes: { resolve: () => void; reject: (reason: Error) => void }[] = [];
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
  private readonly keeper: Keeper;
  private readonly places: Places;
  private readonly wire: NotesWire;
  private settle!: (reason: Error | undefined) => void;

  /** @internal */
  constructor(
    http: Http, private readonly connection: Live, private readonly path: string,
    private readonly draft: Draft, private readonly options: NotesOptions, locked: boolean,
    private kept: { version: number; content: string } | undefined, // what was written down, until the server is known to have it
  ) {
    this.closed = new Promise((resolve) => (this.settle = resolve));
    if (locked) this.blocked = { status: "locked", problem: undefined };
    this.toldPending = draft.count;
    this.keeper = new Keeper(draft, options.store);
    this.wire = new NotesWire(http, path, this.stop.signal);
    this.places = new Places(draft.base);
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
    return this.draft.count;
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

  /** edit does one edit of the text. It throws a RangeError, and changes nothing, where the edit does not fit, is none, or is over a bound. */
  edit(d: Delta): void {
    if (this.over) throw new Error("the notes are closed");
    checkOps(d);
    const canonical = normalize(d);
    if (canonical.length === 0) return;
    this.draft.edit(canonical);
    if (this.blocked?.status === "refused") {
      this.draft.merge(); // what was too much may be removed by this
      this.blocked = undefined;
    }
    this.changed(canonical, true);
    this.tell();
    this.keeper.soon();
    this.rouse();
  }

  /** cursor follows a place: one of the user's own is pushed by what is typed there. */
  cursor(at: number, own = true): Cursor {
    return this.places.follow(at, own);
  }

  /** share returns a place of the text as presence tells it to others: in the document of a version. */
  share(at: number): { version: number; at: number } {
    return { version: this.draft.base, at: this.places.before(at, this.draft.pending) };
  }

  /** place returns where in the text a place is that another has shared; undefined where its version is not known here. */
  place(version: number, at: number): number | undefined {
    return this.places.of(version, at, this.draft.pending);
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
    await this.keeper.save();
  }

  private finish(reason: Error | undefined): void {
    if (this.over) return;
    this.over = true;
    this.ending = reason;
    this.keeper.stop();
    if (reason) void this.keeper.save().catch(() => undefined);
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
    this.places.changed(delta, local);
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
      this.places.revised(r.version, r.ops);
      if (over.length > 0) this.changed(over, false);
    }
    this.tell();
    this.keeper.soon();
  }

  /** pump sends what waits, one request at a time, until the document ends. */
  private async pump(): Promise<void> {
    for (let failures = 0; !this.over; ) {
      try {
        if (this.broken) await this.reload();
        else if (this.kept) await this.verify(this.kept);
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
    const request = draft.next();
    if (!request) return;
    await this.keeper.has(request);
    if (draft.request !== request || this.broken) return; // the feed has brought it
    try {
      await this.wire.submit(draft.clientId, request);
      draft.answered(request);
    } catch (e) {
      if (!(e instanceof ProblemError) || e.passes) throw e;
      await this.refused(e, request);
    }
    this.tell();
  }

  /** refused does what a refusal asks for. */
  private async refused(e: ProblemError, request: NotesRequest): Promise<void> {
    const { draft } = this;
    const { expectedClientSeq: expected, version } = e.problem as Problem;
    if (e.status === 409 && expected !== undefined) {
      if (!draft.expect(expected)) this.breakOff();
    } else if (e.status === 409 && version !== undefined) {
      draft.refused(request);
      this.catchUp = version;
      if (request.baseVersion >= version) this.breakOff(); // it has everything, and still its base is not known
    } else if (e.status === 409 && e.code === "conflict") {
      if ((await this.wire.applied(draft.clientId)) === undefined) this.breakOff();
      else this.blocked = { status: "locked", problem: e };
    } else if (e.status === 403 || e.status === 404 || e.status === 409) {
      this.blocked = { status: "forbidden", problem: e };
    } else if (e.status === 401) {
      throw e;
    } else {
      draft.refused(request);
      this.blocked = { status: "refused", problem: e };
    }
  }

  /** verify looks whether the server has had what was written down: not if it was put back to an older state since. */
  private async verify({ version, content }: { version: number; content: string }): Promise<void> {
    if (version > 0 && !(await this.wire.has(version, content))) this.breakOff();
    this.kept = undefined;
  }

  /** breakOff stops reading, so that the document is loaded anew. */
  private breakOff(): void {
    this.broken = true;
    this.edits?.close();
  }

  /**
   * reload goes on from the document as the server has it, with what is not in it
   * yet. Nothing that was typed is lost, and nothing is there twice: the server tells
   * which edits it has, before and after the document is read.
   */
  private async reload(): Promise<void> {
    const { draft } = this;
    const { note, applied } = await this.wire.both(draft.sent.length > 0 ? draft.clientId : undefined).catch((e: unknown) => {
      if (e instanceof ProblemError && (e.status === 403 || e.status === 404)) this.finish(e);
      throw e;
    });
    if (this.over) return;
    const over = draft.reload(note.content, note.version, this.shared ? undefined : applied, newId());
    this.places.begin(note.version);
    this.catchUp = 0;
    this.blocked = note.locked ? { status: "locked", problem: undefined } : undefined;
    if (over.length > 0) this.changed(over, false);
    await this.keeper.save();
    this.broken = this.shared = false;
    this.kept = undefined;
    this.tell();
    this.mended?.();
  }
}
