import type { InstancePool } from "../pool/instance_pool.ts";

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
