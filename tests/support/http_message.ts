import { concat } from "@std/bytes/concat";
import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** Text as bytes, one for each character. */
export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(text);
  // UTF-8 has as many bytes as characters only if all of them are ASCII. `Buffer` takes 5 ms for 100 KB.
  return bytes.length === text.length ? bytes : new Uint8Array(Buffer.from(text, "latin1"));
}

/** Bytes as text, one character for each. */
export function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Whether the bytes are the same; much faster than `assertEquals`. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** A header's value without the blanks around it, which are no part of it: RFC 9110, section 5.5. */
export function withoutBlanks(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, "");
}

const CR = 13;
const LF = 10;
const FIRST_STORE_BYTES = 64 * 1024;

/** A request or an answer, as it came over the wire. */
export class HttpMessage {
  /** Such as `GET / HTTP/1.1` or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** Every header line, in order, names as they were written. */
  readonly headers: [name: string, value: string][];
  /** The body, its chunks put together. */
  body: Uint8Array = new Uint8Array(0);
  /** Whether the body came to its end. */
  complete = true;

  constructor(head: string) {
    const [startLine = "", ...lines] = head.replace(/\r\n\r\n$/, "").split("\r\n");
    this.startLine = startLine;
    this.headers = lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), withoutBlanks(line.slice(colon + 1))];
    });
  }

  /** The status of an answer. */
  get status(): number {
    return Number(this.startLine.split(" ")[1]);
  }

  /** The target of a request. */
  get target(): string {
    return this.startLine.split(" ")[1] ?? "";
  }

  /** The body as text. */
  get text(): string {
    return toText(this.body);
  }

  /** The values of every line of that name. */
  all(name: string): string[] {
    return this.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  }

  /** The value of the only line of that name; `undefined` where there is none. */
  one(name: string): string | undefined {
    const values = this.all(name);
    if (values.length > 1) throw new Error(`${values.length} lines of ${name}`);
    return values[0];
  }

  /** The names of all lines, lower case and sorted. */
  names(): string[] {
    return this.headers.map(([name]) => name.toLowerCase()).sort();
  }
}

/**
 * Reads HTTP/1.1 from a connection, byte by byte as it is, without help of the platform. What has no end, or two, is an
 * error.
 */
export class HttpReader {
  readonly #connection: Deno.Conn;
  /** The bytes that were received and not yet taken lie between `#from` and `#to`. */
  #store = new Uint8Array(FIRST_STORE_BYTES);
  #from = 0;
  #to = 0;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Start line and headers; `undefined` where the other side closes instead. */
  async head(): Promise<HttpMessage | undefined> {
    const head = await this.until("\r\n\r\n");
    return head === undefined ? undefined : new HttpMessage(head);
  }

  /** A request with its body. */
  async request(): Promise<HttpMessage | undefined> {
    const message = await this.head();
    if (message !== undefined) await this.#body(message, framingOf(message) ?? 0);
    return message;
  }

  /** An answer with its body. @param method Of the request. */
  async response(method = "GET"): Promise<HttpMessage | undefined> {
    const message = await this.head();
    if (message === undefined) return undefined;
    const { status } = message;
    const framing = framingOf(message);
    const bodiless = method === "HEAD" || status === 204 || status === 304 || status < 200;
    if (!bodiless) await this.#body(message, framing);
    return message;
  }

  /** Text up to the delimiter and with it; `undefined` where the connection ends before. */
  async until(delimiter: string): Promise<string | undefined> {
    for (let seen = 0;;) {
      const at = toText(this.#store.subarray(this.#from + seen, this.#to)).indexOf(delimiter);
      if (at !== -1) return toText(this.#take(seen + at + delimiter.length));
      seen = Math.max(0, this.#to - this.#from - delimiter.length);
      if (!await this.#fill()) return undefined;
    }
  }

  /** Exactly so many bytes, or fewer where the connection ends before. */
  async exactly(count: number): Promise<Uint8Array> {
    while (this.#to - this.#from < count && await this.#fill());
    return this.#take(count);
  }

  /** The next bytes, however many have come; none where the connection has ended. */
  async some(): Promise<Uint8Array> {
    if (this.#from === this.#to) await this.#fill();
    return this.#take(Infinity);
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<Uint8Array> {
    while (await this.#fill());
    return this.#take(Infinity);
  }

  /** One chunk of a chunked body; an empty one is the last, `undefined` means that the connection has ended. */
  async chunk(): Promise<Uint8Array | undefined> {
    const line = await this.until("\r\n");
    if (line === undefined) return undefined;
    if (!/^[0-9A-Fa-f]+[;\r]/.test(line)) throw new Error(`no size of a chunk: ${JSON.stringify(line.slice(0, 100))}`);
    const size = parseInt(line, 16);
    const data = await this.exactly(size + 2);
    if (data.length < size + 2) return undefined;
    if (data[size] !== CR || data[size + 1] !== LF) throw new Error("a chunk does not end where its size says");
    return data.subarray(0, size);
  }

  async #body(message: HttpMessage, framing: number | "chunked" | undefined): Promise<void> {
    if (framing === "chunked") {
      const chunks: Uint8Array[] = [];
      for (let chunk = await this.chunk(); chunk?.length !== 0; chunk = await this.chunk()) {
        if (chunk === undefined) {
          message.complete = false;
          break;
        }
        chunks.push(chunk);
      }
      message.body = concat(chunks);
    } else if (framing !== undefined) {
      message.body = await this.exactly(framing);
      message.complete = message.body.length === framing;
    } else {
      message.body = await this.rest();
    }
  }

  async #fill(): Promise<boolean> {
    if (this.#from === this.#to) {
      this.#from = this.#to = 0;
    } else if (this.#to === this.#store.length) {
      const waiting = this.#store.subarray(this.#from, this.#to);
      if (2 * waiting.length > this.#store.length) this.#store = new Uint8Array(2 * this.#store.length);
      this.#store.set(waiting);
      this.#to -= this.#from;
      this.#from = 0;
    }
    const count = await this.#connection.read(this.#store.subarray(this.#to)).catch(() => null); // a reset is an end too
    this.#to += count ?? 0;
    return count !== null;
  }

  #take(count: number): Uint8Array {
    const end = Math.min(this.#from + count, this.#to);
    const taken = this.#store.slice(this.#from, end);
    this.#from = end;
    return taken;
  }
}

/** How a body ends by its head: its length, or with a last chunk; `undefined` where nothing is said of it. */
function framingOf(message: HttpMessage): number | "chunked" | undefined {
  const length = message.one("content-length");
  const coding = message.one("transfer-encoding");
  if (coding !== undefined && (coding !== "chunked" || length !== undefined)) {
    throw new Error(`transfer-encoding: ${coding}, content-length: ${length}`);
  }
  if (length !== undefined && !/^[0-9]+$/.test(length)) throw new Error(`content-length: ${length}`);
  return coding ?? (length === undefined ? undefined : Number(length));
}

/** Writes all of it; `false` where the other side has closed. */
export async function writeAll(connection: Deno.Conn, data: string | Uint8Array): Promise<boolean> {
  let rest = typeof data === "string" ? toBytes(data) : data;
  try {
    while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
    return true;
  } catch {
    return false;
  }
}

/** Closes, also what has been closed already. */
export function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It was closed already.
  }
}
