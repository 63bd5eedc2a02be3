import { messageOf } from "../../errors.ts";
import { logger } from "../../log.ts";
import { type Clock, unlessAborted } from "../clock.ts";
import { whenEngineAnswers } from "./engine_patience.ts";
import type { Instance } from "./instance.ts";
import { EngineAway, type Launcher } from "../launcher.ts";

const log = logger("freezer");
/** After a pause that failed, ms. */
const RETRY_MS = 5000;

/** Pauses instances and has them go on again, one after the other where both are wanted of the same one. */
export class Freezer {
  readonly #launcher: Pick<Launcher, "pause" | "resume">;
  readonly #clock: Clock;
  readonly #pausing = new Map<Instance, Promise<void>>();
  /** When one that could not be paused may be asked again, in the clock's ms. */
  readonly #retryAt = new WeakMap<Instance, number>();

  constructor(launcher: Pick<Launcher, "pause" | "resume">, clock: Clock) {
    this.#launcher = launcher;
    this.#clock = clock;
  }

  /** Whether a pause is on its way: what the engine says meanwhile is older. */
  isPausing(instance: Instance): boolean {
    return this.#pausing.has(instance);
  }

  /** Whether it is of use to try to pause an instance. */
  mayPause(instance: Instance): boolean {
    return this.#clock.now() >= (this.#retryAt.get(instance) ?? -Infinity);
  }

  /**
   * Pauses a ready instance, which takes no requests from now on. One that the engine does not pause is ready again, once
   * it is sure that it runs.
   */
  pause(instance: Instance): void {
    instance.become("paused");
    const pausing = this.#pause(instance).finally(() => {
      this.#pausing.delete(instance);
      instance.changed();
    });
    this.#pausing.set(instance, pausing);
  }

  /**
   * Has a paused instance go on, once a pause that is on its way is done; it is ready then, unless it has ended. Where the
   * engine is away, it is waited for as long as a start may take.
   *
   * @throws Where the engine cannot do it, or not in time.
   */
  async resume(instance: Instance): Promise<void> {
    const late = new AbortController();
    const { startTimeout } = instance.revision;
    const reason = new Error(`not resumed within ${startTimeout} ms`);
    const cancel = this.#clock.after(startTimeout, () => late.abort(reason));
    try {
      await unlessAborted(this.#resume(instance, late.signal), late.signal);
    } finally {
      late.abort(reason);
      cancel();
    }
  }

  async #pause(instance: Instance): Promise<void> {
    const { id } = instance;
    try {
      await this.#launcher.pause(id);
    } catch (error) {
      log.warning("cannot pause an instance", { instance: id, reason: messageOf(error) });
      this.#retryAt.set(instance, this.#clock.now() + RETRY_MS);
      // What fails may have been done all the same; an engine that is away for both has most likely done nothing.
      const runs = await this.#launcher.resume(id).then(() => true, (error) => error instanceof EngineAway);
      if (runs && instance.state === "paused") instance.become("ready");
    }
  }

  async #resume(instance: Instance, signal: AbortSignal): Promise<void> {
    const pausing = this.#pausing.get(instance);
    if (pausing !== undefined) await pausing;
    if (instance.state !== "paused") return;
    try {
      await whenEngineAnswers(() => this.#launcher.resume(instance.id), { clock: this.#clock, signal });
    } finally {
      instance.changed();
    }
    if (instance.state === "paused") instance.become("ready");
  }
}
