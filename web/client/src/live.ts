// The one connection on which a client follows everything: GET /v1/live, changed by
// PATCH, opened again after every break from where each path was.

import { backoff, sleep, type Http } from "./http.js";
import { ProblemError, problemOf, type Problem } from "./problem.js";
import { SSEParser, type ServerEvent } from "./sse.js";
import { Subscription, type Follower, type Listener } from "./subscription.js";

/** maxPaths is how many paths a client follows at once, as the server bounds it. */
export const maxPaths = 100;

/** Bounds of waiting, in milliseconds. */
const silence = 40_000; // after which a connection is taken for broken: the server says something every 15 s
const firstDelay = 500;
const maxDelay = 30_000;

/** One connection. */
interface Connection {
  id: string | undefined; // once it is ready
  followed: Map<string, Subscription>; // by the name that the server knows
  ofURL: Set<Subscription>; // to which the ids of rounds apply
  leaving: string[]; // names that are followed no longer, and the server does not know it
  changing: boolean; // a PATCH is on its way
  resumes: boolean; // a Last-Event-ID was sent
  watchdog: ReturnType<typeof setTimeout> | undefined;
  abort: AbortController;
  end: End;
}

/** How a connection has ended. */
interface End {
  ready: boolean; // it was open
  final?: Error; // no other will be
  retry?: number | undefined; // the server's advice, in milliseconds
}

interface Round {
  commit: number;
  results: { q: string; event: string; body: unknown }[];
}

interface FeedPart {
  items: { position?: number; version?: number }[];
  truncated?: boolean;
}

export class Live implements Follower {
  private readonly subscriptions = new Set<Subscription>();
  private connection: Connection | undefined;
  private newest = 0; // the greatest number that was told
  private running = false;
  private scheduled = false;
  private closed = false;
  private pause: AbortController | undefined;

  constructor(private readonly http: Http) {}

  /** follow begins to follow a path. It throws a RangeError when that would be too many. */
  follow(path: string, listener?: Listener<never>): Subscription {
    if (this.closed) throw new Error("the client is closed");
    if (this.subscriptions.size >= maxPaths) throw new RangeError(`a client follows at most ${maxPaths} paths`);
    const sub = new Subscription(path, this, listener as Listener<unknown> | undefined) as Subscription;
    this.subscriptions.add(sub);
    this.changed();
    return sub;
  }

  /** close ends everything that is followed. */
  close(): void {
    this.closed = true;
    for (const sub of this.subscriptions) sub.finish(undefined);
  }

  /** changed looks, once whoever calls has done all, at what is to be followed now. */
  changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.tidy();
      if (!this.running) void this.run();
      else if (this.connection) void this.reconcile(this.connection);
      if (this.wanted().length === 0) {
        this.connection?.abort.abort();
        this.pause?.abort();
      }
    });
  }

  private wanted(): Subscription[] {
    return [...this.subscriptions].filter((sub) => sub.wanted);
  }

  /** tidy lets go of what is followed no longer. */
  private tidy(): void {
    for (const sub of this.subscriptions) if (sub.closed) this.subscriptions.delete(sub);
    const c = this.connection;
    for (const [name, sub] of c?.followed ?? []) if (!sub.wanted) c && this.unfollow(c, name);
  }

  private unfollow(c: Connection, name: string): void {
    c.followed.delete(name);
    c.leaving.push(name);
  }

  /** run keeps a connection open while something is followed. */
  private async run(): Promise<void> {
    this.running = true;
    for (let failures = 0; this.wanted().length > 0; ) {
      const end = await this.connect();
      this.connection = undefined;
      for (const sub of this.subscriptions) sub.setLive(false);
      if (end.final) {
        for (const sub of this.subscriptions) sub.finish(end.final);
        break;
      }
      failures = end.ready ? 0 : failures + 1;
      if (this.wanted().length === 0) break;
      this.pause = new AbortController();
      await sleep(Math.max(end.retry ?? 0, backoff(failures, firstDelay, maxDelay)), this.pause.signal).catch(() => undefined);
    }
    this.running = false;
    if (this.wanted().length > 0) this.changed();
  }

  /** connect opens a connection and reads it to its end. */
  private async connect(): Promise<End> {
    const c = this.plan();
    this.connection = c;
    this.watch(c);
    try {
      const answer = await this.open(c);
      if (answer) await this.read(c, answer);
    } catch (e) {
      if (e instanceof ProblemError && !e.passes) c.end.final ??= e; // what getToken has thrown, too
    } finally {
      clearTimeout(c.watchdog);
      c.abort.abort(); // what is open still, such as a PATCH
    }
    return c.end;
  }

  /**
   * plan decides what the URL names. After a break that is what was told before: a
   * Last-Event-ID counts for every feed of the URL, from the greater of it and
   * after. What was never told is asked for by PATCH.
   */
  private plan(): Connection {
    const wanted = this.wanted();
    const told = wanted.filter((sub) => sub.told);
    const c: Connection = {
      id: undefined, followed: new Map(), ofURL: new Set(told.length > 0 ? told : wanted), leaving: [], changing: false,
      resumes: told.length > 0, watchdog: undefined, abort: new AbortController(), end: { ready: false },
    };
    for (const sub of c.ofURL) c.followed.set(this.name(c, sub), sub);
    return c;
  }

  /** name returns how the server is to call it: each subscription by another name, also where two are of one path. */
  private name(c: Connection, sub: Subscription): string {
    let name = sub.wire;
    while (c.followed.has(name) || c.leaving.includes(name)) name += name.includes("?") ? "&" : "?";
    return name;
  }

  /** open returns the stream, or undefined when c.end says how it went. */
  private async open(c: Connection): Promise<ReadableStream<Uint8Array> | undefined> {
    const names = [...c.followed.keys()];
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (c.resumes) {
      const positions = [...c.ofURL].map((sub) => (sub.feed ? sub.position ?? 0 : this.newest));
      headers["Last-Event-ID"] = String(Math.min(...positions));
    }
    const query = names.map((name) => `q=${encodeURIComponent(name)}`).join("&");
    const answer = await this.http.send(`/v1/live?${query}`, { headers, cache: "no-store" }, c.abort.signal);
    if (answer.ok && answer.body && answer.headers.get("Content-Type")?.startsWith("text/event-stream")) return answer.body;
    const problem = await problemOf(answer);
    if (answer.ok) return undefined; // something in between, such as a page of a hotel
    if (problem.passes) c.end.retry = problem.retryAfter;
    else if (!this.refused(c, names, problem, "query.q")) c.end.final = problem;
    return undefined;
  }

  /** refused ends the paths that a problem names, and reports whether it names any. */
  private refused(c: Connection, names: string[], problem: ProblemError, location: string): boolean {
    let some = false;
    for (const wrong of problem.problem.errors ?? []) {
      const index = wrong.location.startsWith(`${location}[`) ? Number.parseInt(wrong.location.slice(location.length + 1), 10) : -1;
      const sub = c.followed.get(names[index] ?? "");
      if (!sub) continue;
      some = true;
      c.followed.delete(names[index] as string);
      sub.finish(new ProblemError({ ...problem.problem, detail: wrong.message, errors: [wrong] }));
    }
    return some;
  }

  /** read takes events until the stream ends, or is silent for too long. */
  private async read(c: Connection, body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = new SSEParser((event) => this.take(c, event));
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || c.abort.signal.aborted) return;
        this.watch(c);
        try {
          parser.push(decoder.decode(value, { stream: true }));
        } catch {
          c.end.ready = false; // it speaks another language: not to be asked more and more often
          return;
        }
      }
    } finally {
      c.end.retry ??= parser.retry;
      await reader.cancel().catch(() => undefined);
    }
  }

  /** watch ends the connection unless something comes in time. */
  private watch(c: Connection): void {
    clearTimeout(c.watchdog);
    c.watchdog = setTimeout(() => c.abort.abort(), silence);
  }

  private take(c: Connection, event: ServerEvent): void {
    if (c.abort.signal.aborted) return;
    const body: unknown = JSON.parse(event.data);
    switch (event.name) {
      case "ready":
        this.ready(c, body as { connectionId: string; resumed: boolean; commit: number });
        break;
      case "round":
        this.round(c, body as Round, event.id);
        break;
      case "heartbeat":
        this.newest = Math.max(this.newest, (body as { commit: number }).commit);
        break;
      case "problem":
        this.problem(c, new ProblemError(body as Problem));
        break;
    }
  }

  private ready(c: Connection, body: { connectionId: string; resumed: boolean; commit: number }): void {
    c.id = body.connectionId;
    c.end.ready = true;
    const wentBack = body.commit < this.newest; // the server has older files than it had
    this.newest = body.commit;
    if (c.resumes && (!body.resumed || wentBack)) {
      for (const sub of this.subscriptions) this.forget(sub);
      // Where the server has not noticed it, it goes on from positions that mean nothing now.
      if (body.resumed) c.abort.abort();
    }
    void this.reconcile(c);
  }

  /** forget lets a path begin anew. */
  private forget(sub: Subscription): void {
    if (!sub.told) return;
    sub.told = false;
    sub.position = undefined;
    if (sub.feed) sub.emit({ type: "reset" });
  }

  private round(c: Connection, round: Round, id: string | undefined): void {
    this.newest = Math.max(this.newest, round.commit);
    for (const { q, event, body } of round.results) {
      const sub = c.followed.get(q);
      if (!sub?.wanted) continue;
      if (event === "problem") {
        c.followed.delete(q); // the server follows it no longer either
        sub.finish(new ProblemError(body as Problem));
        continue;
      }
      if (event === "snapshot") {
        sub.emit({ type: "snapshot", body, commit: round.commit });
      } else if (event === "interim") {
        sub.emit({ type: "interim", items: (body as FeedPart).items, commit: round.commit });
      } else if (event === "items" && !this.items(c, sub, body as FeedPart, round.commit)) {
        this.unfollow(c, q);
        void this.reconcile(c);
      }
      sub.told = true;
      sub.setLive(c.followed.has(q));
    }
    if (id === undefined || !/^\d+$/.test(id)) return;
    for (const sub of c.followed.values()) {
      if (sub.feed && sub.told && c.ofURL.has(sub)) sub.position = Math.max(sub.position ?? 0, Number(id));
    }
  }

  /** items tells a part of a feed, and returns false when its reader is too slow. */
  private items(c: Connection, sub: Subscription, part: FeedPart, commit: number): boolean {
    sub.feed = true;
    if (part.truncated) {
      sub.position = undefined;
      sub.emit({ type: "reset" });
    }
    const held = sub.position ?? -1;
    const fresh = part.items.filter((item) => positionOf(item) > held);
    // A feed of the URL that goes on from somewhere may have more, even if this is
    // nothing: all of them are told up to one number, which the id of the round is.
    const partly = c.ofURL.has(sub) && (c.resumes || /[?&]after=/.test(sub.path));
    if (part.items.length === 0 && !partly) sub.position = Math.max(held, commit);
    for (const item of fresh) sub.position = Math.max(sub.position ?? 0, positionOf(item));
    return sub.emit({ type: "items", items: fresh, commit });
  }

  /** problem notes what ends the stream. */
  private problem(c: Connection, problem: ProblemError): void {
    if (problem.status === 401 && this.http.renewable) this.http.expired();
    else if (!problem.passes) c.end.final = problem;
  }

  /** reconcile tells the server, one PATCH after the other, what is to be followed more and no longer. */
  private async reconcile(c: Connection): Promise<void> {
    if (c.changing || c.id === undefined) return;
    c.changing = true;
    for (let failures = 0; !c.abort.signal.aborted; ) {
      const follows = new Set(c.followed.values());
      const unsubscribe = c.leaving.splice(0);
      const names: string[] = [];
      for (const sub of this.wanted()) {
        if (follows.has(sub)) continue;
        const name = this.name(c, sub);
        names.push(name);
        c.followed.set(name, sub);
      }
      if (names.length === 0 && unsubscribe.length === 0) break;
      try {
        await this.http.request({ method: "PATCH", path: `/v1/live/${c.id}`, body: { subscribe: names, unsubscribe }, signal: c.abort.signal, key: false, retries: 0 }, (answer) => answer.text());
        failures = 0;
      } catch (e) {
        c.leaving.push(...unsubscribe);
        if (e instanceof ProblemError && e.status === 404) break; // the connection is gone, which reading it will tell
        const some = e instanceof ProblemError && this.refused(c, names, e, "body.subscribe");
        for (const name of names) c.followed.delete(name); // nothing has happened
        if (!some) await sleep(backoff(failures++, firstDelay, maxDelay), c.abort.signal).catch(() => undefined);
      }
    }
    c.changing = false;
  }
}

function positionOf(item: { position?: number; version?: number }): number {
  return item.position ?? item.version ?? 0;
}
