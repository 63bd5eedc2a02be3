import type { Revision } from "../../model/revision.ts";
import type { RevisionSecrets } from "../runtime_revision.ts";

/**
 * The environment of revisions, with their secrets. What was read once stays in memory as long as the revision does, so
 * that a start does not depend on the store; what could not be read is tried anew.
 */
export class RevisionEnv {
  readonly #secrets: Pick<RevisionSecrets, "resolve">;
  readonly #read = new WeakMap<Revision, Readonly<Record<string, string>>>();

  constructor(secrets: Pick<RevisionSecrets, "resolve">) {
    this.#secrets = secrets;
  }

  /** All variables of a revision. @throws What `secrets` throws, where a secret is gone or cannot be read. */
  async of(revision: Revision): Promise<Readonly<Record<string, string>>> {
    const { env, secretEnv = {}, secretVersions = {} } = revision;
    if (Object.keys(secretEnv).length === 0) return env;
    const known = this.#read.get(revision);
    if (known !== undefined) return known;
    const all = Object.freeze({ ...env, ...await this.#secrets.resolve(secretEnv, secretVersions) });
    this.#read.set(revision, all);
    return all;
  }
}
