import type { Revision } from "../model/revision.ts";
import { logger } from "../base/log.ts";
import type { Arrivals } from "./arrivals.ts";
import type { CrashLoop } from "./crash_loop.ts";
import type { Drainer } from "./drainer.ts";
import type { Freezer } from "./freezer.ts";
import type { Instance } from "./instance.ts";
import type { Instances } from "./instances.ts";
import type { ContainerEvent, Launcher } from "./launcher.ts";
import { outOfMemory, type Starter } from "./starter.ts";

const log = logger("pool");
/** How long what is in flight on an instance that is not well may take, ms. */
const UNHEALTHY_DRAIN_MS = 10_000;

/** What {@linkcode Incidents} work with. */
export interface IncidentsParts {
  readonly revision: Revision;
  readonly launcher: Launcher;
  readonly starter: Starter;
  readonly crashes: CrashLoop;
  readonly freezer: Freezer;
  readonly drainer: Drainer;
  readonly instances: Instances;
  readonly arrivals: Arrivals;
}

/** What happens to the containers of a revision, and is not always cless's own doing. */
export class Incidents {
  readonly #parts: IncidentsParts;

  constructor(parts: IncidentsParts) {
    this.#parts = parts;
  }

  /** Takes note of what has happened to the container of an instance; whether that may matter to those who wait. */
  observe(instance: Instance, event: Omit<ContainerEvent, "id">): boolean {
    if (event.what === "paused") this.#paused(instance);
    else if (event.what === "resumed") this.#resumed(instance);
    else {
      const wasStarting = instance.state === "starting";
      this.#ended(instance, event);
      return !wasStarting; // then the starter notices, and says what it means
    }
    return true;
  }

  /**
   * Takes an instance out that does not answer; whether it was in.
   *
   * @param isFailure Whether it is the app's doing: one that nobody reaches may have been ended by somebody, which the
   * engine tells later.
   */
  unhealthy(instance: Instance, isFailure: boolean): boolean {
    const { crashes, drainer, revision, starter } = this.#parts;
    if (instance.state !== "ready") return false;
    log.warning("instance does not answer", { service: revision.service, instance: instance.id });
    const reason = instance.failure = "the app did not answer any more";
    if (isFailure) crashes.lost(instance, reason, starter.written(instance));
    drainer.drain(instance, UNHEALTHY_DRAIN_MS);
    return true;
  }

  #paused(instance: Instance): void {
    const { arrivals, launcher } = this.#parts;
    if (instance.state === "ready") {
      instance.become("paused");
      // Those who are being served would wait until somebody else comes.
      if (instance.inFlight > 0) arrivals.resume(instance);
    } else if (instance.state === "starting" || (instance.state === "draining" && instance.inFlight > 0)) {
      // A frozen app would never become ready, and never end what is in flight.
      launcher.resume(instance.id).catch(() => {});
    }
  }

  #resumed(instance: Instance): void {
    const { freezer, instances } = this.#parts;
    if (instance.state !== "paused" || freezer.isPausing(instance)) return;
    if (!instances.isComing(instance)) instance.touch(); // somebody wants it to run
    instance.become("ready");
  }

  #ended(instance: Instance, event: Omit<ContainerEvent, "id">): void {
    instance.exitCode = event.exitCode;
    instance.oom = event.oom ?? false;
    instance.byHand = event.byHand ?? event.exitCode === undefined;
    if (instance.state === "starting") instance.end("failed");
    else if (instance.state === "draining") instance.end("stopped");
    else if (instance.state === "ready" || instance.state === "paused") this.#lost(instance);
  }

  /** The container of an instance has ended, though nobody here wanted it to. */
  #lost(instance: Instance): void {
    const { crashes, launcher, revision, starter } = this.#parts;
    const { exitCode, id, oom } = instance;
    const { memory, service } = revision;
    const reason = oom ? outOfMemory(memory) : exitCode === undefined ? "it ended" : `it ended with code ${exitCode}`;
    instance.failure = reason;
    instance.end("stopped");
    log.warning("instance ended", { service, instance: id, exitCode, reason });
    const output = starter.written(instance);
    crashes.lost(instance, reason, output);
    starter.clear(instance, output.then(() => launcher.remove(id)));
  }
}
