import type { Clock } from "./clock.ts";

/** {@linkcode FileReserve.lend} takes the descriptors back after this time. */
const LENT_MS = 5000;
/** The reserve is taken only if this many more descriptors are free, since the rest of the program needs some. */
const SPARE = 8;

/** Holds some file descriptors open, to be released when the process has none left. */
export class FileReserve {
  readonly #clock: Clock;
  readonly #count: number;
  readonly #files: Deno.FsFile[] = [];
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, count: number) {
    this.#clock = clock;
    this.#count = count;
  }

  /** Takes all of the reserve, or nothing if too few descriptors are free. Returns whether it took them. */
  take(): boolean {
    try {
      while (this.#files.length < this.#count + SPARE) this.#files.push(Deno.openSync("/dev/null"));
    } catch {
      this.release();
      return false;
    }
    for (const file of this.#files.splice(this.#count)) file.close();
    return true;
  }

  /** Releases the descriptors for a while, and takes them back later. Returns whether it held any. */
  lend(): boolean {
    const hadSome = this.#files.length > 0;
    this.#close();
    const takeBack = () => {
      this.#cancel = this.take() ? undefined : this.#clock.after(LENT_MS, takeBack);
    };
    this.#cancel ??= this.#clock.after(LENT_MS, takeBack);
    return hadSome;
  }

  /** Releases the descriptors for good. */
  release(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#close();
  }

  #close(): void {
    for (const file of this.#files.splice(0)) file.close();
  }
}

/** The system's messages when this process or the machine has no file descriptors, memory or processes left. */
const EXHAUSTED =
  /\(os error (?:11|12|23|24)\)|\b(?:EMFILE|ENFILE|ENOMEM)\b|too many open files|cannot allocate memory|resource temporarily unavailable/i;

/** Whether something failed because this machine has run out of descriptors, memory or processes. */
export function isExhausted(thrown: unknown): boolean {
  for (let at = thrown; at instanceof Error; at = at.cause) if (EXHAUSTED.test(at.message)) return true;
  return false;
}
