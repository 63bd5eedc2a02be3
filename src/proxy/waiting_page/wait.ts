import { ClessError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { InstancePool } from "../../pool/instance_pool.ts";

/** A wait for an instance of a pool, that is shared by all who have got the page meanwhile. */
export class Wait {
  /** By which the page asks how it goes on. */
  readonly id: string = crypto.randomUUID();
  /** Resolves when it is over. */
  readonly over: Promise<void>;
  readonly #clock: Clock;
  readonly #began: number;
  #ended: number | undefined;
  #failure: ClessError | undefined;

  /** Joins those who are held for the pool, so that an instance is started where none is. */
  constructor(pool: InstancePool, clock: Clock) {
    this.#clock = clock;
    this.#began = clock.now();
    this.over = pool.hold(new AbortController().signal).then(
      ({ lease }) => lease.release(),
      (error) => {
        this.#failure = error instanceof ClessError
          ? error
          : new ClessError("internal", "cless has failed to handle the request", { cause: error });
      },
    ).finally(() => this.#ended = clock.now());
  }

  /** Since when it has been going on, or how long it took, ms. */
  get elapsed(): number {
    return (this.#ended ?? this.#clock.now()) - this.#began;
  }

  get isOver(): boolean {
    return this.#ended !== undefined;
  }

  /** How long ago it ended, ms. */
  get age(): number {
    return this.#clock.now() - (this.#ended ?? Infinity);
  }

  /** Why there is no instance, once it is over. */
  get failure(): ClessError | undefined {
    return this.#failure;
  }
}
