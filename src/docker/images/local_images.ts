import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { ImageIndex } from "../../routing/convention.ts";
import type { Clock } from "../../base/clock.ts";
import type { EngineApi } from "../engine_api.ts";

const log = logger("images");
/** While no events come, and after a failure, the engine is asked at most once in this time. */
const MIN_AGE_MS = 1000;

/** The local images whose names end in `-docker`, kept in memory: the engine is not asked for a hostname that nobody knows. */
export class LocalImages implements ImageIndex {
  readonly #api: Pick<EngineApi, "conventionImages">;
  readonly #clock: Clock;
  readonly #events: { readonly live: boolean };
  readonly #callbacks: (() => void)[] = [];
  #ids = new Map<string, string>();
  #stale = true;
  #askedAt = -Infinity;
  #refreshing: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;

  /** @param events The engine's events; while they are live, they tell of changed images. */
  constructor(api: Pick<EngineApi, "conventionImages">, clock: Clock, events: { readonly live: boolean }) {
    this.#api = api;
    this.#clock = clock;
    this.#events = events;
  }

  find(name: string): string | undefined {
    return this.#ids.get(name);
  }

  /** All names, sorted. */
  names(): string[] {
    return [...this.#ids.keys()].sort();
  }

  settled(): Promise<void> {
    if (this.#refreshing !== undefined) return this.#refreshing;
    if (!this.#stale && this.#events.live) return Promise.resolve();
    if (this.#clock.now() - this.#askedAt < MIN_AGE_MS) return Promise.resolve();
    return this.#refresh();
  }

  onChange(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Notes that an image has changed: the engine is asked again. */
  changed(): Promise<void> {
    this.#stale = true;
    return this.#refresh();
  }

  /** Ends asking. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = undefined;
      // Something may have changed meanwhile; after a failure, a timer is set for the next try.
      if (this.#stale && !this.#stopped && this.#cancelRetry === undefined) this.#refresh();
    });
    return this.#refreshing;
  }

  /** A timer, since nobody else may ever ask again. */
  #retryLater(): void {
    this.#cancelRetry ??= this.#clock.after(MIN_AGE_MS, () => {
      this.#cancelRetry = undefined;
      this.#refresh();
    });
  }

  async #ask(): Promise<void> {
    // An event may come while the answer for an earlier one is on its way.
    while (!this.#stopped && (this.#stale || !this.#events.live)) {
      this.#stale = false;
      try {
        this.#ids = await this.#api.conventionImages();
        this.#askedAt = this.#clock.now();
      } catch (error) {
        log.warning("cannot list the images", { reason: messageOf(error) });
        this.#askedAt = this.#clock.now();
        this.#stale = true;
        this.#retryLater();
        return;
      }
      for (const callback of this.#callbacks) callback();
      if (!this.#stale) return;
    }
  }
}
