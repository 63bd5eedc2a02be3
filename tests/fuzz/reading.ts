/** What a client may get of the bytes that an app sends before it closes the connection. */
export interface Reading {
  /** Missing if the head is incomplete, or must not be passed on. */
  readonly head?: {
    readonly status: number;
    /** The headers that a client gets: in lower case, without hop-by-hop and framing headers. */
    readonly headers: readonly (readonly [name: string, value: string])[];
  };
  /** The body, as far as it is there. */
  readonly body: string;
  /** Where the answer ends within the bytes; missing if it is malformed or incomplete. */
  readonly end?: number;
  /** Whether the connection can be used again if nothing follows the end. */
  readonly reusable: boolean;
}

/** Limit for a head. */
export const MOST_HEAD_BYTES = 64 * 1024;
const NOTHING: Reading = { body: "", reusable: false };
const MOST_EXTRA_BYTES = 16 * 1024;
const MOST_INFORMATIONAL = 16;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9][0-9])( .*)?$/;
const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;
/** In a 1xx answer, which is not passed on, any name will do. */
const LOOSE_LINE = /^([^ \t:][^:]*|):[ \t]*(.*?)[ \t]*$/;
const ONE_HOP = ["connection", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"];

/**
 * Reads a whole answer at once by the grammar of RFC 9112, in the simplest way. It shares no code with the program.
 *
 * @param text The bytes that the app sends, one character for each.
 * @param method The request's.
 */
export function read(text: string, method: string): Reading {
  let start = 0;
  for (let informational = 0; informational <= MOST_INFORMATIONAL; informational++) {
    const blank = text.indexOf("\r\n\r\n", start);
    if (blank === -1 || blank + 4 - start > MOST_HEAD_BYTES) return NOTHING;
    const head = readHead(text.slice(start, blank));
    start = blank + 4;
    if (head === undefined || head.status === 101 || head.status > 599) return NOTHING;
    if (head.status >= 200) return readBody(text, start, head, method);
  }
  return NOTHING;
}

interface Head {
  readonly minor: string;
  readonly status: number;
  readonly headers: [name: string, value: string][];
}

function readHead(text: string): Head | undefined {
  const lines = text.split("\r\n");
  // deno-lint-ignore no-control-regex
  if (lines.some((line) => /[\x00-\x08\x0a-\x1f\x7f]/.test(line))) return undefined;
  const [, minor, status] = STATUS_LINE.exec(lines.shift()!) ?? [];
  if (minor === undefined) return undefined;
  const headers: [string, string][] = [];
  for (const line of lines) {
    const [, name, value] = (status!.startsWith("1") ? LOOSE_LINE : HEADER_LINE).exec(line) ?? [];
    if (name === undefined) return undefined;
    headers.push([name.toLowerCase(), value!]);
  }
  const all = (name: string) => headers.filter(([key]) => key === name).map(([, value]) => value);
  const [lengths, codings] = [all("content-length"), all("transfer-encoding")];
  if (new Set(lengths).size > 1 || lengths.some((length) => !/^[0-9]{1,15}$/.test(length))) return undefined;
  if (codings.length > 1 || codings.some((coding) => coding.toLowerCase() !== "chunked")) return undefined;
  if (codings.length > 0 && (lengths.length > 0 || minor === "0")) return undefined;
  return { minor, status: Number(status), headers };
}

function readBody(text: string, start: number, { minor, status, headers }: Head, method: string): Reading {
  const value = (name: string) => headers.find(([key]) => key === name)?.[1];
  const options = headers.filter(([name]) => name === "connection")
    .flatMap(([, list]) => list.toLowerCase().split(",").map((item) => item.trim()));
  const seen = headers.filter(([name]) => ![...ONE_HOP, ...options, "content-length"].includes(name));
  const head = { status: status === 205 ? 204 : status, headers: seen }; // a named difference
  const keepAlive = !options.includes("close") && (minor === "1" || options.includes("keep-alive"));
  if (method === "HEAD" || [204, 205, 304].includes(status)) {
    // cless closes the connection after a 205, so that bytes behind it do not matter.
    return status === 205 && method !== "HEAD"
      ? { head, body: "", end: text.length, reusable: false }
      : { head, body: "", end: start, reusable: keepAlive };
  }
  if (value("transfer-encoding") !== undefined) {
    const { body, end } = readChunks(text, start);
    return { head, body, reusable: keepAlive, ...end === undefined ? {} : { end } };
  }
  if (value("content-length") === undefined) {
    return { head, body: text.slice(start), end: text.length, reusable: false };
  }
  const length = Number(value("content-length"));
  const body = text.slice(start, start + length);
  return { head, body, reusable: keepAlive, ...body.length === length ? { end: start + length } : {} };
}

function readChunks(text: string, start: number): { body: string; end?: number } {
  let body = "";
  for (let at = start;;) {
    const line = match(/([0-9A-Fa-f]{1,13})(?:;([^\r\n\0]*))?\r\n/y, text, at);
    if (line === undefined || (line[2] ?? "").length > MOST_EXTRA_BYTES) return { body };
    at += line[0].length;
    const size = parseInt(line[1]!, 16);
    if (size === 0) {
      let extra = 0;
      for (let trailer; (trailer = match(/([^\r\n\0]+)\r\n/y, text, at)) !== undefined; at += trailer[0].length) {
        extra += trailer[1]!.length;
      }
      return text.startsWith("\r\n", at) && extra <= MOST_EXTRA_BYTES ? { body, end: at + 2 } : { body };
    }
    body += text.slice(at, at + size);
    if (!text.startsWith("\r\n", at + size)) return { body };
    at += size + 2;
  }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
