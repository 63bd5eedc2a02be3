import { ClessError, messageOf } from "../errors.ts";

/** A new revision did not become ready; nothing has changed. The message is for whoever has deployed. */
export class RevisionFailed extends Error {
  override readonly name = "RevisionFailed";
  readonly revision: string;
  /** Why it did not, on one line. */
  readonly reason: string;

  constructor(revision: string, cause: unknown) {
    const reason = cause instanceof ClessError ? cause.detail ?? cause.message : messageOf(cause);
    super(`the revision ${revision} did not become ready: ${reason}`, { cause });
    this.revision = revision;
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
