// What the API says of each path, as types.

import type { paths } from "./openapi.js";

export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The paths that take a method. */
export type PathWith<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, infer O> ? (O extends undefined ? never : P) : never;
}[keyof paths] & string;

type Operation<P extends keyof paths, M extends Method> = paths[P][M & keyof paths[P]];

/** Parameters that belong to a connection are the client's own business. */
type OfConnection = "heartbeat" | "lastEventId" | "ticket";

type PathParams<O> = O extends { parameters: { path: infer T } } ? T : undefined;
type QueryParams<O> = O extends { parameters: { query?: infer T } } ? Known<Omit<NonNullable<T>, OfConnection>> : never;

/** No member at all is another thing than any. */
type Known<T> = [keyof T] extends [never] ? Record<string, never> : T;
type BodyOf<O> = O extends { requestBody: { content: { "application/json": infer T } } } ? T
  : O extends { requestBody: { content: { "audio/webm": unknown } } } ? Blob
  : O extends { requestBody?: { content: { "application/json": infer T } } } ? T | undefined : undefined;

type AnswerOf<R> = R extends { content: { "application/json": infer T } } ? T : undefined;

/** The statuses with a body; the 204 of a GET is of a ticket that is spent, and the client sends none. */
type Answered<R> = Extract<keyof R, 200 | 201 | 202>;

/** What a path answers with success. */
export type Answer<P extends keyof paths, M extends Method> = Operation<P, M> extends { responses: infer R }
  ? [Answered<R>] extends [never] ? undefined : AnswerOf<R[Answered<R>]>
  : never;

type Given<Name extends string, T> = [T] extends [undefined] ? { [K in Name]?: undefined }
  : undefined extends T ? { [K in Name]?: Exclude<T, undefined> } : { [K in Name]: T };

/** What a request is made of: path, query and body as the API has them, and headers such as If-Match. */
export type Request<P extends keyof paths, M extends Method> =
  Given<"path", PathParams<Operation<P, M>>> & Given<"body", BodyOf<Operation<P, M>>> & {
    query?: QueryParams<Operation<P, M>>;
    headers?: Record<string, string>;
    signal?: AbortSignal;
    retries?: number;
  };

/** What a path is followed with. */
export type LiveRequest<P extends keyof paths> = Given<"path", PathParams<Operation<P, "get">>> & { query?: QueryParams<Operation<P, "get">> };

/** A whole answer, sent anew whenever it has changed; commit is the number of the database at which it was read. */
export interface Snapshot<Body> {
  type: "snapshot";
  body: Body;
  commit: number;
}

/** What a feed brings: each item once, in order. */
export interface Items<Item> {
  type: "items";
  items: Item[];
  commit: number;
}

/**
 * What is said and not final, beside the items of a transcript. Of an utterance only the newest
 * is told, and perhaps none; it is dropped when an item with its utteranceId comes.
 */
export interface Interim<Item> {
  type: "interim";
  items: Omit<Item, "position" | "createdAt">[];
  commit: number;
}

/** Throw away the items that you hold: what follows is complete. */
export interface Reset {
  type: "reset";
}

type Feed<Item> = { items: Item[]; first: number; last: number; more: boolean };

/** What following a path brings, by the body of its plain answer. */
export type LiveEvent<Body> = Body extends Feed<infer Item>
  ? Items<Item> | Reset | (Item extends { utteranceId: unknown } ? Interim<Item> : never)
  : Snapshot<Body>;

export type AnyEvent = Snapshot<unknown> | Items<unknown> | Interim<unknown> | Reset;

/** Optional when no member is required. */
export type Optionally<T> = Record<never, never> extends T ? [T?] : [T];

/** pathOf fills the parameters of a path in. */
export function pathOf(template: string, path?: Record<string, unknown>, query?: Record<string, unknown>): string {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = path?.[name];
    if (value === undefined || value === "") throw new TypeError(`${template} needs ${name}`);
    return encodeURIComponent(String(value));
  });
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one !== undefined && one !== null) parameters.append(name, String(one));
    }
  }
  const text = parameters.toString();
  return text === "" ? filled : filled + (filled.includes("?") ? "&" : "?") + text;
}
