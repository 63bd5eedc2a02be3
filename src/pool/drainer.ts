import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { Instance } from "./instance.ts";
import type { Launcher } from "./launcher.ts";
import type { Starter } from "./starter.ts";

/** Ends instances after what is in flight there. */
export class Drainer {
  readonly #parts: { readonly launcher: Launcher; readonly starter: Starter; readonly clock: Clock };
  readonly #draining = new Map<Instance, Promise<void>>();

  constructor(parts: { readonly launcher: Launcher; readonly starter: Starter; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /**
   * Resolves when the container is gone; that of one that is still starting goes in the background.
   *
   * @param timeout How long what is in flight may take until the container is stopped all the same, ms.
   */
  drain(instance: Instance, timeout: number): Promise<void> {
    if (instance.state === "starting") instance.end("stopped"); // the starter notices, and removes the container
    if (instance.state !== "ready" && instance.state !== "paused") {
      return this.#draining.get(instance) ?? Promise.resolve();
    }
    const drained = this.#end(instance, timeout).finally(() => this.#draining.delete(instance));
    this.#draining.set(instance, drained);
    return drained;
  }

  async #end(instance: Instance, timeout: number): Promise<void> {
    const { clock, launcher, starter } = this.#parts;
    const wasPaused = instance.state === "paused";
    instance.become("draining");
    const removal = atMost(instance.untilIdle(), clock, timeout)
      // A frozen app cannot end by itself.
      .then(() => wasPaused ? launcher.remove(instance.id) : launcher.stop(instance.id));
    starter.clear(instance, removal);
    await removal.catch(() => {});
    instance.end("stopped");
  }
}
