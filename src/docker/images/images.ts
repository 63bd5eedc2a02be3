import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { ImageIndex } from "../../routing/convention.ts";
import type { Clock } from "../../base/clock.ts";
import { type DockerCommand, jsonLines } from "../command.ts";

const log = logger("images");
/** While no events come, and after a failure, the list is asked for at most so often, ms. */
const LEAST_AGE_MS = 1000;

/** The local images whose names end in `-docker`, kept in memory: an unknown hostname costs the engine nothing. */
export class LocalImages implements ImageIndex {
  readonly #docker: DockerCommand;
  readonly #clock: Clock;
  readonly #listening: () => boolean;
  readonly #callbacks: (() => void)[] = [];
  #ids = new Map<string, string>();
  #stale = true;
  #askedAt = -Infinity;
  #refreshing: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;

  /** @param listening Whether the engine's events are being received. */
  constructor(docker: DockerCommand, clock: Clock, listening: () => boolean) {
    this.#docker = docker;
    this.#clock = clock;
    this.#listening = listening;
  }

  find(name: string): string | undefined {
    return this.#ids.get(name);
  }

  /** The names that there are. */
  names(): string[] {
    return [...this.#ids.keys()].sort();
  }

  settled(): Promise<void> {
    if (this.#refreshing !== undefined) return this.#refreshing;
    if (!this.#stale && this.#listening()) return Promise.resolve();
    if (this.#clock.now() - this.#askedAt < LEAST_AGE_MS) return Promise.resolve();
    return this.#refresh();
  }

  onChange(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Notes that an image has changed: the list is asked for anew. */
  changed(): Promise<void> {
    this.#stale = true;
    return this.#refresh();
  }

  /** Asks no more. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = undefined;
      // Something may have changed just now; after a failure there is a time set for the next try.
      if (this.#stale && !this.#stopped && this.#cancelRetry === undefined) this.#refresh();
    });
    return this.#refreshing;
  }

  /** Nobody else may ever ask again. */
  #retryLater(): void {
    this.#cancelRetry ??= this.#clock.after(LEAST_AGE_MS, () => {
      this.#cancelRetry = undefined;
      this.#refresh();
    });
  }

  async #ask(): Promise<void> {
    // An event may come while the answer to an earlier one is on its way.
    while (!this.#stopped && (this.#stale || !this.#listening())) {
      this.#stale = false;
      try {
        const output = await this.#docker.run([
          "image",
          "ls",
          "--no-trunc",
          "--filter=reference=*-docker:latest",
          '--format={"id":{{json .ID}},"name":{{json .Repository}},"tag":{{json .Tag}}}',
        ]);
        const images = jsonLines<{ id: string; name: string; tag: string }>(output, "id", "name", "tag");
        this.#ids = new Map(images.filter(({ tag }) => tag === "latest").map(({ id, name }) => [name, id]));
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
