import type { Clock } from "../base/clock.ts";
import type { Instance, Lease } from "./instance.ts";

/** How long an answer to a probe may take at most, ms. */
const PATIENCE_MS = 10_000;

/** Asks an app whether it is well: whether it answers with any status below 500 before the signal is aborted. */
export type Probe = (url: string, signal: AbortSignal) => Promise<boolean>;

/** What a {@linkcode Liveness} works with. */
export interface LivenessParts {
  readonly clock: Clock;
  readonly probe: Probe;
  readonly path: string;
  /** In ms. */
  readonly every: number;
  /** Is told of an instance that is not well, and that it is the app's doing. */
  readonly unhealthy: (instance: Instance, isFailure: boolean) => void;
}

/** What an instance had to do when it was asked. */
interface Work {
  readonly isFull: boolean;
  readonly leases: readonly Lease[];
  readonly answers: number;
}

/**
 * Asks the ready instances of a revision again and again whether they are well. No lease: who is only asked is idle.
 *
 * An app that has as many requests as it can serve at once may get round to the question only after them. That it is silent
 * tells nothing then, as long as one of those requests goes on, or it has answered something since.
 */
export class Liveness {
  readonly #parts: LivenessParts;
  readonly #watched = new Map<Instance, () => void>();
  /** What those had to do that are silent, when that began. */
  readonly #silent = new WeakMap<Instance, Work>();

  constructor(parts: LivenessParts) {
    this.#parts = parts;
  }

  /** Begins to ask an instance; {@linkcode leave} ends it. */
  watch(instance: Instance): void {
    const { clock, every } = this.#parts;
    const cancel = clock.after(every, () => this.#ask(instance));
    this.#watched.set(instance, cancel);
  }

  /** What an instance that is not ready any more answers does not matter. */
  leave(instance: Instance): void {
    this.#watched.get(instance)?.();
    this.#watched.delete(instance);
    this.#silent.delete(instance);
  }

  #ask(instance: Instance): void {
    const { clock, every, path, probe, unhealthy } = this.#parts;
    const end = new AbortController();
    const work = this.#silent.get(instance) ?? workOf(instance);
    const cancel = clock.after(Math.min(every, PATIENCE_MS), () => end.abort());
    const leave = () => {
      cancel();
      end.abort();
    };
    this.#watched.set(instance, leave);
    probe(instance.origin + path, end.signal).catch(() => false).then((isWell) => {
      cancel();
      if (this.#watched.get(instance) !== leave) return;
      const hasAnswered = isWell || instance.answers > work.answers;
      const isBusy = end.signal.aborted && work.isFull && (hasAnswered || goesOn(work, instance));
      if (!isWell && !isBusy) return unhealthy(instance, true);
      if (hasAnswered) this.#silent.delete(instance);
      else this.#silent.set(instance, work);
      this.watch(instance);
    });
  }
}

function workOf({ answers, inFlight, leases, revision: { concurrency } }: Instance): Work {
  return { isFull: concurrency > 0 && inFlight >= concurrency, leases, answers };
}

/** Whether something is still in flight of what an instance had to do. */
function goesOn({ leases }: Work, instance: Instance): boolean {
  const open = new Set(instance.leases);
  return leases.some((lease) => open.has(lease));
}
