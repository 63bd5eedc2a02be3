/** How long a write may take before its receiver counts as not reading. */
const STALL_MS = 500;

/** Somewhere that bytes can be sent to. */
export interface Sink {
  send(data: Uint8Array): Promise<boolean>;
}

/** A transfer that may stand still because the other side does not read. */
export class Flow {
  /** How many bytes have been taken so far. */
  sent = 0;
  readonly #finished: Promise<void>;
  #onProgress: () => void = () => {};

  /** Begins to send so many bytes. */
  constructor(sink: Sink, total: number, piece: Uint8Array = new Uint8Array(256 * 1024)) {
    this.#finished = this.#run(sink, total, piece);
  }

  /** Resolves when everything has been sent, or the other side has closed. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  /** Resolves when nothing has been taken for a while. */
  async stalled(): Promise<void> {
    for (let moving = true; moving;) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(false), STALL_MS);
      this.#onProgress = () => resolve(true);
      moving = await promise;
      clearTimeout(timer);
    }
  }

  async #run(sink: Sink, total: number, piece: Uint8Array): Promise<void> {
    while (this.sent < total) {
      const part = piece.subarray(0, Math.min(piece.length, total - this.sent));
      if (!await sink.send(part)) return;
      this.sent += part.length;
      this.#onProgress();
    }
  }
}

/** Reads so many bytes and throws them away; returns how many there were. */
export async function drain(reader: { some(): Promise<Uint8Array> }, total = Infinity): Promise<number> {
  let count = 0;
  while (count < total) {
    const { length } = await reader.some();
    if (length === 0) break;
    count += length;
  }
  return count;
}

/** By how much the process's memory has grown at most while something ran, in bytes. */
export async function growth(work: () => Promise<unknown>): Promise<number> {
  const before = Deno.memoryUsage().rss;
  let most = before;
  const timer = setInterval(() => most = Math.max(most, Deno.memoryUsage().rss), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, Deno.memoryUsage().rss) - before;
}
