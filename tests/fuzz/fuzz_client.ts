import { HttpMessage } from "../support/http_message.ts";
import { type RawClient, requestText } from "../support/raw_client.ts";

/** After this time a request counts as hanging. */
const HANGS_MS = 15_000;

/**
 * What a client gets: an answer, `cut` if the connection is closed before, `hangs` if nothing arrives, or an error if the
 * answer is malformed or ambiguous.
 */
export type Got = HttpMessage | "cut" | "hangs" | Error;

/** A client that reconnects when its connection has ended. */
export class FuzzClient implements Disposable {
  readonly #cless: { connect(): Promise<RawClient> };
  #client: RawClient | undefined;

  constructor(cless: { connect(): Promise<RawClient> }) {
    this.#cless = cless;
  }

  /** Sends a request. */
  async ask(method: string, target: string): Promise<Got> {
    this.#client ??= await this.#cless.connect();
    const body = method === "POST" || method === "PUT";
    await this.#client.send(requestText(`${method} ${target}`, body ? ["content-length: 4"] : [], body ? "body" : ""));
    const { promise, resolve } = Promise.withResolvers<"hangs">();
    const timer = setTimeout(() => resolve("hangs"), HANGS_MS);
    const reading = this.#client.reader.response(method).then(
      (answer) => answer ?? "cut",
      (error: Error) => error,
    );
    const got = await Promise.race([reading, promise]);
    clearTimeout(timer);
    const isUsable = got instanceof HttpMessage && got.complete;
    if (!isUsable) this[Symbol.dispose]();
    return got;
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
  }
}
