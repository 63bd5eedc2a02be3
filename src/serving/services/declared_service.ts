import { draw } from "../../domain/traffic.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { Route, Waking } from "./route.ts";

/** A revision's share of a service's requests. */
export interface Share {
  readonly pool: InstancePool;
  /** A whole number from 0 to 100. */
  readonly percent: number;
  /** Under `TAG--NAME` the revision can be reached whatever its share. */
  readonly tag?: string;
}

/** A service that somebody has declared, as it is at one moment: it never changes, it is replaced. */
export class DeclaredService implements Route {
  readonly convention = false;
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
    this.tagged = shares.flatMap(({ tag, pool }) =>
      tag === undefined ? [] : [new TaggedRevision(name, tag, pool, waking)]
    );
    this.#drawn = shares.filter(({ percent }) => percent > 0);
    this.#random = random;
  }

  route(chosen?: InstancePool): InstancePool {
    // A second choice would give a cold revision less than its share.
    if (chosen !== undefined && this.shares.some(({ pool }) => pool === chosen)) return chosen;
    return (this.#drawn.length === 1 ? this.#drawn[0]! : draw(this.#drawn, this.#random())).pool;
  }

  /** The pool that most requests go to. */
  main(): InstancePool {
    return this.#drawn.reduce((most, share) => share.percent > most.percent ? share : most).pool;
  }

  /** The pools that have a share of the requests. */
  served(): InstancePool[] {
    return this.#drawn.map(({ pool }) => pool);
  }

  pools(): InstancePool[] {
    return [...new Set(this.shares.map(({ pool }) => pool))];
  }
}

/** The revision that a tag names, under an address of its own. */
export class TaggedRevision implements Route {
  readonly convention = false;
  readonly name: string;
  /** What it is called under; no service's name has two hyphens in a row. */
  readonly label: string;
  readonly waking: Waking | undefined;
  readonly #pool: InstancePool;

  /** @param waking What is special about the waking of its service. */
  constructor(name: string, tag: string, pool: InstancePool, waking: Waking | undefined) {
    this.name = name;
    this.label = `${tag}--${name}`;
    this.waking = waking;
    this.#pool = pool;
  }

  route(): InstancePool {
    return this.#pool;
  }

  pools(): InstancePool[] {
    return [this.#pool];
  }
}
