import { HOSTILE_BODIES } from "../http/exact/hostile_bodies.ts";
import { HOSTILE_HEADS } from "../http/exact/hostile_heads.ts";
import { Random } from "../support/random.ts";
import { MOST_HEAD, read, type Reading } from "./reading.ts";

/** One request, and the bytes that the app answers with. */
export interface FuzzCase {
  readonly number: number;
  readonly method: string;
  /** What the app sends, piece by piece. */
  readonly pieces: readonly string[];
  /** What may come of it. */
  readonly reading: Reading;
  /** Whether there is more than the answer. */
  readonly surplus: boolean;
  /** How long the app waits before it closes what is not to be used again, ms. */
  readonly closesAfter: number;
}

/** How long an app has for its answer, ms: longer than what one that does not answer is given to be known for dead. */
export const REQUEST_TIMEOUT_MS = 3000;
/** For so long an app leaves a request hanging that is to time out. */
const HANGS_MS = REQUEST_TIMEOUT_MS + 500;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** Longer ones would only take time. */
const CORPUS = [...HOSTILE_HEADS, ...HOSTILE_BODIES].map(({ pieces }) => pieces.join("")).filter(({ length }) =>
  length < 20_000
);

/** What is worth to be in a place where it does not belong. */
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

/** One of many cases, the same for the same seed and number. */
export function makeCase(seed: number, number: number): FuzzCase {
  const random = new Random(seed, number);
  const method = random.pick(["GET", "GET", "POST", "POST", "POST", "POST", "PUT", "HEAD"]);
  const token = `token${number}-${random.text(8, LETTERS)}`;
  let text = base(random, token);
  if (random.chance(0.005)) text = stretched(random, text);
  for (let n = random.pick([0, 0, 1, 1, 1, 2, 4]); n > 0; n--) text = mutate(random, text, token);
  if (text === "") text = "\r"; // nothing at all is repeated, and waited for
  const reading = read(text, method);
  const { end } = reading;
  return {
    number,
    method,
    pieces: split(random, text, end ?? text.length),
    reading,
    surplus: end !== undefined && end < text.length,
    closesAfter: end === undefined && random.chance(0.002) ? HANGS_MS : random.pick([0, 0, 2]),
  };
}

/** An answer to begin with: a good one that says whose it is, or one of the corpus. */
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

/** The same answer with a head that is as long as it may be, give or take a byte or two. */
function stretched(random: Random, text: string): string {
  const head = text.indexOf("\r\n\r\n") + 4;
  const missing = MOST_HEAD + random.between(-2, 2) - head - "x-long: \r\n".length;
  return text.replace("\r\n", `\r\nx-long: ${"v".repeat(missing)}\r\n`);
}

/** Changes something; mostly near the start, where what matters is. */
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
 * Cuts an answer. What is there beyond it comes together with its last byte: were it to come later, the next request might
 * be on its way already, and HTTP/1.1 gives no means to tell.
 */
function split(random: Random, text: string, end: number): string[] {
  if (random.chance(0.5)) return [text];
  const body = text.indexOf("\r\n\r\n") + 4;
  // The head has gone out when the body comes.
  if (body < end && random.chance(0.5)) return [text.slice(0, body), text.slice(body)];
  const near = random.chance(0.7) ? Math.min(end, 120) : end;
  const edges = [0, ...random.cuts(random.between(1, 3), Math.max(0, near - 1)), text.length];
  return edges.slice(1).map((edge, n) => text.slice(edges[n], edge)).filter(Boolean);
}
