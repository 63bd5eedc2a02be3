import { delay } from "../../../base/async.ts";
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
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
  type ServiceContent,
  StaleError,
  type Store,
  StoreUnavailable,
} from "../../../control/store.ts";
import { QueueByName } from "../../../deploy/deploy_queue.ts";
import type { SwarmConfig } from "../swarm_api.ts";
import { isSame, pastText, refuseLarge } from "./comparisons.ts";
import { DomainClaims } from "./domain_claims.ts";
import { LocalRecords } from "./local_records.ts";
import { sowReplica } from "./first_records.ts";
import { type ConfigApi, SharedConfigs } from "./shared_configs.ts";
import {
  isSuperseded,
  kindOfName,
  labelsOf,
  nameOf,
  NOTHING,
  revisionData,
  revisionOf,
  secretLabels,
  serviceLabels,
  type SharedSecret,
  sharedSecretOf,
  type SharedService,
  sharedServiceOf,
  tokenLabels,
  tokenOf,
} from "./shared_records.ts";
import { Tidier } from "./tidier.ts";

const log = logger("swarm");
/** The time until the Swarm is asked again after it did not answer, or until a change is taken over that could not be. */
const RETRY_MS = 1000;
/** If others change the same record this many times in a row, a change gives up. */
const MAX_TRIES = 50;
/** If this many services differ, all revisions are read at once rather than one by one. */
const MANY = 20;
/** All entries, for a method that has a limit. */
const ALL = Number.MAX_SAFE_INTEGER;

/** What others have changed: a service, or any of the tokens or the secrets. */
export type ForeignChange = { readonly service: string } | { readonly tokens: true } | { readonly secrets: true };

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
  readonly #clock: Clock;
  /** Runs the comparisons of one service, of the tokens, and of the secrets one at a time. */
  readonly #looks = new QueueByName();
  /** The services' configs that were compared last, by the name of the config. */
  readonly #seen = new Map<string, { readonly service: string; readonly version: number }>();
  /** What is to be compared because of an event, and is not yet being compared. */
  readonly #due = new Set<string>();
  /** What is to be compared again soon, since that has failed. */
  readonly #behind = new Set<string>();
  readonly #stopping = new AbortController();
  #listener: ((change: ForeignChange) => void) | undefined;
  /** Whether the Swarm did not answer when it was last listened to. */
  #isAway = false;

  constructor({ api, clock, now, owner, replica }: SwarmStoreOptions) {
    super(replica);
    this.#clock = clock;
    this.#configs = new SharedConfigs(api, owner);
    this.#claims = new DomainClaims(this.#configs, now);
    this.#tidier = new Tidier(this.#configs, this.#claims, clock);
  }

  /**
   * Begins to follow the Swarm. Resolves when the replica is up to date, or the Swarm does not answer; then the replica
   * is as it was, and follows later. What the replica of the first node has becomes what all have.
   */
  start(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#follow(resolve);
    return promise;
  }

  /**
   * Sets who learns of the changes of others. What changed before is in the replica already; what changes from now on
   * of services is taken over with {@linkcode foreign}.
   */
  onForeignChange(listener: (change: ForeignChange) => void): void {
    this.#listener = listener;
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
    const before = this.#revisionsHere(name);
    if (addRevision !== undefined) before.set(addRevision.name, addRevision);
    this.#put(name, service, stored.revisions.map((revision) => before.get(revision)));
    await this.#look(name);
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
    await this.#look(name);
    await this.#removeRevisions(revisions);
  }

  async reserveNumber(service: string, number: number): Promise<number> {
    const { reserved } = await this.#alter(service, (shared) => {
      const used = Math.max(shared.reserved, shared.service?.lastNumber ?? 0);
      return { ...shared, reserved: Math.max(number, used + 1) };
    });
    return reserved;
  }

  async foreign(name: string): Promise<ForeignContent | undefined> {
    try {
      const found = await this.#foreign(name);
      return found && { ...found, take: () => this.#take(name, found) };
    } catch (error) {
      if (this.#listener !== undefined) this.#lookLater(name);
      throw error;
    }
  }

  async addDeploy(deploy: DeployRecord): Promise<void> {
    const { service } = deploy;
    await this.#alter(service, (shared) => ({ ...shared, deploys: [deploy, ...shared.deploys] }));
    await this.#look(service);
  }

  async deleteDeploys(service: string): Promise<void> {
    await this.#alterIf(service, (shared) => shared.deploys.length === 0 ? undefined : { ...shared, deploys: [] });
    await this.#look(service);
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
      await this.#look(name);
    }
    await this.#tidier.tidy();
    await this.compare();
  }

  addSecret(secret: SecretRecord): Promise<void> {
    return this.#looks.run("/secrets", async () => {
      const { name, sealed, version } = secret;
      if (version === this.replica.nextSecretVersion(name)) {
        const labels = secretLabels(this.#configs.owner, secret);
        if (await this.#configs.create("secret", versionName(secret), labels, sealed)) {
          return await this.#keep("/secrets", () => this.replica.addSecret(secret));
        }
        await this.#followSecrets();
      }
      throw new StaleError(`the secret ${name} has got version ${version} already`);
    });
  }

  deleteSecret(name: string): Promise<boolean> {
    return this.#looks.run("/secrets", async () => {
      for (;;) {
        const secrets = await this.#followSecrets();
        const own = secrets.filter((secret) => secret.name === name && secret.sealed !== undefined);
        if (own.length === 0) return false;
        // The next version says that it is deleted: no value can get that number, or be taken for a later one.
        const deleted = { name, version: this.replica.nextSecretVersion(name), createdAt: 0, sealed: undefined };
        const labels = secretLabels(this.#configs.owner, deleted);
        if (!await this.#configs.create("secret", versionName(deleted), labels)) continue;
        await this.#attempt("/secrets", () => this.#followSecrets());
        for (const secret of own) await this.#removeQuietly("secret", versionName(secret));
        return true;
      }
    });
  }

  addToken(token: TokenRecord): Promise<boolean> {
    return this.#looks.run("/tokens", async () => {
      const isNew = await this.#configs.create("token", token.name, tokenLabels(this.#configs.owner, token));
      if (isNew) await this.#keep("/tokens", () => this.replica.addToken(token));
      return isNew;
    });
  }

  deleteToken(name: string): Promise<boolean> {
    return this.#looks.run("/tokens", async () => {
      const config = await this.#configs.find("token", name);
      if (config !== undefined) await this.#configs.remove(config);
      await this.#keep("/tokens", () => this.replica.deleteToken(name));
      return config !== undefined;
    });
  }

  /** Compares everything with the Swarm, as after a gap in the events. @throws {StoreUnavailable} */
  async compare(): Promise<void> {
    await this.#looks.run("/secrets", () => this.#followSecrets());
    await this.#looks.run("/tokens", () => this.#followTokens());
    const listed = await this.#configs.list("service");
    const newer = listed.filter((config) => this.#isNewer(config));
    const revisions = this.#listener === undefined && newer.length > MANY
      ? new Map((await this.#configs.list("revision")).map((config) => [nameOf(config), revisionOf(config)]))
      : undefined;
    for (const config of newer) {
      const name = nameOf(config);
      await this.#looks.run(name, () => this.#examine(name, config, revisions));
    }
    const there = new Set(listed.map(nameOf));
    for (const name of this.replica.known()) if (!there.has(name)) await this.#look(name);
  }

  [Symbol.dispose](): void {
    this.#stopping.abort();
    this.replica[Symbol.dispose]();
  }

  /** Follows the events until the store is closed. @param onReady Called when the replica is up to date, or cannot be. */
  async #follow(onReady: () => void): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const events = await this.#configs.events(signal);
        await sowReplica(this.#configs, this.#claims, this.replica);
        await this.compare();
        if (this.#isAway) log.info("the Swarm answers again");
        this.#isAway = false;
        onReady();
        for await (const { name } of events) this.#heard(name);
      } catch (error) {
        if (signal.aborted) break;
        if (!this.#isAway) {
          log.warning("cannot follow the Swarm; the services stay as they are known here", {
            reason: messageOf(error),
          });
        }
        this.#isAway = true;
      }
      onReady();
      await delay(this.#clock, RETRY_MS, signal);
    }
    onReady();
  }

  /** Compares what a config has that was made, changed or removed. */
  #heard(configName: string): void {
    const { owner } = this.#configs;
    const kind = kindOfName(owner, configName);
    if (kind === "secret" || kind === "token") return this.#lookSoon(`/${kind}s`);
    if (kind !== "service") return;
    const known = this.#seen.get(configName);
    if (known !== undefined) return this.#lookSoon(known.service);
    this.#configs.at(configName).then(
      (config) => config && this.#lookSoon(nameOf(config)),
      async (error) => {
        log.warning("cannot read a change from the Swarm", { config: configName, reason: messageOf(error) });
        await delay(this.#clock, RETRY_MS, this.#stopping.signal);
        if (!this.#stopping.signal.aborted) this.#heard(configName);
      },
    );
  }

  /** Compares a service, the secrets or the tokens: once for all events that come before that begins. */
  #lookSoon(what: string): void {
    if (this.#due.has(what)) return;
    this.#due.add(what);
    if (what === "/secrets" || what === "/tokens") this.#lookAt(what);
    else this.#look(what);
  }

  /** Compares a service; if that fails, again later. */
  #look(name: string): Promise<void> {
    return this.#attempt(name, async () => {
      await this.#looks.run(name, async () => {
        this.#due.delete(name);
        await this.#examine(name, await this.#configs.find("service", name));
      });
    });
  }

  /** Compares the secrets or the tokens; if that fails, again later. */
  #lookAt(what: "/secrets" | "/tokens"): Promise<void> {
    const follow = async () => {
      this.#due.delete(what);
      await (what === "/secrets" ? this.#followSecrets() : this.#followTokens());
    };
    return this.#attempt(what, () => this.#looks.run(what, follow));
  }

  /** Does what brings the replica up to date; if that fails, everything of that name is compared later. */
  async #attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      log.debug("this node's copy is behind", { what, reason: messageOf(error) });
      this.#lookLater(what);
    }
  }

  #lookLater(what: string): void {
    if (this.#behind.has(what)) return;
    this.#behind.add(what);
    delay(this.#clock, RETRY_MS, this.#stopping.signal).then(() => {
      this.#behind.delete(what);
      if (!this.#stopping.signal.aborted) this.#lookSoon(what);
    });
  }

  /**
   * Brings the past of a service up to date, and says so if what is declared of it differs.
   *
   * @param revisions All revisions, if they are known.
   */
  async #examine(
    name: string,
    config: SwarmConfig | undefined,
    revisions?: ReadonlyMap<string, RevisionRecord>,
  ): Promise<void> {
    if (config !== undefined && !this.#isNewer(config)) {
      // What is declared may be behind all the same.
      if (isSame(this.replica.service(name), sharedServiceOf(config).service)) return;
    }
    const shared = config === undefined ? NOTHING : sharedServiceOf(config);
    this.#putPast(name, shared);
    if (config !== undefined) this.#seen.set(config.name, { service: name, version: config.version });
    if (isSame(this.replica.service(name), shared.service)) return;
    if (this.#listener !== undefined) return this.#listener({ service: name });
    const content = await this.#foreign(name, config, revisions);
    // Whoever listens now may have read the replica already.
    if (this.#listener !== undefined) (this.#listener as (change: ForeignChange) => void)({ service: name });
    else if (content !== undefined) this.#take(name, content);
  }

  #isNewer({ name, version }: SwarmConfig): boolean {
    return version > (this.#seen.get(name)?.version ?? -1);
  }

  #putPast(name: string, { deploys, history }: SharedService): void {
    const before = { history: this.replica.history(name, ALL), deploys: this.replica.deploys(name, ALL) };
    if (pastText(before) !== pastText({ history, deploys })) this.replica.putPast(name, { history, deploys });
  }

  /**
   * What the Swarm has of a service, if it differs.
   *
   * @param read The service's config, if it was just read.
   * @param known Revisions that are known.
   */
  async #foreign(
    name: string,
    read?: SwarmConfig,
    known: ReadonlyMap<string, RevisionRecord> = new Map(),
  ): Promise<Found | undefined> {
    for (let tries = 1;; tries++) {
      const config = tries === 1 && read !== undefined ? read : await this.#configs.find("service", name);
      const past = config === undefined ? NOTHING : sharedServiceOf(config);
      const { revisions: names, service } = past;
      const here = this.replica.service(name);
      if (isSame(here, service)) return undefined;
      // A service that was made anew may have other revisions of the same names.
      const own = here?.createdAt === service?.createdAt ? this.#revisionsHere(name) : new Map();
      const revisions = await Promise.all(names.map(async (revision) => {
        const found = own.get(revision) ?? known.get(revision);
        if (found !== undefined) return found;
        const config = await this.#configs.find("revision", revision);
        return config && revisionOf(config);
      }));
      const missing = revisions.indexOf(undefined);
      if (missing === -1) {
        await this.#needSecrets(revisions as RevisionRecord[]);
        return { service, revisions: revisions as RevisionRecord[], past, config };
      }
      // A later change has removed it.
      if (tries === MAX_TRIES) throw new StoreUnavailable(`the Swarm has lost the revision ${names[missing]}`);
    }
  }

  /** Takes over what {@linkcode foreign} has found. */
  #take(name: string, { config, past, revisions, service }: Found): void {
    try {
      this.replica.putContent(name, { service, revisions });
      if (config !== undefined && this.#isNewer(config)) this.#putPast(name, past);
    } catch (error) {
      this.#lookLater(name);
      throw error;
    }
  }

  /** Brings the secrets up to date if one of these revisions needs one that is not here. */
  async #needSecrets(revisions: readonly RevisionRecord[]): Promise<void> {
    const needed = revisions.flatMap(({ secretVersions }) => Object.entries(secretVersions));
    if (needed.every(([name, version]) => this.replica.secret(name, version) !== undefined)) return;
    await this.#looks.run("/secrets", () => this.#followSecrets());
  }

  async #followSecrets(): Promise<SharedSecret[]> {
    const all = (await this.#configs.list("secret")).map(sharedSecretOf);
    const secrets = all.flatMap((secret) => {
      const { sealed } = secret;
      return sealed === undefined || isSuperseded(secret, all) ? [] : [{ ...secret, sealed }];
    });
    const last = new Map<string, number>();
    for (const { name, version } of all) last.set(name, Math.max(version, last.get(name) ?? 0));
    const before = JSON.stringify(this.replica.secretVersions());
    this.replica.putSecrets(secrets, last);
    if (JSON.stringify(this.replica.secretVersions()) !== before) this.#listener?.({ secrets: true });
    return secrets;
  }

  async #followTokens(): Promise<void> {
    const tokens = (await this.#configs.list("token")).map(tokenOf);
    const textOf = (tokens: readonly TokenRecord[]) =>
      tokens.map((token) => tokenLabels("", token)).map((labels) => JSON.stringify(labels)).sort().join();
    if (textOf(tokens) === textOf(this.replica.tokens())) return;
    this.replica.putTokens(tokens);
    this.#listener?.({ tokens: true });
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

  #revisionsHere(service: string): Map<string, RevisionRecord> {
    return new Map(this.replica.revisions(service).map((revision) => [revision.name, revision]));
  }

  /** Puts into the replica what the Swarm has stored. If that fails, it is behind, but the change is made. */
  #put(name: string, service: ServiceRecord | undefined, revisions: readonly (RevisionRecord | undefined)[]): void {
    try {
      const known = revisions.filter((revision) => revision !== undefined);
      if (known.length === revisions.length) this.replica.putContent(name, { service, revisions: known });
      else this.#lookLater(name);
    } catch (error) {
      log.warning("cannot store here what the Swarm has stored", { service: name, reason: messageOf(error) });
      this.#lookLater(name);
    }
  }

  /** Makes in the replica what was made in the Swarm. If that fails, it is behind, but the change is made. */
  async #keep(what: "/secrets" | "/tokens", change: () => Promise<unknown>): Promise<void> {
    await this.#attempt(what, change);
  }
}

/** What the Swarm has of a service. */
interface Found extends ServiceContent {
  readonly past: SharedService;
  /** Where that was read; `undefined` if there is nothing of the service. */
  readonly config: SwarmConfig | undefined;
}

/** The name of a version of a secret: no other secret has one that is the same. */
function versionName({ name, version }: Pick<SharedSecret, "name" | "version">): string {
  return `${name}-${version}`;
}
