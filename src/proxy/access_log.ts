import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { OperatorError, plainMessageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type Access, type AccessFormat, accessLine } from "./access_line.ts";

const log = logger("access-log");
/** Lines are written at the latest after this time. */
const FLUSH_MS = 1000;
/** They are written earlier once there are as many characters. */
const FLUSH_CHARS = 64 * 1024;
/** If more wait, because the disk is full or slow, further lines are lost. */
const MAX_WAITING_CHARS = 2 * 1024 ** 2;
/** A write that has failed is tried again after this time. */
const RETRY_MS = 1000;
/** So is one to a pipe that is full, and that another process has made non-blocking. */
const FULL_PIPE_RETRY_MS = 10;
/** At the end, the last lines have this time. */
const CLOSE_MS = 2000;
const MODE = 0o640;
const LINE_FEED = 10;
const NOTHING = new Uint8Array();

const encoder = new TextEncoder();

/** An open file that only grows. */
export interface AccessFile {
  /** Writes some of the bytes; resolves with how many. */
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** What an {@linkcode AccessLog} works with. */
export interface AccessLogOptions extends AccessFormat {
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  /** Opens the file. Called again after the file was renamed. */
  readonly open: () => Promise<AccessFile>;
}

/**
 * Writes a line for each request. The lines wait in memory, and go to the file in few writes, one after the other and
 * apart from the event loop. If the file cannot take them in time, the newest are lost, and counted.
 */
export class AccessLog implements AsyncDisposable {
  readonly #options: AccessLogOptions;
  readonly #closing = new AbortController();
  #file: AccessFile;
  /** The lines that no write has begun with. */
  #waiting = "";
  /** What the present write has left. */
  #rest: Uint8Array = NOTHING;
  /** Whether the file ends within a line, whose end is in `#rest`. */
  #isTorn = false;
  #cancelFlush: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  /** Ends the wait before the next attempt. */
  #retryNow = new AbortController();
  #mustReopen = false;
  /** Whether the operator has been told that lines wait or are lost. */
  #hasWarned = false;
  #lost = 0;
  /** How many of them the operator has been told of. */
  #toldLost = 0;

  private constructor(options: AccessLogOptions, file: AccessFile) {
    this.#options = options;
    this.#file = file;
  }

  /** Opens the file and begins. @throws What opening the file throws. */
  static async begin(options: AccessLogOptions): Promise<AccessLog> {
    return new AccessLog(options, await options.open());
  }

  /** How many lines have been lost. */
  get lost(): number {
    return this.#lost;
  }

  /** Writes the line of a request whose response has ended now. Never waits for the file. */
  write(access: Access): void {
    if (this.#closing.signal.aborted) return;
    if (this.#waiting.length >= MAX_WAITING_CHARS) {
      this.#lost++;
      return this.#warn("it takes the lines too slowly");
    }
    const { clock, now } = this.#options;
    this.#waiting += accessLine(access, now(), this.#options);
    if (this.#waiting.length >= FLUSH_CHARS) this.#flush();
    else this.#cancelFlush ??= clock.after(FLUSH_MS, () => this.#flush());
  }

  /** Opens the file again by its name: another program has renamed it. What waits goes to the new file. */
  reopen(): void {
    if (this.#closing.signal.aborted) return;
    this.#mustReopen = true;
    this.#retryNow.abort();
    this.#flush();
  }

  /** Writes what waits, for a short time at most, and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#retryNow.abort();
    this.#flush();
    await atMost(this.#writing ?? Promise.resolve(), this.#options.clock, CLOSE_MS);
    this.#file.close();
    if (this.#waiting !== "" || this.#rest.length > 0) log.warning("the last lines of the access log are lost", {});
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#writing ??= this.#writeAll().finally(() => this.#writing = undefined);
  }

  async #writeAll(): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      if (this.#mustReopen) await this.#reopen();
      if (this.#rest.length === 0) {
        if (this.#waiting === "") break;
        this.#rest = encoder.encode(this.#waiting);
        this.#waiting = "";
      }
      try {
        const count = await this.#file.write(this.#rest);
        if (count > 0) this.#isTorn = this.#rest[count - 1] !== LINE_FEED;
        this.#rest = this.#rest.subarray(count);
      } catch (error) {
        if (this.#mustReopen) continue;
        const isFullPipe = error instanceof Deno.errors.WouldBlock;
        if (!isFullPipe) this.#warn(plainMessageOf(error));
        if (this.#closing.signal.aborted) return;
        this.#retryNow = new AbortController();
        await delay(clock, isFullPipe ? FULL_PIPE_RETRY_MS : RETRY_MS, this.#retryNow.signal);
      }
    }
    if (!this.#hasWarned) return;
    log.info("the access log is written again", { lost: this.#lost - this.#toldLost });
    this.#hasWarned = false;
    this.#toldLost = this.#lost;
  }

  async #reopen(): Promise<void> {
    this.#mustReopen = false;
    try {
      const file = await this.#options.open();
      this.#file.close();
      this.#file = file;
    } catch (error) {
      log.warning("cannot open the access log again; the lines go on to the old file", {
        reason: plainMessageOf(error),
      });
      return;
    }
    if (!this.#isTorn) return;
    this.#rest = this.#rest.subarray(this.#rest.indexOf(LINE_FEED) + 1); // the old file has the beginning of that line
    this.#isTorn = false;
    this.#lost++;
  }

  /** Tells the operator once, until all that waits has been written. */
  #warn(reason: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    log.warning("the access log cannot be written; lines wait in memory, and are lost if they become too many", {
      reason,
    });
  }
}

/**
 * Opens the file of an access log to append to it; `-` is the standard output. A new file is readable by its owner and
 * group, whatever the umask.
 *
 * @throws {OperatorError} If that is not possible.
 */
export async function openAccessFile(path: string): Promise<AccessFile> {
  if (path === "-") return { write: (bytes) => Deno.stdout.write(bytes), close() {} };
  try {
    return await openNew(path) ?? await Deno.open(path, { append: true, create: true, mode: MODE });
  } catch (error) {
    throw new OperatorError(`cannot open the access log ${path}: ${plainMessageOf(error)}; see --access-log`);
  }
}

/** Makes the file; `undefined` if there is one. */
async function openNew(path: string): Promise<AccessFile | undefined> {
  try {
    const file = await Deno.open(path, { append: true, createNew: true, mode: MODE });
    await Deno.chmod(path, MODE);
    return file;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  }
}
