import type { Replica } from "../../../control/replica.ts";
import { logger } from "../../../base/log.ts";
import type { DomainClaims } from "./domain_claims.ts";
import type { SharedConfigs } from "./shared_configs.ts";
import { refuseUnshared } from "./unshared.ts";
import { labelsOf, revisionData, secretLabels, serviceLabels, tokenLabels } from "./shared_records.ts";

const log = logger("swarm");
/** The name of the config that says that the Swarm has all records, and how they are written. */
const FORMAT = "format";
const FORMAT_DATA = new TextEncoder().encode("1");
/** All entries, for a method that has a limit. */
const ALL = Number.MAX_SAFE_INTEGER;

/** The id of an owner's store in a Swarm; `undefined` if the Swarm does not have all records yet. */
export async function storeIdOf(configs: SharedConfigs): Promise<string | undefined> {
  return (await configs.find("store", FORMAT))?.id;
}

/**
 * Copies what a replica has into a Swarm that has no store of this owner yet: a machine alone has become the first node,
 * or the Swarm was made anew. What is there already, by an attempt that was broken off or by another node, stays.
 *
 * @throws {UnsharedError} If that would be lost here: see {@linkcode refuseUnshared}.
 */
export async function sowReplica(configs: SharedConfigs, claims: DomainClaims, replica: Replica): Promise<void> {
  const { owner } = configs;
  const names = replica.known();
  const needed = new Set<string>();
  const volumes = new Set<string>();
  for (const name of names) {
    const service = replica.service(name);
    const revisions = replica.revisions(name);
    for (const revision of revisions) {
      for (const secret of Object.keys(revision.secretVersions)) needed.add(secret);
      for (const { source } of revision.template.volumes) volumes.add(source);
      await configs.create(
        "revision",
        revision.name,
        labelsOf(owner, "revision", revision.name),
        revisionData(revision),
      );
    }
    for (const domain of service?.domains ?? []) await claims.restore(domain, name);
    const shared = {
      ...{ service, revisions: revisions.map((revision) => revision.name), reserved: service?.lastNumber ?? 0 },
      ...{ history: replica.history(name, ALL), deploys: replica.deploys(name, ALL) },
    };
    await configs.create("service", name, serviceLabels(owner, name, shared));
  }
  for (const name of needed.union(new Set(replica.secretVersions().map(({ name }) => name)))) {
    await sowSecret(configs, replica, name);
  }
  for (const source of volumes) await configs.noteVolume(source);
  for (const token of replica.tokens()) await configs.create("token", token.name, tokenLabels(owner, token));
  await refuseUnshared(configs, replica, undefined);
  await configs.create("store", FORMAT, labelsOf(owner, "store", FORMAT), FORMAT_DATA);
  log.info("the Swarm has the services of this node now", { services: names.length });
}

/** All versions of a secret; if it was deleted, only which version its next value gets. */
async function sowSecret(configs: SharedConfigs, replica: Replica, name: string): Promise<void> {
  const last = replica.nextSecretVersion(name) - 1;
  for (let version = 1; version <= last; version++) {
    const secret = replica.secret(name, version) ??
      (version === last ? { name, version, createdAt: 0, sealed: undefined } : undefined);
    if (secret !== undefined) {
      await configs.create("secret", `${name}-${version}`, secretLabels(configs.owner, secret), secret.sealed);
    }
  }
}
