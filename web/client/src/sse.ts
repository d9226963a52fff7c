// Server-sent events as the HTML standard has them, section 9.2. It is written here
// because an EventSource tells neither the status nor the problem of an answer that
// is no stream, and sends no other headers at its next attempt; what is left of the
// work are these lines, which a test feeds in pieces of every length.

/** One event. Id is undefined where the event has none of its own. */
export interface ServerEvent {
  name: string;
  id: string | undefined;
  data: string;
}

/** maxEvent bounds what is held of one event, in UTF-16 code units; the server sends a few MiB at most. */
export const maxEvent = 64 << 20;

/** SSEParser makes events of text that comes in pieces. */
export class SSEParser {
  /** The last retry field, in milliseconds. */
  retry: number | undefined;
  private rest = ""; // of a line that has not ended
  private looked = 0; // of rest: no line ends in it
  private afterCR = false; // a line feed that comes next belongs to the line before
  private begun = false;
  private name = "";
  private id: string | undefined;
  private data: string[] = [];
  private held = 0;

  constructor(private readonly emit: (event: ServerEvent) => void) {}

  /** push takes the next piece, cut anywhere. It throws a RangeError when an event is over maxEvent. */
  push(piece: string): void {
    if (piece === "") return;
    if (!this.begun && piece.startsWith("\ufeff")) piece = piece.slice(1);
    this.begun = true;
    if (this.afterCR && piece.startsWith("\n")) piece = piece.slice(1);
    this.afterCR = false;
    const text = this.rest + piece;
    const ends = /\r\n?|\n/g;
    let from = 0;
    ends.lastIndex = this.looked;
    for (let end = ends.exec(text); end; end = ends.exec(text)) {
      this.line(text.slice(from, end.index));
      from = ends.lastIndex;
      if (end[0] === "\r" && from === text.length) this.afterCR = true;
    }
    this.rest = text.slice(from);
    this.looked = this.rest.length;
    if (this.held + this.rest.length > maxEvent) throw new RangeError("an event is too long");
  }

  private line(line: string): void {
    if (line === "") {
      this.dispatch();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") this.name = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    else if (field === "data") {
      this.data.push(value);
      this.held += value.length;
      if (this.held > maxEvent) throw new RangeError("an event is too long");
    }
  }

  private dispatch(): void {
    const event = { name: this.name || "message", id: this.id, data: this.data.join("\n") };
    const some = this.data.length > 0;
    this.name = "";
    this.id = undefined;
    this.data = [];
    this.held = 0;
    if (some) this.emit(event);
  }
}
