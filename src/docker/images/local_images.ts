import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { ImageIndex } from "../../routing/convention.ts";
import type { Clock } from "../../base/clock.ts";
import type { EngineApi } from "../engine_api.ts";

const log = logger("images");
/** The least time between two requests to the engine while no events are received, and after a failure. */
const MIN_AGE_MS = 1000;

/**
 * Keeps the local images whose names end in `-docker` in memory, so that an unknown hostname costs no request to the
 * engine.
 */
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

  /** @param events The engine's events. While they are live, changed images are reported. */
  constructor(api: Pick<EngineApi, "conventionImages">, clock: Clock, events: { readonly live: boolean }) {
    this.#api = api;
    this.#clock = clock;
    this.#events = events;
  }

  find(name: string): string | undefined {
    return this.#ids.get(name);
  }

  names(): string[] {
    return [...this.#ids.keys()].sort();
  }

  ids(): string[] {
    return [...this.#ids.values()];
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

  changed(): Promise<void> {
    this.#stale = true;
    return this.#refresh();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  #refresh(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return this.#refreshing ??= this.#ask();
  }

  /** Lists the images. Lists them again if an event came before the answer. */
  async #ask(): Promise<void> {
    try {
      do {
        this.#cancelRetry?.();
        this.#cancelRetry = undefined;
        this.#stale = false;
        await this.#list();
      } while (this.#stale && this.#cancelRetry === undefined && !this.#stopped);
    } finally {
      this.#refreshing = undefined;
    }
  }

  async #list(): Promise<void> {
    try {
      this.#ids = await this.#api.conventionImages();
    } catch (error) {
      log.warning("cannot list the images", { reason: messageOf(error) });
      this.#stale = true;
      // Tries again by itself, since no other call may ever come.
      if (!this.#stopped) this.#cancelRetry = this.#clock.after(MIN_AGE_MS, () => this.#refresh());
      return;
    } finally {
      this.#askedAt = this.#clock.now();
    }
    for (const callback of this.#callbacks) callback();
  }
}
