import type { Clock } from "../clock.ts";
import type { Instance } from "./instance.ts";

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
  /** Is told of an instance that is not well. */
  readonly unhealthy: (instance: Instance) => void;
}

/** Asks the ready instances of a revision again and again whether they are well. No lease: who is only asked is idle. */
export class Liveness {
  readonly #parts: LivenessParts;
  readonly #watched = new Map<Instance, () => void>();

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
  }

  #ask(instance: Instance): void {
    const { clock, every, path, probe, unhealthy } = this.#parts;
    const end = new AbortController();
    const cancel = clock.after(Math.min(every, PATIENCE_MS), () => end.abort());
    const leave = () => {
      cancel();
      end.abort();
    };
    this.#watched.set(instance, leave);
    probe(instance.origin + path, end.signal).catch(() => false).then((isWell) => {
      cancel();
      if (this.#watched.get(instance) !== leave) return;
      if (isWell) this.watch(instance);
      else unhealthy(instance);
    });
  }
}
