import { Conflict, ImageUnavailable, NotFound, RevisionFailed } from "../control/deploy_error.ts";
import { InvalidError, MAX_FAULTS, showPath } from "../control/schema/invalid.ts";
import { UnknownSecretError } from "../control/secrets/secrets.ts";
import { DomainTakenError, StaleError } from "../control/store.ts";
import { TrafficError } from "../model/traffic.ts";
import { ClessError, type ErrorCode, messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { problem } from "../http/problem.ts";

const log = logger("admin");
/** The API's clients are programs: errors are JSON, whatever the request accepts. */
const NO_PREFERENCE = { headers: new Headers() };

/** The code of each kind of error; the first match counts. */
const CODES: readonly (readonly [kind: abstract new (...args: never[]) => Error, code: ErrorCode])[] = [
  [InvalidError, "invalid"],
  [NotFound, "not_found"],
  [Conflict, "conflict"],
  [DomainTakenError, "conflict"],
  [StaleError, "stale"],
  [ImageUnavailable, "image_unavailable"],
  [RevisionFailed, "revision_failed"],
  // The database, the secrets' key or the data-dir cannot be used; the message says what to do.
  [OperatorError, "store_unavailable"],
];

/** The meanings of the codes of the API's errors, for its document. */
export const MEANINGS = {
  invalid: "the request is wrong; the detail names the first wrong field",
  unauthorized: "the token is missing or wrong",
  forbidden: "the token does not allow it, or the request comes from a page of another site, or lacks `cless-csrf`",
  not_found: "there is no such thing",
  conflict: "it does not fit the present state",
  stale: "the service has changed since",
  too_large: "the body is above 1 MiB",
  unsupported_type: "the body has a wrong content-type",
  image_unavailable: "the image cannot be found or pulled; nothing has changed",
  revision_failed: "the revision does not work; traffic is as before",
  too_many_attempts: "too many wrong tokens came from this address; Retry-After says when to try again",
  overloaded: "there is too much of it already; Retry-After says when to try again",
  internal: "cless has failed, and its log says why",
  store_unavailable: "the database cannot be read or written now; the detail says what to do",
} satisfies Partial<Record<ErrorCode, string>>;

/** A code that an operation may answer with. */
export type DocumentedCode = keyof typeof MEANINGS;

/** The answer to a failed request. Unexpected errors are logged, but not shown. */
export async function problemOf(thrown: unknown): Promise<Response> {
  const error = toClessError(thrown);
  const isAborted = thrown instanceof DOMException && thrown.name === "AbortError"; // by the client, which has gone
  if (error.code === "internal" && !isAborted) {
    log.error("a request of the API has failed", { reason: messageOf(thrown) });
  }
  const answer = problem(error, NO_PREFERENCE);
  answer.headers.set("x-content-type-options", "nosniff");
  const more = thrown instanceof InvalidError ? { errors: errorsOf(thrown) } : failureOf(error, thrown);
  return more === undefined ? answer : new Response(JSON.stringify({ ...await answer.json(), ...more }) + "\n", answer);
}

/** The wrong fields of a body. */
function errorsOf({ faults }: InvalidError): { field: string; reason: string }[] {
  return faults.slice(0, MAX_FAULTS).map(({ path, reason }) => ({ field: showPath(path), reason }));
}

/** Why a revision or an image fails; `undefined` for other errors. */
function failureOf({ code }: ClessError, thrown: unknown): { reason: string; output: readonly string[] } | undefined {
  if (code !== "revision_failed" && code !== "image_unavailable") return undefined;
  const isFailure = thrown instanceof RevisionFailed || thrown instanceof ImageUnavailable;
  return isFailure ? { reason: thrown.reason, output: thrown.output } : { reason: messageOf(thrown), output: [] };
}

/** Gives the errors of other parts their codes. Nothing else does. */
function toClessError(thrown: unknown): ClessError {
  const internal = () => new ClessError("internal", "cless has failed to handle the request", { cause: thrown });
  if (thrown instanceof ClessError) return withDetail(thrown);
  if (!(thrown instanceof Error)) return internal();
  // These errors do not name the field.
  if (thrown instanceof TrafficError) return new ClessError("invalid", `traffic: ${thrown.message}`);
  if (thrown instanceof UnknownSecretError) return new ClessError("invalid", `secretEnv: ${thrown.message}`);
  const code = CODES.find(([kind]) => thrown instanceof kind)?.[1];
  return code === undefined ? internal() : new ClessError(code, thrown.message, { cause: thrown });
}

/** Shows the error's detail. Clients of the API may see why a start failed; clients of the proxy may not. */
function withDetail(error: ClessError): ClessError {
  const ofStart = ["start_failed", "start_timeout", "volume_away"].includes(error.code);
  return ofStart ? new ClessError("revision_failed", error.detail ?? error.message, { cause: error }) : error;
}

/** The error for a path that leads to nothing. */
export function noSuchResource(): ClessError {
  return new ClessError("not_found", "There is no such resource");
}
