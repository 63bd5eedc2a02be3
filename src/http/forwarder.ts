import type { RequestHead } from "./request_head.ts";
import type { Upload } from "./upload.ts";

/** A request's client, as the forwarder of the response sees it. */
export interface Client {
  /** Its connection. */
  readonly info: Deno.ServeHandlerInfo<Deno.NetAddr>;
  /** The requested service, if known. */
  readonly service: string | undefined;
  /** How long it may stop reading the response. */
  readonly clientTimeoutMs: number;
  /** Called when the app has finished with the request. The client may still be receiving the response. */
  appEnded(): void;
}

/** Sends requests to apps. */
export interface Forwarder extends Disposable {
  /** Refuses a request that this forwarder would send in a changed form. @throws {ClessError} `bad_request`. */
  check(head: RequestHead): void;

  /**
   * Sends a request to an app. Resolves with the response's headers, while its body still streams.
   *
   * @param origin The app, such as `http://172.18.0.2:8080`.
   * @param signal Aborts the request, also while the response's body streams.
   * @param client Is watched for whether it reads the response; if missing, nothing is watched.
   * @throws {ForwardError} If there is no response.
   * @throws {ClessError} `bad_request` if the client breaks off its upload.
   * @throws The signal's reason.
   */
  forward(
    origin: string,
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
    client?: Client,
  ): Promise<Response>;

  /** Closes idle connections to an app that is to get no more requests for now. */
  leave(origin: string): void;
}

/** How far a request without a response got. */
export type Progress =
  /** Not a byte of it reached the app. */
  | "unsent"
  /** The app may have seen it. What came back, if anything, is incomplete or may belong to an earlier request. */
  | "unanswered"
  /** The app's response cannot be passed on. */
  | "garbled";

/** A request got no response. */
export class ForwardError extends Error {
  override readonly name = "ForwardError";
  readonly progress: Progress;

  constructor(progress: Progress, message: string, options?: ErrorOptions) {
    super(message, options);
    this.progress = progress;
  }
}

/** A response broke off after its headers had gone out. */
export class ResponseCut extends Error {
  override readonly name = "ResponseCut";
}

/** The reason to abort a request whose instance has ended, or hangs. */
export class InstanceGone extends Error {
  override readonly name = "InstanceGone";
  readonly isHung: boolean;

  constructor(isHung = false) {
    super();
    this.isHung = isHung;
  }
}

/** Methods that may be sent twice without harm: RFC 9110, section 9.2.2. */
export const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
