import { Buffer } from "node:buffer";

/** A head of an answer has room in it, and mostly its body too, bytes. */
const USUAL_BYTES = 16 * 1024;
/** Room for the head of a request, bytes. */
const HEAD_BYTES = 4 * 1024;

const encoder = new TextEncoder();

/** A connection to an app. It is always being read, so that its end and what nobody has asked for are noticed. */
export class Connection {
  readonly #tcp: Deno.TcpConn;
  readonly #outgoing = new Uint8Array(HEAD_BYTES);
  #incoming = new Uint8Array(USUAL_BYTES);
  /** Resolves with what has come while nobody asked; `null` is the end. */
  #watched: Promise<number | null>;
  #closed = false;
  /** Whether it has carried an exchange before. */
  used = false;
  /** In the clock's ms; of use while nobody uses it. */
  idleSince = 0;

  constructor(tcp: Deno.TcpConn) {
    this.#tcp = tcp;
    tcp.setNoDelay();
    this.#watched = this.#watch();
  }

  /** Holds what {@linkcode Connection.first} and {@linkcode Connection.more} have read. */
  get incoming(): Uint8Array<ArrayBuffer> {
    return this.#incoming;
  }

  /** Whether it is closed on this side. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when anything comes, or the connection ends. */
  get disturbed(): Promise<unknown> {
    return this.#watched;
  }

  /** The first bytes of an answer are in `incoming` then; resolves with their number, 0 for the end. */
  async first(): Promise<number> {
    return await this.#watched ?? 0;
  }

  /** Reads more behind what is there; makes room first, where there is none. */
  async more(filled: number): Promise<number> {
    if (filled === this.#incoming.length) {
      const roomy = new Uint8Array(2 * filled);
      roomy.set(this.#incoming);
      this.#incoming = roomy;
    }
    return await this.#tcp.read(this.#incoming.subarray(filled)) ?? 0;
  }

  /** Reads into another place. Resolves with the number of bytes, 0 for the end. */
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

  /** Goes on watching: an answer has been read to its end. */
  rest(now: number): void {
    if (this.#incoming.length > USUAL_BYTES) this.#incoming = new Uint8Array(USUAL_BYTES);
    this.used = true;
    this.idleSince = now;
    this.#watched = this.#watch();
  }

  /** Closes it; whoever reads or writes gets an error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tcp.close();
  }

  #watch(): Promise<number | null> {
    const reading = this.#tcp.read(this.#incoming);
    reading.catch(() => {}); // whoever uses the connection next sees it
    return reading;
  }
}
