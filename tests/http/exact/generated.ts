import { toBytes, toText, withoutBlanks } from "../../support/http_message.ts";
import { Random } from "../../support/random.ts";

/** The framing of a body. */
export type Framing = "none" | "length" | "chunked" | "close";

/** A header as it is written. */
export type Header = readonly [name: string, value: string];

/** One direction of an exchange. */
export interface Side {
  readonly headers: readonly Header[];
  readonly framing: Framing;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Head and body as they go over the wire, in pieces. */
  readonly pieces: readonly Uint8Array[];
  /** What happens before each piece but the first: nothing, some turns of the event loop, or a pause. */
  readonly pause: "none" | "turn" | "ms";
}

/** A request, and the app's answer. */
export interface GeneratedExchange {
  readonly method: string;
  readonly target: string;
  readonly request: Side;
  readonly status: number;
  readonly answer: Side;
}

const METHODS = [
  "GET",
  "GET",
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "PROPFIND",
  "M-SEARCH",
  "brew",
];
/** Methods whose body cannot be read. */
const WITHOUT_BODY = new Set(["GET", "HEAD"]);
const STATUSES = [200, 200, 200, 200, 201, 204, 205, 206, 299, 301, 304, 400, 404, 418, 451, 500, 502, 503, 599];
const BODILESS = new Set([204, 205, 304]);

const NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-!#$%&'*+.^`|~";
const PRINTABLE = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)).join("");
const LATIN_1 = PRINTABLE + "\t" + Array.from({ length: 128 }, (_, n) => String.fromCharCode(128 + n)).join("");
const TARGET = "abcXYZ019-._~!$&'()*+,;=:@/?%[]|^`{}\"<>\\";

/** An exchange, the same for the same seed and number; its target begins with the number. */
export function generate(seed: number, number: number): GeneratedExchange {
  const random = new Random(seed, number);
  const method = random.pick(METHODS);
  const status = random.pick(STATUSES);
  const query = random.chance(0.3) ? random.text(random.below(40), TARGET) : "";
  return {
    method,
    target: `/${number}/${query}`,
    request: request(random, method, `/${number}/${query}`),
    status,
    answer: answer(random, method, status),
  };
}

function request(random: Random, method: string, target: string): Side {
  const framing = WITHOUT_BODY.has(method) ? "none" : random.pick(["none", "length", "length", "chunked"] as const);
  const body = bodyOf(random, framing);
  const own = headers(random);
  const lines: Header[] = [["Host", "app.localhost"], ...own, ...framingLines(random, framing, body)];
  return side(random, `${method} ${target} HTTP/1.1`, own, lines, framing, body);
}

function answer(random: Random, method: string, status: number): Side {
  const bodiless = method === "HEAD" || BODILESS.has(status);
  const framing: Framing = random.pick<Framing>(
    bodiless ? ["none"] : ["length", "length", "length", "chunked", "chunked", "close"] as const,
  );
  const body = bodyOf(random, framing);
  const own = headers(random);
  if (random.chance(0.5)) own.push([random.pick(["Date", "date"]), "Thu, 01 Jan 1970 00:00:00 GMT"]);
  for (let n = random.chance(0.1) ? 3 : 0; n > 0; n--) own.push(["Set-Cookie", random.text(10, NAME)]);
  const lines: Header[] = [...own, ...framingLines(random, framing, body)];
  if (random.chance(0.1)) lines.splice(random.below(lines.length + 1), 0, ["Connection", "close"]);
  if (random.chance(0.1)) lines.push(["Keep-Alive", "timeout=5"]);
  const reason = random.pick(["OK", "", "Not what it seems", "caf\xe9"]);
  const version = framing === "chunked" || random.chance(0.9) ? "1.1" : "1.0";
  const informational = random.chance(0.05) ? "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n" : "";
  return side(random, `${informational}HTTP/${version} ${status} ${reason}`, own, lines, framing, body);
}

/** Custom headers, some of them repeated. */
function headers(random: Random): Header[] {
  const list: Header[] = [];
  for (let n = random.below(6); n > 0; n--) {
    const name = random.chance(0.2) ? random.pick(["X-Twice", "x-twice", "x-TWICE"]) : `X${random.text(8, NAME)}`;
    const length = random.chance(0.02) ? random.below(5000) : random.below(30);
    const value = random.text(length, random.chance(0.5) ? PRINTABLE : LATIN_1);
    list.push([name, random.chance(0.1) ? "" : withoutBlanks(value)]);
  }
  return list;
}

function framingLines(random: Random, framing: Framing, { length }: Uint8Array): Header[] {
  if (framing === "length") return [[random.pick(["Content-Length", "content-length", "CONTENT-LENGTH"]), `${length}`]];
  return framing === "chunked" ? [["Transfer-Encoding", random.pick(["chunked", "Chunked"])]] : [];
}

/** Lengths in bytes around those at which a body or an answer is handled differently. */
const EDGES = [16 * 1024, 32 * 1024, 64 * 1024, 256 * 1024];

function bodyOf(random: Random, framing: Framing): Uint8Array<ArrayBuffer> {
  if (framing === "none") return new Uint8Array(0);
  const kind = random.below(1000);
  if (kind < 80) return new Uint8Array(0);
  if (kind < 84) return random.bytes(random.below(3 << 20));
  if (kind < 120) return random.bytes(random.pick(EDGES) + random.between(-300, 2));
  return random.bytes(random.below(kind < 900 ? 300 : 20_000));
}

/** The bytes of one side, cut at random places. */
function side(
  random: Random,
  startLine: string,
  headers: readonly Header[],
  lines: readonly Header[],
  framing: Framing,
  body: Uint8Array<ArrayBuffer>,
): Side {
  const blank = () => random.pick([" ", " ", "", "\t", "  "]);
  const head = [startLine, ...lines.map(([name, value]) => `${name}:${blank()}${value}${blank()}`)].join("\r\n");
  const bytes = toBytes(`${head}\r\n\r\n`);
  const whole = join(bytes, framing === "chunked" ? chunked(random, body) : body);
  const pause = random.pick(["none", "none", "turn", "turn", "turn", "turn", "ms"] as const);
  const places = random.chance(0.5)
    ? []
    : random.cuts(random.between(1, 4), random.chance(0.5) ? bytes.length : whole.length);
  const edges = [0, ...places, whole.length];
  const pieces = edges.slice(1).map((end, n) => whole.subarray(edges[n], end));
  return { headers, framing, body, pieces: pieces.filter(({ length }) => length > 0), pause };
}

/** A body in chunks of random sizes. */
function chunked(random: Random, body: Uint8Array): Uint8Array {
  const parts: string[] = [];
  const most = random.pick([1 + body.length, 1 + body.length, 100_000, 1000, 50]);
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, random.between(1, Math.max(most, Math.ceil(body.length / 100))));
    const digits = size.toString(16);
    const extension = random.chance(0.05) ? ";a=b" : "";
    parts.push(`${random.chance(0.5) ? digits : digits.toUpperCase()}${extension}\r\n`);
    parts.push(toText(body.subarray(at, at + size)), "\r\n");
    at += size;
  }
  parts.push("0\r\n", random.chance(0.05) ? "X-Trailer: 1\r\n" : "", "\r\n");
  return toBytes(parts.join(""));
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
