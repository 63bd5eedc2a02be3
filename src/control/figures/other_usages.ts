import { within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Usage } from "../../pool/launcher.ts";

const log = logger("figures");
/** Those who look get an answer of a machine that is not older than this, if it answers soon. */
const MAX_AGE_MS = 1000;
/** Nobody who looks waits longer than this for other machines: what comes later is shown at the next look. */
const LOOK_MS = 300;
/** An older answer of a machine is not shown any more. */
const FORGET_MS = 10_000;

/** Other machines with instances of the same services. */
export interface OtherMachines {
  /** Their ids. */
  readonly others: readonly string[];
  /** What each instance there uses, by its id. Rejects in the end if the machine does not answer. */
  usages(machine: string): Promise<ReadonlyMap<string, Usage>>;
}

/** What is known of a machine. Its answer is that to a question asked at `ofMs`. */
interface Known {
  usages: ReadonlyMap<string, Usage>;
  ofMs: number;
  askedMs: number;
  asking: Promise<void> | undefined;
}

/**
 * What the instances on other machines use. Each machine is asked only while somebody looks, with one question a second
 * for all who look together.
 */
export class OtherUsages {
  readonly #machines: OtherMachines;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();

  constructor(machines: OtherMachines, clock: Clock) {
    this.#machines = machines;
    this.#clock = clock;
  }

  /** What each instance uses, by its id; without those of machines that do not answer. Never rejects. */
  async read(): Promise<ReadonlyMap<string, Usage>> {
    const { others } = this.#machines;
    for (const machine of this.#known.keys()) if (!others.includes(machine)) this.#known.delete(machine);
    const asking = others.flatMap((machine) => this.#ask(machine) ?? []);
    if (asking.length > 0) await within(Promise.all(asking), this.#clock, LOOK_MS);
    const oldest = this.#clock.now() - FORGET_MS;
    const fresh = [...this.#known.values()].filter(({ ofMs }) => ofMs >= oldest);
    return new Map(fresh.flatMap(({ usages }) => [...usages]));
  }

  /** Asks a machine, unless it was asked in the last second. Returns the answer that is worth waiting for. */
  #ask(machine: string): Promise<void> | undefined {
    const known = this.#known.get(machine) ??
      { usages: new Map(), ofMs: -Infinity, askedMs: -Infinity, asking: undefined };
    this.#known.set(machine, known);
    const askedMs = this.#clock.now();
    if (known.asking !== undefined) return askedMs - known.askedMs < LOOK_MS ? known.asking : undefined;
    if (askedMs - known.askedMs < MAX_AGE_MS) return undefined;
    known.askedMs = askedMs;
    return known.asking = this.#machines.usages(machine).then(
      (usages) => void Object.assign(known, { usages, ofMs: askedMs }),
      (error) => log.debug("a machine does not say what its instances use", { machine, reason: messageOf(error) }),
    ).finally(() => known.asking = undefined);
  }
}
