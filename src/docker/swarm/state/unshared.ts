import { OperatorError } from "../../../base/errors.ts";
import { logger } from "../../../base/log.ts";
import type { Replica, SharedRecord } from "../../../control/replica.ts";
import type { SharedConfigs } from "./shared_configs.ts";
import { isSame, nameOf, NOTHING, sharedSecretOf, sharedServiceOf, tokenLabels, tokenOf } from "./shared_records.ts";

const log = logger("swarm");
/** The kinds of shared records, in the order in which they are named. */
const KINDS = ["service", "secret", "token"] as const;
const VERBS = { service: "cless delete", secret: "cless secret delete", token: "cless token revoke" };

/** A node cannot follow the Swarm, since something that it alone has would be lost. */
export class UnsharedError extends OperatorError {}

/** Where a record of a replica is, as compared with the Swarm. */
type Finding =
  /** Following the Swarm would lose it. */
  | "lost"
  /** It was deleted here while cless ran without the Swarm, which has it. */
  | "back"
  | "fine";

/**
 * Makes sure that a replica loses nothing by becoming a copy of what the Swarm has.
 *
 * A service that is here and not in the Swarm was either deleted there while this node was away, or made here while
 * cless ran without the Swarm. These must not be confused: the first one must go, the second one must stay. So the
 * replica keeps the id of the store of which it was a copy, and, from each start of cless without the Swarm on, the names
 * of what is changed. Only that can be lost. Of a replica that never followed a store, it is everything. One that has
 * followed another store (the Swarm was made anew, from the replica of another node) has copies, of which only those can
 * be lost that are newer than what the Swarm has.
 *
 * What could be lost is refused, and not given to the Swarm: other nodes may have changed the same service meanwhile, and
 * one of the two changes would be lost all the same. Only the operator can tell which one is wanted. History and deploys
 * from the time without the Swarm are not kept.
 *
 * @param storeId Of the Swarm's store; `undefined` if it is just being made.
 * @throws {UnsharedError} If something would be lost; the message says what to do.
 */
export async function refuseUnshared(
  configs: SharedConfigs,
  replica: Replica,
  storeId: string | undefined,
): Promise<void> {
  const followed = replica.followed();
  const changed = followed?.changed ?? [];
  const records = followed !== undefined && followed.id === storeId ? changed : [...recordsOf(replica), ...changed];
  const isMadeHere = ({ kind, name }: SharedRecord) =>
    followed === undefined || changed.some((other) => other.kind === kind && other.name === name);
  const comparisons = { service: comparedService, secret: comparedSecret, token: comparedToken };
  const found = new Map<Finding, Set<string>>();
  const lostKinds = new Set<SharedRecord["kind"]>();
  for (const record of records) {
    const { kind, name } = record;
    const finding = await comparisons[kind](configs, replica, name, isMadeHere(record));
    found.getOrInsertComputed(finding, () => new Set()).add(`${kind} ${name}`);
    if (finding === "lost") lostKinds.add(kind);
  }
  const lost = found.get("lost");
  if (lost !== undefined) {
    const verbs = KINDS.filter((kind) => lostKinds.has(kind)).map((kind) => VERBS[kind]).join(" and ");
    throw new UnsharedError(
      `changed here while cless ran without the Swarm, which has not got it: ${[...lost].join(", ")}; start cless ` +
        `without --engine swarm, keep what you need (cless export), remove it here (${verbs}), then start with ` +
        "--engine swarm and apply it again",
    );
  }
  const back = found.get("back");
  if (back !== undefined) {
    log.warning("the Swarm still has what was deleted here while cless ran without it", { is: [...back].join(", ") });
  }
}

/** All shared records of a replica. */
function recordsOf(replica: Replica): SharedRecord[] {
  return [
    ...replica.known().map((name) => ({ kind: "service" as const, name })),
    ...replica.secretVersions().map(({ name }) => ({ kind: "secret" as const, name })),
    ...replica.tokens().map(({ name }) => ({ kind: "token" as const, name })),
  ];
}

async function comparedService(
  configs: SharedConfigs,
  replica: Replica,
  name: string,
  isMadeHere: boolean,
): Promise<Finding> {
  const here = replica.service(name);
  const config = await configs.find("service", name);
  const { history, service: there } = config === undefined ? NOTHING : sharedServiceOf(config);
  if (here === undefined) return isMadeHere && there !== undefined ? "back" : "fine";
  if (isSame(here, there)) return "fine";
  const newest = Math.max(there?.updatedAt ?? 0, history[0]?.at ?? 0); // a deleted service has left its history
  return isMadeHere || newest < here.updatedAt ? "lost" : "fine";
}

async function comparedSecret(
  configs: SharedConfigs,
  replica: Replica,
  name: string,
  isMadeHere: boolean,
): Promise<Finding> {
  const here = replica.secretVersions().find((secret) => secret.name === name);
  const there = (await configs.list("secret")).map(sharedSecretOf).filter((secret) => secret.name === name);
  const last = there.reduce((last, { version }) => Math.max(last, version), 0);
  if (here === undefined) {
    const isThere = there.some(({ sealed, version }) => version === last && sealed !== undefined);
    return isMadeHere && isThere ? "back" : "fine";
  }
  if (there.some(({ createdAt, version }) => version === here.version && createdAt === here.createdAt)) return "fine";
  return isMadeHere || last < here.version ? "lost" : "fine";
}

/** Of a token that is a copy, nothing says whether it is older or was revoked, and it is easily made anew. */
async function comparedToken(
  configs: SharedConfigs,
  replica: Replica,
  name: string,
  isMadeHere: boolean,
): Promise<Finding> {
  if (!isMadeHere) return "fine";
  const here = replica.tokens().find((token) => token.name === name);
  const config = (await configs.list("token")).find((config) => nameOf(config) === name);
  if (here === undefined) return config === undefined ? "fine" : "back";
  const textOf = (token: typeof here) => JSON.stringify(tokenLabels("", token));
  return config !== undefined && textOf(tokenOf(config)) === textOf(here) ? "fine" : "lost";
}
