import { Buffer } from "node:buffer";

/** Most responses are smaller. */
const USUAL_BYTES = 32 * 1024;
/** Most heads of requests are smaller. */
const HEAD_BYTES = 4 * 1024;

const encoder = new TextEncoder();

/** What is sent and received through. */
type Wire = Pick<Deno.Conn, "read" | "write" | "close">;

/**
 * A connection to an app. It is read even while it is idle, so that unexpected bytes and the end of the connection are
 * noticed.
 */
export class Connection {
  readonly #wire: Wire;
  readonly #outgoing = new Uint8Array(HEAD_BYTES);
  #incoming = uninitialized(USUAL_BYTES);
  #first: Promise<number | null>;
  #idle = false;
  #closed = false;
  /** Called when bytes or the end arrive while the connection is idle. */
  onStray: (() => void) | undefined;
  /** The epoch of its {@linkcode ConnectionPool} when it was opened. */
  epoch = 0;
  /** Whether an exchange has used it before. */
  used = false;
  /** Meaningless while it is in use. */
  idleSinceMs = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#first = this.#watch();
  }

  get incoming(): Uint8Array<ArrayBuffer> {
    return this.#incoming;
  }

  /** Whether this side has closed it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves with how many bytes the first read has put into `incoming`, or `null` at the end of the connection. */
  get first(): Promise<number | null> {
    return this.#first;
  }

  /**
   * Makes room after the received bytes and returns it. Earlier views of `incoming` become invalid. The room
   * takes at least one byte more than the expected rest, so that excess bytes are noticed.
   *
   * @param filled The number of received bytes.
   * @param expected How many there will be in the end.
   */
  makeRoom(filled: number, expected = filled): Uint8Array<ArrayBuffer> {
    if (expected >= this.#incoming.length) {
      const roomy = uninitialized(Math.max(2 * filled, expected + 1));
      roomy.set(this.#incoming.subarray(0, filled));
      this.#incoming.buffer.transfer(0);
      this.#incoming = roomy;
    }
    return this.#incoming.subarray(filled);
  }

  /** Hands `incoming` over to the caller, and takes new memory. */
  handOver(): void {
    this.#incoming = uninitialized(USUAL_BYTES);
  }

  /** Reads; resolves with the number of bytes, 0 at the end of the connection. */
  async read(into: Uint8Array): Promise<number> {
    return await this.#wire.read(into) ?? 0;
  }

  /** The first bytes of `incoming` as text, one character for each byte. */
  text(length: number): string {
    return Buffer.from(this.#incoming.buffer, 0, length).toString("latin1");
  }

  /** Sends text, one byte for each character. */
  writeText(text: string): Promise<void> {
    const { read, written } = encoder.encodeInto(text, this.#outgoing);
    // UTF-8 has as many bytes as characters only if all of them are ASCII.
    const isAscii = read === text.length && written === read;
    return this.write(isAscii ? this.#outgoing.subarray(0, written) : Buffer.from(text, "latin1"));
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await this.#wire.write(rest));
  }

  /** Marks it as idle, after a response has been read to its end. */
  becomeIdle(nowMs: number): void {
    if (this.#incoming.length > USUAL_BYTES) {
      this.#incoming.buffer.transfer(0);
      this.#incoming = uninitialized(USUAL_BYTES);
    }
    this.#idle = true;
    this.used = true;
    this.idleSinceMs = nowMs;
    this.#first = this.#watch();
  }

  use(): void {
    this.#idle = false;
  }

  /** Closes it; pending reads and writes fail. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wire.close();
  }

  #watch(): Promise<number | null> {
    const reading = this.#wire.read(this.#incoming);
    reading.then(this.#notice, this.#notice);
    return reading;
  }

  readonly #notice = (): void => {
    if (this.#idle) this.onStray?.();
  };
}

/** Memory that is not cleared: pass on only what has been written to it. */
export function uninitialized(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}
