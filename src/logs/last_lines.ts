/** What a line costs beside its text, about, in bytes. */
const OVERHEAD = 64;

/** The last lines of many: no more than a number of them, and no more than a number of bytes. */
export class LastLines<Line extends { readonly text: string }> {
  readonly #mostLines: number;
  readonly #mostBytes: number;
  #lines: Line[] = [];
  /** How many at the beginning of the list are gone already. */
  #gone = 0;
  #bytes = 0;

  constructor(mostLines: number, mostBytes: number) {
    this.#mostLines = mostLines;
    this.#mostBytes = mostBytes;
  }

  /** How much the lines take, about, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a line, in place of the first ones where there is no room. */
  push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += costOf(line);
    while (this.#lines.length - this.#gone > this.#mostLines || this.#bytes > this.#mostBytes) {
      this.#bytes -= costOf(this.#lines[this.#gone++]!);
    }
    // Each line is moved once for each that has gone: the list never has more than twice the lines.
    if (this.#gone < 16 || this.#gone * 2 < this.#lines.length) return;
    this.#lines = this.#lines.slice(this.#gone);
    this.#gone = 0;
  }

  /** The lines, first to last. */
  list(): Line[] {
    return this.#lines.slice(this.#gone);
  }
}

function costOf({ text }: { readonly text: string }): number {
  return text.length + OVERHEAD;
}
