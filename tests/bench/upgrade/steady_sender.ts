import { messageOf } from "../../../src/base/errors.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { BenchError } from "../support/errors.ts";

/** How often a request is sent, ms. */
const PERIOD_MS = 1;
/** How many may wait for their answer at once; while there are so many, none is sent. */
const MOST_WAITING = 500;
const PATIENCE_MS = 30_000;
const encoder = new TextEncoder();

/** What came of all requests of a {@linkcode SteadySender}. */
export interface Sent {
  readonly answered: number;
  /** How many connections nobody accepted. */
  readonly refused: number;
  /** How many connections were closed before a byte of an answer had come: nobody has read the request, perhaps. */
  readonly unanswered: number;
  /** What was wrong with each answer that was cut, or not the app's. */
  readonly failures: readonly string[];
  /** The longest time from one good answer to the next, ms. */
  readonly gapMs: number;
}

/** Asks for the app again and again, each time over a new connection, whatever has come of the requests before. */
export class SteadySender implements Disposable {
  readonly #address: Deno.ConnectOptions;
  readonly #head: Uint8Array<ArrayBuffer>;
  /** When each good answer was there, in the clock's ms. */
  readonly #goodAt: number[] = [];
  readonly #failures: string[] = [];
  readonly #waiting = new Set<Promise<void>>();
  readonly #timer: ReturnType<typeof setInterval>;
  #refused = 0;
  #unanswered = 0;

  /** Begins at once. @param url The proxy's loopback address. */
  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#address = { hostname, port: Number(port) };
    this.#head = encoder.encode(`GET / HTTP/1.1\r\nHost: ${APP_HOST}\r\nConnection: close\r\n\r\n`);
    this.#timer = setInterval(() => this.#send(), PERIOD_MS);
  }

  /**
   * Waits for so many good answers from now on.
   *
   * @param check May throw to end the waiting.
   * @throws {BenchError} When they take too long.
   */
  async untilGood(count: number, check: () => void): Promise<void> {
    const goal = this.#goodAt.length + count;
    const end = performance.now() + PATIENCE_MS;
    while (this.#goodAt.length < goal) {
      check();
      if (performance.now() > end) {
        throw new BenchError(`no ${count} good answers within ${PATIENCE_MS / 1000} s: ${this.#failures.at(-1) ?? ""}`);
      }
      await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    }
  }

  /** Sends nothing more, and waits for the answers that are on their way. */
  async finish(): Promise<Sent> {
    clearInterval(this.#timer);
    await Promise.all(this.#waiting);
    const gaps = this.#goodAt.slice(1).map((at, n) => at - this.#goodAt[n]!);
    return {
      answered: this.#goodAt.length,
      refused: this.#refused,
      unanswered: this.#unanswered,
      failures: this.#failures,
      gapMs: Math.max(...gaps),
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #send(): void {
    if (this.#waiting.size >= MOST_WAITING) return;
    const sent = this.#ask().catch((error) => {
      if (error instanceof Deno.errors.ConnectionRefused) this.#refused++;
      else this.#failures.push(messageOf(error));
    }).finally(() => this.#waiting.delete(sent));
    this.#waiting.add(sent);
  }

  /** A new connection; `undefined` if it is reset at once, as when the one who listens has just gone. */
  async #connect(): Promise<Deno.TcpConn | undefined> {
    try {
      return await Deno.connect(this.#address);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      this.#unanswered++;
      return undefined;
    }
  }

  async #ask(): Promise<void> {
    using connection = await this.#connect();
    if (connection === undefined) return;
    let text = "";
    const late = setTimeout(() => connection.close(), PATIENCE_MS);
    try {
      await connection.write(this.#head);
      for await (const piece of connection.readable.pipeThrough(new TextDecoderStream())) text += piece;
    } catch (error) {
      if (text !== "") throw error;
    } finally {
      clearTimeout(late);
    }
    if (text === "") {
      this.#unanswered++;
      return;
    }
    checkAnswer(parse(text), "the proxy");
    this.#goodAt.push(performance.now());
  }
}

/** The status and the body of an answer whose end is that of the connection. */
function parse(text: string): { status: number; body: string } {
  const [head = "", body = ""] = text.split(/\r\n\r\n(.*)/s);
  return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? NaN), body };
}
