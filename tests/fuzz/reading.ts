/** What a client may come to see of the bytes that an app has sent, before it closed the connection. */
export interface Reading {
  /** Missing where there is no whole head, or one that nothing may come of. */
  readonly head?: {
    readonly status: number;
    /** Those that a client gets to see: in lower case, less those that are for one hop only and those about framing. */
    readonly headers: readonly (readonly [name: string, value: string])[];
  };
  /** The body, or as much of it as there is. */
  readonly body: string;
  /** Where the answer ends within the bytes; missing where it is wrong or does not come to its end. */
  readonly end?: number;
  /** Whether the connection can carry another exchange when nothing follows the end. */
  readonly reusable: boolean;
}

/** How long a head may be, bytes; longer ones are refused. */
export const MOST_HEAD = 64 * 1024;
const NOTHING: Reading = { body: "", reusable: false };
const MOST_EXTRA = 16 * 1024;
const MOST_INFORMATIONAL = 16;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9][0-9])( .*)?$/;
const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;
/** In an answer before the real one, of which nothing is passed on, any name will do. */
const LOOSE_LINE = /^([^ \t:][^:]*|):[ \t]*(.*?)[ \t]*$/;
const ONE_HOP = ["connection", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"];

/**
 * Reads a whole answer at once, by the grammar of RFC 9112 as it is written there, and as slowly as that is simple. It
 * shares no code with what it judges.
 *
 * @param text What the app has sent, one character for each byte.
 * @param method Of the request.
 */
export function read(text: string, method: string): Reading {
  let start = 0;
  for (let informational = 0; informational <= MOST_INFORMATIONAL; informational++) {
    const blank = text.indexOf("\r\n\r\n", start);
    if (blank === -1 || blank + 4 - start > MOST_HEAD) return NOTHING;
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
    // What follows a 205 is the end of nothing, in one way or another: it is no surplus.
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
    if (line === undefined || (line[2] ?? "").length > MOST_EXTRA) return { body };
    at += line[0].length;
    const size = parseInt(line[1]!, 16);
    if (size === 0) {
      let extra = 0;
      for (let trailer; (trailer = match(/([^\r\n\0]+)\r\n/y, text, at)) !== undefined; at += trailer[0].length) {
        extra += trailer[1]!.length;
      }
      return text.startsWith("\r\n", at) && extra <= MOST_EXTRA ? { body, end: at + 2 } : { body };
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
