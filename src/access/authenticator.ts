import type { Header } from "../http/headers.ts";
import type { RequestHead } from "../http/request_head.ts";

/** A request before a service's gate. */
export interface GateRequest {
  readonly request: Request;
  readonly head: RequestHead;
  /** Its body; `undefined` if it has none. Without a length, only reading tells that. */
  readonly upload: object | undefined;
  /** Aborted when the request ends early, such as when its client leaves. */
  readonly signal: AbortSignal;
}

/** Who a client has proved to be. */
export interface Identity {
  readonly user?: string | undefined;
  readonly email?: string | undefined;
  readonly groups?: readonly string[];
  /** More headers that the app gets; names in lower case. */
  readonly headers?: readonly Header[];
}

/** What one way to prove who a client is says of a request. */
export type Outcome =
  /** The request may pass. */
  | { readonly identity: Identity }
  /** The client gets this response, if no other way lets the request pass. */
  | { readonly response: Response }
  /** Nothing: the request has no proof of this kind. */
  | undefined;

/** One way to prove who a client is. */
export interface Authenticator {
  /** The headers by which it tells the app who the client is, in lower case; those of clients are removed. */
  readonly headers: readonly string[];
  /**
   * Sees each request first, also one that needs no proof. Removes what only cless may know from the headers that the
   * app gets, and answers requests for cless's own paths; returns `undefined` for all others.
   */
  prepare?(asked: GateRequest): Promise<Response> | undefined;
  /** @throws {ClessError} If the request must be refused, whatever others say, such as after too many attempts. */
  check(asked: GateRequest): Outcome | Promise<Outcome>;
}
