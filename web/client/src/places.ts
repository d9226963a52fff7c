// Places in the notes: those that move with the text, and those that presence tells.

import { moveBack, movePosition, type Delta } from "./delta.js";

/** A place in the text that moves with every change of it. */
export interface Cursor {
  at: number;
  close(): void;
}

/** maxRecent is how many revisions are kept, to place what others have told. */
const maxRecent = 1_000;

export class Places {
  private readonly cursors = new Set<Cursor & { own: boolean }>();
  private readonly recent: { version: number; ops: Delta }[] = [];

  /** version is that of the document as it is known first. */
  constructor(version: number) {
    this.begin(version);
  }

  /** begin forgets the versions before one. */
  begin(version: number): void {
    this.recent.splice(0, this.recent.length, { version, ops: [] });
  }

  /** follow returns a cursor: one of the user's own is pushed by what is typed there. */
  follow(at: number, own: boolean): Cursor {
    const cursor = { at, own, close: () => void this.cursors.delete(cursor) };
    this.cursors.add(cursor);
    return cursor;
  }

  /** changed moves the cursors with a change of the text. */
  changed(delta: Delta, local: boolean): void {
    for (const cursor of this.cursors) cursor.at = movePosition(delta, cursor.at, local && cursor.own);
  }

  /** revised notes what has made a version of the one before it. */
  revised(version: number, ops: Delta): void {
    this.recent.push({ version, ops });
    if (this.recent.length > maxRecent) this.recent.splice(0, maxRecent / 2);
  }

  /** of returns where in the newest version, with pending done, a place of another version is; undefined where that is not known. */
  of(version: number, at: number, pending: readonly Delta[]): number | undefined {
    const from = this.recent.findIndex((r) => r.version === version);
    if (from < 0) return undefined;
    return [...this.recent.slice(from + 1).map((r) => r.ops), ...pending].reduce((place, d) => movePosition(d, place), at);
  }

  /** before returns where a place was before the pending edits. */
  before(at: number, pending: readonly Delta[]): number {
    return pending.reduceRight((place, d) => moveBack(d, place), at);
  }
}
