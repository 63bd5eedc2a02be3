import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type Endpoint, parseEndpoint } from "../model/host.ts";
import { type Share, WHOLE } from "../model/share.ts";
import type { Handlers, PeerFacts } from "./messages.ts";
import type { PeerClient } from "./peer_client.ts";
import { PeerAway } from "./peer_error.ts";

const log = logger("peers");
/** How often the registrations are read, and the own one is renewed. */
const RENEW_MS = 10_000;
/** A registration that is the same for so many readings has run out. */
const RUNS_OUT_AFTER = 3;
/** A registration that is the same for so many readings, about an hour, is removed. */
const REMOVED_AFTER = 360;
/** How long a peer may take to answer that another one comes or goes. */
const GREETING = { timeoutMs: 2000 };
/** The same if Swarm does not hear from its node. */
const LAST_GREETING = { timeoutMs: 1000 };
/** One whose port is closed for this long is gone: it has not been started again, ms. */
const CLOSED_MS = 2000;

/** A cless, as it has registered. */
export interface Registration extends PeerFacts {
  /** Another one each time it is renewed. */
  readonly revision: number;
}

/** Where every cless of the owner registers. Each method rejects if that cannot be reached. */
export interface Registrations {
  list(): Promise<readonly Registration[]>;
  /** Writes a registration in place of an earlier one of the same node. */
  put(facts: PeerFacts): Promise<void>;
  /** Does nothing if there is none. */
  remove(nodeId: string): Promise<void>;
}

/** Is told which peers come and go. */
export interface MembersListener {
  came(nodeId: string): void;
  went(nodeId: string): void;
}

/** A peer, as far as this process knows. */
export interface KnownPeer extends Registration {
  /** For how many readings its registration has been the same. */
  readonly sameFor: number;
}

/** The peers by node. */
type Known = ReadonlyMap<string, KnownPeer>;

/**
 * What is known after a reading of all registrations. No clocks of different machines are compared, and no reading
 * counts that fails: while the store cannot be reached, nobody can renew its registration either.
 */
export function observe(known: Known, read: readonly Registration[], own: string): Known {
  const others = read.filter(({ nodeId }) => nodeId !== own);
  return new Map(others.map((registration) => {
    const before = known.get(registration.nodeId);
    // That of one which has gone since it greeted is not known: it is the one that is read now.
    const isSame = before?.revision === registration.revision ||
      (before !== undefined && Number.isNaN(before.revision) && !isLive(before));
    return [registration.nodeId, { ...registration, sameFor: isSame ? before.sameFor + 1 : 0 }];
  }));
}

function isLive({ sameFor }: KnownPeer): boolean {
  return sameFor < RUNS_OUT_AFTER;
}

/** What {@linkcode Members} are made from. */
export interface MembersOptions {
  /** The node of this process. */
  readonly nodeId: string;
  readonly version: string;
  readonly registrations: Registrations;
  readonly client: Pick<PeerClient, "ask" | "forget">;
  /** The addresses that the client uses; kept up to date here. */
  readonly addresses: Map<string, Endpoint>;
  readonly clock: Clock;
}

/**
 * The cless processes of this owner that live. Each registers in the Swarm's store, and renews that every 10 s; whoever
 * has not renewed for three readings is gone. One that comes or goes also tells the others, so that they know at once.
 */
export class Members {
  readonly #options: MembersOptions;
  readonly #listeners: MembersListener[] = [];
  /** This process; its address is known from the start on. */
  #own: PeerFacts;
  #known: Known = new Map();
  #live: readonly string[];
  readonly #share = { now: WHOLE };
  /** Those of which it is being found out whether they are there. */
  readonly #doubted = new Set<string>();
  /** The nodes from which Swarm does not hear. */
  readonly #unheard = new Set<string>();
  #isRenewing = false;
  #hasStarted = false;
  #stopTimer: () => void = () => {};
  readonly #leaving = new AbortController();

  constructor(options: MembersOptions) {
    const { nodeId, version } = options;
    this.#options = options;
    this.#own = { nodeId, version, address: "" };
    this.#live = [nodeId];
  }

  /** The nodes with a live cless, this one included, sorted. */
  get live(): readonly string[] {
    return this.#live;
  }

  /** The nodes with a cless that is not heard any more, though it has not ended: its machine is lost, say. */
  get lost(): readonly string[] {
    return [...this.#known.values()].filter((peer) => !isLive(peer)).map(({ nodeId }) => nodeId).sort();
  }

  /** The part of this process in the requests that all take; `now` is always the present one. */
  get share(): { readonly now: Share } {
    return this.#share;
  }

  /** This process, and the others that live, sorted by their nodes. */
  get peers(): readonly PeerFacts[] {
    return this.#live.map((nodeId) => {
      const { address, version } = this.#known.get(nodeId) ?? this.#own;
      return { nodeId, address, version };
    });
  }

  /** Whether the others are known. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** Adds one who is told which peers come and go. */
  onChange(listener: MembersListener): void {
    this.#listeners.push(listener);
  }

  /** What answers the messages of other members. */
  get handlers(): Pick<Handlers, "hello" | "bye"> {
    const { addresses, client } = this.#options;
    return {
      hello: (facts) => {
        const before = addresses.get(facts.nodeId);
        if (before !== undefined) client.forget(before); // the process that was there may be ending
        this.#doubted.delete(facts.nodeId);
        this.#greeted(facts);
        return Promise.resolve(this.#own);
      },
      bye: ({ nodeId }) => {
        this.#know(new Map([...this.#known].filter(([known]) => known !== nodeId)));
        return Promise.resolve(null);
      },
    };
  }

  /** Learns who the others are, and registers nothing. @throws If the registrations cannot be reached. */
  async read(): Promise<void> {
    const { nodeId, registrations } = this.#options;
    this.#know(observe(this.#known, await registrations.list(), nodeId));
  }

  /**
   * Registers this process, and tells the others. From then on, each of them that lives asks this one before it pauses
   * or stops an instance.
   *
   * @param address Where the others reach this process: `HOST:PORT`.
   * @throws If the registrations cannot be reached.
   */
  async start(address: string): Promise<void> {
    const { clock, registrations } = this.#options;
    const own = this.#own = { ...this.#own, address };
    // During a take-over, another process of this node may be the one that answers there.
    this.#options.addresses.set(own.nodeId, parseEndpoint(address));
    await registrations.put(own);
    this.#know(observe(this.#known, await registrations.list(), own.nodeId));
    this.#hasStarted = true;
    await this.#tellAll((nodeId) => this.#options.client.ask(nodeId, "hello", own, GREETING));
    this.#stopTimer = clock.every(RENEW_MS, () => void this.#renew());
  }

  /**
   * Notes from which nodes Swarm hears. The cless of one that it does not hear is gone at once if it does not answer
   * either: one that is only cut off from the managers answers the others.
   */
  noteNodes(nodes: readonly { readonly id: string; readonly isReady: boolean }[]): void {
    for (const { id, isReady } of nodes) {
      if (!isReady) {
        this.#unheard.add(id);
        void this.#doubt(id, () => this.#isAway(id, () => true));
      } else if (this.#unheard.delete(id)) void this.#return(id);
    }
  }

  /**
   * Notes that a peer's port is closed. It is gone if that lasts, or if it is silent then and Swarm does not hear from its
   * node.
   */
  refused(nodeId: string): void {
    const { clock } = this.#options;
    // If its machine goes down, it soon refuses nothing any more, but is silent; then Swarm does not hear from it either.
    const isGone = () => this.#isAway(nodeId, ({ isRefused }) => isRefused || this.#unheard.has(nodeId));
    void this.#doubt(nodeId, async () => {
      if (!await isGone()) return false;
      await delay(clock, CLOSED_MS, this.#leaving.signal);
      return !this.#leaving.signal.aborted && await isGone();
    });
  }

  /** Registers no more, and tells the others. Never rejects. */
  async stop(): Promise<void> {
    const { client, nodeId: own, registrations } = this.#options;
    this.leave();
    await registrations.remove(own).catch((error) => {
      log.warning("cannot remove the registration; it runs out by itself", { reason: messageOf(error) });
    });
    await this.#tellAll((nodeId) => client.ask(nodeId, "bye", { nodeId: own }, GREETING));
  }

  /** Ends the renewals, but leaves the registration to a successor on the same node. */
  leave(): void {
    this.#leaving.abort();
    this.#stopTimer();
    this.#stopTimer = () => {};
  }

  /** Finds out whether a peer is gone before its registration has run out. */
  async #doubt(nodeId: string, isGone: () => Promise<boolean>): Promise<void> {
    const isOther = nodeId !== this.#own.nodeId && this.#live.includes(nodeId);
    if (!isOther || !this.#hasStarted || this.#doubted.has(nodeId)) return;
    this.#doubted.add(nodeId);
    const isOver = await isGone();
    if (!this.#doubted.delete(nodeId) || !isOver) return; // it has greeted meanwhile
    const peer = this.#known.get(nodeId);
    if (peer === undefined) return;
    this.#know(new Map([...this.#known, [nodeId, { ...peer, sameFor: RUNS_OUT_AFTER }]]));
  }

  /** Whether a peer does not answer, for a reason of a kind. */
  async #isAway(nodeId: string, isSo: (error: PeerAway) => boolean): Promise<boolean> {
    try {
      const options = this.#unheard.has(nodeId) ? LAST_GREETING : GREETING;
      await this.#options.client.ask(nodeId, "hello", this.#own, options);
      return false;
    } catch (error) {
      return error instanceof PeerAway && isSo(error);
    }
  }

  /** Asks a peer that was gone with its node whether it is there again. */
  async #return(nodeId: string): Promise<void> {
    const peer = this.#known.get(nodeId);
    if (peer === undefined || isLive(peer)) return;
    const { addresses, client } = this.#options;
    const endpoint = parseEndpoint(peer.address);
    addresses.set(nodeId, endpoint);
    try {
      this.#greeted(await client.ask(nodeId, "hello", this.#own, GREETING));
    } catch (error) {
      log.debug("a peer is not back with its node", { node: nodeId, reason: messageOf(error) });
      if (!this.#live.includes(nodeId)) addresses.delete(nodeId);
    }
  }

  /** Notes that a peer is there. */
  #greeted(facts: PeerFacts): void {
    // The revision is not known yet. The next reading shows another one, so that it counts as renewed.
    this.#know(new Map([...this.#known, [facts.nodeId, { ...facts, revision: NaN, sameFor: 0 }]]));
  }

  /** Renews the registration, and reads all others. A failure is made good by the next time. */
  async #renew(): Promise<void> {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    const { nodeId, registrations } = this.#options;
    try {
      const read = await registrations.list();
      this.#know(observe(this.#known, read, nodeId));
      await registrations.put(this.#own);
      await this.#removeOld();
    } catch (error) {
      log.warning("cannot renew the registration", { reason: messageOf(error) });
    } finally {
      this.#isRenewing = false;
    }
  }

  /** Removes the registrations of nodes that are gone for good. The first of the live ones does it for all. */
  async #removeOld(): Promise<void> {
    const { nodeId: own, registrations } = this.#options;
    if (this.#live[0] !== own) return;
    const old = [...this.#known.values()].filter(({ sameFor }) => sameFor >= REMOVED_AFTER);
    for (const { nodeId } of old) await registrations.remove(nodeId);
  }

  #know(known: Known): void {
    const { addresses, client, nodeId: own } = this.#options;
    const before = new Set(this.#live);
    const live = [...known.values()].filter(isLive);
    this.#known = known;
    this.#live = [own, ...live.map(({ nodeId }) => nodeId)].sort();
    this.#share.now = { of: this.#live.length };
    for (const [nodeId, endpoint] of addresses) {
      if (this.#live.includes(nodeId)) continue;
      addresses.delete(nodeId);
      client.forget(endpoint);
    }
    for (const { address, nodeId } of live) addresses.set(nodeId, parseEndpoint(address));
    const came = this.#live.filter((nodeId) => !before.has(nodeId));
    const went = [...before].filter((nodeId) => !this.#live.includes(nodeId));
    for (const nodeId of came) {
      log.info("another cless has come", { node: nodeId, address: known.get(nodeId)?.address });
    }
    for (const nodeId of went) log.info("another cless has gone", { node: nodeId });
    for (const listener of this.#listeners) {
      came.forEach((nodeId) => listener.came(nodeId));
      went.forEach((nodeId) => listener.went(nodeId));
    }
  }

  /** Tells all others; those that do not answer learn it from the registrations. */
  async #tellAll(tell: (nodeId: string) => Promise<unknown>): Promise<void> {
    const others = this.#live.filter((nodeId) => nodeId !== this.#options.nodeId);
    await Promise.all(others.map((nodeId) =>
      tell(nodeId).catch((error) => {
        log.debug("a peer was not told", { node: nodeId, reason: messageOf(error) });
      })
    ));
  }
}
