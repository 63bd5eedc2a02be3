import type { Waker } from "../../model/waker.ts";
import type { Instance } from "../../pool/instance.ts";
import type { WakeTier } from "../../pool/wake_times.ts";
import type { WakeRecord } from "./records.ts";

/** At most this many wakes of all services are stored. */
export const MAX_STORED_WAKES = 20_000;
/** While nothing can be stored, at most this many wakes are retained. */
const MAX_PENDING = 2000;

/** Notes each wake, and who made the instance wake, until that is stored: see `Figures`. */
export class WakeLog {
  readonly #now: () => number;
  /** Those that are not stored yet, in the order in which they ended. */
  #pending: WakeRecord[] = [];

  /** @param now Wall-clock time, ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes a wake that has just ended. @param ms How long it took. */
  woken({ id, revision }: Pick<Instance, "id" | "revision">, how: WakeTier, ms: number, by: Waker): void {
    const { name, service } = revision;
    const at = Math.round(this.#now() - ms);
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    this.#pending.push({ service, revision: name, instance: id, at, how, ms: Math.round(ms * 10) / 10, by });
  }

  /** The wakes that are not stored yet. */
  get pending(): readonly WakeRecord[] {
    return this.#pending;
  }

  /** Notes that they are stored. */
  clean(): void {
    this.#pending = [];
  }

  forget(service: string): void {
    this.#pending = this.#pending.filter((wake) => wake.service !== service);
  }
}
