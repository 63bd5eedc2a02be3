import { type Header, listItems, RESPONSE_HOP_BY_HOP } from "../headers.ts";
import type { RequestHead } from "../request_head.ts";

/** The status line and headers of a response: RFC 9112, sections 4 to 6. */
export interface ResponseHead {
  readonly status: number;
  /**
   * The header lines in order, with names as written and trimmed values; without `transfer-encoding` and repeated
   * lengths.
   */
  readonly headers: Header[];
  /** Whether some of them are meant for one hop only. */
  readonly hopByHop: boolean;
  /** The value of `Connection`, if there is one. */
  readonly connection: string | undefined;
  /** How the body ends: after this many bytes, with a last chunk, or with the connection. */
  readonly framing: number | "chunked" | "close";
  readonly keepAlive: boolean;
}

/** What an app sends is not HTTP/1.1, or is ambiguous. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/**
 * A response may have at most this many headers. The platform's time for them grows with the square of their number:
 * 0.02 s for this many.
 */
const MAX_HEADERS = 1024;

/** The first bytes of every response. */
const BEGINNING = [..."HTTP/1."].map((letter) => letter.charCodeAt(0));

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DELETE = 127;

/** A request's head for the wire; `chunked` if a body of unknown length follows: RFC 9112, section 3. */
export function requestText({ method, target, headers, contentLength }: RequestHead, chunked = false): string {
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  if (chunked) text += "transfer-encoding: chunked\r\n";
  else if (contentLength !== undefined) text += `content-length: ${contentLength}\r\n`;
  return text + "\r\n";
}

/**
 * The index after the blank line that ends a response's head, or -1 if the head is incomplete. Checks the bytes from
 * `from` to `to`; those before `from` have been checked already. @throws {Malformed} For control characters, bare LF or
 * another protocol.
 */
export function headEnd(bytes: Uint8Array, from: number, to: number): number {
  for (let at = 0; at < BEGINNING.length && at < to; at++) {
    if (bytes[at] !== BEGINNING[at]) throw new Malformed("the response is not HTTP/1");
  }
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte >= SPACE && byte !== DELETE || byte === TAB) continue;
    if (byte === CR) {
      if (at + 1 < to && bytes[at + 1] !== LF) throw new Malformed("a CR without LF in the response's head");
    } else if (byte === LF) {
      if (at === 0 || bytes[at - 1] !== CR) throw new Malformed("a LF without CR in the response's head");
      if (at >= 3 && bytes[at - 2] === LF) return at + 1;
    } else throw new Malformed("a control character in the response's head");
  }
  return -1;
}

/**
 * Parses a response's head with its blank line, one character per byte; `method` is the request's method.
 *
 * @throws {Malformed} If it is not HTTP/1.1, or its framing is ambiguous.
 */
export function parseHead(text: string, method: string): ResponseHead {
  let end = text.indexOf("\r\n");
  const [, minor, digits] = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/.exec(text.slice(0, end)) ?? [];
  if (digits === undefined) throw new Malformed(`no status line: ${JSON.stringify(text.slice(0, Math.min(end, 80)))}`);
  const status = Number(digits);
  const headers: Header[] = [];
  let connection: string | undefined;
  let length: string | undefined;
  let coding: string | undefined;
  let hopByHop = false;
  for (let start = end + 2;; start = end + 2) {
    end = text.indexOf("\r\n", start);
    if (end === start) break;
    const colon = text.indexOf(":", start);
    if (colon === -1 || colon >= end) throw new Malformed("a header line without a colon");
    const first = text.charCodeAt(start);
    if (first === SPACE || first === TAB) throw new Malformed("a folded header line");
    const name = text.slice(start, colon);
    const value = trimmed(text, colon + 1, end);
    const lower = name.toLowerCase();
    switch (lower) {
      case "transfer-encoding":
        if (coding !== undefined) throw new Malformed("two Transfer-Encoding lines");
        coding = value;
        continue; // the platform writes its own
      case "content-length":
        if (length === value) continue;
        if (length !== undefined) throw new Malformed("two different lengths");
        length = value;
        break;
      case "connection":
        connection = connection === undefined ? value : `${connection}, ${value}`;
        break;
    }
    hopByHop ||= RESPONSE_HOP_BY_HOP.has(lower);
    if (headers.length === MAX_HEADERS) throw new Malformed("too many header lines");
    headers.push([name, value]);
  }
  const options = connection === undefined ? undefined : listItems(connection);
  return {
    status,
    headers,
    hopByHop,
    connection,
    framing: framingOf(status, method, minor === "1", length, coding),
    keepAlive: options?.includes("close") !== true && (minor === "1" || options?.includes("keep-alive") === true),
  };
}

/** Trims spaces and tabs only; other white space belongs to the value. */
function trimmed(text: string, start: number, end: number): string {
  const isBlank = (at: number) => text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB;
  while (start < end && isBlank(start)) start++;
  while (end > start && isBlank(end - 1)) end--;
  return text.slice(start, end);
}

function framingOf(
  status: number,
  method: string,
  isCurrent: boolean,
  length: string | undefined,
  coding: string | undefined,
): ResponseHead["framing"] {
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new Malformed("Content-Length is not one number");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") throw new Malformed("a Transfer-Encoding other than chunked");
    if (length !== undefined) throw new Malformed("both a length and a Transfer-Encoding");
    if (!isCurrent) throw new Malformed("a Transfer-Encoding in a response of HTTP/1.0");
  }
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return 0;
  if (coding !== undefined) return "chunked";
  return length === undefined ? "close" : Number(length);
}
