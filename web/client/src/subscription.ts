// One path that is followed: where it is, and what its reader has not taken yet.

import type { ProblemError } from "./problem.js";
import type { AnyEvent } from "./types.js";

/** maxBuffered is how many items wait for a slow reader. Beyond it the path is followed no longer, until they are read, and goes on from there. */
export const maxBuffered = 10_000;

/** What is told of a path, in place of reading a Subscription. A listener that throws ends it. */
export interface Listener<Event> {
  event: (event: Event) => void;
  /** Whether what was told is current: false while there is no connection. */
  live?: (live: boolean) => void;
  /** It has ended for good: closed, or refused with a problem. */
  end?: (reason?: Error) => void;
}

/** What a Subscription needs of its connection. */
export interface Follower {
  changed(): void;
}

/**
 * A path that is followed, over all breaks, until it is closed or refused for
 * good. Read it with for await, once, unless it was given a listener: it then
 * ends, or throws the problem. Of a query only the newest answer waits, and of what
 * is not final only the newest event.
 */
export class Subscription<Event = AnyEvent> implements AsyncIterable<Event> {
  /** Resolves when it has ended, with the reason where there is one. */
  readonly ended: Promise<Error | undefined>;
  /** Whether what was told is current. */
  live = false;
  /** Called when live has changed. */
  onLive: ((live: boolean) => void) | undefined;

  /** @internal The connection's: whether this was told at all, and up to where. */
  told = false;
  /** @internal */
  feed = false;
  /** @internal */
  position: number | undefined;
  /** @internal */
  closed = false;

  private readonly buffer: AnyEvent[] = [];
  private buffered = 0; // items
  private full = false;
  private reason: Error | undefined;
  private wake: (() => void) | undefined;
  private settle!: (reason: Error | undefined) => void;

  /** @internal */
  constructor(readonly path: string, private readonly follower: Follower, private readonly listener?: Listener<Event>) {
    this.ended = new Promise((resolve) => (this.settle = resolve));
  }

  /** close ends it; what waits can still be read. */
  close(): void {
    this.finish(undefined);
  }

  /** How many events wait to be read. */
  get waiting(): number {
    return this.buffer.length;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Event> {
    try {
      for (;;) {
        const event = this.buffer.shift();
        if (event) {
          if (event.type === "items") this.buffered -= event.items.length;
          if (this.full && this.buffer.length === 0) {
            this.full = false;
            this.follower.changed();
          }
          yield event as Event;
          continue;
        }
        if (this.reason) throw this.reason;
        if (this.closed) return;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      this.close();
    }
  }

  /** @internal Whether the connection should follow it now. */
  get wanted(): boolean {
    return !this.closed && !this.full;
  }

  /** @internal The path with where to go on. */
  get wire(): string {
    if (!this.feed || this.position === undefined) return this.path;
    const [name, query] = this.path.split("?", 2) as [string, string?];
    const parameters = (query ?? "").split("&").filter((p) => p !== "" && !/^(after|before|limit)=/.test(p));
    return `${name}?${[...parameters, `after=${this.position}`].join("&")}`;
  }

  /** @internal It returns false when the reader is too slow to be told more. */
  emit(event: AnyEvent): boolean {
    if (this.closed) return true;
    if (this.listener) {
      try {
        this.listener.event(event as Event);
      } catch (e) {
        this.finish(e instanceof Error ? e : new Error(String(e)));
      }
      return true;
    }
    if (event.type === "snapshot" || event.type === "interim") {
      const older = this.buffer.findIndex(({ type }) => type === event.type);
      if (older >= 0) this.buffer.splice(older, 1);
    }
    if (event.type === "items") this.buffered += event.items.length;
    this.buffer.push(event);
    this.full = this.buffered > maxBuffered;
    this.wakeUp();
    return !this.full;
  }

  /** @internal */
  setLive(live: boolean): void {
    if (this.live === live || this.closed) return;
    this.live = live;
    this.listener?.live?.(live);
    this.onLive?.(live);
  }

  /** @internal */
  finish(reason: ProblemError | Error | undefined): void {
    if (this.closed) return;
    this.setLive(false);
    this.closed = true;
    this.reason = reason;
    this.settle(reason);
    this.listener?.end?.(reason);
    this.wakeUp();
    this.follower.changed();
  }

  private wakeUp(): void {
    this.wake?.();
    this.wake = undefined;
  }
}
