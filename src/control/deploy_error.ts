import { ClessError, messageOf } from "../base/errors.ts";

/** A new revision did not become ready; nothing has changed. The message is for whoever has deployed. */
export class RevisionFailed extends Error {
  override readonly name = "RevisionFailed";
  readonly revision: string;
  /** Why it did not, on one line. */
  readonly reason: string;
  /** The last lines that its app has written; empty where there are none. */
  readonly output: readonly string[];

  constructor(revision: string, cause: unknown) {
    const reason = cause instanceof ClessError ? cause.detail ?? cause.message : messageOf(cause);
    super(`the revision ${revision} did not become ready: ${reason}`, { cause });
    this.revision = revision;
    this.reason = reason;
    this.output = linesOf((cause as { readonly output?: unknown } | undefined)?.output);
  }
}

/** Why an image is not to be had. */
export interface ImageUnavailableOptions extends ErrorOptions {
  /** In one word; `not_found` is one that is not there at all. */
  readonly reason?: string;
}

/** An image is not to be had; nothing has changed. The message is one line, for whoever has deployed. */
export class ImageUnavailable extends Error {
  override readonly name = "ImageUnavailable";
  /** In one word, `not_found` where there is none. */
  readonly reason: string;
  /** There was no app that could have written something. */
  readonly output: readonly string[] = [];

  constructor(message: string, { reason = "engine", ...options }: ImageUnavailableOptions = {}) {
    super(message, options);
    this.reason = reason;
  }
}

/** What is asked for does not go with how the service is now; the message says why. */
export class Conflict extends Error {
  override readonly name = "Conflict";
}

/** There is no such service or revision. */
export class NotFound extends Error {
  override readonly name = "NotFound";
}

/** What an app has written, line by line; none where it has written nothing. */
export function linesOf(output: unknown): string[] {
  if (typeof output !== "string" || output.trim() === "") return [];
  return output.replace(/\s+$/, "").split(/\r?\n/);
}
