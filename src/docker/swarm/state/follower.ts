import { delay } from "../../../base/async.ts";
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import { logger } from "../../../base/log.ts";
import type { RevisionRecord, TokenRecord } from "../../../control/records.ts";
import type { Replica } from "../../../control/replica.ts";
import { type ForeignContent, type ServiceContent, StoreUnavailable } from "../../../control/store.ts";
import { QueueByName } from "../../../deploy/deploy_queue.ts";
import type { SwarmConfig } from "../swarm_api.ts";
import type { DomainClaims } from "./domain_claims.ts";
import { sowReplica, storeIdOf } from "./first_records.ts";
import type { SharedConfigs } from "./shared_configs.ts";
import { refuseUnshared, UnsharedError } from "./unshared.ts";
import {
  isSame,
  isSuperseded,
  kindOfName,
  nameOf,
  NOTHING,
  revisionOf,
  type SharedSecret,
  sharedSecretOf,
  type SharedService,
  sharedServiceOf,
  tokenLabels,
  tokenOf,
} from "./shared_records.ts";

const log = logger("swarm");
/** The time until the Swarm is asked again after it did not answer, or until a change is taken over that could not be. */
const RETRY_MS = 1000;
/** The Swarm does not answer. */
const AWAY = "away";
/** If others change the same service this many times in a row, it is not read any more. */
const MAX_TRIES = 50;
/** If this many services differ, all revisions are read at once rather than one by one. */
const MANY = 20;
/** All entries, for a method that has a limit. */
const ALL = Number.MAX_SAFE_INTEGER;

/** What others have changed: a service, or any of the tokens or the secrets. */
export type ForeignChange = { readonly service: string } | { readonly tokens: true } | { readonly secrets: true };

/** What a {@linkcode Follower} works with. */
export interface FollowerOptions {
  readonly configs: SharedConfigs;
  readonly claims: DomainClaims;
  readonly replica: Replica;
  readonly clock: Clock;
}

/** What the Swarm has of a service. */
interface Found extends ServiceContent {
  readonly past: SharedService;
  /** Where that was read; `undefined` if there is nothing of the service. */
  readonly config: SwarmConfig | undefined;
}

/**
 * Brings a node's replica up to date with the Swarm: what an event tells is compared, and after a gap in the events
 * everything is. What is declared of a service is only told, once there is a listener, which takes it over by
 * {@linkcode foreign}.
 */
export class Follower implements Disposable {
  readonly #configs: SharedConfigs;
  readonly #claims: DomainClaims;
  readonly #replica: Replica;
  readonly #clock: Clock;
  /** Runs what concerns one service, the tokens, or the secrets one at a time. */
  readonly #queue = new QueueByName();
  /** The services' configs that were compared last, by the name of the config. */
  readonly #seen = new Map<string, { readonly service: string; readonly version: number }>();
  /** What is to be compared because of an event, and is not yet being compared. */
  readonly #due = new Set<string>();
  /** What is to be compared again soon, since that has failed. */
  readonly #behind = new Set<string>();
  readonly #stopping = new AbortController();
  #listener: ((change: ForeignChange) => void) | undefined;
  /** Why the Swarm could not be followed when that was last tried: `AWAY`, or what the operator must do. */
  #problem: string | undefined;
  /** Resolved when the replica is up to date, or cannot be. */
  readonly #ready = Promise.withResolvers<void>();
  /** Resolved when the Swarm may get what is here. */
  readonly #maySow = Promise.withResolvers<void>();
  /** Resolved when the Swarm has what is here, or cannot have it now. */
  readonly #sown = Promise.withResolvers<void>();
  /** Whether a refusal can still end the start. */
  #isStarting = true;
  /** Whether the replica is a copy of what the Swarm has, maybe an older one. */
  #hasEntered = false;

  constructor({ claims, clock, configs, replica }: FollowerOptions) {
    this.#configs = configs;
    this.#claims = claims;
    this.#replica = replica;
    this.#clock = clock;
  }

  /** Sets who learns of the changes of others. What changed before is in the replica already. */
  onForeignChange(listener: (change: ForeignChange) => void): void {
    this.#listener = listener;
  }

  /**
   * Follows the events until it is disposed of. Resolves when the replica is up to date, or cannot be now. If the Swarm
   * has no store of this owner, it gets none before {@linkcode sow}.
   *
   * @throws {UnsharedError} If something here would be lost: see {@linkcode refuseUnshared}.
   */
  follow(): Promise<void> {
    for (const { promise } of [this.#ready, this.#sown]) promise.catch(() => {});
    this.#follow();
    return this.#ready.promise;
  }

  /**
   * Lets a Swarm that has no store of this owner have what is here. Resolves when it has, or cannot have it now.
   *
   * @throws {UnsharedError} As {@linkcode follow} does.
   */
  sow(): Promise<void> {
    this.#maySow.resolve();
    return this.#sown.promise;
  }

  /** Makes sure that nothing here can be lost by a change. @throws {StoreUnavailable} If it would be. */
  async enter(): Promise<void> {
    if (this.#hasEntered) return;
    try {
      await this.#enter();
    } catch (error) {
      throw error instanceof UnsharedError ? new StoreUnavailable(error.message, { cause: error }) : error;
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const following = new AbortController();
      const end = () => following.abort();
      signal.addEventListener("abort", end, { once: true });
      try {
        const events = await this.#configs.events(following.signal);
        await this.compare();
        if (this.#problem !== undefined) log.info("the Swarm answers again");
        this.#problem = undefined;
        this.#isStarting = false;
        this.#ready.resolve();
        this.#sown.resolve();
        for await (const { name } of events) this.#heard(name);
      } catch (error) {
        if (signal.aborted) break;
        this.#hasFailed(error);
      } finally {
        end(); // or the events, which nobody has read, would stay open
        signal.removeEventListener("abort", end);
      }
      this.#ready.resolve();
      this.#sown.resolve();
      await delay(this.#clock, RETRY_MS, signal);
    }
    this.#ready.resolve();
    this.#sown.resolve();
  }

  #hasFailed(error: unknown): void {
    const reason = messageOf(error);
    const isRefusal = error instanceof UnsharedError;
    if (isRefusal && this.#isStarting) {
      this.#ready.reject(error);
      this.#sown.reject(error);
      return;
    }
    this.#isStarting = false;
    const problem = isRefusal ? reason : AWAY;
    if (this.#problem === problem) return;
    this.#problem = problem;
    log.warning("cannot follow the Swarm; the services stay as they are known here", { reason });
  }

  /**
   * Makes the replica a copy of the Swarm's store, which it may be already; gives the Swarm a store if it has none.
   *
   * @throws {UnsharedError} If something here would be lost.
   */
  async #enter(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      const id = await storeIdOf(this.#configs);
      if (id !== undefined) {
        const followed = this.#replica.followed();
        if (followed?.id !== id || followed.isApart) {
          await refuseUnshared(this.#configs, this.#replica, id);
          this.#replica.follow(id);
        }
        this.#hasEntered = true;
        return;
      }
      this.#ready.resolve();
      await this.#maySow.promise;
      signal.throwIfAborted();
      if (await storeIdOf(this.#configs) === undefined) await sowReplica(this.#configs, this.#claims, this.#replica);
    }
  }

  /** Compares everything with the Swarm, as after a gap in the events. @throws {StoreUnavailable} @throws {UnsharedError} */
  async compare(): Promise<void> {
    await this.#enter();
    await this.#queue.run("/secrets", () => this.followSecrets());
    await this.#queue.run("/tokens", () => this.#followTokens());
    const listed = await this.#configs.list("service");
    const newer = listed.filter((config) => this.#isNewer(config));
    const revisions = this.#listener === undefined && newer.length > MANY
      ? new Map((await this.#configs.list("revision")).map((config) => [nameOf(config), revisionOf(config)]))
      : undefined;
    for (const config of newer) {
      const name = nameOf(config);
      await this.#queue.run(name, () => this.#examine(name, config, revisions));
    }
    const there = new Set(listed.map(nameOf));
    for (const name of this.#replica.known()) if (!there.has(name)) await this.look(name);
  }

  /** Does what concerns a service, the secrets (`/secrets`) or the tokens (`/tokens`) when nothing else does. */
  async run<T>(what: string, work: () => Promise<T>): Promise<T> {
    await this.enter();
    return await this.#queue.run(what, work);
  }

  /** Compares a service; if that fails, again later. */
  look(name: string): Promise<void> {
    return this.attempt(name, async () => {
      await this.#queue.run(name, async () => {
        this.#due.delete(name);
        await this.#examine(name, await this.#configs.find("service", name));
      });
    });
  }

  /** Does what brings the replica up to date; if that fails, everything of that name is compared later. */
  async attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      log.debug("this node's copy is behind", { what, reason: messageOf(error) });
      this.lookLater(what);
    }
  }

  /** Compares the service, the secrets or the tokens again in a while. */
  lookLater(what: string): void {
    if (this.#behind.has(what)) return;
    this.#behind.add(what);
    delay(this.#clock, RETRY_MS, this.#stopping.signal).then(() => {
      this.#behind.delete(what);
      if (!this.#stopping.signal.aborted) this.#lookSoon(what);
    });
  }

  /** Brings the secrets up to date, and resolves with those that have a value. Run it as the work of `/secrets`. */
  async followSecrets(): Promise<SharedSecret[]> {
    const all = (await this.#configs.list("secret")).map(sharedSecretOf);
    const secrets = all.flatMap((secret) => {
      const { sealed } = secret;
      return sealed === undefined || isSuperseded(secret, all) ? [] : [{ ...secret, sealed }];
    });
    const last = new Map<string, number>();
    for (const { name, version } of all) last.set(name, Math.max(version, last.get(name) ?? 0));
    const before = JSON.stringify(this.#replica.secretVersions());
    this.#replica.putSecrets(secrets, last);
    if (JSON.stringify(this.#replica.secretVersions()) !== before) this.#listener?.({ secrets: true });
    return secrets;
  }

  /** What another node has changed of a service that is not in the replica yet. @throws {StoreUnavailable} */
  async foreign(name: string): Promise<ForeignContent | undefined> {
    try {
      const found = await this.#read(name);
      return found && { ...found, take: () => this.#take(name, found) };
    } catch (error) {
      if (this.#listener !== undefined) this.lookLater(name);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#stopping.abort();
    this.#maySow.resolve(); // whoever waits for it ends
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
    else this.look(what);
  }

  /** Compares the secrets or the tokens; if that fails, again later. */
  #lookAt(what: "/secrets" | "/tokens"): Promise<void> {
    const follow = async () => {
      this.#due.delete(what);
      await (what === "/secrets" ? this.followSecrets() : this.#followTokens());
    };
    return this.attempt(what, () => this.#queue.run(what, follow));
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
      if (isSame(this.#replica.service(name), sharedServiceOf(config).service)) return;
    }
    const shared = config === undefined ? NOTHING : sharedServiceOf(config);
    this.#putPast(name, shared);
    if (config !== undefined) this.#seen.set(config.name, { service: name, version: config.version });
    if (isSame(this.#replica.service(name), shared.service)) return;
    if (this.#listener !== undefined) return this.#listener({ service: name });
    const content = await this.#read(name, config, revisions);
    // Whoever listens now may have read the replica already.
    if (this.#listener !== undefined) (this.#listener as (change: ForeignChange) => void)({ service: name });
    else if (content !== undefined) this.#take(name, content);
  }

  #isNewer({ name, version }: SwarmConfig): boolean {
    return version > (this.#seen.get(name)?.version ?? -1);
  }

  #putPast(name: string, { deploys, history }: SharedService): void {
    const before = { history: this.#replica.history(name, ALL), deploys: this.#replica.deploys(name, ALL) };
    if (pastText(before) !== pastText({ history, deploys })) this.#replica.putPast(name, { history, deploys });
  }

  /**
   * What the Swarm has of a service, if it differs.
   *
   * @param read The service's config, if it was just read.
   * @param known Revisions that are known.
   */
  async #read(
    name: string,
    read?: SwarmConfig,
    known: ReadonlyMap<string, RevisionRecord> = new Map(),
  ): Promise<Found | undefined> {
    for (let tries = 1;; tries++) {
      const config = tries === 1 && read !== undefined ? read : await this.#configs.find("service", name);
      const past = config === undefined ? NOTHING : sharedServiceOf(config);
      const { revisions: names, service } = past;
      const here = this.#replica.service(name);
      if (isSame(here, service)) return undefined;
      // A service that was made anew may have other revisions of the same names.
      const own = here?.createdAt === service?.createdAt
        ? new Map(this.#replica.revisions(name).map((revision) => [revision.name, revision]))
        : new Map();
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
      this.#replica.putContent(name, { service, revisions });
      if (config !== undefined && this.#isNewer(config)) this.#putPast(name, past);
    } catch (error) {
      this.lookLater(name);
      throw error;
    }
  }

  /** Brings the secrets up to date if one of these revisions needs one that is not here. */
  async #needSecrets(revisions: readonly RevisionRecord[]): Promise<void> {
    const needed = revisions.flatMap(({ secretVersions }) => Object.entries(secretVersions));
    if (needed.every(([name, version]) => this.#replica.secret(name, version) !== undefined)) return;
    await this.#queue.run("/secrets", () => this.followSecrets());
  }

  async #followTokens(): Promise<void> {
    const tokens = (await this.#configs.list("token")).map(tokenOf);
    const textOf = (tokens: readonly TokenRecord[]) =>
      tokens.map((token) => tokenLabels("", token)).map((labels) => JSON.stringify(labels)).sort().join();
    if (textOf(tokens) === textOf(this.#replica.tokens())) return;
    this.#replica.putTokens(tokens);
    this.#listener?.({ tokens: true });
  }
}

/** What distinguishes the past of a service from another one. */
function pastText({ deploys, history }: Pick<SharedService, "deploys" | "history">): string {
  const entries = history.toSorted((a, b) => b.at - a.at).map(({ action, at, by }) => [at, action, by]);
  return JSON.stringify([entries, deploys.map(({ outcome, revision, startedAt }) => [startedAt, outcome, revision])]);
}
