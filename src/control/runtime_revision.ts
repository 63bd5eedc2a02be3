import { type ContainerDefaults, OLDER_DEFAULTS, withDefaults } from "../model/isolation.ts";
import { HANG_AFTER_MS, type Limits, type Revision } from "../model/revision.ts";
import type { RevisionRecord } from "./records.ts";
import type { Secrets } from "./secrets/secrets.ts";

/**
 * Makes the revision that containers are started from. `limits` and `present` fill in what the template leaves out. A
 * revision that was stored before there were container defaults does not get them.
 */
export function runtimeRevision(record: RevisionRecord, limits: Limits, present: ContainerDefaults): Revision {
  const defaults = record.older ? OLDER_DEFAULTS : present;
  const { name, service, imageId, imageDigest, secretVersions } = record;
  const { pullPolicy: _, readiness, secretEnv, memory, cpus, capabilities, readOnly, ...others } = record.template;
  const { startTimeout, requestTimeout, clientTimeout, pauseAfter, hibernateAfter, stopAfter, hangAfter, ...template } =
    others;
  return Object.freeze({
    name,
    service,
    imageId,
    ...(imageDigest === undefined ? {} : { imageDigest }),
    readinessPath: readiness.path,
    startTimeoutMs: startTimeout ?? limits.startTimeoutMs,
    requestTimeoutMs: requestTimeout ?? limits.requestTimeoutMs,
    clientTimeoutMs: clientTimeout ?? limits.clientTimeoutMs,
    pauseAfterMs: pauseAfter ?? limits.pauseAfterMs,
    hibernateAfterMs: hibernateAfter ?? limits.hibernateAfterMs,
    stopAfterMs: stopAfter ?? limits.stopAfterMs,
    stopHibernatedAfterMs: stopAfter ?? limits.stopHibernatedAfterMs,
    hangAfterMs: hangAfter ?? HANG_AFTER_MS,
    ...template,
    ...(Object.keys(secretEnv).length === 0 ? {} : { secretEnv, secretVersions }),
    memoryBytes: memory ?? defaults.memoryBytes,
    cpus: cpus ?? defaults.cpus,
    capabilities: withDefaults(defaults, capabilities),
    readOnly: readOnly === true,
  });
}

/**
 * The environments of revisions, including secrets. An environment is kept in memory as long as its revision, so that a
 * start does not need the store. If reading fails, the next call tries again.
 */
export class RevisionEnv {
  readonly #secrets: Pick<Secrets, "resolve">;
  readonly #read = new WeakMap<Revision, Readonly<Record<string, string>>>();

  constructor(secrets: Pick<Secrets, "resolve">) {
    this.#secrets = secrets;
  }

  /** All variables of a revision. @throws What {@linkcode Secrets.resolve} throws. */
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
