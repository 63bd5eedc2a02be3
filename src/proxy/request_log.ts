import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import type { Info, RequestContext } from "./request_context.ts";

const log = logger("proxy");

/** Writes a line for each request, once its answer has gone out, where anybody wants to know that much. */
export class RequestLog {
  /** Whether there is a line for each request. */
  readonly enabled = log.isEnabledFor("debug");
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes a request that was not let in. */
  noteRefused({ method, headers }: Request, info: Info, { headers: answered, status }: Response): void {
    const error = answered.get("cless-error");
    const finish = () => log.debug("request", { method, host: headers.get("host"), status, error });
    info.completed.then(finish, finish);
  }

  /** Notes a request and its answer, which it gives back. */
  note({ arrived, head, info, instance, start }: RequestContext, response: Response): Response {
    const finish = () =>
      log.debug("request", {
        method: head.method,
        host: head.hostname.name,
        target: head.target.replace(/\?.*$/s, ""), // a query may hold what nobody else should read
        status: response.status,
        ms: Math.round((this.#clock.now() - arrived) * 10) / 10,
        service: instance?.revision.service,
        instance: instance?.id,
        start: start?.how,
        error: response.headers.get("cless-error") ?? undefined,
      });
    info.completed.then(finish, finish);
    return response;
  }
}
