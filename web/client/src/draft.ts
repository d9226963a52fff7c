// What one client has of the notes: docs/notes.md of connvo, section "The client",
// without a network and without a clock.

import { apply, compose, diff, equal, lift, normalize, partsPair, type Delta, type Op } from "./delta.js";

/** An edit of this client that was sent. */
export interface Edit {
  clientSeq: number;
  ops: Delta;
}

/** Edits as they are sent: again and again the same, until an answer has come. */
export interface NotesRequest {
  readonly baseVersion: number;
  readonly edits: readonly Readonly<Edit>[];
}

/** An edit as it was applied, as the feed of edits brings it. */
export interface Revision {
  version: number;
  clientId: string | null; // null for a rollback
  clientSeq: number | null;
  ops: Delta;
}

/**
 * What is written down so that nothing is lost and nothing counts twice: plain
 * JSON. It belongs to one open document; two that share it are put right by the
 * server, at the price of a reload.
 */
export interface NotesState {
  clientId: string;
  base: number; // a version
  content: string; // the document at base
  sent: Edit[]; // not yet seen as revisions, in the form they have at base, one after the other
  request: NotesRequest | null; // which has no answer: the last of sent, as they were
  unsent: Delta[]; // after them, in the form they have at base; none is empty
  clientSeq: number; // the last that was given to an edit
}

/** The bounds of the server. */
export const maxDocument = 100_000; // UTF-16 code units
export const maxInsert = 20_000; // of one edit, in UTF-16 code units
export const maxOps = 20_000; // of one edit
export const maxBytes = 256 << 10; // of one edit as JSON
export const maxEdits = 500; // of one request

/** maxPending is how many edits wait at most; further ones become one with the last. */
export const maxPending = 10_000;

/** maxRequest is how long the edits of a request are as JSON, of the 1 MiB that the server takes: a unit is three bytes at most. */
const maxRequest = 300_000;

/** maxTyped is how long an insertion grows while somebody types on and nothing is sent. */
const maxTyped = 1_000;

/** Diverged is thrown where a revision of the draft's clientId is not its own: another has it too. It must be loaded anew, with another. */
export class Diverged extends Error {}

export class Draft {
  clientId: string;
  base: number;
  content: string; // at base
  text: string; // at base, with sent and unsent done
  sent: Edit[];
  request: NotesRequest | undefined;
  unsent: Delta[];
  clientSeq: number;

  constructor(state: NotesState) {
    this.clientId = state.clientId;
    this.base = state.base;
    this.content = state.content;
    this.sent = state.sent.map((e) => ({ ...e }));
    this.request = state.request ?? undefined;
    this.unsent = [...state.unsent];
    this.clientSeq = state.clientSeq;
    this.text = this.pending.reduce(apply, state.content);
  }

  state(): NotesState {
    const { clientId, base, content, sent, request = null, unsent, clientSeq } = this;
    return { clientId, base, content, sent: sent.map((e) => ({ ...e })), request, unsent: [...unsent], clientSeq };
  }

  /** pending returns the edits that are not yet seen as revisions, one after the other. */
  get pending(): Delta[] {
    return [...this.sent.map((e) => e.ops), ...this.unsent];
  }

  /** count is how many they are. */
  get count(): number {
    return this.sent.length + this.unsent.length;
  }

  /** waiting is how many of them no answer has named. */
  get waiting(): number {
    return (this.request?.edits.length ?? 0) + this.unsent.length;
  }

  /**
   * edit does what the user does; d is canonical and not empty. It throws a
   * RangeError, and changes nothing, when d does not fit the text or is over a bound.
   */
  edit(d: Delta): void {
    const text = apply(this.text, d);
    if (text.length > maxDocument && text.length > this.text.length) {
      throw new RangeError(`the notes would be longer than ${maxDocument} UTF-16 code units`);
    }
    checkSize(d);
    const last = this.unsent[this.unsent.length - 1];
    const one = last && this.continued(last, d);
    if (!one && this.count >= maxPending) throw new RangeError(`${maxPending} edits wait to be sent`);
    if (one) this.unsent.pop();
    this.hold([one ?? d]);
    this.text = text;
  }

  /** hold adds edits that are to be sent; what is empty is none. */
  private hold(edits: readonly Delta[]): void {
    for (const d of edits) if (d.length > 0) this.unsent.push(d);
  }

  /** continued returns the last edit and d as one, where that is what was typed on, or where too many wait; else undefined. */
  private continued(last: Delta, d: Delta): Delta | undefined {
    const full = this.count >= maxPending;
    if (!full && !typedOn(last, d)) return undefined;
    const one = compose(last, d);
    if (!full && inserted(one) > maxTyped) return undefined;
    return fits(one) ? one : undefined;
  }

  /** receive takes a revision and returns what it changes in text, nothing for one that is known or its own. */
  receive(r: Revision): Delta {
    if (r.version <= this.base) return [];
    const own = r.clientId === this.clientId;
    const first = this.sent[0];
    if (own && (!first || first.clientSeq !== r.clientSeq || !equal(first.ops, r.ops))) {
      throw new Diverged(`edit ${r.clientSeq} is another at version ${r.version}`);
    }
    const content = apply(this.content, r.ops);
    const over = own ? [] : this.rebase(r.ops);
    this.content = content;
    this.base = r.version;
    if (own) {
      this.sent.shift();
      if (this.request && (this.request.edits[0] as Edit).clientSeq <= (r.clientSeq as number)) this.request = undefined; // it was applied whole
    }
    return over;
  }

  /** rebase puts an edit of another before what is pending, and returns what it changes in text. What it empties is not sent any more. */
  private rebase(d: Delta): Delta {
    const [lifted, over] = lift(this.pending, d);
    this.text = apply(this.text, over);
    this.sent.forEach((e, i) => (e.ops = lifted[i] as Delta));
    this.unsent = [];
    this.hold(lifted.slice(this.sent.length));
    return over;
  }

  /** next returns what is to be sent: the same while no answer has come, then what was not sent, which gets its numbers. */
  next(): NotesRequest | undefined {
    if (this.request || this.unsent.length === 0) return this.request;
    const edits: Edit[] = [];
    let size = 0;
    for (const ops of this.unsent) {
      size += JSON.stringify(ops).length + 40;
      if (edits.length === maxEdits || (edits.length > 0 && size > maxRequest)) break;
      edits.push({ clientSeq: this.clientSeq + 1 + edits.length, ops });
    }
    this.unsent.splice(0, edits.length);
    this.sent.push(...edits.map((e) => ({ ...e })));
    this.clientSeq += edits.length;
    return (this.request = { baseVersion: this.base, edits });
  }

  /** answered notes that a request is applied. */
  answered(request: NotesRequest): void {
    if (this.request === request) this.request = undefined;
  }

  /** refused notes that a request is not applied, and will not be: its edits are to be sent anew, as they are by now. */
  refused(request: NotesRequest): void {
    if (this.request === request) this.expect((request.edits[0] as Edit).clientSeq);
  }

  /** expect notes that edits are applied up to the one before the number: the others are to be sent anew. It returns false, and does nothing, where that cannot be. */
  expect(clientSeq: number): boolean {
    if (clientSeq > this.clientSeq + 1 || clientSeq < this.first) return false;
    const from = clientSeq - this.first;
    const back = [...this.sent.splice(from).map((e) => e.ops), ...this.unsent];
    this.unsent = [];
    this.hold(back);
    this.request = undefined;
    this.clientSeq = clientSeq - 1;
    return true;
  }

  /** first is the number of the first edit that is not seen as a revision. */
  private get first(): number {
    return this.clientSeq + 1 - this.sent.length;
  }

  /**
   * merge makes what is to be sent anew, after the server has refused it as a whole:
   * what is removed goes first, and what was typed and removed is not there at all, so
   * that what was too much is so no longer.
   */
  merge(): void {
    const [first, ...rest] = this.unsent;
    if (!first) return;
    this.unsent = [];
    this.hold(parts(rest.reduce(compose, first)));
  }

  /**
   * reload goes on from the document as the server has it, with the edits up to
   * applied in it; what is left is done after whatever else has changed. It returns
   * what that changes in text. Where applied cannot be the draft's, or is undefined,
   * everything is left, for the next clientId.
   */
  reload(content: string, version: number, applied: number | undefined, clientId: string): Delta {
    const ours = applied !== undefined && applied >= this.first - 1 && applied <= this.clientSeq;
    this.expect(ours ? applied + 1 : this.first);
    const before = this.sent.reduce((text, e) => apply(text, e.ops), this.content);
    this.sent = [];
    const over = this.rebase(diff(before, content));
    this.content = content;
    this.base = version;
    if (!ours) {
      this.clientId = clientId;
      this.clientSeq = 0;
    }
    return over;
  }
}

/** typedOn reports whether d goes on, without a gap, where the last edit has put its text. */
function typedOn(last: Delta, d: Delta): boolean {
  if (last.length > 2 || d.length > 2) return false;
  const end = last.reduce((n, op) => n + ("retain" in op ? op.retain : "insert" in op ? op.insert.length : 0), 0);
  const from = d[0] && "retain" in d[0] ? d[0].retain : 0;
  const what = d[d.length - 1];
  const was = last[last.length - 1];
  if (!what || !was) return false;
  if ("insert" in was) return "insert" in what ? from === end : "delete" in what && from + what.delete === end && what.delete <= was.insert.length;
  return "delete" in was && "delete" in what && (from === end || from + what.delete === end);
}

function inserted(d: Delta): number {
  return d.reduce((n, op) => ("insert" in op ? n + op.insert.length : n), 0);
}

/** fits reports whether an edit is within the bounds of the server. */
function fits(d: Delta): boolean {
  return inserted(d) <= maxInsert && d.length <= maxOps && new TextEncoder().encode(JSON.stringify(d)).length <= maxBytes;
}

function checkSize(d: Delta): void {
  if (!fits(d)) throw new RangeError(`an edit inserts at most ${maxInsert} UTF-16 code units, and has at most ${maxOps} operations and ${maxBytes} bytes of JSON`);
  for (const op of d) {
    if ("insert" in op && (op.insert.includes("\0") || /\p{Surrogate}/u.test(op.insert))) {
      throw new RangeError("a text has neither U+0000 nor half a surrogate pair");
    }
  }
}

/** checkOps throws a RangeError for what the types do not refuse: a fraction, what is negative, NaN, and members that no edit has. */
export function checkOps(d: Delta): void {
  for (const op of d) {
    const [value, more] = Object.values(op) as unknown[];
    const one = "insert" in op ? typeof value === "string" : ("retain" in op || "delete" in op) && Number.isSafeInteger(value) && (value as number) >= 0;
    if (!one || more !== undefined) throw new RangeError("an operation is one retain, insert or delete, of a whole number or a text");
  }
}

/** well returns a text that can be inserted, with U+FFFD for what cannot. */
export function well(text: string): string {
  return text.replace(/\0|\p{Surrogate}/gu, "\ufffd");
}

/** pieces parts a replacement into edits that each are within the bounds and follow one another. */
export function pieces(at: number, removed: number, text: string): Delta[] {
  return parts(normalize([{ retain: at }, { insert: text }, { delete: removed }]));
}

/** maxPart is how many operations a part has: so many, with all that it may insert, are within maxBytes. */
const maxPart = 5_000;

/** parts makes of one edit several that each are within the bounds and follow one another: what it removes, then what it inserts. */
function parts(d: Delta): Delta[] {
  if (fits(d)) return [d];
  return [...cut(d.filter((op) => !("insert" in op))), ...cut(d.filter((op) => !("delete" in op)))];
}

/** cut makes several edits of one that only removes, or only inserts. */
function cut(d: Delta): Delta[] {
  const all: Delta[] = [];
  let at = 0; // in the text with all parts done
  let part: Op[] = [];
  let size = 0; // of what it inserts
  const end = (): void => {
    const one = normalize(part);
    if (one.length > 0) all.push(one);
    part = [{ retain: at }];
    size = 0;
  };
  for (const op of d) {
    if (part.length >= maxPart) end();
    if (!("insert" in op)) part.push(op);
    if ("retain" in op) at += op.retain;
    let rest = "insert" in op ? op.insert : "";
    while (rest !== "") {
      if (size >= maxInsert - 1) end();
      let n = Math.min(rest.length, maxInsert - size);
      if (partsPair(rest, n)) n--;
      part.push({ insert: rest.slice(0, n) });
      size += n;
      at += n;
      rest = rest.slice(n);
    }
  }
  end();
  return all;
}
