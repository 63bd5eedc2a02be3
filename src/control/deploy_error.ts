import { ClessError, messageOf } from "../base/errors.ts";

/** A revision did not become ready. The message is for the operator. */
export class RevisionFailed extends Error {
  override readonly name = "RevisionFailed";
  /** Why, on one line. */
  readonly reason: string;
  /** The last lines that its app wrote. */
  readonly output: readonly string[];

  /** @param hints What may be the reason, each on one line. */
  constructor(revision: string, cause: unknown, hints: readonly string[] = []) {
    const failure = cause instanceof ClessError ? cause.detail ?? cause.message : messageOf(cause);
    const reason = [failure, ...hints].join("; ");
    super(`the revision ${revision} did not become ready: ${reason}`, { cause });
    this.reason = reason;
    this.output = outputLines((cause as { readonly output?: unknown } | undefined)?.output);
  }
}

/** An image cannot be found or pulled. The message is one line for the operator. */
export class ImageUnavailable extends Error {
  override readonly name = "ImageUnavailable";
  readonly reason: string;
  /** Empty: no app has run. */
  readonly output: readonly string[] = [];

  constructor(message: string, { reason = "engine", ...options }: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.reason = reason;
  }
}

/** The service's present state does not allow the request; the message says why. */
export class Conflict extends Error {
  override readonly name = "Conflict";
}

/** A service or revision does not exist. */
export class NotFound extends Error {
  override readonly name = "NotFound";
}

/** Splits an app's output into lines. Returns no lines if there is only white space. */
export function outputLines(output: unknown): string[] {
  if (typeof output !== "string" || output.trim() === "") return [];
  return output.replace(/\s+$/, "").split(/\r?\n/);
}
