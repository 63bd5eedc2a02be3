import { messageOf } from "../../../src/base/errors.ts";
import { BenchError } from "./errors.ts";

/** An answer that has arrived whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** How one request differs from a plain GET. */
export interface AskOptions {
  readonly method?: string;
  /** A body of JSON. */
  readonly json?: unknown;
  readonly host?: string;
  /** For the admin API. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** Asks with a Host of its own, over connections that stay open. */
export class HttpClient implements Disposable {
  readonly #client: Deno.HttpClient;

  /**
   * @param idle How many connections are kept; `0` makes a new one for each request.
   * @param trusted Certificates (PEM) that it trusts as authorities.
   */
  constructor(idle = 32, trusted: readonly string[] = []) {
    this.#client = Deno.createHttpClient({
      allowHost: true,
      http2: false,
      poolMaxIdlePerHost: idle,
      caCerts: [...trusted],
    });
  }

  /**
   * Sends one request.
   *
   * @throws {BenchError} When there is no answer.
   */
  async ask(url: string, { host, json, method = "GET", signal, token }: AskOptions = {}): Promise<Answer> {
    try {
      const response = await fetch(url, {
        client: this.#client,
        method,
        redirect: "manual",
        headers: {
          ...(json === undefined ? {} : { "content-type": "application/json" }),
          ...(host === undefined ? {} : { host }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: response.status, headers: response.headers, body: await response.text() };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new BenchError(`no answer from ${url}: ${messageOf(cause)}`);
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/**
 * Asks again and again until there is an answer.
 *
 * @param url What to ask for.
 * @param good Whether an answer is what is waited for.
 * @param check Is called before each attempt, and may throw to end the waiting.
 * @param trusted As for {@linkcode HttpClient}.
 * @throws {BenchError} When there is none within 30 s.
 */
export async function untilAnswer(
  url: string,
  good: (answer: Answer) => boolean,
  check: () => void,
  trusted: readonly string[] = [],
): Promise<Answer> {
  // A pause shorter than this is rounded up by the timer, and a client of its own does not wait for dead connections.
  const pauseMs = 1;
  const end = performance.now() + 30_000;
  using client = new HttpClient(0, trusted);
  while (performance.now() < end) {
    check();
    try {
      const answer = await client.ask(url, { signal: AbortSignal.timeout(1000) });
      if (good(answer)) return answer;
    } catch {
      // Nobody listens there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new BenchError(`no answer from ${url} within 30 s`);
}
