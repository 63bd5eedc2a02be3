import { terminalSize, USUAL_SIZE } from "../raw_terminal.ts";
import { changesOf, type Frame } from "./frame.ts";

/** The size of a terminal in characters. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The other screen of the terminal, without a cursor; and no character wraps, so that one that is wider than expected
 * cannot move the lines below.
 */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/** A terminal that is used as a whole: what it showed before is back after {@linkcode leave}. */
export class TerminalScreen implements Disposable {
  readonly #encoder = new TextEncoder();
  #shown: Frame | undefined;
  #isEntered = false;

  get size(): Size {
    return terminalSize() ?? USUAL_SIZE;
  }

  /** Begins to use the terminal, also after {@linkcode leave}, or if something else has used it meanwhile. */
  enter(): void {
    const isNew = !this.#isEntered;
    this.#isEntered = true;
    Deno.stdin.setRaw(true);
    if (isNew) this.#write(ENTER);
    this.#shown = undefined;
  }

  /** Gives the terminal back. Never throws: it may be gone. */
  leave(): void {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    for (const act of [() => this.#write(LEAVE), () => Deno.stdin.setRaw(false)]) {
      try {
        act();
      } catch {
        // Nobody sees it any more.
      }
    }
  }

  /** Shows a frame by writing what has changed. Returns false if the terminal is gone. */
  show(frame: Frame): boolean {
    if (!this.#isEntered) return true;
    const isSameSize = this.#shown?.length === frame.length && this.#shown[0]?.length === frame[0]?.length;
    const changes = changesOf(isSameSize ? this.#shown : undefined, frame);
    this.#shown = frame;
    try {
      this.#write(changes);
      return true;
    } catch {
      return false;
    }
  }

  /** Forgets what is shown: {@linkcode show} writes everything again. */
  forget(): void {
    this.#shown = undefined;
  }

  [Symbol.dispose](): void {
    this.leave();
  }

  #write(text: string): void {
    for (let rest = this.#encoder.encode(text); rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
  }
}
