import { Buffer } from "node:buffer";
import { uncleared } from "./pieces.ts";

/** Most answers come whole in as much, bytes. */
const USUAL_BYTES = 32 * 1024;
/** Room for the head of a request, bytes. */
const HEAD_BYTES = 4 * 1024;

const encoder = new TextEncoder();

/** A connection to an app. It is always being read, so that its end and what nobody has asked for are noticed. */
export class Connection {
  readonly #tcp: Deno.TcpConn;
  readonly #outgoing = new Uint8Array(HEAD_BYTES);
  #incoming = uncleared(USUAL_BYTES);
  #first: Promise<number | null>;
  #idle = false;
  #closed = false;
  /** Is told when anything comes, or the connection ends, while nobody uses it. */
  onStray: (() => void) | undefined;
  /** Set by {@linkcode Connections}, which keeps it only in the same epoch. */
  epoch = 0;
  /** Whether it has carried an exchange before. */
  used = false;
  /** In the clock's ms; of use while nobody uses it. */
  idleSince = 0;

  constructor(tcp: Deno.TcpConn) {
    this.#tcp = tcp;
    tcp.setNoDelay();
    this.#first = this.#watch();
  }

  /** Holds the answer, as far as it has come. */
  get incoming(): Uint8Array<ArrayBuffer> {
    return this.#incoming;
  }

  /** Whether it is closed on this side. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the first bytes of an answer are in `incoming`, with their number; with `null` at the end. */
  get first(): Promise<number | null> {
    return this.#first;
  }

  /**
   * Makes room behind what has come, and returns where to read what follows. Parts of `incoming` that were taken before
   * are of no use any more.
   *
   * @param filled How many bytes are there already.
   * @param expected How many there will be; there is room for one more, so that what does not belong to them is seen.
   */
  makeRoom(filled: number, expected = filled): Uint8Array<ArrayBuffer> {
    if (expected >= this.#incoming.length) {
      const roomy = uncleared(Math.max(2 * filled, expected + 1));
      roomy.set(this.#incoming.subarray(0, filled));
      this.#incoming.buffer.transfer(0);
      this.#incoming = roomy;
    }
    return this.#incoming.subarray(filled);
  }

  /** Gives `incoming` away: from now on it is its user's. */
  handOver(): void {
    this.#incoming = uncleared(USUAL_BYTES);
  }

  /** Reads. Resolves with the number of bytes, 0 for the end. */
  async read(into: Uint8Array): Promise<number> {
    return await this.#tcp.read(into) ?? 0;
  }

  /** The first incoming bytes as text, one character for each. */
  text(length: number): string {
    return Buffer.from(this.#incoming.buffer, 0, length).toString("latin1");
  }

  /** Sends a text whose characters are bytes. */
  writeText(text: string): Promise<void> {
    const { read, written } = encoder.encodeInto(text, this.#outgoing);
    // Where as many bytes as characters were written, all of them were ASCII.
    const isPlain = read === text.length && written === read;
    return this.write(isPlain ? this.#outgoing.subarray(0, written) : Buffer.from(text, "latin1"));
  }

  /** Sends all of it. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await this.#tcp.write(rest));
  }

  /** Nobody uses it any more: an answer has been read to its end. @param now In the clock's ms. */
  becomeIdle(now: number): void {
    if (this.#incoming.length > USUAL_BYTES) {
      this.#incoming.buffer.transfer(0);
      this.#incoming = uncleared(USUAL_BYTES);
    }
    this.#idle = true;
    this.used = true;
    this.idleSince = now;
    this.#first = this.#watch();
  }

  /** Somebody uses it: what comes is meant for them. */
  use(): void {
    this.#idle = false;
  }

  /** Closes it; whoever reads or writes gets an error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tcp.close();
  }

  #watch(): Promise<number | null> {
    const reading = this.#tcp.read(this.#incoming);
    reading.then(this.#notice, this.#notice);
    return reading;
  }

  readonly #notice = (): void => {
    if (this.#idle) this.onStray?.();
  };
}
