import { ANSWER_HOP_BY_HOP } from "../forward.ts";
import { listItems } from "../header_list.ts";
import type { Header } from "../request_head.ts";
import { Malformed } from "./malformed.ts";

/** The start of an answer: RFC 9112, sections 4 to 6. */
export interface ResponseHead {
  readonly status: number;
  /** All lines but `transfer-encoding` and a repeated length, in order and as they were written, less blanks around a value. */
  readonly headers: Header[];
  /** Whether some of them are meant for this hop only. */
  readonly hopByHop: boolean;
  /** The value of `Connection`, where there is one. */
  readonly connection: string | undefined;
  /** How the body ends: its length in bytes, with a last chunk, or with the connection. */
  readonly framing: number | "chunked" | "close";
  /** Whether the app keeps the connection open. */
  readonly keepAlive: boolean;
}

/** The platform takes a time that grows with the square of their number: 0.02 s for these. */
const MOST_HEADERS = 1024;

/** How every answer begins. */
const BEGINNING = [..."HTTP/1."].map((letter) => letter.charCodeAt(0));

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DELETE = 127;

/**
 * Looks for the blank line that ends a head.
 *
 * @param from Where to go on; what is before has been looked at.
 * @returns Where the body begins; -1 when the end has not come yet.
 * @throws {Malformed} For a control character, a line that does not end with CR LF, and what is no HTTP from the start.
 */
export function headEnd(bytes: Uint8Array, from: number, to: number): number {
  for (let at = 0; at < BEGINNING.length && at < to; at++) {
    if (bytes[at] !== BEGINNING[at]) throw new Malformed("what comes is not HTTP/1");
  }
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte >= SPACE && byte !== DELETE || byte === TAB) continue;
    if (byte === CR) {
      if (at + 1 < to && bytes[at + 1] !== LF) throw new Malformed("a CR without LF in the head of the answer");
    } else if (byte === LF) {
      if (at === 0 || bytes[at - 1] !== CR) throw new Malformed("a line of the answer's head ends without CR");
      if (at >= 3 && bytes[at - 2] === LF) return at + 1;
    } else throw new Malformed("a control character in the head of the answer");
  }
  return -1;
}

/**
 * Reads a head, one character for each byte, with the blank line.
 *
 * @param method Of the request.
 * @throws {Malformed} Where it does not say beyond doubt how the answer goes on.
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
        if (coding !== undefined) throw new Malformed("two Transfer-Encoding");
        coding = value;
        continue; // the platform writes its own
      case "content-length":
        if (length === value) continue;
        if (length !== undefined) throw new Malformed("two lengths");
        length = value;
        break;
      case "connection":
        connection = connection === undefined ? value : `${connection}, ${value}`;
        break;
    }
    hopByHop ||= ANSWER_HOP_BY_HOP.has(lower);
    if (headers.length === MOST_HEADERS) throw new Malformed("too many header lines");
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

/** Part of a text without the blanks around it; no other white space than HTTP's. */
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
    if (coding.toLowerCase() !== "chunked") throw new Malformed("a Transfer-Encoding that is not chunked");
    if (length !== undefined) throw new Malformed("a length and Transfer-Encoding");
    if (!isCurrent) throw new Malformed("Transfer-Encoding in an answer of HTTP/1.0");
  }
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return 0;
  if (coding !== undefined) return "chunked";
  return length === undefined ? "close" : Number(length);
}
