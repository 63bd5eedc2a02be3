/** About how much memory a line takes besides its text. */
const OVERHEAD_BYTES = 64;

/** The last of many lines, limited in number and in bytes. */
export class LastLines<Line extends { readonly text: string }> {
  readonly #maxLines: number;
  readonly #maxBytes: number;
  readonly #lines: Line[] = [];
  #bytes = 0;

  constructor(maxLines: number, maxBytes: number) {
    this.#maxLines = maxLines;
    this.#maxBytes = maxBytes;
  }

  /** About how much memory the lines take, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a line. Drops the first lines if the limits are exceeded. */
  push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += costOf(line);
    while (this.#lines.length > this.#maxLines || this.#bytes > this.#maxBytes) {
      this.#bytes -= costOf(this.#lines.shift()!);
    }
  }

  list(): Line[] {
    return [...this.#lines];
  }
}

function costOf({ text }: { readonly text: string }): number {
  return text.length + OVERHEAD_BYTES;
}
