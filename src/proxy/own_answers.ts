import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { ForwardError } from "../http/forward.ts";
import type { RequestContext } from "./request_context.ts";
import { problem } from "../http/problem.ts";
import { ClientGone, InstanceGone } from "../http/unanswered_requests.ts";

const log = logger("proxy");

/** The answer to a request that could not be served. */
export function failureAnswer({ head, instance, pending: { request } }: RequestContext, error: unknown): Response {
  if (error instanceof ClientGone) return new Response(null, { status: 499 }); // nobody reads it
  if (!(error instanceof ForwardError || error instanceof InstanceGone)) return refusal(request, error);
  log.warning("request failed", {
    service: instance?.revision.service,
    instance: instance?.id,
    method: head.method,
    reason: error instanceof ForwardError ? error.message : "the instance ended",
  });
  return refusal(request, new ClessError("upstream_failed", "The service did not answer"));
}

/** The answer that says why a request is not served. */
export function refusal(request: Request, error: unknown): Response {
  if (error instanceof ClessError) return problem(error, request);
  log.error("unexpected failure", {
    reason: messageOf(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  return problem(new ClessError("internal", "cless has failed to handle the request"), request);
}
