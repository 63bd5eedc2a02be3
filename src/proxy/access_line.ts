import type { Header } from "../http/headers.ts";
import { pathOf } from "../http/request_head.ts";
import type { WakeTier } from "../pool/wake_times.ts";

/** A request whose response has ended, as the access log tells of it. */
export interface Access {
  /** The address of the client: the peer's, unless the peer is a trusted proxy that names another one. */
  readonly client: string;
  /** The requested host without its port. */
  readonly host: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** HTTP/1.0 counts as HTTP/1.1: the platform does not tell them apart. */
  readonly protocol: "HTTP/1.1" | "HTTP/2.0";
  readonly status: number;
  /** The length of the response's body; `undefined` if its headers do not say it. */
  readonly bytes: number | undefined;
  /** From the request's arrival to the headers of its response. */
  readonly headersMs: number;
  /** From the request's arrival to the end of its response. */
  readonly totalMs: number;
  readonly service: string | undefined;
  readonly revision: string | undefined;
  /** The instance that the request was last sent to. */
  readonly instance: string | undefined;
  /** What the request had to wait for, and how long. */
  readonly start: { readonly how: WakeTier; readonly ms: number } | undefined;
  /** Whom the service's lock has let in. */
  readonly user: string | undefined;
  /** cless's own code, if the response is cless's. */
  readonly error: string | undefined;
  /** The request's headers, with names in lower case. */
  readonly headers: readonly Header[];
}

/** How the lines of the access log look. */
export interface AccessFormat {
  readonly format: "json" | "combined";
  /** Whether the queries of the target and of the header `Referer` are included. */
  readonly withQuery: boolean;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// What `JSON.stringify` leaves as it is, although a terminal or a reader of lines may take it for a command or an end.
const UNESCAPED_CONTROLS = /[\x7f-\x9f\u2028\u2029]/g;
// deno-lint-ignore no-control-regex
const UNSAFE_QUOTED = /[\x00-\x1f"\\\x7f-\uffff]/g;
// deno-lint-ignore no-control-regex
const UNSAFE_WORD = /[\x00-\x20"\\\x7f-\uffff]/g;

const encoder = new TextEncoder();

/**
 * The line of a request, with its line feed. Whatever a client sends, it is one line, and all of it is printable.
 *
 * @param endedAt When its response ended, ms since 1970.
 */
export function accessLine(access: Access, endedAt: number, { format, withQuery }: AccessFormat): string {
  return format === "json" ? jsonLine(access, endedAt, withQuery) : combinedLine(access, endedAt, withQuery);
}

function jsonLine(access: Access, endedAt: number, withQuery: boolean): string {
  const { client, error, headers, host, instance, method, protocol, revision, service, start } = access;
  const { bytes, headersMs, status, target, totalMs, user } = access;
  const line = JSON.stringify({
    time: new Date(endedAt).toISOString(),
    client,
    host,
    method,
    target: shownTarget(target, withQuery),
    protocol,
    status,
    bytes,
    headersMs: tenths(headersMs),
    totalMs: tenths(totalMs),
    service,
    revision,
    instance,
    start: start?.how,
    startMs: start && tenths(start.ms),
    user,
    referer: refererOf(headers, withQuery),
    userAgent: valueOf(headers, "user-agent"),
    error,
  });
  return line.replace(UNESCAPED_CONTROLS, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`) + "\n";
}

/** The combined format: https://httpd.apache.org/docs/2.4/logs.html#combined. Escapes bytes as nginx does. */
function combinedLine(access: Access, endedAt: number, withQuery: boolean): string {
  const { bytes = "-", client, headers, method, protocol, status, target, user } = access;
  const request = `${method} ${shownTarget(target, withQuery)} ${protocol}`;
  const who = `${word(client)} - ${user === undefined ? "-" : word(user)} [${combinedTime(endedAt)}]`;
  const from = `"${quoted(refererOf(headers, withQuery) ?? "-")}" "${quoted(valueOf(headers, "user-agent") ?? "-")}"`;
  return `${who} "${quoted(request)}" ${status} ${bytes} ${from}\n`;
}

function shownTarget(target: string, withQuery: boolean): string {
  return withQuery ? target : pathOf(target);
}

/** The page that a request comes from; its query may have secrets as well as that of the request. */
function refererOf(headers: readonly Header[], withQuery: boolean): string | undefined {
  const referer = valueOf(headers, "referer");
  return referer === undefined || withQuery ? referer : referer.replace(/[?#].*$/s, "");
}

function valueOf(headers: readonly Header[], wanted: string): string | undefined {
  for (const [name, value] of headers) if (name === wanted) return value;
  return undefined;
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** A time such as `10/Oct/2000:13:55:36 +0000`. */
function combinedTime(ms: number): string {
  const [, year, month, day, time] = /^(\d+)-(\d\d)-(\d\d)T([\d:]+)/.exec(new Date(ms).toISOString())!;
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time} +0000`;
}

function quoted(text: string): string {
  return text.replace(UNSAFE_QUOTED, escaped);
}

/** A text without quotes around it: a space would begin the next field. */
function word(text: string): string {
  return text.replace(UNSAFE_WORD, escaped);
}

/** A character as its bytes. The value of a header has one character for each byte. */
function escaped(char: string): string {
  const code = char.charCodeAt(0);
  const bytes = code <= 0xff ? [code] : encoder.encode(char);
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
