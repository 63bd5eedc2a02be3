import type { Limits, Revision } from "../model/revision.ts";
import type { RevisionRecord } from "./records.ts";

/** What revisions need from the secrets. */
export interface RevisionSecrets {
  /** The present versions of secrets. @throws {UnknownSecretError} For the first missing one. */
  currentVersions(names: Iterable<string>): Record<string, number>;
  /** The values of variables. Rejects if a secret is gone or cannot be read. */
  resolve(
    secretEnv: Readonly<Record<string, string>>,
    versions: Readonly<Record<string, number>>,
  ): Promise<Record<string, string>>;
}

/** What a stored revision's containers are started from; `limits` are for fields that the template leaves out. */
export function runtimeRevision(record: RevisionRecord, limits: Limits): Revision {
  const { name, service, template, imageId, imageDigest, secretVersions } = record;
  const { secretEnv } = template;
  return Object.freeze({
    name,
    service,
    image: template.image,
    imageId,
    ...(imageDigest === undefined ? {} : { imageDigest }),
    port: template.port,
    readinessPath: template.readiness.path,
    startTimeout: template.startTimeout ?? limits.startTimeout,
    requestTimeout: template.requestTimeout ?? limits.requestTimeout,
    pauseAfter: template.pauseAfter ?? limits.pauseAfter,
    stopAfter: template.stopAfter ?? limits.stopAfter,
    env: template.env,
    ...(Object.keys(secretEnv).length === 0 ? {} : { secretEnv, secretVersions }),
    command: template.command,
    memory: template.memory,
    cpus: template.cpus,
    volumes: template.volumes,
    concurrency: template.concurrency,
    minInstances: template.minInstances,
    maxInstances: template.maxInstances,
    ...(template.liveness === undefined ? {} : { liveness: template.liveness }),
  });
}

/**
 * The environment of revisions, secrets included. It stays in memory as long as the revision, so that a start does not
 * need the store. If reading fails, the next call tries again.
 */
export class RevisionEnv {
  readonly #secrets: Pick<RevisionSecrets, "resolve">;
  readonly #read = new WeakMap<Revision, Readonly<Record<string, string>>>();

  constructor(secrets: Pick<RevisionSecrets, "resolve">) {
    this.#secrets = secrets;
  }

  /** All variables of a revision. @throws What {@linkcode RevisionSecrets.resolve} throws. */
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
