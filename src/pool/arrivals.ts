import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Breaker } from "./breaker.ts";
import type { ColdStarts } from "./cold_starts.ts";
import type { CrashLoop } from "./crash_loop.ts";
import type { Drainer } from "./drainer.ts";
import type { Freezer } from "./freezer.ts";
import type { Instance } from "./instance.ts";
import type { Instances } from "./instances.ts";
import { ContainerGone, EngineAway } from "./launcher.ts";
import type { PoolEndings } from "./pool_endings.ts";
import type { Starter } from "./starter.ts";

const log = logger("pool");

/** What {@linkcode Arrivals} work with. */
export interface ArrivalsParts {
  readonly starter: Starter;
  readonly coldStarts: ColdStarts;
  readonly breaker: Breaker;
  readonly crashes: CrashLoop;
  readonly freezer: Freezer;
  readonly drainer: Drainer;
  readonly instances: Instances;
  readonly endings: Pick<PoolEndings, "retired" | "suspended">;
  /** How many instances there may be. */
  readonly maxInstances: number;
  /** Makes an instance that has no container yet. */
  readonly add: () => Instance;
  /** Serves those who wait, as things stand now. */
  readonly scale: () => void;
}

/** The starts and resumes of a revision's instances, and what follows where they come to nothing. */
export class Arrivals {
  readonly #parts: ArrivalsParts;
  /** Whether a start that somebody else had ended was no failure, and none has come to anything since. */
  #excused = false;
  /** Those that an earlier process has left running: nobody waits for their start. */
  readonly #found = new WeakSet<Instance>();

  constructor(parts: ArrivalsParts) {
    this.#parts = parts;
  }

  /** Whether an instance is ready, or on its way. */
  get isServing(): boolean {
    const { breaker, instances } = this.#parts;
    return breaker.ready.length > 0 || instances.coming > 0;
  }

  /** Whether an instance was found running. */
  wasFound(instance: Instance): boolean {
    return this.#found.has(instance);
  }

  /** Resumes an instance, or starts one where there may be more; whether there was one to be had. */
  more(): boolean {
    const { crashes, instances, maxInstances } = this.#parts;
    const [sleeper] = instances.sleepers;
    if (sleeper !== undefined) {
      this.resume(sleeper);
      return true;
    }
    if (instances.live >= maxInstances || crashes.left > 0) return false;
    this.launch();
    return true;
  }

  /** Resumes an instance. */
  resume(instance: Instance): void {
    this.track(instance, this.#parts.freezer.resume(instance));
  }

  /** Takes in an instance that was found running. @param upFor For how long it has been, ms. */
  adopt(instance: Instance, upFor: number | undefined): void {
    this.#found.add(instance);
    const adopted = this.#parts.starter.adopt(instance, upFor).catch(() => {
      // Those who came meanwhile get a new one, not the old one's failure.
    });
    this.track(instance, adopted);
  }

  /** Starts an instance. */
  launch(): void {
    const { add, coldStarts, crashes, starter } = this.#parts;
    const instance = add();
    const { count } = crashes;
    const started = starter.start(instance).then(() => {
      if (instance.coldStartMs !== undefined) coldStarts.add(instance.coldStartMs);
    }, (error) => {
      if (instance.state === "failed") this.#startFailed(error, count);
    });
    this.track(instance, started);
  }

  /** Looks after the start or resume of an instance; the promise rejects where it could not be resumed. */
  track(instance: Instance, coming: Promise<void>): void {
    const { instances, scale } = this.#parts;
    instances.track(instance, coming, (error) => {
      if (error !== undefined) this.#resumeFailed(instance, error);
      scale();
    });
  }

  /** Notes that an instance has become ready. */
  came(): void {
    this.#excused = false;
  }

  /** @param count How many failures there had been when it began. */
  #startFailed(error: unknown, count: number): void {
    const { breaker, crashes, endings, instances, starter } = this.#parts;
    const failure = error instanceof ClessError ? error : undefined;
    if (!this.#excused && failure?.cause instanceof ContainerGone) {
      this.#excused = true; // those who wait go on waiting, and get another one
      return;
    }
    this.#excused = false;
    // Nobody is to blame where the engine was away.
    if (!(failure?.cause instanceof EngineAway)) {
      const output = failure && starter.outputOf(failure);
      crashes.failed(failure?.detail ?? messageOf(error), count, output);
    }
    if (!endings.suspended && instances.live === 0) breaker.refuse(error);
  }

  #resumeFailed(instance: Instance, error: unknown): void {
    const { breaker, crashes, drainer, endings } = this.#parts;
    log.warning("cannot resume an instance", { instance: instance.id, reason: messageOf(error) });
    if (instance.state === "paused") drainer.drain(instance, 0);
    if (endings.suspended || endings.retired || this.isServing) return;
    // Who has waited for as long as a start may take is told so, and not sent on to wait once more.
    if (error instanceof ClessError) breaker.refuse(error);
    else if (breaker.waiting > 0 || crashes.leftUnasked === 0) this.more();
  }
}
