import { draw } from "../model/traffic.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { WakeRules } from "./wake_rules.ts";

const NO_TAGS: readonly TaggedRevision[] = [];

/** A service that somebody has declared, as it is at one moment: it never changes, it is replaced. */
export class DeclaredService implements Route {
  readonly name: string;
  /** Whole hostnames that lead to it besides its own; lower case. */
  readonly domains: readonly string[];
  readonly shares: readonly Share[];
  /** The revisions with an address of their own. */
  readonly tagged: readonly TaggedRevision[];
  readonly waking: Waking | undefined;
  readonly #drawn: readonly Share[];
  readonly #random: () => number;

  /**
   * @param shares Their percents sum to 100.
   * @param waking What is special about its waking.
   * @param random From 0 to below 1, evenly.
   */
  constructor(
    name: string,
    { domains, shares, waking, random = Math.random }: {
      domains: readonly string[];
      shares: readonly Share[];
      waking?: Waking | undefined;
      random?: () => number;
    },
  ) {
    this.name = name;
    this.domains = domains;
    this.shares = shares;
    this.waking = waking;
    const tagged = shares.some(({ tag }) => tag !== undefined);
    this.tagged = tagged ? shares.flatMap((share) => TaggedRevision.of(name, share, waking)) : NO_TAGS;
    this.#drawn = shares.every(({ percent }) => percent > 0) ? shares : shares.filter(({ percent }) => percent > 0);
    this.#random = random;
  }

  get convention(): false {
    return false;
  }

  route(chosen?: InstancePool): InstancePool {
    // A second choice would give a cold revision less than its share.
    if (chosen !== undefined && this.pools().includes(chosen)) return chosen;
    return (this.#drawn.length === 1 ? this.#drawn[0]! : draw(this.#drawn, this.#random())).pool;
  }

  /** The pool that most requests go to. */
  main(): InstancePool {
    return this.#drawn.reduce((most, share) => share.percent > most.percent ? share : most).pool;
  }

  /**
   * The pools that have a share of the requests, and so should always have as many instances as
   * their revisions say.
   */
  kept(): InstancePool[] {
    return poolsOf(this.#drawn).filter(({ revision }) => revision.minInstances > 0);
  }

  pools(): InstancePool[] {
    return poolsOf(this.shares);
  }

  /** The pool of one of its revisions; made now, where nobody has needed it yet. */
  poolOf(revision: string): InstancePool | undefined {
    return this.shares.find((share) => (share.unmade ?? share.pool.revision.name) === revision)?.pool;
  }
}

function poolsOf(shares: readonly Share[]): InstancePool[] {
  return shares.filter(({ unmade }) => unmade === undefined).map(({ pool }) => pool);
}

/** The revision that a tag names, under an address of its own. */
export class TaggedRevision implements Route {
  readonly convention = false;
  readonly name: string;
  /** What it is called under; no service's name has two hyphens in a row. */
  readonly label: string;
  readonly waking: Waking | undefined;
  readonly #share: Share;

  private constructor(name: string, tag: string, share: Share, waking: Waking | undefined) {
    this.name = name;
    this.label = `${tag}--${name}`;
    this.waking = waking;
    this.#share = share;
  }

  /** That of a share; none where it has no tag. @param waking What is special about the waking of its service. */
  static of(name: string, share: Share, waking: Waking | undefined): TaggedRevision[] {
    return share.tag === undefined ? [] : [new TaggedRevision(name, share.tag, share, waking)];
  }

  route(): InstancePool {
    return this.#share.pool;
  }

  pools(): InstancePool[] {
    return poolsOf([this.#share]);
  }
}

/** How a service wakes, where that is not as with all others. */
export interface Waking {
  /** Who wakes it; `undefined` where everybody does. */
  readonly rules: WakeRules | undefined;
  /** Whether a browser gets a page meanwhile. */
  readonly page: boolean;
}

/** Where the requests for a hostname go. */
export interface Route {
  /** The name of the service. */
  readonly name: string;
  /** Whether nobody has declared the service: its image was found by its name, and can be another one now. */
  readonly convention: boolean;
  /** What is special about its waking; `undefined` where everybody wakes it, and waits until it is awake. */
  readonly waking?: Waking | undefined;
  /**
   * Chooses the pool for a request that is there now.
   *
   * @param chosen What was chosen for the same request before; the choice stays where requests are shared out.
   */
  route(chosen?: InstancePool): InstancePool;
  /** Every pool that may have instances because of it. */
  pools(): InstancePool[];
}

/** A revision's share of a service's requests. */
export interface Share {
  /** Made by being read, where nobody has needed it yet: {@linkcode unmade} tells that without making it. */
  readonly pool: InstancePool;
  /** A whole number from 0 to 100. */
  readonly percent: number;
  /** Under `TAG--NAME` the revision can be reached whatever its share. */
  readonly tag?: string | undefined;
  /** The name of the revision while its pool is not made; `undefined` from then on, as `pool.revision` has it. */
  readonly unmade?: string | undefined;
}

/** Makes pools of what a {@linkcode SleepingShare} has in place of one. */
export interface PoolMaker<T> {
  make(origin: T): InstancePool;
}

/**
 * A share whose pool is made when it is needed for the first time: most of many services are asleep, and a pool would be
 * by far the largest part of one.
 */
export class SleepingShare<T extends { readonly name: string }> implements Share {
  readonly percent: number;
  readonly tag: string | undefined;
  readonly #origin: T;
  readonly #maker: PoolMaker<T>;
  #pool: InstancePool | undefined;

  /**
   * @param origin What the pool is made of, with the name of the revision.
   * @param maker One for all shares, as each of them has to be small.
   */
  constructor({ percent, tag }: Pick<Share, "percent" | "tag">, origin: T, maker: PoolMaker<T>) {
    this.percent = percent;
    this.tag = tag;
    this.#origin = origin;
    this.#maker = maker;
  }

  /** @throws What the maker throws where it cannot be made; the next reading tries anew. */
  get pool(): InstancePool {
    return this.#pool ??= this.#maker.make(this.#origin);
  }

  get unmade(): string | undefined {
    return this.#pool === undefined ? this.#origin.name : undefined;
  }
}
