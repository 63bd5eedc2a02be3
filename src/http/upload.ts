import { setImmediate } from "node:timers";
import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { StreamBudget } from "./stream_budget.ts";

/** A body up to this size is kept, so that it can be sent again. */
const KEPT_BYTES = 64 * 1024;
/** At most this much of a long body is read at once. */
const MAX_BYTES_AT_ONCE = 256 * 1024;

/** The largest piece of a body of unknown length. */
const MAX_PIECE_BYTES = 64 * 1024;
/** At first, this much of such a body is read. It is little, since the request may be held for long. */
const FIRST_BURST_BYTES = 16 * 1024;
/** See {@linkcode BurstReader}. */
const MIN_WINDOW_BYTES = 1024;
const MAX_WINDOW_BYTES = 4 * 1024;
/** Room for a chunk's size line, and for the line break that ends the previous chunk. */
const FRAMING_BYTES = 16;
const WINDOWS_IN_BURST = 256;
/** After this many reads, the size of the window is adjusted. */
const READS_PER_WINDOW_SIZE = 64;
/** After this many reads, which take 2 to 4 ms, all uploads pause: see {@linkcode UploadPauses}. */
const READS_BETWEEN_PAUSES = 256;
const PAUSE_MS = 1;

/** The end of an upload waits this long for the read that is under way. */
const LAST_READ_MS = 100;

/** A slower upload counts as stopped. */
const MIN_BYTES_PER_MS = 1024 / 1000;

/** A piece of a body. */
export type Piece = Uint8Array<ArrayBuffer>;

/** A request's body on its way to an app. It counts what arrives, and can be sent again while all of it is kept. */
export class Upload {
  readonly #source: BodySource;
  readonly #reader: Reader;
  /** In bytes; `Infinity` if unknown. */
  readonly length: number;
  /** What has arrived and may have to be sent again. */
  readonly #kept: Piece[] = [];
  #reading: Promise<void> | undefined;
  #attempt = 0;
  #receivedBytes = 0;
  #limit: { readonly bytes: number; readonly exceeded: () => void } | undefined;
  #ended = false;
  /** What had arrived at the last check. */
  #checkedBytes = 0;
  /** What had arrived when the present measurement of its speed began. */
  #measuredFromBytes = 0;
  /** For how long a read has waited for the client, and nothing has come. */
  #stillMs = 0;
  /** For how long reads have waited for the client in the present measurement. */
  #waitedMs = 0;

  /** @param length In bytes; `Infinity` if unknown. */
  constructor(body: ReadableStream<Piece>, length: number, pauses: UploadPauses) {
    this.#source = new BodySource(body, length > KEPT_BYTES, pauses);
    this.#reader = readerOf(this.#source, length, pauses);
    this.length = length;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get complete(): boolean {
    return this.#ended || this.#receivedBytes === this.length;
  }

  /** Whether the next piece is still expected from the client. */
  get awaitsClient(): boolean {
    return this.#reading !== undefined;
  }

  /** Whether everything that has arrived is still kept. */
  get replayable(): boolean {
    return this.#receivedBytes <= KEPT_BYTES;
  }

  /**
   * Whether the client has stopped sending: it has sent nothing for `timeoutMs`, or less than 1 KB/s over that time.
   * Counts only the time in which a read waits for the client. Must be called every `tickMs`.
   */
  hasStopped(tickMs: number, timeoutMs: number): boolean {
    if (this.#reading === undefined || this.complete) return false; // no read waits for the client
    const bytes = this.#receivedBytes;
    this.#stillMs = bytes === this.#checkedBytes ? this.#stillMs + tickMs : 0;
    this.#checkedBytes = bytes;
    this.#waitedMs += tickMs;
    if (this.#stillMs >= timeoutMs) return true;
    if (this.#waitedMs < timeoutMs) return false;
    const isSlow = bytes - this.#measuredFromBytes < MIN_BYTES_PER_MS * timeoutMs;
    this.#measuredFromBytes = bytes;
    this.#waitedMs = 0;
    return isSlow;
  }

  /**
   * Sets the most bytes that may arrive. When there are more, the upload breaks off, and none of the others is passed on.
   *
   * @param exceeded Called at that time.
   */
  limit(bytes: number, exceeded: () => void): void {
    this.#limit = { bytes, exceeded };
  }

  /**
   * Waits for the first byte or the end of the body. Resolves with whether the body is empty. Rejects if the client
   * breaks off.
   */
  async isEmpty(): Promise<boolean> {
    while (!this.#ended && this.#receivedBytes === 0) await (this.#reading ??= this.#read());
    return this.#receivedBytes === 0;
  }

  /** Ends the present attempt to send the body. What arrives later is for the next attempt. */
  abandon(): void {
    this.#attempt++;
  }

  /**
   * Drops the unsent rest. Must be called before the response ends, which may happen when the promise resolves. The
   * platform then uses the client's connection again, unless a read still waits for the client of a whole response.
   *
   * @param isStreamed Whether the response's body is a stream.
   */
  end(isStreamed = false): Promise<void> {
    this.abandon();
    this.#reader.release();
    return this.#source.end(isStreamed);
  }

  /** The same for a client that has stopped: the platform closes its connection after the response. */
  discard(): void {
    this.abandon();
    this.#reader.release();
    this.#source.discard();
  }

  /**
   * Begins an attempt to send the body from its start, and ends the previous attempt.
   *
   * @returns A function that gives the next piece, or `undefined` at the end. A piece must not be changed, and is valid
   * until the next call. The function rejects if the client breaks off, or another attempt has begun.
   */
  begin(): () => Promise<Piece | undefined> {
    const attempt = ++this.#attempt;
    let at = 0;
    return async () => {
      if (attempt !== this.#attempt) throw attemptOver();
      // An earlier attempt may be waiting for the same piece.
      if (at === this.#kept.length && !this.#ended) await (this.#reading ??= this.#read());
      if (attempt !== this.#attempt) throw attemptOver();
      const piece = this.#kept[at++];
      if (piece === undefined || this.replayable) return piece;
      this.#kept.splice(0, at);
      at = 0;
      return piece;
    };
  }

  async #read(): Promise<void> {
    try {
      const piece = await this.#reader.read();
      this.#ended = piece === undefined;
      if (piece === undefined) return;
      this.#receivedBytes += piece.length;
      if (this.#limit !== undefined && this.#receivedBytes > this.#limit.bytes) {
        this.#limit.exceeded();
        throw new Error("The body is longer than allowed");
      }
      this.#kept.push(this.replayable ? piece.slice() : piece);
    } finally {
      this.#reading = undefined;
    }
  }
}

function attemptOver(): Error {
  return new Error("The attempt to send the body is over");
}

/**
 * Makes all uploads of unknown length pause at the same time. If a task is ready in every turn of the event loop, the
 * runtime looks for new input only after 61 tasks (`event_interval` in https://docs.rs/tokio/latest/tokio/runtime/).
 * That is about every 30 turns, so other requests would wait for 70 ms each time. During a pause, no upload has a ready
 * task.
 */
export class UploadPauses {
  readonly budget: StreamBudget;
  readonly clock: Clock;
  #reads = 0;
  #pause: Promise<void> | undefined;

  /** @param budget The budget for bytes that have been read but not taken yet. */
  constructor(clock: Clock, budget = new StreamBudget()) {
    this.clock = clock;
    this.budget = budget;
  }

  countRead(): void {
    this.#reads++;
  }

  /** Await it before the next burst; `undefined` if no pause is due. */
  get pause(): Promise<void> | undefined {
    if (this.#reads < READS_BETWEEN_PAUSES) return undefined;
    return this.#pause ??= delay(this.clock, PAUSE_MS).then(() => {
      this.#reads = 0;
      this.#pause = undefined;
    });
  }
}

type PlatformResult = ReadableStreamReadResult<Piece>;

/** The platform's reader. `room` is used if the stream is a byte stream. */
interface PlatformReader {
  read(room?: Piece): Promise<PlatformResult>;
  cancel(): Promise<void>;
}

/**
 * The platform's stream of a request's body.
 *
 * If the stream is cancelled while a read is under way, the platform keeps the memory of that read for ever. So the end
 * waits a short time for the read, and then cancels. If the read does not settle, the rest of the body is read and
 * dropped: the platform answers with `connection: close`, and closes the connection after the body. That does not work
 * for a streamed response: the platform wakes no read after it, and would never close the connection. So the stream is
 * cancelled at once there.
 */
class BodySource {
  /** Whether reads are given memory to fill. If not, each read returns new memory. */
  readonly fillsRoom: boolean = false;
  readonly #reader: PlatformReader;
  readonly #pauses: UploadPauses;
  /** The read that is under way. */
  #reading: Promise<PlatformResult> | undefined;
  /** The memory that was given to it. */
  #roomBytes = 0;
  /** Rejects that read for whoever waits for it. */
  #breakOff: ((reason: Error) => void) | undefined;
  #ending: Promise<void> | undefined;

  /** @param isLong Whether reads are to be given memory, if the platform can do it. */
  constructor(body: ReadableStream<Piece>, isLong: boolean, pauses: UploadPauses) {
    this.#pauses = pauses;
    if (isLong) {
      try {
        this.#reader = body.getReader({ mode: "byob" }) as PlatformReader;
        this.fillsRoom = true;
        return;
      } catch {
        // The platform has the whole body already.
      }
    }
    this.#reader = body.getReader();
  }

  /** Must be called when the previous read has settled. Rejects when the upload ends. */
  read(room?: Piece): Promise<PlatformResult> {
    return new Promise((resolve, reject) => {
      if (this.#ending !== undefined) return reject(uploadOver());
      this.#breakOff = reject;
      this.#roomBytes = room?.length ?? 0;
      const settled = () => this.#reading = undefined;
      this.#reading = this.#reader.read(room).finally(settled);
      this.#reading.then(resolve, reject);
    });
  }

  /** Lets no further read begin. Resolves when the response may end. */
  end(isStreamed: boolean): Promise<void> {
    return this.#ending ??= this.#finish(isStreamed ? 0 : LAST_READ_MS, isStreamed);
  }

  /** The same before a response that is not streamed, without waiting for the client. */
  discard(): void {
    this.#ending ??= this.#finish(0, false);
  }

  async #finish(waitMs: number, isStreamed: boolean): Promise<void> {
    this.#breakOff?.(uploadOver());
    if (this.#reading !== undefined && waitMs > 0) await atMost(this.#reading, this.#pauses.clock, waitMs);
    if (this.#reading !== undefined && !isStreamed) return void this.#dropRest(this.#reading);
    await this.#reader.cancel().catch(() => {}); // the client may have broken off already
  }

  async #dropRest(reading: Promise<PlatformResult>): Promise<void> {
    const { budget } = this.#pauses;
    const roomBytes = this.#roomBytes;
    budget.change(roomBytes);
    try {
      let { done, value } = await reading;
      // It pauses only after a read that has had to wait: see BurstReader.
      for (let hasWaited = true; !done;) {
        this.#pauses.countRead();
        if (hasWaited) {
          await this.#pauses.pause;
          hasWaited = false;
          setImmediate(() => void (hasWaited = true));
        }
        ({ done, value } = await this.#reader.read(new Uint8Array(value!.buffer)));
      }
    } catch {
      // The client has gone.
    } finally {
      budget.change(-roomBytes);
    }
  }
}

function uploadOver(): Error {
  return new Error("The upload is over");
}

/** Reads a body piece by piece; each piece is valid until the next `read`. */
interface Reader {
  read(): Promise<Piece | undefined>;
  /** Gives the memory back to the budget. Must be called at the end, also after an error. */
  release(): void;
}

function readerOf(source: BodySource, length: number, pauses: UploadPauses): Reader {
  if (!source.fillsRoom) return { read: async () => (await source.read()).value, release: () => {} };
  return length === Infinity ? new BurstReader(source, pauses) : sharingReader(source, pauses.budget);
}

/** Reads into the same memory again and again. */
function sharingReader(source: BodySource, budget: StreamBudget): Reader {
  let room = new Uint8Array(KEPT_BYTES);
  let countedBytes = 0;
  let isReleased = false;
  const count = (bytes: number) => {
    if (isReleased) return;
    budget.change(bytes - countedBytes);
    countedBytes = bytes;
  };
  return {
    async read() {
      const { value, done } = await source.read(room);
      if (done) return undefined;
      // The memory comes back with the piece. If all of it was filled, more may be read at once.
      const isFull = value.length === value.buffer.byteLength && value.length === KEPT_BYTES;
      room = isFull ? new Uint8Array(budget.share(MAX_BYTES_AT_ONCE, KEPT_BYTES)) : new Uint8Array(value.buffer);
      count(room.length);
      return value;
    },
    release: () => {
      count(0);
      isReleased = true;
    },
  };
}

/**
 * Reads a body of unknown length in bursts, so that its cost is linear whatever the size of its chunks.
 *
 * Each read gets a window: memory for the bytes that it returns. The platform first moves bytes from the socket into a
 * buffer of its own, as many as the largest window so far can hold. Then it takes at most one chunk out of that buffer,
 * and moves the rest to the front. With windows that are larger than the chunks, the buffer grows, and each later read
 * costs more: 100 MB in chunks of 16 KB cost 30 s with windows of 64 KB. The platform fills its buffer only while
 * somebody reads, and at most 128 times within one turn of the event loop, which is the runtime's budget for a task.
 * Therefore:
 *
 * - Windows are small. A window has room for the framing and for 1 KB of a chunk. It is doubled, up to 4 KB, if at least
 *   half of the chunks do not fit into it.
 * - A burst ends when a read has to wait, since the platform's buffer is empty then. It also ends after twice as many
 *   windows as the platform fills within a turn. So the buffer does not grow from one burst to the next.
 * - Nothing is read until the whole burst has been taken. Each burst is delivered in a new turn of the event loop, so
 *   that other tasks get their turn.
 *
 * The platform's side is `SharedConn` in https://github.com/denoland/deno/blob/v2.9.5/libs/http_h1/conn.rs
 */
class BurstReader implements Reader {
  readonly #source: BodySource;
  readonly #pauses: UploadPauses;
  #window: Piece = new Uint8Array(MIN_WINDOW_BYTES + FRAMING_BYTES);
  /** How many reads there were since the size of the window was last adjusted. */
  #reads = 0;
  #filledWindows = 0;
  /** The bytes from `start` to `end` have been read, but not taken yet. */
  #queue: Piece = new Uint8Array(FIRST_BURST_BYTES);
  #countedBytes = 0;
  #isReleased = false;
  #start = 0;
  #end = 0;
  /** A burst ends when the queue has this length, even if no read has had to wait. */
  #burstBytes = FIRST_BURST_BYTES;
  /** Whether a read is under way: one of this burst, or the last one of the previous burst. */
  #reading = false;
  #paused = false;
  #ended = false;
  #error: { readonly cause: unknown } | undefined;
  /** Whether a callback is set that delivers in the next turn what has arrived. */
  #delivering = false;
  #deliver: (() => void) | undefined;

  constructor(source: BodySource, pauses: UploadPauses) {
    this.#source = source;
    this.#pauses = pauses;
    this.#count(FIRST_BURST_BYTES);
  }

  async read(): Promise<Piece | undefined> {
    while (this.#start === this.#end) {
      if (this.#error !== undefined) throw this.#error.cause;
      if (this.#ended) return undefined;
      await (this.#pauses.pause ?? this.#burst());
    }
    const piece = this.#queue.subarray(this.#start, Math.min(this.#end, this.#start + MAX_PIECE_BYTES));
    this.#start += piece.length;
    return piece;
  }

  release(): void {
    this.#count(0);
    this.#isReleased = true;
  }

  #count(bytes: number): void {
    if (this.#isReleased) return;
    this.#pauses.budget.change(bytes - this.#countedBytes);
    this.#countedBytes = bytes;
  }

  /** Resolves when something has arrived, in a later turn. */
  #burst(): Promise<void> {
    this.#start = this.#end = 0;
    this.#paused = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#deliver = resolve;
    if (!this.#reading) this.#fill();
    return promise;
  }

  async #fill(): Promise<void> {
    this.#reading = true;
    try {
      while (!this.#ended && !this.#paused && this.#end < this.#burstBytes) {
        const { value, done } = await this.#source.read(this.#window);
        this.#pauses.countRead();
        if (done) this.#ended = true;
        else this.#add(value);
        this.#deliverSoon();
      }
      this.#burstBytes = this.#pauses.budget.share(WINDOWS_IN_BURST * this.#window.length, FIRST_BURST_BYTES);
    } catch (cause) {
      this.#error = { cause };
      this.#deliverSoon();
    }
    this.#reading = false;
  }

  #add(piece: Piece): void {
    const end = this.#end + piece.length;
    if (end > this.#queue.length) {
      const larger = new Uint8Array(Math.max(2 * this.#queue.length, end));
      larger.set(this.#queue);
      this.#queue = larger;
      this.#count(larger.length);
    }
    this.#queue.set(piece, this.#end);
    this.#end = end;
    const { buffer } = piece; // the memory of the window
    if (piece.length > buffer.byteLength - FRAMING_BYTES) this.#filledWindows++;
    this.#window = new Uint8Array(buffer);
    if (++this.#reads === READS_PER_WINDOW_SIZE) this.#fitWindow();
  }

  /** Doubles the window if most chunks do not fit into it. */
  #fitWindow(): void {
    const bytes = this.#window.length - FRAMING_BYTES;
    if (bytes < MAX_WINDOW_BYTES && this.#filledWindows >= this.#reads / 2) {
      this.#window = new Uint8Array(2 * bytes + FRAMING_BYTES);
    }
    this.#reads = this.#filledWindows = 0;
  }

  #deliverSoon(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    setImmediate(() => {
      this.#delivering = false;
      if (this.#start === this.#end && !this.#ended && this.#error === undefined) return;
      this.#paused = true;
      this.#deliver?.();
    });
  }
}
