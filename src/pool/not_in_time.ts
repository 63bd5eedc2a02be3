import { formatDuration } from "../model/time.ts";
import type { Revision } from "../model/revision.ts";
import { ClessError } from "../base/errors.ts";
import { EngineAway } from "./launcher.ts";
import type { Probed } from "./readiness.ts";

/** What clients are told of a start that took too long. */
export const NOT_IN_TIME = "The service did not become ready in time; the log of cless says more";

/**
 * What becomes of a container that the engine has not started or resumed in time: no fault of the app, and nothing that
 * another container would make better.
 */
export function engineLate({ startTimeout }: Pick<Revision, "startTimeout">, what: "start" | "resume"): ClessError {
  const detail = `the engine did not ${what} the container within ${formatDuration(startTimeout)}`;
  return new ClessError("start_timeout", NOT_IN_TIME, { detail, cause: new EngineAway(detail) });
}

/**
 * What is said of an app that did not become ready in time, and what to do; one line, for operators.
 *
 * @param last What it did when it was asked last.
 */
export function notInTime({ port, readinessPath, startTimeout }: Revision, last: Probed): string {
  const time = formatDuration(startTimeout);
  switch (last) {
    case "refused":
      return `nothing listens on port ${port} after ${time}; the app must listen there on all addresses`;
    case "closed":
      // Docker's forwarder takes connections too where nothing listens behind it.
      return `port ${port} closes connections without an answer after ${time}; the app must listen there on all addresses, and speak HTTP`;
    case "garbage":
      return `what answers on port ${port} after ${time} is no HTTP/1.1; the app must speak it there`;
    case "silent":
      return `no answer on port ${port} within ${time}; the app must listen there on all addresses, and answer GET ${readinessPath}`;
    default:
      return `GET ${readinessPath} on port ${port} still gives ${last} after ${time}; the app must give a status below 500 there`;
  }
}
