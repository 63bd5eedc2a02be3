import type { ServiceLogLine } from "../../logs/instance_output.ts";

/** More lines of a log are not kept, nor more characters of a line. */
const MAX_LINES = 2000;
const MAX_CHARACTERS = 4000;

/** The newest lines of a log. Each has a number, which it keeps when older ones go. */
export class LogLines {
  #lines: ServiceLogLine[] = [];
  #next = 0;

  /** The numbers of the first and the last line; the last one is smaller if there are none. */
  get bounds(): { first: number; last: number } {
    return { first: this.#next - this.#lines.length, last: this.#next - 1 };
  }

  push(line: ServiceLogLine): void {
    this.#lines.push({ ...line, text: line.text.slice(0, MAX_CHARACTERS) });
    this.#next++;
    if (this.#lines.length >= 2 * MAX_LINES) this.#lines = this.#lines.slice(-MAX_LINES);
  }

  /** At most `count` lines, of which the last one has the number `last`, or else the newest ones. */
  upTo(last: number | undefined, count: number): readonly ServiceLogLine[] {
    const { first } = this.bounds;
    const end = last === undefined ? this.#lines.length : Math.max(0, last - first + 1);
    return this.#lines.slice(Math.max(0, end - count), end);
  }

  /** Forgets all lines, whose numbers go on. */
  clear(): void {
    this.#lines = [];
  }
}
