// The algebra of edits of one text: the same as that of the server, operation by
// operation. docs/notes.md of connvo tells why both must be equal.

/** One step through a text. Lengths are UTF-16 code units, as those of strings. */
export type Op = { readonly retain: number } | { readonly insert: string } | { readonly delete: number };

/**
 * A change of a text: its steps one after the other from the beginning; what they
 * do not reach is kept. Every function here returns the canonical form: neighbours
 * of one kind are one, an insertion stands before a deletion at the same place,
 * nothing is kept at the end. A Delta is never changed once it is made.
 */
export type Delta = readonly Op[];

const kindOf = (op: Op): "retain" | "insert" | "delete" => ("insert" in op ? "insert" : "delete" in op ? "delete" : "retain");

/** unitsOf is how many units an operation keeps, inserts or removes. */
const unitsOf = (op: Op): number => ("insert" in op ? op.insert.length : "delete" in op ? op.delete : op.retain);

/** partsPair reports whether a place in a text is between the halves of one character. */
export function partsPair(text: string, at: number): boolean {
  return at > 0 && at < text.length && isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at));
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;

/** Builder makes a canonical Delta. */
class Builder {
  private readonly ops: Op[] = [];

  push(op: Op): void {
    if (unitsOf(op) <= 0) return;
    const kind = kindOf(op);
    let at = this.ops.length;
    const last = this.ops[at - 1];
    if (kind === "insert" && last && "delete" in last) at--; // an insertion goes before the deletion
    const before = this.ops[at - 1];
    if (before && kindOf(before) === kind) this.ops[at - 1] = joined(before, op);
    else this.ops.splice(at, 0, op);
  }

  delta(): Delta {
    const last = this.ops[this.ops.length - 1];
    if (last && "retain" in last) this.ops.pop();
    return this.ops;
  }
}

function joined(a: Op, b: Op): Op {
  if ("insert" in a && "insert" in b) return { insert: a.insert + b.insert };
  if ("delete" in a) return { delete: a.delete + unitsOf(b) };
  return { retain: unitsOf(a) + unitsOf(b) };
}

/** normalize returns the canonical form. */
export function normalize(d: Delta): Delta {
  const to = new Builder();
  for (const op of d) to.push(op);
  return to.delta();
}

/** equal reports whether two canonical Deltas are the same. */
export function equal(a: Delta, b: Delta): boolean {
  return a.length === b.length && a.every((op, i) => {
    const other = b[i] as Op;
    return kindOf(op) === kindOf(other) && ("insert" in op ? op.insert === (other as { insert: string }).insert : unitsOf(op) === unitsOf(other));
  });
}

/** reach is how many units a text must have for d. */
export function reach(d: Delta): number {
  return d.reduce((n, op) => ("insert" in op ? n : n + unitsOf(op)), 0);
}

/** growth is by how many units d makes a text longer; negative when shorter. */
export function growth(d: Delta): number {
  return d.reduce((n, op) => n + ("insert" in op ? op.insert.length : "delete" in op ? -op.delete : 0), 0);
}

/**
 * apply returns what d makes of text. It throws a RangeError when d reaches past
 * the end of the text or parts a surrogate pair.
 */
export function apply(text: string, d: Delta): string {
  let to = "";
  let at = 0;
  for (const op of d) {
    if ("insert" in op) {
      to += op.insert;
      continue;
    }
    const end = stepTo(text, at, op);
    if ("retain" in op) to += text.slice(at, end);
    at = end;
  }
  return to + text.slice(at);
}

function stepTo(text: string, at: number, op: Op): number {
  const end = at + unitsOf(op);
  if (end > text.length) throw new RangeError(`the edit reaches ${end - text.length} UTF-16 code units past the end of the document`);
  if (partsPair(text, end)) throw new RangeError("the edit parts a surrogate pair, two UTF-16 code units that are one character");
  return end;
}

/** invert returns what takes d back, when d was made for text. It throws as apply does. */
export function invert(d: Delta, text: string): Delta {
  const to = new Builder();
  let at = 0;
  for (const op of d) {
    if ("insert" in op) {
      to.push({ delete: op.insert.length });
      continue;
    }
    const end = stepTo(text, at, op);
    to.push("retain" in op ? op : { insert: text.slice(at, end) });
    at = end;
  }
  return to.delta();
}

/** Steps reads the operations of a Delta in pieces. */
class Steps {
  private at = 0;
  private done = 0; // units of the current operation
  constructor(private readonly ops: Delta) {}

  more(): boolean {
    return this.at < this.ops.length;
  }

  kind(): "retain" | "insert" | "delete" {
    return kindOf(this.ops[this.at] as Op);
  }

  left(): number {
    return unitsOf(this.ops[this.at] as Op) - this.done;
  }

  /** parts reports whether the next n units are text that ends within a pair. */
  parts(n: number): boolean {
    const op = this.ops[this.at] as Op;
    return "insert" in op && partsPair(op.insert, this.done + n);
  }

  /** next takes n units of the current operation, no more than are left. */
  next(n: number): Op {
    const op = this.ops[this.at] as Op;
    const from = this.done;
    if (n === this.left()) {
      this.at++;
      this.done = 0;
    } else {
      this.done += n;
    }
    if ("insert" in op) return { insert: op.insert.slice(from, from + n) };
    return "delete" in op ? { delete: n } : { retain: n };
  }
}

/**
 * transform returns a as it is done after b, when both are canonical and were made
 * for the same text. Of two insertions at one place, that of a stands first if
 * aFirst, else that of b; an insertion survives a deletion around it.
 */
export function transform(a: Delta, b: Delta, aFirst: boolean): Delta {
  const firstOfA = a[0];
  const firstOfB = b[0];
  if (!firstOfA || !firstOfB) return a;
  if ("retain" in firstOfB && reach(a) < firstOfB.retain) return a; // all of b is behind a
  if ("retain" in firstOfA && reach(b) < firstOfA.retain) { // all of b is before a
    return [{ retain: firstOfA.retain + growth(b) }, ...a.slice(1)];
  }
  const to = new Builder();
  const own = new Steps(a);
  const other = new Steps(b);
  while (own.more()) {
    if (!other.more()) {
      to.push(own.next(own.left()));
    } else if (other.kind() === "insert" && !(aFirst && own.kind() === "insert")) {
      to.push({ retain: unitsOf(other.next(other.left())) });
    } else if (own.kind() === "insert") {
      to.push(own.next(own.left()));
    } else {
      const n = Math.min(own.left(), other.left());
      const mine = own.next(n);
      if (!("delete" in other.next(n))) to.push(mine);
    }
  }
  return to.delta();
}

/**
 * compose returns the one Delta that does what a and then b do. It throws a
 * RangeError when b parts a surrogate pair of what a inserts. What is composed is
 * another edit: it may take the place of edits that nobody has seen, and of no
 * others.
 */
export function compose(a: Delta, b: Delta): Delta {
  const to = new Builder();
  const first = new Steps(a);
  const then = new Steps(b);
  while (first.more() || then.more()) {
    if (then.more() && then.kind() === "insert") {
      to.push(then.next(then.left()));
    } else if (first.more() && first.kind() === "delete") {
      to.push(first.next(first.left()));
    } else if (!first.more()) {
      to.push(then.next(then.left()));
    } else if (!then.more()) {
      to.push(first.next(first.left()));
    } else {
      const n = Math.min(first.left(), then.left());
      if (first.parts(n)) throw new RangeError("the edit parts a surrogate pair, two UTF-16 code units that are one character");
      const old = first.next(n);
      if ("retain" in then.next(n)) to.push(old);
      else if ("retain" in old) to.push({ delete: n });
    }
  }
  return to.delta();
}

/**
 * lift takes an edit of another past pending edits, which follow one another on the
 * same text and are ordered after it. It returns them as they are done after it,
 * and the edit as it is done after them: the change of what the user sees.
 */
export function lift(pending: readonly Delta[], edit: Delta): [Delta[], Delta] {
  const lifted = pending.map((p) => {
    const after = transform(p, edit, false);
    edit = transform(edit, p, true);
    return after;
  });
  return [lifted, edit];
}

/**
 * movePosition returns where a place in a text is after d. Text that is inserted
 * exactly there comes after it, or before it if pushed.
 */
export function movePosition(d: Delta, at: number, pushed = false): number {
  let place = 0; // in the old text
  let moved = at;
  for (const op of d) {
    if (place > at || (place === at && !pushed && "insert" in op)) break;
    if ("insert" in op) moved += op.insert.length;
    else if ("delete" in op) moved -= Math.min(op.delete, at - place);
    if (!("insert" in op)) place += unitsOf(op);
  }
  return moved;
}

/** moveBack returns where a place in what d makes of a text was in the text. */
export function moveBack(d: Delta, at: number): number {
  const undo = d.map((op): Op => ("insert" in op ? { delete: op.insert.length } : "delete" in op ? { insert: " ".repeat(op.delete) } : op));
  return movePosition(undo, at);
}

/** diff returns an edit that makes one text of another: one replacement that keeps what both begin and end with. */
export function diff(from: string, to: string): Delta {
  const most = Math.min(from.length, to.length);
  let head = 0;
  while (head < most && from.charCodeAt(head) === to.charCodeAt(head)) head++;
  if (partsPair(from, head) || partsPair(to, head)) head--;
  let tail = 0;
  while (tail < most - head && from.charCodeAt(from.length - 1 - tail) === to.charCodeAt(to.length - 1 - tail)) tail++;
  if (partsPair(from, from.length - tail) || partsPair(to, to.length - tail)) tail--;
  return normalize([{ retain: head }, { insert: to.slice(head, to.length - tail) }, { delete: from.length - head - tail }]);
}
