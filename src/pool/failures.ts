import type { Clock } from "../base/clock.ts";
import { logger } from "../base/log.ts";
import { isAsleep } from "../model/instance_state.ts";
import type { Executor, Started } from "./executor.ts";
import { endOf, Health } from "./health.ts";
import type { Instance, Suspicion } from "./instance.ts";
import type { ContainerEvent } from "./launcher.ts";
import type { Breakage, PoolObserver } from "./observer.ts";
import type { Mishap } from "./start_backoff.ts";
import type { PoolEvent } from "./state.ts";

const log = logger("pool");

/** The event for the pool that follows from an observation; `undefined` if none does. */
export type Judged = PoolEvent | undefined;

/**
 * Judges what the requests of a pool, probes and the engine have observed of its instances, and returns the event that
 * follows. If an instance has failed, it also notes why, writes that to the log, and tells the observer.
 */
export class Failures {
  readonly #executor: Executor;
  readonly #observer: PoolObserver | undefined;
  readonly #random: () => number;
  readonly #health: Health;

  /** @param random From 0 to below 1, evenly. */
  constructor(clock: Clock, executor: Executor, random: () => number, observer: PoolObserver | undefined) {
    this.#executor = executor;
    this.#observer = observer;
    this.#random = random;
    this.#health = new Health(clock, executor.asking);
  }

  /** A start has failed. @param isCancelled Whether the pool had cancelled it. */
  startFailed(
    instance: Instance,
    { blame, error }: Extract<Started, { readonly error: unknown }>,
    isCancelled: boolean,
  ): PoolEvent {
    instance.failure = error.detail;
    const mishap = this.#mishap(error.detail ?? "", instance);
    if (!isCancelled && blame !== "somebody" && blame !== "nobody") {
      this.#broke(instance, error.code === "start_failed" ? "start_failed" : "start_timeout");
    }
    return { type: "start failed", id: instance.id, error, blame, mishap };
  }

  /** The engine has reported that a container ended which cless has not removed. */
  ended(instance: Instance, end: Pick<ContainerEvent, "byHand" | "exitCode" | "oom">): PoolEvent {
    const { id, revision: { memoryBytes, service }, state } = instance;
    instance.noteEnd(end);
    const reason = endOf(end, memoryBytes);
    const wasUnwell = state === "draining" && instance.failure !== undefined && !instance.byHand;
    const isUnexpected = state === "ready" || isAsleep(state) || wasUnwell;
    if (isUnexpected) {
      instance.failure = reason;
      log.warning("instance ended", { service, instance: id, exitCode: end.exitCode, reason });
      if (!wasUnwell && !instance.byHand) this.#broke(instance, instance.oom ? "out_of_memory" : "ended");
    }
    const mishap = this.#mishap(reason, isUnexpected ? instance : undefined);
    return { type: "engine ended", id, byHand: instance.byHand, mishap };
  }

  /** A request has observed something. To judge that may take some probes. */
  suspect(instance: Instance, why: Suspicion): Judged | Promise<Judged> {
    if (why === "silent") return this.#checkForHang(instance);
    const isDead = this.#health.suspect(instance, why);
    const judge = (isDead: boolean) => isDead ? this.#unhealthy(instance, false) : undefined;
    return typeof isDead === "boolean" ? judge(isDead) : isDead.then(judge);
  }

  /** Probes an instance for liveness, which its revision must ask for. */
  async probe(instance: Instance): Promise<Judged> {
    const { path, every } = instance.revision.liveness!;
    const isWell = await this.#health.probe(instance, path, every);
    return isWell ? { type: "well", id: instance.id } : this.#unhealthy(instance, true);
  }

  /** Finds out whether the app of an instance that drains because it is unhealthy hangs. */
  async hangsWhileDraining(instance: Instance): Promise<Judged> {
    if (!await this.#health.hangs(instance, this.#executor, 1)) return;
    return { type: "hung", id: instance.id, mishap: this.#mishap(instance.failure ?? "", undefined) };
  }

  /** Whether the app gives any answer within a time. */
  answers(instance: Instance, withinMs: number): Promise<boolean> {
    return this.#health.answers(instance, withinMs);
  }

  async #checkForHang(instance: Instance): Promise<Judged> {
    if (!await this.#health.suspectHang(instance, this.#executor)) return;
    const { id, inFlight, revision: { service } } = instance;
    log.warning("instance hangs", { service, instance: id, inFlight });
    this.#broke(instance, "hung");
    const reason = instance.failure = "the app hung: it answered nothing, and used no processor time";
    return { type: "hung", id, mishap: this.#mishap(reason, instance) };
  }

  /** @param byApp Whether the app is certainly at fault. */
  #unhealthy(instance: Instance, byApp: boolean): Judged {
    const { id, revision: { service }, state } = instance;
    if (state !== "ready") return;
    log.warning("instance does not answer", { service, instance: id });
    this.#broke(instance, "unanswered");
    const reason = instance.failure = "the app did not answer any more";
    return { type: "unhealthy", id, byApp, mishap: this.#mishap(reason, byApp ? instance : undefined) };
  }

  #broke({ revision }: Instance, how: Breakage): void {
    this.#observer?.broke?.(revision, how);
  }

  /** @param instance The instance whose output explains the failure, if any. */
  #mishap(reason: string, instance: Instance | undefined): Mishap {
    const output = instance && this.#executor.written(instance);
    return { reason, at: new Date(), chance: this.#random(), output };
  }
}
