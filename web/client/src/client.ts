import { Http, type Call, type ConnectOptions } from "./http.js";
import { Live } from "./live.js";
import type { paths } from "./openapi.js";
import { openNotes, type NotesDocument, type NotesOptions } from "./notes.js";
import type { Listener, Subscription } from "./subscription.js";
import { pathOf, type AnyEvent, type Answer, type LiveEvent, type LiveRequest, type Method, type Optionally, type PathWith, type Request } from "./types.js";

/** What any request may have. */
interface Loose {
  path?: Record<string, unknown> | undefined;
  query?: Record<string, unknown> | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  retries?: number;
  open?: boolean;
}

/**
 * A person's client of one server. Requests are tried again where that may help
 * (no answer, 429, 502 to 504), writes with one Idempotency-Key, so that they
 * count once; Retry-After is obeyed. They throw a ProblemError for what the server
 * refuses and a ConnectionError where no answer came.
 */
export class Client {
  private readonly http: Http;
  private readonly following: Live;
  private readonly documents = new Set<NotesDocument>();

  constructor(options: ConnectOptions) {
    this.http = new Http(options);
    this.following = new Live(this.http);
  }

  get<P extends PathWith<"get">>(path: P, ...request: Optionally<Request<P, "get">>): Promise<Answer<P, "get">> {
    return this.json<Answer<P, "get">>("get", path, request[0]);
  }

  post<P extends PathWith<"post">>(path: P, ...request: Optionally<Request<P, "post">>): Promise<Answer<P, "post">> {
    return this.json<Answer<P, "post">>("post", path, request[0]);
  }

  put<P extends PathWith<"put">>(path: P, ...request: Optionally<Request<P, "put">>): Promise<Answer<P, "put">> {
    return this.json<Answer<P, "put">>("put", path, request[0]);
  }

  patch<P extends PathWith<"patch">>(path: P, ...request: Optionally<Request<P, "patch">>): Promise<Answer<P, "patch">> {
    return this.json<Answer<P, "patch">>("patch", path, request[0]);
  }

  delete<P extends PathWith<"delete">>(path: P, ...request: Optionally<Request<P, "delete">>): Promise<Answer<P, "delete">> {
    return this.json<Answer<P, "delete">>("delete", path, request[0]);
  }

  /** raw returns the answer itself, with its body unread: for files, ETag and Connvo-Commit. */
  raw<M extends Method, P extends PathWith<M>>(method: M, path: P, ...request: Optionally<Request<P, M>>): Promise<Response> {
    return this.ask(method, path, { ...request[0], headers: { Accept: "*/*", ...request[0]?.headers }, open: true }, (answer) => answer);
  }

  /**
   * live follows a path, on the one connection that all of them share. Read the
   * Subscription with for await, or give a listener. A path that the types do not
   * know, such as one with its parameters filled in, is followed as it is.
   */
  live<P extends PathWith<"get">>(path: P, ...rest: FollowArguments<P>): Subscription<LiveEvent<Answer<P, "get">>>;
  live(path: `/v1/${string}`, request?: undefined, listener?: Listener<AnyEvent>): Subscription;
  live(path: string, ...rest: unknown[]): unknown {
    const [request, listener] = rest as [Loose?, Listener<never>?];
    return this.following.follow(pathOf(path, request?.path, request?.query), listener);
  }

  /** notes opens the notes of a meeting. It rejects where they cannot be read. */
  async notes(meetingId: string, options: NotesOptions = {}): Promise<NotesDocument> {
    const document = await openNotes(this.http, this.following, meetingId, options);
    this.documents.add(document);
    void document.closed.then(() => this.documents.delete(document));
    return document;
  }

  /** close ends every open document, once its store has what waits, and everything that is followed. What waits without a store is lost. */
  async close(): Promise<void> {
    await Promise.all([...this.documents].map((document) => document.close()));
    this.following.close();
  }

  private json<T>(method: string, path: string, request?: Loose): Promise<T> {
    return this.ask(method, path, request, async (answer) => {
      const text = await answer.text();
      return (text === "" ? undefined : JSON.parse(text)) as T;
    });
  }

  private ask<T>(method: string, template: string, request: Loose = {}, read: (answer: Response) => T | Promise<T>): Promise<T> {
    const { path, query, ...rest } = request;
    return this.http.request({ ...rest, method: method.toUpperCase(), path: pathOf(template, path, query) } as Call, read);
  }
}

type FollowArguments<P extends keyof paths> = Record<never, never> extends LiveRequest<P>
  ? [request?: LiveRequest<P>, listener?: Listener<LiveEvent<Answer<P & PathWith<"get">, "get">>>]
  : [request: LiveRequest<P>, listener?: Listener<LiveEvent<Answer<P & PathWith<"get">, "get">>>];

/** connect makes a client. Nothing is asked until something is asked for. */
export function connect(options: ConnectOptions): Client {
  return new Client(options);
}
