import { isAsleep } from "../model/instance_state.ts";
import { type Loading, tagLabel, type WakeSettings } from "../model/service.ts";
import { draw, type TrafficTarget } from "../model/traffic.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Failure } from "../pool/start_backoff.ts";
import type { Gate } from "../access/gate.ts";
import { KNOWN_ROBOTS } from "./known_robots.ts";
import { WakeRules } from "./wake_rules.ts";

/** How a service wakes, if it has wake exceptions or a waiting page. */
export interface Waking {
  /** Which requests wake it; `undefined` for all. */
  readonly rules: WakeRules | undefined;
  /** Whether a browser gets a waiting page while the service starts. */
  readonly page: boolean;
}

/**
 * How a service with these settings wakes; `undefined` if every request wakes it and is held, so that its requests are
 * not examined. @param exceptRobots Whether known robots do not wake it, whatever its settings are.
 */
export function wakingOf({ wake, loading }: WakingSettings, exceptRobots: boolean): Waking | undefined {
  const { paths } = wake.except;
  const userAgents = exceptRobots ? [...wake.except.userAgents, KNOWN_ROBOTS] : wake.except.userAgents;
  const rules = userAgents.length + paths.length > 0 ? new WakeRules({ userAgents, paths }) : undefined;
  const page = loading === "page";
  return rules !== undefined || page ? { rules, page } : undefined;
}

type WakingSettings = { readonly wake: WakeSettings; readonly loading: Loading };

/** Where the requests for a hostname go. */
export interface Route {
  readonly name: string;
  /** Whether the service is undeclared and was found by its image's name. */
  readonly convention: boolean;
  /** `undefined` if every request wakes it, and is held while it starts. */
  readonly waking?: Waking | undefined;
  /** Decides which requests pass; `undefined` if all do. */
  readonly gate?: Gate | undefined;
  /** Chooses the pool for a request. Keeps an earlier choice while its revision has a share or a tag. */
  route(chosen?: InstancePool): InstancePool;
  /** The pools of this route that have been made; makes none. */
  pools(): InstancePool[];
  /**
   * Why it fails, if it does: no instance is ready, paused or hibernated, and a revision that gets requests here, or
   * soon will, has failed and has not served since. Makes no pool.
   */
  failure(): Failure | undefined;
}

/** A revision's share of a service's requests. */
export interface Share {
  /** The revision's pool. Reading it makes the pool if there is none yet; check {@linkcode unmade} to avoid that. */
  readonly pool: InstancePool;
  /** A whole number from 0 to 100. */
  readonly percent: number;
  /** Gives the revision the address `TAG--NAME`, whatever its share. */
  readonly tag?: string | undefined;
  /** The revision's name while it has no pool. `undefined` once it has one: then the name is in `pool.revision`. */
  readonly unmade?: string | undefined;
}

/** Makes the pool of a {@linkcode SleepingShare}. `T` is what the share stores about its revision. */
export interface PoolMaker<T> {
  make(revision: T): InstancePool;
}

/** A share whose pool is made for its first request. That saves memory, since most services sleep. */
export class SleepingShare<T extends { readonly name: string }> implements Share {
  readonly percent: number;
  readonly tag: string | undefined;
  readonly #revision: T;
  readonly #maker: PoolMaker<T>;
  #pool: InstancePool | undefined;

  /** @param maker Shared by all shares, to keep each of them small. */
  constructor({ percent, tag }: Pick<TrafficTarget, "percent" | "tag">, revision: T, maker: PoolMaker<T>) {
    this.percent = percent;
    this.tag = tag;
    this.#revision = revision;
    this.#maker = maker;
  }

  /** @throws What the maker throws; the next read tries again. */
  get pool(): InstancePool {
    return this.#pool ??= this.#maker.make(this.#revision);
  }

  get unmade(): string | undefined {
    return this.#pool === undefined ? this.#revision.name : undefined;
  }
}

/** When an undeclared service was found by its image, and when the image last changed. */
type Found = { readonly createdAt: Date; readonly updatedAt: Date };

/** What a {@linkcode Service} consists of. */
export interface ServiceOptions {
  /** Their percents sum to 100. */
  readonly shares: readonly Share[];
  /** Whole hostnames besides its own, in lower case. */
  readonly domains?: readonly string[];
  readonly waking?: Waking | undefined;
  readonly gate?: Gate | undefined;
  /** The gate of its tagged revisions. */
  readonly tagGate?: Gate | undefined;
  /** Only for an undeclared service. */
  readonly found?: Found;
  /** From 0 to below 1, evenly. */
  readonly random?: () => number;
}

/** A service as requests see it. It is immutable: a change puts a new object into the {@linkcode ServiceMap}. */
export class Service implements Route {
  readonly name: string;
  readonly domains: readonly string[];
  readonly shares: readonly Share[];
  /** The revisions that have an address of their own. */
  readonly tagged: readonly TaggedRevision[];
  readonly waking: Waking | undefined;
  readonly gate: Gate | undefined;
  /** `undefined` if the service is declared. */
  readonly found: Found | undefined;
  readonly convention: boolean;
  readonly #drawn: readonly Share[];
  readonly #random: () => number;

  constructor(name: string, options: ServiceOptions) {
    const { shares, domains = NONE, waking, gate, tagGate, found, random = Math.random } = options;
    this.name = name;
    this.domains = domains;
    this.shares = shares;
    this.waking = waking;
    this.gate = gate;
    this.found = found;
    this.convention = found !== undefined;
    const tagged = shares.filter(({ tag }) => tag !== undefined);
    this.tagged = tagged.length === 0 ? NONE : tagged.map((share) => new TaggedRevision(name, share, waking, tagGate));
    this.#drawn = shares.every(({ percent }) => percent > 0) ? shares : shares.filter(({ percent }) => percent > 0);
    this.#random = random;
  }

  route(chosen?: InstancePool): InstancePool {
    // If waiting requests drew again, many would move to a revision that already runs. A revision that has to start
    // would get less than its share.
    if (chosen !== undefined && this.pools().includes(chosen)) return chosen;
    return (this.#drawn.length === 1 ? this.#drawn[0]! : draw(this.#drawn, this.#random())).pool;
  }

  /** The pool with the largest share; if there are several, the first. */
  main(): InstancePool {
    return this.#drawn.reduce((most, share) => share.percent > most.percent ? share : most).pool;
  }

  /** The pools that have a share of the requests, and a minimum of instances. A tag alone does not count. */
  kept(): InstancePool[] {
    return madePools(this.#drawn).filter(({ revision }) => revision.minInstances > 0);
  }

  pools(): InstancePool[] {
    return madePools(this.shares);
  }

  /** The names of the revisions that have a share or a tag. Makes no pool. */
  revisions(): string[] {
    return this.shares.map((share) => share.unmade ?? share.pool.revision.name);
  }

  failure(): Failure | undefined {
    // The new revision of an undeclared service begins without a share.
    return failureOf(this.pools(), madePools(this.convention ? this.shares : this.#drawn));
  }

  /** The pool of a revision; makes it if there is none yet. `undefined` for a revision that is not among the shares. */
  poolOf(revision: string): InstancePool | undefined {
    return this.shares.find((share) => (share.unmade ?? share.pool.revision.name) === revision)?.pool;
  }
}

/** Shared by all services, to keep each of them small. */
const NONE: readonly never[] = [];

function madePools(shares: readonly Share[]): InstancePool[] {
  return shares.filter(({ unmade }) => unmade === undefined).map(({ pool }) => pool);
}

/** The last failure of the `asked` pools, unless one of all pools has an instance that could answer. */
function failureOf(all: readonly InstancePool[], asked: readonly InstancePool[]): Failure | undefined {
  if (all.some((pool) => pool.states().some((state) => state === "ready" || isAsleep(state)))) return undefined;
  return asked.flatMap(({ failing }) => failing ?? []).sort((a, b) => b.at.getTime() - a.at.getTime())[0];
}

/** A tagged revision, under its own address. */
class TaggedRevision implements Route {
  readonly convention = false;
  readonly name: string;
  /** The first label of its address. */
  readonly label: string;
  readonly waking: Waking | undefined;
  readonly gate: Gate | undefined;
  readonly #share: Share;

  constructor(name: string, share: Share, waking: Waking | undefined, gate: Gate | undefined) {
    this.name = name;
    this.label = tagLabel(share.tag!, name);
    this.waking = waking;
    this.gate = gate;
    this.#share = share;
  }

  route(): InstancePool {
    return this.#share.pool;
  }

  pools(): InstancePool[] {
    return madePools([this.#share]);
  }

  failure(): Failure | undefined {
    const pools = this.pools();
    return failureOf(pools, pools);
  }
}
