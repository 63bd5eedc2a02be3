import { HOSTILE_BODIES } from "../http/exact/hostile_bodies.ts";
import { HOSTILE_HEADS } from "../http/exact/hostile_heads.ts";
import { Random } from "../support/random.ts";
import { MOST_HEAD_BYTES, read, type Reading } from "./reading.ts";

/** A request, and the bytes that the app answers with. */
export interface FuzzCase {
  readonly number: number;
  readonly method: string;
  /** What the app sends, piece by piece. */
  readonly pieces: readonly string[];
  /** What the client may get. */
  readonly reading: Reading;
  /** Whether there are bytes behind the answer. */
  readonly surplus: boolean;
  /** How long the app waits before it closes a connection that cannot be used again. */
  readonly closesAfterMs: number;
}

/** How long an app has for its answer; longer than cless waits for the news of an instance's end. */
export const REQUEST_TIMEOUT_MS = 3000;
/** How long an app lets a request hang that should time out. */
const HANGS_MS = REQUEST_TIMEOUT_MS + 500;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** The hostile answers, except long ones, which would only take time. */
const CORPUS = [...HOSTILE_HEADS, ...HOSTILE_BODIES].map(({ pieces }) => pieces.join("")).filter(({ length }) =>
  length < 20_000
);

/** Texts to put where they do not belong. */
const DICTIONARY = [
  "\r\n",
  "\r",
  "\n",
  "\r\n\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "f",
  "\x7f",
  "\xff",
  "0\r\n\r\n",
  "5\r\nhello\r\n",
  "content-length: 5\r\n",
  "content-length: 0\r\n",
  "transfer-encoding: chunked\r\n",
  "connection: close\r\n",
  "connection: keep-alive\r\n",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.0 200 OK\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 304 x\r\n",
  " folded\r\n",
];

/** A case, the same for the same seed and number. */
export function makeCase(seed: number, number: number): FuzzCase {
  const random = new Random(seed, number);
  const method = random.pick(["GET", "GET", "POST", "POST", "POST", "POST", "PUT", "HEAD"]);
  const token = `token${number}-${random.text(8, LETTERS)}`;
  let text = base(random, token);
  if (random.chance(0.005)) text = stretched(random, text);
  for (let n = random.pick([0, 0, 1, 1, 1, 2, 4]); n > 0; n--) text = mutate(random, text, token);
  if (text === "") text = "\r"; // after no byte at all, cless repeats the request and waits
  const reading = read(text, method);
  const { end } = reading;
  return {
    number,
    method,
    pieces: split(random, text, end ?? text.length),
    reading,
    surplus: end !== undefined && end < text.length,
    closesAfterMs: end === undefined && random.chance(0.002) ? HANGS_MS : random.pick([0, 0, 2]),
  };
}

/** An answer to begin with: a good one with the token in it, or a hostile one. */
function base(random: Random, token: string): string {
  if (random.chance(0.2)) return random.pick(CORPUS).replace("\r\n", `\r\nx-token: ${token}\r\n`);
  const lines = [`HTTP/1.${random.chance(0.9) ? 1 : 0} ${random.pick([200, 200, 201, 204, 304, 404, 503])} ${token}`];
  for (let n = random.below(4); n > 0; n--) lines.push(`x-${random.text(3, LETTERS)}: ${token}`);
  if (random.chance(0.1)) lines.push(`connection: ${random.pick(["close", "keep-alive", "x-abc"])}`);
  const body = `${token}.`.repeat(random.chance(0.02) ? random.below(5000) : random.below(20));
  switch (random.pick(["length", "length", "chunked", "chunked", "close"])) {
    case "length":
      return [...lines, `content-length: ${body.length}`].join("\r\n") + `\r\n\r\n${body}`;
    case "close":
      return lines.join("\r\n") + `\r\n\r\n${body}`;
    default: {
      let text = [...lines, "transfer-encoding: chunked"].join("\r\n") + "\r\n\r\n";
      for (let at = 0; at < body.length;) {
        const chunk = body.slice(at, at + random.between(1, 1 + body.length));
        text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
        at += chunk.length;
      }
      return `${text}0\r\n\r\n`;
    }
  }
}

/** The same answer with a head of the maximum length, more or less two bytes. */
function stretched(random: Random, text: string): string {
  const head = text.indexOf("\r\n\r\n") + 4;
  const missing = MOST_HEAD_BYTES + random.between(-2, 2) - head - "x-long: \r\n".length;
  return text.replace("\r\n", `\r\nx-long: ${"v".repeat(missing)}\r\n`);
}

/** Changes something, mostly near the start, where it matters most. */
function mutate(random: Random, text: string, token: string): string {
  const limit = random.chance(0.5) ? Math.min(text.length, 150) : text.length;
  const at = random.below(limit + 1);
  const end = Math.min(text.length, at + 1 + random.below(random.chance(0.8) ? 6 : 80));
  const [before, part, after] = [text.slice(0, at), text.slice(at, end), text.slice(end)];
  switch (random.below(11)) {
    case 0: // a flipped bit
      return part === ""
        ? text
        : before + String.fromCharCode(part.charCodeAt(0) ^ 1 << random.below(8)) + part.slice(1) + after;
    case 1: // any byte
      return before + String.fromCharCode(random.below(256)) + part.slice(1) + after;
    case 2:
      return before + after;
    case 3:
      return before + part + part + after;
    case 4:
      return before;
    case 5:
      return before + random.pick(DICTIONARY) + part + after;
    case 6:
      return before + random.pick(DICTIONARY) + after;
    case 7: // two parts change places
      return before + after.slice(0, part.length) + part + after.slice(part.length);
    case 8: // two answers
      return text + base(random, token);
    case 9: { // the start of one and the end of another
      const other = base(random, token);
      return before + other.slice(random.below(other.length + 1));
    }
    default: // another number
      return text.replace(/\d+(?=\r\n)/, () => `${random.below(300)}`);
  }
}

/**
 * Cuts an answer. Surplus bytes stay together with its last byte: if they came later, the next request might have been
 * sent, and no client of HTTP/1.1 could tell them from its answer.
 */
function split(random: Random, text: string, end: number): string[] {
  if (random.chance(0.5)) return [text];
  const body = text.indexOf("\r\n\r\n") + 4;
  // The head goes out before the body arrives.
  if (body < end && random.chance(0.5)) return [text.slice(0, body), text.slice(body)];
  const near = random.chance(0.7) ? Math.min(end, 120) : end;
  const edges = [0, ...random.cuts(random.between(1, 3), Math.max(0, near - 1)), text.length];
  return edges.slice(1).map((edge, n) => text.slice(edges[n], edge)).filter(Boolean);
}
