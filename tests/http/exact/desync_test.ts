import { assert, assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { type RawClient, requestText } from "../../support/raw_client.ts";
import { turns, until } from "../../support/until.ts";

// Unexpected bytes that arrive after the next request was sent look like its answer: HTTP/1.1 does not number answers, so
// no proxy can tell. All that arrive before must be noticed.

/** How much of an answer is read at first. */
const READ = 32 * 1024;

/** The framing of an answer, and its total length in bytes if that decides how it is read. */
type Shape = "short" | "chunked" | keyof typeof TOTALS;
const TOTALS = {
  "a byte less than one read": READ - 1,
  "one read": READ,
  "a byte more than one read": READ + 1,
  "two reads": 2 * READ,
  "long": 100_000,
};
const SHAPES = ["short", "chunked", ...Object.keys(TOTALS)] as Shape[];
/** The surplus bytes behind an answer. */
type Surplus = "half an answer" | "an answer" | "one and a half";

/** An answer that contains the token everywhere. */
function answerTo(token: string, shape: Shape): string {
  if (shape === "chunked") {
    const chunk = `${token.length.toString(16)}\r\n${token}\r\n`;
    return `HTTP/1.1 200 OK\r\nx-token: ${token}\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(3)}0\r\n\r\n`;
  }
  const total = shape === "short" ? 0 : TOTALS[shape];
  const head = (length: number) => `HTTP/1.1 200 OK\r\nx-token: ${token}\r\ncontent-length: ${length}\r\n\r\n`;
  const length = Math.max(3 * token.length, total - head(total).length);
  return head(length) + token.repeat(Math.ceil(length / token.length)).slice(0, length);
}

function surplusOf(token: string, shape: Shape, surplus: Surplus): string {
  const evil = answerTo(token.replace("token", "EVIL!"), shape);
  const half = evil.slice(0, evil.length / 2);
  return { "half an answer": half, "an answer": evil, "one and a half": evil + half }[surplus];
}

/** An app that sends surplus bytes behind its answer if the target ends with `!`. */
class LeakyApp implements AsyncDisposable {
  /** The surplus to be sent over idle connections. */
  #held: (() => Promise<unknown>)[] = [];
  #ended = 0;
  #leaking = 0;
  readonly origin: Origin;

  constructor(shape: Shape, surplus: Surplus, when: "in one write" | "in two writes" | "held back") {
    this.origin = Origin.serving(async (connection) => {
      let leaky = false;
      for (let request; (request = await connection.reader.request()) !== undefined;) {
        const token = request.target.slice(1);
        const more = token.endsWith("!") ? surplusOf(token, shape, surplus) : "";
        if (more !== "" && !leaky) this.#leaking++;
        leaky ||= more !== "";
        if (when === "in one write") await connection.send(answerTo(token, shape) + more);
        else await connection.send(answerTo(token, shape));
        if (more !== "" && when === "in two writes") await connection.send(more);
        if (more !== "" && when === "held back") this.#held.push(() => connection.send(more));
      }
      if (leaky) this.#ended++;
    });
  }

  /** Sends the surplus that was held back; resolves when every connection that got one is closed. */
  async release(): Promise<void> {
    await Promise.all(this.#held.splice(0).map((send) => send()));
    await this.closed();
  }

  /** Resolves when every connection that got a surplus is closed. */
  closed(): Promise<void> {
    return until(() => this.#ended === this.#leaking);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.origin[Symbol.asyncDispose]();
  }
}

/** A client's connection that is opened again when it was cut. */
class Asker implements Disposable {
  readonly #cless: Harness;
  readonly #shape: Shape;
  #client: RawClient | undefined;

  constructor(cless: Harness, shape: Shape) {
    this.#cless = cless;
    this.#shape = shape;
  }

  /** Asks for a token. Returns whether the answer was complete; it must contain no other token in any case. */
  async ask(token: string): Promise<boolean> {
    this.#client ??= await this.#cless.connect();
    await this.#client.send(requestText(`GET /${token}`));
    const answer = await this.#client.answer();
    if (answer.status === 502) {
      assertEquals(answer.one("cless-error"), "upstream_failed");
      return false;
    }
    assertEquals(answer.all("x-token"), [token]);
    const expected = answerTo(token, this.#shape);
    const body = this.#shape === "chunked" ? token.repeat(3) : expected.slice(expected.indexOf("\r\n\r\n") + 4);
    assert(answer.complete ? answer.text === body : body.startsWith(answer.text), `not the body of ${token}`);
    if (answer.complete) return true;
    this[Symbol.dispose]();
    return false;
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
  }
}

for (const when of ["in one write", "in two writes", "held back"] as const) {
  for (const surplus of ["half an answer", "an answer", "one and a half"] as const) {
    netTest(`one after the other: ${surplus} too much, ${when}, reaches no client`, async () => {
      for (const shape of SHAPES) {
        await using app = new LeakyApp(shape, surplus, when);
        await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
        using asker = new Asker(cless, shape);
        for (let turn = 0; turn < 5; turn++) {
          const whole = await asker.ask(`token-${turn}!`);
          // A surplus that arrives together with the answer makes the answer doubtful.
          if (when === "held back") assert(whole);
          else if (when === "in one write" && shape === "short") assert(!whole);
          if (when === "held back") await app.release();
          else await app.closed();
          assert(await asker.ask(`token-${turn}.`), `${shape}: the request behind is answered`);
        }
        await app.closed();
      }
    });

    // With two writes it would depend on luck: the next request may be sent in between.
    if (when === "in two writes") continue;
    netTest(`32 at once: ${surplus} too much, ${when}, reaches no client`, async () => {
      for (const shape of SHAPES) {
        await using app = new LeakyApp(shape, surplus, when);
        await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
        const askers = Array.from({ length: 32 }, () => new Asker(cless, shape));
        for (let round = 0; round < 4; round++) {
          await Promise.all(askers.map(async (asker, n) => {
            // All clients at once, and each as soon as its answer before is complete.
            for (let turn = 0; turn < (when === "held back" ? 1 : 5); turn++) {
              const leaky = (n + turn + round) % 4 === 0;
              const whole = await asker.ask(`token-${n}-${round}-${turn}${leaky ? "!" : "."}`);
              if (when === "held back") assert(whole);
            }
          }));
          if (when === "held back") await app.release();
          else await app.closed();
          const clean = await Promise.all(askers.map((asker, n) => asker.ask(`token-${n}-clean.`)));
          assertEquals(clean, clean.map(() => true));
          await turns(1);
        }
        for (const asker of askers) asker[Symbol.dispose]();
      }
    });
  }
}

netTest("an answer that is too long fails only its own request, not those in flight", async () => {
  await using app = new LeakyApp("short", "one and a half", "in one write");
  await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
  const askers = Array.from({ length: 32 }, () => new Asker(cless, "short"));
  for (let round = 0; round < 20; round++) {
    const whole = await Promise.all(askers.map((asker, n) => asker.ask(`token-${n}${n === round ? "!" : "."}`)));
    assertEquals(whole, whole.map((_, n) => n !== round));
  }
  for (const asker of askers) asker[Symbol.dispose]();
});
