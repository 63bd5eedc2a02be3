import { listItems } from "./header_list.ts";
import type { Header, RequestHead } from "./request_head.ts";
import type { Upload } from "./upload.ts";

/** How far a request came that got no answer. */
export type Progress =
  /** Not a byte reached the app. */
  | "unsent"
  /** The app may have seen it, and what has come back, if anything, is not known to be its answer, or not all of it. */
  | "unanswered"
  /** Its answer is none that can be passed on. */
  | "garbled";

/** A request got no answer. */
export class ForwardError extends Error {
  override readonly name = "ForwardError";
  readonly progress: Progress;

  constructor(progress: Progress, message: string, options?: ErrorOptions) {
    super(message, options);
    this.progress = progress;
  }
}

/** An answer whose head has gone out does not come to its end. */
export class AnswerCut extends Error {
  override readonly name = "AnswerCut";
}

/** Sends requests to apps. */
export interface Forwarder extends Disposable {
  /** @throws {ClessError} `bad_request` for a request that it would change so much that the app would see another. */
  check(head: RequestHead): void;

  /**
   * Sends a request to an app, and gives back its answer as soon as the headers are there; the body streams on behind.
   *
   * @param origin The app, such as `http://172.18.0.2:8080`.
   * @param upload The request's body, where it has one.
   * @param signal Gives the request up, also while the answer's body streams.
   * @throws {ForwardError} When there is no answer.
   * @throws {ClessError} `bad_request` when the client breaks off its upload.
   * @throws The signal's reason.
   */
  forward(
    origin: string,
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
  ): Promise<Response>;

  /** Is told that an app takes no more requests for now: connections to it that nobody uses are of no use any more. */
  leave(origin: string): void;
}

/** Methods that may be sent twice without harm: RFC 9110, section 9.2.2. */
export const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Headers of an answer that are meant for this hop only: RFC 9110, section 7.6.1, and what it once was. */
export const ANSWER_HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** An answer's headers without those that are meant for this hop only. @param connection The value of `Connection`. */
export function endToEnd(headers: Iterable<Header>, connection: string | null | undefined): Header[] {
  const named = listItems(connection);
  return [...headers].filter(([name]) => {
    const lower = name.toLowerCase();
    return !ANSWER_HOP_BY_HOP.has(lower) && !named.includes(lower);
  });
}
