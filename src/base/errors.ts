/** The HTTP status of each of cless's error codes. A code means the same everywhere. */
const STATUS = {
  bad_host: 400,
  bad_request: 400,
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  unknown_host: 404,
  not_found: 404,
  method_not_allowed: 405,
  client_timeout: 408,
  conflict: 409,
  stale: 412,
  too_large: 413,
  unsupported_type: 415,
  image_unavailable: 422,
  revision_failed: 422,
  rate_limited: 429,
  too_many_attempts: 429,
  start_failed: 502,
  upstream_failed: 502,
  overloaded: 503,
  asleep: 503,
  crash_loop: 503,
  draining: 503,
  maintenance: 503,
  store_unavailable: 503,
  volume_away: 503,
  start_timeout: 504,
  upstream_timeout: 504,
  internal: 500,
} as const;

/** The machine-readable name of an error, as in the header `cless-error`. */
export type ErrorCode = keyof typeof STATUS;

/** Options of a {@linkcode ClessError}. */
export interface ClessErrorOptions extends ErrorOptions {
  /** For the operator: goes to the log, never to a client of the proxy. */
  readonly detail?: string;
  /** The last lines that an app wrote before it failed; for the operator, like the detail. */
  readonly output?: string;
  /** When a client may try again, in whole seconds. */
  readonly retryAfterS?: number;
  /** The allowed methods, for `method_not_allowed`. */
  readonly allow?: string;
  /** How a client can prove who it is, for `unauthorized`: the value of `WWW-Authenticate`. */
  readonly challenge?: string;
}

/** An error for clients; its message may be public. */
export class ClessError extends Error {
  override readonly name = "ClessError";
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly output: string | undefined;
  readonly retryAfterS: number | undefined;
  readonly allow: string | undefined;
  readonly challenge: string | undefined;

  constructor(code: ErrorCode, message: string, options: ClessErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.detail = options.detail;
    this.output = options.output;
    this.retryAfterS = options.retryAfterS;
    this.allow = options.allow;
    this.challenge = options.challenge;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** The error of a failed start. @param detail The reason, for the operator. */
export function couldNotStart(detail: string, cause?: unknown): ClessError {
  return new ClessError("start_failed", "The service could not be started; the log of cless says why", {
    detail,
    cause,
  });
}

/** The error if the machine that has the volumes of a service is away. @param detail Which one, for the operator. */
export function volumeAway(detail: string, cause?: unknown): ClessError {
  const message = "The data of the service is on a machine that is away; the log of cless says more";
  return new ClessError("volume_away", message, { detail, cause, retryAfterS: 10 });
}

/** The error for requests while cless ends. */
export function shuttingDown(): ClessError {
  return new ClessError("draining", "cless is shutting down", { retryAfterS: 5 });
}

/** A wrong flag, value or verb; exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** What the user is told, a line for each mistake. */
  readonly lines: readonly string[];

  /** @param mistakes What is wrong: one mistake, or several. */
  constructor(mistakes: string | readonly string[]) {
    const all = [mistakes].flat();
    super(all.join("; "));
    this.lines = all.map(messageOf);
  }
}

/** A problem that the operator has to solve before cless can work; exit code 1. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
  /** What the operator is told, a line for each problem. */
  readonly lines: readonly string[];

  /** @param problems What is wrong: one problem, or several. */
  constructor(problems: string | readonly string[], options?: ErrorOptions) {
    const all = [problems].flat();
    super(all.join("; "), options);
    this.lines = all.map(messageOf);
  }
}

/** The message of anything that was thrown, on one line. */
export function messageOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return message.trim().replaceAll(/\s*\n\s*/g, "; ");
}

/** Like {@linkcode messageOf}, without the error number of the system that Deno appends. */
export function plainMessageOf(thrown: unknown): string {
  return messageOf(thrown).replace(/ \(os error \d+\).*$/, "");
}
