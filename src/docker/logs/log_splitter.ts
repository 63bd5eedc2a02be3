import { concat } from "@std/bytes/concat";
import type { LogLine } from "../engine_api.ts";

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** The engine stores a line in parts of this size, and writes the time before each part. */
const PART_BYTES = 16 * 1024;
/** A line of more parts, that is, of more than 64 KiB, is passed on in pieces. */
const MAX_PARTS = 4;
/** The time before a line, with the space after it. */
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) /;
const MAX_STAMP = "2006-01-02T15:04:05.000000000+07:00 ".length;

/**
 * Splits one stream of a log with timestamps into lines. Lines without a timestamp are messages of the docker command
 * itself. A line of more than 64 KiB comes in pieces, so that at most one piece is in memory.
 */
export class LogSplitter {
  readonly #stream: LogLine["stream"];
  #rest: Uint8Array = new Uint8Array(0);
  /** The time of the unfinished line, as bytes and as text. */
  #stamp: Uint8Array | undefined;
  #time: string | undefined;
  /** Whether the next bytes begin a line. */
  #fresh = true;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(stream: LogLine["stream"]) {
    this.#stream = stream;
  }

  /** Takes bytes. Returns the lines, and pieces of long lines, that they complete. */
  push(bytes: Uint8Array): LogLine[] {
    const lines: LogLine[] = [];
    let rest: Uint8Array = concat([this.#rest, bytes]);
    for (;;) {
      if (this.#fresh && !this.#begin(rest)) break;
      const longest = MAX_PARTS * (PART_BYTES + (this.#stamp?.length ?? 0));
      const end = rest.subarray(0, longest + 1).indexOf(NEWLINE);
      if (end === -1 && rest.length <= longest) break;
      lines.push(this.#take(rest.subarray(0, end === -1 ? longest : end), end === -1));
      rest = rest.subarray(end === -1 ? longest : end + 1);
      this.#fresh = end !== -1;
    }
    this.#rest = rest.slice(); // a copy, so that the memory of the lines before is freed
    return lines;
  }

  /** Returns the last line, if it has no line end. Nothing may be pushed afterwards. */
  end(): LogLine[] {
    if (this.#rest.length === 0) return [];
    if (this.#fresh) this.#readStamp(this.#rest);
    return [this.#take(this.#rest, false)];
  }

  /** Reads the time at the beginning of a line; returns false if more bytes are needed. */
  #begin(bytes: Uint8Array): boolean {
    if (bytes.length < MAX_STAMP && !bytes.includes(NEWLINE)) return false;
    this.#readStamp(bytes);
    this.#fresh = false;
    return true;
  }

  #readStamp(bytes: Uint8Array): void {
    const head = String.fromCharCode(...bytes.subarray(0, MAX_STAMP));
    const stamp = STAMP.exec(head)?.[0];
    this.#stamp = stamp === undefined ? undefined : bytes.slice(0, stamp.length);
    this.#time = stamp?.trimEnd();
  }

  /** Joins the parts of a piece, without their times. */
  #take(bytes: Uint8Array, cut: boolean): LogLine {
    const stamp = this.#stamp;
    const time = this.#time;
    let text = "";
    for (let at = 0; at < bytes.length;) {
      if (stamp !== undefined && startsWith(bytes.subarray(at), stamp)) at += stamp.length;
      const part = bytes.subarray(at, at + PART_BYTES);
      text += this.#decoder.decode(part, { stream: true }); // a character may be split over two parts, or two pieces
      at += part.length;
    }
    if (!cut) text += this.#decoder.decode();
    const ended = !cut && bytes.at(-1) === CARRIAGE_RETURN;
    return {
      stream: this.#stream,
      ...(time === undefined ? {} : { time }),
      text: ended ? text.slice(0, -1) : text,
      ...(cut ? { cut } : {}),
    };
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, at) => bytes[at] === byte);
}
