// Where the notes that one client has open are written down.

import type { Draft, NotesRequest, NotesState } from "./draft.js";

/** Where a document is kept, so that nothing is lost when the program ends: one for each open document. */
export interface NotesStore {
  load(): NotesState | null | undefined | Promise<NotesState | null | undefined>;
  /** It must have written the state when it returns: nothing is sent that is not written. A failure is tried again. */
  save(state: NotesState): void | Promise<void>;
}

/** saveDelay is how long what need not be written before it is sent may wait, in milliseconds. */
const saveDelay = 1_000;

/** Keeper writes a draft down, one time after the other. Without a store it does nothing. */
export class Keeper {
  private saving: Promise<void> = Promise.resolve();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;
  private written: NotesRequest | undefined;

  constructor(private readonly draft: Draft, private readonly store: NotesStore | undefined) {
    this.written = draft.request;
  }

  /** soon writes the draft down in a while. */
  soon(): void {
    if (!this.store || this.timer !== undefined || this.stopped) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.save().catch(() => this.soon());
    }, saveDelay);
  }

  /** has resolves when the request is written down. */
  async has(request: NotesRequest): Promise<void> {
    if (this.written !== request) await this.save();
  }

  /** save writes the draft down as it is by then, after whatever is being written. */
  save(): Promise<void> {
    const { draft, store } = this;
    if (!store) return Promise.resolve();
    const saved = this.saving.catch(() => undefined).then(async () => {
      const state = draft.state();
      await store.save(state);
      this.written = state.request ?? undefined;
    });
    this.saving = saved;
    saved.catch(() => undefined);
    return saved;
  }

  /** stop writes nothing more by itself. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}
