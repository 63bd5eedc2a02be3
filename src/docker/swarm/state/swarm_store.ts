import type { Clock } from "../../../base/clock.ts";
import { ClessError, messageOf } from "../../../base/errors.ts";
import { logger } from "../../../base/log.ts";
import type {
  DeployRecord,
  HistoryEntry,
  RevisionRecord,
  SecretRecord,
  ServiceChange,
  ServiceRecord,
  TokenRecord,
} from "../../../control/records.ts";
import type { Replica } from "../../../control/replica.ts";
import {
  checkGeneration,
  DomainTakenError,
  type ForeignContent,
  StaleError,
  type Store,
  StoreUnavailable,
} from "../../../control/store.ts";
import { NO_DATA } from "../config_calls.ts";
import { DomainClaims } from "./domain_claims.ts";
import { Follower, type ForeignChange } from "./follower.ts";
import { LocalRecords } from "./local_records.ts";
import { type ConfigApi, SharedConfigs } from "./shared_configs.ts";
import {
  type Labels,
  labelsOf,
  NOTHING,
  revisionData,
  secretLabels,
  serviceLabels,
  type SharedSecret,
  type SharedService,
  sharedServiceOf,
  tokenLabels,
  tooLarge,
} from "./shared_records.ts";
import { Tidier } from "./tidier.ts";

const log = logger("swarm");
/** If others change the same record this many times in a row, a change gives up. */
const MAX_TRIES = 50;
/** What a {@linkcode SwarmStore} works with. */
export interface SwarmStoreOptions {
  /** Of a manager. */
  readonly api: ConfigApi;
  /** The id of the owner, which all cless processes that share the store have. */
  readonly owner: string;
  /** This node's copy. The store closes it. */
  readonly replica: Replica;
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/**
 * The store that several cless processes share: the configs of a Swarm are the truth, and each node has a replica, from
 * which it reads. A change is made in the Swarm first, and then in the replica. The changes of others come by events;
 * after a gap in the events everything is compared.
 *
 * What is declared of a service changes in the replica only where the caller makes it change: by {@linkcode change},
 * {@linkcode delete}, and by taking over what {@linkcode foreign} has found. The rest of the replica follows by itself.
 */
export class SwarmStore extends LocalRecords implements Store {
  readonly #configs: SharedConfigs;
  readonly #claims: DomainClaims;
  readonly #tidier: Tidier;
  readonly #follower: Follower;

  constructor({ api, clock, now, owner, replica }: SwarmStoreOptions) {
    super(replica);
    this.#configs = new SharedConfigs(api, owner);
    this.#claims = new DomainClaims(this.#configs, now);
    this.#tidier = new Tidier(this.#configs, this.#claims, clock);
    this.#follower = new Follower({ configs: this.#configs, claims: this.#claims, replica, clock });
  }

  /**
   * Begins to follow the Swarm. Resolves when the replica is up to date, or the Swarm does not answer; then the replica
   * is as it was, and follows later. A Swarm without a store of this owner gets none before {@linkcode sow}.
   *
   * @throws {UnsharedError} If what was changed here without the Swarm would be lost.
   */
  start(): Promise<void> {
    return this.#follower.follow();
  }

  /**
   * If the Swarm has no store of this owner, what the replica of this node has becomes what all have. Resolves when it
   * is, or the Swarm does not answer; then it becomes so later. Call it when nothing else can end the start: else the
   * Swarm would keep what is changed here afterwards without it.
   *
   * @throws {UnsharedError} As {@linkcode start} does.
   */
  sow(): Promise<void> {
    return this.#follower.sow();
  }

  /**
   * Sets who learns of the changes of others. What changed before is in the replica already; what changes from now on
   * of services is taken over with {@linkcode foreign}.
   */
  onForeignChange(listener: (change: ForeignChange) => void): void {
    this.#follower.onForeignChange(listener);
  }

  async change(change: ServiceChange): Promise<void> {
    const { addRevision, expectedGeneration, history, removeRevisions = [], service } = change;
    const { domains, name } = service;
    const twice = domains.find((domain, at) => domains.indexOf(domain) < at);
    if (twice !== undefined) throw new DomainTakenError(twice, name);
    const data = addRevision && revisionData(addRevision);
    const claimed = new Set<string>();
    let isMade = false;
    let stored: SharedService;
    try {
      stored = await this.#alter(name, async (shared) => {
        checkGeneration(name, shared.service?.generation, expectedGeneration);
        if (addRevision !== undefined && shared.revisions.includes(addRevision.name)) {
          throw new StaleError(`there is a revision ${addRevision.name} already`);
        }
        const kept = shared.revisions.filter((revision) => !removeRevisions.includes(revision));
        const revisions = [...kept, ...addRevision === undefined ? [] : [addRevision.name]];
        const next = { ...shared, service, revisions, history: [history, ...shared.history] };
        refuseLarge(name, this.#labelsOf(name, next), data);
        const before = shared.service?.domains ?? [];
        for (const domain of domains.filter((domain) => !before.includes(domain) && !claimed.has(domain))) {
          await this.#checkDomain(domain, name);
          await this.#claims.claim(domain, name);
          claimed.add(domain);
        }
        if (addRevision !== undefined && !isMade) {
          await this.#makeRevision(addRevision, data!);
          isMade = true;
        }
        return next;
      });
    } catch (error) {
      // If the Swarm does not answer, nobody knows whether it has stored the service: its revision must stay then.
      const isKnown = !(error instanceof StoreUnavailable);
      if (isMade && isKnown) await this.#removeRevisions([addRevision!.name]);
      if (isKnown) await this.#settle(claimed, name);
      throw error;
    }
    const before = new Map(this.replica.revisions(name).map((revision) => [revision.name, revision]));
    if (addRevision !== undefined) before.set(addRevision.name, addRevision);
    this.#put(name, service, stored.revisions.map((revision) => before.get(revision)));
    await this.#follower.look(name);
    await this.#settle(claimed, name);
    await this.#removeRevisions(removeRevisions);
  }

  async delete(name: string, expectedGeneration: number, history: HistoryEntry): Promise<void> {
    let revisions: readonly string[] = [];
    await this.#alter(name, (shared) => {
      checkGeneration(name, shared.service?.generation, expectedGeneration);
      revisions = shared.revisions;
      return { ...shared, service: undefined, revisions: [], deploys: [], history: [history, ...shared.history] };
    });
    this.#put(name, undefined, []);
    await this.#follower.look(name);
    await this.#removeRevisions(revisions);
  }

  async reserveNumber(service: string, number: number): Promise<number> {
    const { reserved } = await this.#alter(service, (shared) => {
      const used = Math.max(shared.reserved, shared.service?.lastNumber ?? 0);
      return { ...shared, reserved: Math.max(number, used + 1) };
    });
    return reserved;
  }

  foreign(name: string): Promise<ForeignContent | undefined> {
    return this.#follower.foreign(name);
  }

  async addDeploy(deploy: DeployRecord): Promise<void> {
    const { service } = deploy;
    await this.#alter(service, (shared) => ({ ...shared, deploys: [deploy, ...shared.deploys] }));
    await this.#follower.look(service);
  }

  async deleteDeploys(service: string): Promise<void> {
    await this.#alterIf(service, (shared) => shared.deploys.length === 0 ? undefined : { ...shared, deploys: [] });
    await this.#follower.look(service);
  }

  /** Also removes what changes that were broken off have left in the Swarm, and finds what no event has told. */
  async forgetHistory(before: number): Promise<void> {
    for (const name of this.replica.knownBefore(before)) {
      await this.#alterIf(name, (shared) => {
        const history = shared.history.filter(({ at }) => at >= before);
        const deploys = shared.deploys.filter(({ startedAt }) => startedAt >= before);
        const isOlder = history.length < shared.history.length || deploys.length < shared.deploys.length;
        return isOlder ? { ...shared, history, deploys } : undefined;
      });
      await this.#follower.look(name);
    }
    await this.#tidier.tidy();
    await this.#follower.compare();
  }

  addSecret(secret: SecretRecord): Promise<void> {
    return this.#follower.run("/secrets", async () => {
      const { name, sealed, version } = secret;
      if (version === this.replica.nextSecretVersion(name)) {
        const labels = secretLabels(this.#configs.owner, secret);
        if (await this.#configs.create("secret", versionName(secret), labels, sealed)) {
          return await this.#follower.attempt("/secrets", () => this.replica.addSecret(secret));
        }
        await this.#follower.followSecrets();
      }
      throw new StaleError(`the secret ${name} has got version ${version} already`);
    });
  }

  deleteSecret(name: string): Promise<boolean> {
    return this.#follower.run("/secrets", async () => {
      for (;;) {
        const secrets = await this.#follower.followSecrets();
        const own = secrets.filter((secret) => secret.name === name && secret.sealed !== undefined);
        if (own.length === 0) return false;
        // The next version says that it is deleted: no value can get that number, or be taken for a later one.
        const deleted = { name, version: this.replica.nextSecretVersion(name), createdAt: 0, sealed: undefined };
        const labels = secretLabels(this.#configs.owner, deleted);
        if (!await this.#configs.create("secret", versionName(deleted), labels)) continue;
        await this.#follower.attempt("/secrets", () => this.#follower.followSecrets());
        for (const secret of own) await this.#removeQuietly("secret", versionName(secret));
        return true;
      }
    });
  }

  addToken(token: TokenRecord): Promise<boolean> {
    return this.#follower.run("/tokens", async () => {
      const isNew = await this.#configs.create("token", token.name, tokenLabels(this.#configs.owner, token));
      if (isNew) await this.#follower.attempt("/tokens", () => this.replica.addToken(token));
      return isNew;
    });
  }

  deleteToken(name: string): Promise<boolean> {
    return this.#follower.run("/tokens", async () => {
      const config = await this.#configs.find("token", name);
      if (config !== undefined) await this.#configs.remove(config);
      await this.#follower.attempt("/tokens", () => this.replica.deleteToken(name));
      return config !== undefined;
    });
  }

  [Symbol.dispose](): void {
    this.#follower[Symbol.dispose]();
    this.replica[Symbol.dispose]();
  }

  /** Changes the config of a service, again if others change it at the same time; resolves with what is stored. */
  async #alter(
    name: string,
    change: (shared: SharedService) => SharedService | Promise<SharedService>,
  ): Promise<SharedService> {
    return (await this.#alterIf(name, change))!;
  }

  /** As {@linkcode #alter}; if there is nothing to change, `change` returns `undefined`. */
  async #alterIf(
    name: string,
    change: (shared: SharedService) => SharedService | undefined | Promise<SharedService | undefined>,
  ): Promise<SharedService | undefined> {
    await this.#follower.enter();
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const config = await this.#configs.find("service", name);
      const next = await change(config === undefined ? NOTHING : sharedServiceOf(config));
      if (next === undefined) return undefined;
      const labels = this.#labelsOf(name, next);
      refuseLarge(name, labels);
      const done = config === undefined
        ? await this.#configs.create("service", name, labels)
        : await this.#configs.setLabels(config, labels);
      if (done) return next;
    }
    throw new StoreUnavailable(`others change the service ${name} all the time; try again`);
  }

  #labelsOf(name: string, shared: SharedService): Record<string, string> {
    return { ...serviceLabels(this.#configs.owner, name, shared) };
  }

  /** @throws {DomainTakenError} If another service has a domain. */
  async #checkDomain(domain: string, service: string): Promise<void> {
    const other = this.replica.domainOwner(domain);
    if (other === undefined || other === service) return;
    const config = await this.#configs.find("service", other);
    const domains = config && sharedServiceOf(config).service?.domains;
    if (domains?.includes(domain)) throw new DomainTakenError(domain, other);
  }

  /** Makes the config of a revision. One that is there already was left behind, since the number is reserved. */
  async #makeRevision({ name }: RevisionRecord, data: Uint8Array): Promise<void> {
    const labels = labelsOf(this.#configs.owner, "revision", name);
    while (!await this.#configs.create("revision", name, labels, data)) {
      const config = await this.#configs.find("revision", name);
      if (config !== undefined) await this.#configs.remove(config);
    }
  }

  async #removeRevisions(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#removeQuietly("revision", name);
  }

  /** Removes what nothing refers to any more. If that fails, it is tidied up later. */
  async #removeQuietly(kind: "revision" | "secret", name: string): Promise<void> {
    try {
      const config = await this.#configs.find(kind, name);
      if (config !== undefined) await this.#configs.remove(config);
    } catch (error) {
      log.debug("cannot remove a config", { kind, name, reason: messageOf(error) });
    }
  }

  async #settle(domains: Iterable<string>, service: string): Promise<void> {
    for (const domain of domains) {
      try {
        await this.#claims.settle(domain, service);
      } catch (error) {
        log.debug("cannot settle a claim", { domain, reason: messageOf(error) });
      }
    }
  }

  /** Puts into the replica what the Swarm has stored. If that fails, it is behind, but the change is made. */
  #put(name: string, service: ServiceRecord | undefined, revisions: readonly (RevisionRecord | undefined)[]): void {
    try {
      const known = revisions.filter((revision) => revision !== undefined);
      if (known.length === revisions.length) this.replica.putContent(name, { service, revisions: known });
      else this.#follower.lookLater(name);
    } catch (error) {
      log.warning("cannot store here what the Swarm has stored", { service: name, reason: messageOf(error) });
      this.#follower.lookLater(name);
    }
  }
}

/** The name of a version of a secret: no other secret has one that is the same. */
function versionName({ name, version }: Pick<SharedSecret, "name" | "version">): string {
  return `${name}-${version}`;
}

/** @throws {ClessError} `too_large` If a config of a service does not fit into a Swarm. */
function refuseLarge(service: string, labels: Labels, data: Uint8Array = NO_DATA): void {
  const problem = tooLarge(labels, data);
  if (problem !== undefined) {
    throw new ClessError("too_large", `The Swarm cannot store this of the service ${service}: it ${problem}`);
  }
}
