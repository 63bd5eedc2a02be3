import { assert, assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { type RawClient, requestText } from "../../support/raw_client.ts";
import { turns, until } from "../../support/until.ts";

// What comes over a connection after its next request went out cannot be told from the answer to that: HTTP/1.1 does not
// number them, and no proxy can. All that comes before that moment can be told, and has to be.

/** How much of an answer is read at first, bytes. */
const READ = 32 * 1024;

/** How an answer is made: its framing, and the length of the whole in bytes where that is a matter of reads. */
type Shape = "short" | "chunked" | keyof typeof TOTALS;
const TOTALS = {
  "a byte less than one read": READ - 1,
  "one read": READ,
  "a byte more than one read": READ + 1,
  "two reads": 2 * READ,
  "long": 100_000,
};
const SHAPES = ["short", "chunked", ...Object.keys(TOTALS)] as Shape[];
/** What is sent on top of an answer. */
type Surplus = "half an answer" | "an answer" | "one and a half";

/** An answer whose every part names the token. */
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

/** An app that sends more than it is asked for, to every request whose target ends with `!`. */
class LeakyApp implements AsyncDisposable {
  /** What is still to be sent on idle connections. */
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

  /** Sends what is held back, and resolves when every connection that carried too much is closed. */
  async release(): Promise<void> {
    await Promise.all(this.#held.splice(0).map((send) => send()));
    await this.closed();
  }

  /** Resolves when every connection that carried too much is closed. */
  closed(): Promise<void> {
    return until(() => this.#ended === this.#leaking);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.origin[Symbol.asyncDispose]();
  }
}

/** A client's connection that is made again when it was cut. */
class Asker implements Disposable {
  readonly #cless: Harness;
  readonly #shape: Shape;
  #client: RawClient | undefined;

  constructor(cless: Harness, shape: Shape) {
    this.#cless = cless;
    this.#shape = shape;
  }

  /** Asks for a token; whether the answer came whole. Nothing of another's must be in it in any case. */
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
    netTest(`one after the other: ${surplus} too much, ${when}, is nobody's`, async () => {
      for (const shape of SHAPES) {
        await using app = new LeakyApp(shape, surplus, when);
        await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
        using asker = new Asker(cless, shape);
        for (let turn = 0; turn < 5; turn++) {
          const whole = await asker.ask(`token-${turn}!`);
          // What is there together with the answer makes it doubtful.
          if (when === "held back") assert(whole);
          else if (when === "in one write" && shape === "short") assert(!whole);
          if (when === "held back") await app.release();
          else await app.closed();
          assert(await asker.ask(`token-${turn}.`), `${shape}: the request behind is answered`);
        }
        await app.closed();
      }
    });

    // With two writes it would be a matter of luck: the next request may be on its way in between.
    if (when === "in two writes") continue;
    netTest(`32 at once: ${surplus} too much, ${when}, is nobody's`, async () => {
      for (const shape of SHAPES) {
        await using app = new LeakyApp(shape, surplus, when);
        await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
        const askers = Array.from({ length: 32 }, () => new Asker(cless, shape));
        for (let round = 0; round < 4; round++) {
          await Promise.all(askers.map(async (asker, n) => {
            // With all at once, and with each when the one before is done.
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

netTest("an answer that is too long while others are under way fails for its own request only", async () => {
  await using app = new LeakyApp("short", "one and a half", "in one write");
  await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
  const askers = Array.from({ length: 32 }, () => new Asker(cless, "short"));
  for (let round = 0; round < 20; round++) {
    const whole = await Promise.all(askers.map((asker, n) => asker.ask(`token-${n}${n === round ? "!" : "."}`)));
    assertEquals(whole, whole.map((_, n) => n !== round));
  }
  for (const asker of askers) asker[Symbol.dispose]();
});
