// What one client has of the notes: docs/notes.md of connvo, section "The client",
// without a network and without a clock.

import { apply, compose, diff, equal, lift, normalize, partsPair, type Delta, type Op } from "./delta.js";

/** An edit of this client that it has not yet seen as a revision. */
export interface Edit {
  clientSeq: number;
  ops: Delta;
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
  pending: Edit[]; // in the form they have at base, one after the other
  clientSeq: number; // the last that was given to an edit
}

/** The bounds of the server. */
export const maxDocument = 100_000; // UTF-16 code units
export const maxInsert = 20_000; // of one edit, in UTF-16 code units
export const maxOps = 20_000; // of one edit
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
  text: string; // at base, with pending done
  pending: Edit[];
  clientSeq: number;
  acknowledged = 0; // the last clientSeq that an answer has named
  sent: number; // the last clientSeq that may have been sent: up to it edits stay as they are
  saved: number; // the last clientSeq that is written down
  private edits = 0; // that were made
  private epoch = 0; // one more when edits were made others

  constructor(state: NotesState) {
    this.clientId = state.clientId;
    this.base = state.base;
    this.content = state.content;
    this.pending = state.pending.map((e) => ({ ...e }));
    this.clientSeq = this.sent = this.saved = state.clientSeq;
    this.text = this.pending.reduce((text, e) => apply(text, e.ops), state.content);
  }

  state(): NotesState {
    const { clientId, base, content, pending, clientSeq } = this;
    return { clientId, base, content, pending: pending.map((e) => ({ ...e })), clientSeq };
  }

  /** writing returns the state to be written down; done says that it is. */
  writing(): { state: NotesState; done: () => void } {
    const { epoch, edits } = this;
    const frozen = Math.min(this.sent, this.clientSeq);
    const state = this.state();
    const done = (): void => {
      if (this.epoch !== epoch) return; // what is written is not what there is
      this.saved = Math.max(this.saved, this.edits === edits ? state.clientSeq : frozen);
    };
    return { state, done };
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
    const last = this.pending[this.pending.length - 1];
    const open = last && last.clientSeq > this.sent ? last : undefined;
    const one = open && this.continued(open.ops, d);
    if (open && one) {
      open.ops = one;
      this.saved = Math.min(this.saved, open.clientSeq - 1);
    } else {
      if (this.pending.length >= maxPending) throw new RangeError(`${maxPending} edits wait to be sent`);
      this.pending.push({ clientSeq: ++this.clientSeq, ops: d });
    }
    this.text = text;
    this.edits++;
  }

  /** continued returns the last edit and d as one, where that is what was typed on, or where too many wait; else undefined. */
  private continued(last: Delta, d: Delta): Delta | undefined {
    if (last.length === 0) return undefined;
    const full = this.pending.length >= maxPending;
    if (!full && !typedOn(last, d)) return undefined;
    const one = compose(last, d);
    if (one.length === 0 || (!full && inserted(one) > maxTyped)) return undefined;
    return one.length <= maxOps && inserted(one) <= maxInsert ? one : undefined;
  }

  /** receive takes a revision and returns what it changes in text, nothing for one that is known or its own. */
  receive(r: Revision): Delta {
    if (r.version <= this.base) return [];
    const first = this.pending[0];
    if (r.clientId === this.clientId) {
      if (!first || first.clientSeq !== r.clientSeq || !equal(first.ops, r.ops)) {
        throw new Diverged(`edit ${r.clientSeq} is another at version ${r.version}`);
      }
      this.content = apply(this.content, r.ops);
      this.pending.shift();
      this.acknowledged = Math.max(this.acknowledged, first.clientSeq);
      this.base = r.version;
      return [];
    }
    const content = apply(this.content, r.ops);
    const over = this.rebase(r.ops);
    this.content = content;
    this.base = r.version;
    return over;
  }

  /** rebase puts an edit of another before what is pending, and returns what it changes in text. */
  private rebase(d: Delta): Delta {
    const [lifted, over] = lift(this.pending.map((e) => e.ops), d);
    this.text = apply(this.text, over);
    this.pending.forEach((e, i) => (e.ops = lifted[i] as Delta));
    return over;
  }

  /** batch returns what is to be sent next, and from then on may have been: what no answer has named yet. */
  batch(): Edit[] {
    const batch: Edit[] = [];
    let size = 0;
    for (const e of this.pending) {
      if (e.clientSeq <= this.acknowledged) continue;
      size += JSON.stringify(e.ops).length + 40;
      if (batch.length === maxEdits || (batch.length > 0 && size > maxRequest)) break;
      batch.push(e);
    }
    const last = batch[batch.length - 1];
    if (last) this.sent = Math.max(this.sent, last.clientSeq);
    return batch;
  }

  /** waiting is how many edits no answer has named. */
  get waiting(): number {
    const first = this.pending[0];
    return first ? this.clientSeq - Math.max(this.acknowledged, first.clientSeq - 1) : 0;
  }

  /**
   * merge makes what no answer has named anew, after the server has refused it as a
   * whole: what is removed goes first, and what was typed and removed is not there
   * at all, so that what was too much is so no longer.
   */
  merge(): void {
    const kept = this.pending.filter((e) => e.clientSeq <= this.acknowledged);
    const [first, ...rest] = this.pending.slice(kept.length);
    if (!first) return;
    const anew = parts(rest.reduce((d, e) => compose(d, e.ops), first.ops));
    this.pending = [...kept, ...anew.map((ops, i) => ({ clientSeq: first.clientSeq + i, ops }))];
    this.clientSeq = first.clientSeq - 1 + anew.length;
    this.sent = this.clientSeq;
    this.saved = first.clientSeq - 1;
    this.epoch++;
  }

  /**
   * reload goes on from the document as the server has it. The edits up to applied
   * are in it; what is left is done after whatever else has changed. It returns
   * what that changes in text. With a clientId everything left is counted anew.
   */
  reload(content: string, version: number, applied: number, clientId?: string): Delta {
    const before = this.pending.filter((e) => e.clientSeq <= applied).reduce((text, e) => apply(text, e.ops), this.content);
    this.pending = this.pending.filter((e) => e.clientSeq > applied);
    const over = this.rebase(diff(before, content));
    this.content = content;
    this.base = version;
    if (clientId !== undefined) {
      this.clientId = clientId;
      this.pending.forEach((e, i) => (e.clientSeq = i + 1));
      this.clientSeq = this.pending.length;
      this.acknowledged = this.sent = 0;
    } else {
      this.acknowledged = applied;
    }
    this.saved = 0;
    this.epoch++;
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

function checkSize(d: Delta): void {
  if (inserted(d) > maxInsert) throw new RangeError(`an edit inserts at most ${maxInsert} UTF-16 code units`);
  if (d.length > maxOps) throw new RangeError(`an edit has at most ${maxOps} operations`);
  for (const op of d) {
    if ("insert" in op && (op.insert.includes("\0") || /\p{Surrogate}/u.test(op.insert))) {
      throw new RangeError("a text has neither U+0000 nor half a surrogate pair");
    }
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

/** parts makes of one edit several that each are within the bounds and follow one another: what it removes, then what it inserts. */
function parts(d: Delta): Delta[] {
  if (inserted(d) <= maxInsert && d.length <= maxOps) return [d];
  const removal = normalize(d.filter((op) => !("insert" in op)));
  const all: Delta[] = removal.length > 0 ? [removal] : [];
  let at = 0; // in the text with all parts done
  let part: Op[] = [];
  let size = 0; // of what it inserts
  const end = (): void => {
    if (size > 0) all.push(normalize(part));
    part = [{ retain: at }];
    size = 0;
  };
  for (const op of d) {
    if ("retain" in op) {
      at += op.retain;
      part.push(op);
    }
    let rest = "insert" in op ? op.insert : "";
    while (rest !== "") {
      if (size >= maxInsert - 1 || part.length >= maxOps - 1) end();
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
