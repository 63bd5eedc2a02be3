/** About how much memory a line takes besides its text. */
const OVERHEAD_BYTES = 64;

/** The last lines of many, limited in number and in bytes. */
export class LastLines<Line extends { readonly text: string }> {
  readonly #maxLines: number;
  readonly #maxBytes: number;
  #lines: Line[] = [];
  /** How many lines at the beginning of the array were dropped already. */
  #dropped = 0;
  #bytes = 0;

  constructor(maxLines: number, maxBytes: number) {
    this.#maxLines = maxLines;
    this.#maxBytes = maxBytes;
  }

  /** About how much memory the lines take, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a line, and drops the first ones if they are too many. */
  push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += costOf(line);
    while (this.#lines.length - this.#dropped > this.#maxLines || this.#bytes > this.#maxBytes) {
      this.#bytes -= costOf(this.#lines[this.#dropped++]!);
    }
    // Copied once half of the array is dropped, so that a line costs constant time on average.
    if (this.#dropped < 16 || this.#dropped * 2 < this.#lines.length) return;
    this.#lines = this.#lines.slice(this.#dropped);
    this.#dropped = 0;
  }

  list(): Line[] {
    return this.#lines.slice(this.#dropped);
  }
}

function costOf({ text }: { readonly text: string }): number {
  return text.length + OVERHEAD_BYTES;
}
