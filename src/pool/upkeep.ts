import type { Revision } from "../model/revision.ts";
import { logger } from "../base/log.ts";
import type { Breaker } from "./breaker.ts";
import type { Clock } from "../base/clock.ts";
import type { CrashLoop } from "./crash_loop.ts";
import type { Drainer } from "./drainer.ts";
import type { Freezer } from "./freezer.ts";
import { idleSteps } from "./idle_tiers.ts";
import type { Instance } from "./instance.ts";
import type { Instances } from "./instances.ts";
import { decide, type Decision, type Observation, observe, stableFor } from "./scaler.ts";

const log = logger("upkeep");
/** How long an answer to somebody who keeps nobody awake may go on once an instance is to be stopped, ms. */
const QUIET_DRAIN_MS = 5000;

/** What an {@linkcode Upkeep} works with. */
export interface UpkeepParts {
  readonly revision: Revision;
  readonly clock: Clock;
  readonly instances: Instances;
  readonly breaker: Breaker;
  readonly crashes: CrashLoop;
  readonly freezer: Freezer;
  readonly drainer: Drainer;
  /** Starts an instance. */
  readonly launch: () => void;
  /** Resumes an instance. */
  readonly resume: (instance: Instance) => void;
}

/** How many instances a revision should have, whether requests come or not. */
export class Upkeep {
  /** Whether the revision has to have its smallest number of instances: not until it gets requests. */
  kept = false;
  /** Whether an operator has it sleep, until somebody comes. */
  asleep = false;
  readonly #parts: UpkeepParts;
  #window: readonly Observation[] = [];

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** What the demand and the past say. */
  decide(): Decision {
    const { breaker, clock, instances, revision } = this.#parts;
    return decide({
      now: clock.now(),
      demand: breaker.inFlight + breaker.waiting,
      concurrency: revision.concurrency,
      ready: breaker.ready.length,
      coming: instances.coming,
      paused: instances.sleepers.length,
      minInstances: revision.minInstances,
      maxInstances: revision.maxInstances,
      window: this.#window,
      stableFor: stableFor(revision.stopAfter),
    });
  }

  /** Pauses and stops what nobody uses, and starts what there should be always. */
  tick(): void {
    const { breaker, crashes, instances, revision } = this.#parts;
    for (const { age } of instances) crashes.judge(age);
    this.#rest();
    if (breaker.ready.length > 1 && revision.concurrency > 0) this.#shrink();
    else if (this.#window.length > 0) this.#window = [];
    if (this.kept) this.keepMinimum();
  }

  /** Resumes or starts as many instances as should run always, unless the last start failed just now. */
  keepMinimum(): void {
    const { crashes, instances, launch, resume } = this.#parts;
    if (crashes.leftUnasked > 0) return;
    const { live, sleepers } = instances;
    for (let running = live - sleepers.length; running < this.#least; running++) {
      const sleeper = sleepers.shift();
      if (sleeper === undefined) launch();
      else resume(sleeper);
    }
  }

  /** Stops a paused instance before its time, where it may be; resolves when it is gone. */
  async evict(instance: Instance): Promise<void> {
    const { drainer, instances } = this.#parts;
    const mayGo = instance.state === "paused" && instance.inFlight === 0 && !instances.isComing(instance);
    if (mayGo && instances.live > this.#least) await drainer.drain(instance, 0);
  }

  /** How many instances there should be always, as things stand. */
  get #least(): number {
    return this.kept && !this.asleep ? this.#parts.revision.minInstances : 0;
  }

  #rest(): void {
    const { clock, drainer, freezer, instances, revision } = this.#parts;
    const { pause, stop } = idleSteps(instances, revision, { least: this.#least, now: clock.now() });
    for (const instance of stop) {
      if (instances.isComing(instance)) continue; // somebody waits for it
      log.info("instance idle", { service: revision.service, instance: instance.id });
      drainer.drain(instance, QUIET_DRAIN_MS);
    }
    for (const instance of pause) if (freezer.mayPause(instance)) freezer.pause(instance);
  }

  #shrink(): void {
    const { breaker, clock, drainer, revision } = this.#parts;
    const last = { at: clock.now(), peak: breaker.takePeak() };
    this.#window = observe(this.#window, last, stableFor(revision.stopAfter));
    if (this.decide().stop === 0) return;
    const [leastUsed] = [...breaker.ready].sort((a, b) => a.inFlight - b.inFlight || a.idleSince - b.idleSince);
    log.info("instance not needed", { service: revision.service, instance: leastUsed!.id });
    drainer.drain(leastUsed!, Infinity);
  }
}
