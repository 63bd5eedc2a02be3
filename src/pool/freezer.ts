import { abortable } from "@std/async/abortable";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { whenEngineAnswers } from "./engine_patience.ts";
import type { Instance } from "./instance.ts";
import { EngineAway, type Launcher } from "./launcher.ts";
import { engineLate } from "./not_in_time.ts";
import { type Ask, askWithin, isWell } from "./readiness.ts";

const log = logger("freezer");
/** After a pause that failed, ms. */
const RETRY_MS = 5000;
/** How long somebody waits for a pause to come back before the app itself is asked whether it still runs, ms. */
const PAUSE_PATIENCE_MS = 1000;

/** What a {@linkcode Freezer} works with. */
export interface FreezerParts {
  readonly launcher: Pick<Launcher, "pause" | "resume">;
  readonly clock: Clock;
  /** Asks an app once whether it is there; missing where nobody is asked. */
  readonly ask?: Ask;
  /** Is told of an instance that the engine has paused in the end, though nobody waited for that any more. */
  readonly frozen: (instance: Instance) => void;
}

/** Pauses instances and has them go on again, one after the other where both are wanted of the same one. */
export class Freezer {
  readonly #parts: FreezerParts;
  readonly #pausing = new Map<Instance, Promise<void>>();
  /** When one that could not be paused may be asked again, in the clock's ms. */
  readonly #retryAt = new WeakMap<Instance, number>();

  constructor(parts: FreezerParts) {
    this.#parts = parts;
  }

  /** Whether a pause is on its way: what the engine says meanwhile is older. */
  isPausing(instance: Instance): boolean {
    return this.#pausing.has(instance);
  }

  /** Whether it is of use to try to pause an instance. */
  mayPause(instance: Instance): boolean {
    return !this.isPausing(instance) && this.#parts.clock.now() >= (this.#retryAt.get(instance) ?? -Infinity);
  }

  /**
   * Pauses a ready instance, which takes no requests from now on. One that the engine does not pause is ready again, once
   * it is sure that it runs.
   */
  pause(instance: Instance): void {
    instance.become("paused");
    const pausing = this.#pause(instance).then((isDone) => {
      this.#pausing.delete(instance);
      instance.changed();
      if (isDone && instance.state !== "paused") this.#parts.frozen(instance);
    });
    this.#pausing.set(instance, pausing);
  }

  /**
   * Has a paused instance go on, once a pause that is on its way is done, or the app answers all the same; it is ready
   * then, unless it has ended. Where the engine is away, it is waited for as long as a start may take.
   *
   * @throws {ClessError} `start_timeout` where the engine does not do it in time.
   * @throws Where the engine cannot do it.
   */
  async resume(instance: Instance): Promise<void> {
    const late = new AbortController();
    const { revision } = instance;
    const cancel = this.#parts.clock.after(revision.startTimeout, () => late.abort(engineLate(revision, "resume")));
    try {
      await abortable(this.#resume(instance, late.signal), late.signal);
    } finally {
      late.abort();
      cancel();
    }
  }

  /** Whether it is paused. */
  async #pause(instance: Instance): Promise<boolean> {
    const { id } = instance;
    const { clock, launcher } = this.#parts;
    try {
      await launcher.pause(id);
      return true;
    } catch (error) {
      log.warning("cannot pause an instance", { instance: id, reason: messageOf(error) });
      this.#retryAt.set(instance, clock.now() + RETRY_MS);
      // What fails may have been done all the same; an engine that is away for both has most likely done nothing.
      const runs = await launcher.resume(id).then(() => true, (error) => error instanceof EngineAway);
      if (runs && instance.state === "paused") instance.become("ready");
      return false;
    }
  }

  async #resume(instance: Instance, signal: AbortSignal): Promise<void> {
    const { clock, launcher } = this.#parts;
    if (this.isPausing(instance)) await this.#untilPaused(instance, signal);
    if (instance.state !== "paused" || signal.aborted) return;
    try {
      await whenEngineAnswers(() => launcher.resume(instance.id), { clock, signal });
    } finally {
      instance.changed();
    }
    if (instance.state === "paused") instance.become("ready");
  }

  /** Waits for a pause that is on its way; where that takes long and the app still answers, the instance is ready. */
  async #untilPaused(instance: Instance, signal: AbortSignal): Promise<void> {
    const { ask, clock } = this.#parts;
    for (;;) {
      const pausing = this.#pausing.get(instance);
      if (pausing === undefined) return;
      await (ask === undefined ? pausing : atMost(pausing, clock, PAUSE_PATIENCE_MS));
      if (this.#pausing.get(instance) !== pausing || ask === undefined) return;
      if (signal.aborted || instance.state !== "paused") return;
      const { origin, revision: { readinessPath } } = instance;
      const probed = await askWithin(ask, origin + readinessPath, clock, PAUSE_PATIENCE_MS);
      if (!isWell(probed) || this.#pausing.get(instance) !== pausing || instance.state !== "paused") continue;
      log.warning("the engine does not pause an instance, which goes on", { instance: instance.id });
      this.#retryAt.set(instance, clock.now() + RETRY_MS);
      return instance.become("ready");
    }
  }
}
