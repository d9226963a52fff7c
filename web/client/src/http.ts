// Requests: who asks, what is tried again, and what is not.

import { ConnectionError, ProblemError, problemOf } from "./problem.js";

/** How a client is made. */
export interface ConnectOptions {
  /** Where the server is, such as https://api.example.com. */
  url: string;
  /** An access token. Without it and getToken the cookie of the page's own origin counts. */
  token?: string;
  /** Gives an access token: first without an argument, later with the one that the server takes no longer. */
  getToken?: (stale?: string) => string | Promise<string>;
  /** In place of the global fetch. */
  fetch?: typeof fetch;
  /** How often a request is tried again where that may help, 5 unless told. */
  retries?: number;
}

/** One request. */
export interface Call {
  method: string;
  path: string; // with its parameters, from the root
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  retries?: number;
  /** False where the server counts by something else what it is sent, and needs no key. */
  key?: boolean;
  /** Whether the body is read later, by the caller, whose signal ends that too. */
  open?: boolean;
}

type Init = RequestInit & { headers: Record<string, string> };

/** Bounds of waiting, in milliseconds. */
const attemptTimeout = 30_000; // for an answer with its body, unless that is left open
const firstDelay = 250;
const maxDelay = 10_000; // between attempts, unless the server says more
const maxAdvice = 60_000; // what the server may say: beyond it the caller decides

export class Http {
  readonly origin: string;
  private readonly fetch: typeof fetch;
  private readonly retries: number;
  private token: string | undefined;
  private renewing: Promise<string | undefined> | undefined;

  constructor(private readonly options: ConnectOptions) {
    this.origin = options.url.replace(/\/+$/, "");
    this.fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.retries = options.retries ?? 5;
    this.token = options.token;
  }

  /** request returns what read makes of an answer of success. It throws a ProblemError, a ConnectionError, or what the signal says. */
  async request<T>(call: Call, read: (answer: Response) => T | Promise<T>): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json", ...call.headers };
    if (call.method !== "GET" && call.key !== false) headers["Idempotency-Key"] ??= newId();
    let body: string | Blob | undefined;
    if (call.body instanceof Blob) {
      headers["Content-Type"] ??= call.body.type;
      body = call.body;
    } else if (call.body !== undefined) {
      headers["Content-Type"] = "application/json";
      body = JSON.stringify(call.body);
    }
    const init = { method: call.method, headers, ...(body === undefined ? {} : { body }) };
    const most = call.retries ?? this.retries;
    for (let tried = 0; ; tried++) {
      call.signal?.throwIfAborted();
      let failure: ProblemError | ConnectionError;
      try {
        const answer = await this.attempt(call, init, read);
        if ("value" in answer) return answer.value;
        failure = answer.problem;
      } catch (cause) {
        call.signal?.throwIfAborted();
        if (cause instanceof ProblemError) throw cause; // of getToken
        failure = new ConnectionError(`${call.method} ${call.path} was not answered`, { cause });
      }
      const advice = failure instanceof ProblemError ? failure.retryAfter : undefined;
      if (tried >= most || !again(failure) || (advice ?? 0) > maxAdvice) throw failure;
      await sleep(Math.max(advice ?? 0, backoff(tried, firstDelay, maxDelay)), call.signal);
    }
  }

  /** attempt asks once. A body that the caller reads later may take as long as the signal lets it. */
  private async attempt<T>(call: Call, init: Init, read: (answer: Response) => T | Promise<T>): Promise<{ value: T } | { problem: ProblemError }> {
    const abort = new AbortController();
    const follow = (): void => abort.abort(call.signal?.reason);
    const timer = setTimeout(() => abort.abort(new DOMException("no answer in time", "TimeoutError")), attemptTimeout);
    call.signal?.addEventListener("abort", follow, { once: true });
    let open = false;
    try {
      const answer = await this.send(call.path, init, abort.signal);
      if (!answer.ok) return { problem: await problemOf(answer) };
      open = call.open === true;
      return { value: await read(answer) };
    } finally {
      clearTimeout(timer);
      if (!open) call.signal?.removeEventListener("abort", follow);
    }
  }

  /** send asks once, and once more with a new token where the one it had is not taken. */
  async send(path: string, init: Init, signal: AbortSignal): Promise<Response> {
    for (let renewed = false; ; renewed = true) {
      const token = await this.currentToken();
      const headers = token === undefined ? init.headers : { ...init.headers, Authorization: `Bearer ${token}` };
      const answer = await this.fetch.call(undefined, this.origin + path, { ...init, headers, signal });
      if (answer.status !== 401 || renewed || !this.options.getToken) return answer;
      await answer.body?.cancel();
      this.expired(token);
    }
  }

  /** expired forgets a token, so that the next request asks for another. */
  expired(token = this.token): void {
    if (this.options.getToken && this.token === token) {
      this.token = undefined;
      this.stale = token;
    }
  }

  private stale: string | undefined;

  private async currentToken(): Promise<string | undefined> {
    if (this.token !== undefined || !this.options.getToken) return this.token;
    const getToken = this.options.getToken;
    this.renewing ??= (async () => {
      try {
        return (this.token = await getToken(this.stale));
      } finally {
        this.renewing = undefined;
      }
    })();
    return this.renewing;
  }

  /** Whether another token may be had than the one that was refused. */
  get renewable(): boolean {
    return this.options.getToken !== undefined;
  }
}

/** again reports whether the same request may succeed later. 409 with an advice is one that still runs. */
function again(failure: ProblemError | ConnectionError): boolean {
  if (failure instanceof ConnectionError) return true;
  return failure.passes && failure.status !== 500 && failure.status !== 501 || (failure.status === 409 && failure.retryAfter !== undefined);
}

/** backoff returns a time that doubles with each attempt, from 0, up to a bound; half of it is by chance. */
export function backoff(tried: number, first: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(tried, 16)) * (0.5 + Math.random() / 2);
}

/** sleep waits; it rejects with the reason of the signal when that is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** newId returns 128 random bits. Unlike crypto.randomUUID it is there on pages without TLS too. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
