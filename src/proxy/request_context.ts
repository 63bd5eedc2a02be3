import type { Wake } from "../pool/breaker.ts";
import type { Instance } from "../pool/instance.ts";
import type { RequestHead } from "../http/request_head.ts";
import type { UnansweredRequest } from "../http/unanswered_requests.ts";

/** What the server knows of a request beside itself. */
export type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/** One request on its way through, and what has become of it so far. */
export interface RequestContext {
  readonly info: Info;
  readonly head: RequestHead;
  /** The request, as long as it has no answer. */
  readonly pending: UnansweredRequest;
  /** In the clock's ms. */
  readonly arrived: number;
  /** What it had to wait for. */
  start: { how: Wake; ms: number } | undefined;
  instance: Instance | undefined;
  /** How many instances have had it in vain, and how often the last of them. */
  instances: number;
  tries: number;
  /** How often it could not even be sent. */
  refusals: number;
}
