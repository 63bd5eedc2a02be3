import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { type Lag, NO_LAG } from "../base/lag.ts";
import { formatMemory } from "../model/memory.ts";
import type { Instance, Lease, Suspicion } from "./instance.ts";
import type { ContainerEvent } from "./launcher.ts";
import { type Ask, type Asking, askWithin, isWell, type Probed } from "./probe.ts";

/**
 * Evidence that an app is unwell, how often it must occur in a row, and the consequence. An answer resets the count.
 *
 * | evidence                                           | in a row     | what follows                                 |
 * |----------------------------------------------------|--------------|----------------------------------------------|
 * | `unreachable`: a connection was refused or broke   | 3            | the instance is drained                      |
 * | `closed`: a connection ended without an answer     | 1            | the app is asked up to 3 times; each probe   |
 * |                                                    |              | without an answer counts as `unreachable`    |
 * | `late`: no answer within the request's time        | 1; 3 if busy | the app is asked up to 3 times; drained if   |
 * |                                                    |              | it never answers                             |
 * | `silent`: none of its requests was answered for a  | 1            | the app is asked up to 3 times; if it hangs, |
 * | while (`hangAfter`)                                |              | it is drained, its requests are aborted, and |
 * |                                                    |              | the app has failed                           |
 * | a liveness probe fails (and the app is not busy)   | 3            | drained, and a failure of the app            |
 * | the container ends ({@linkcode endOf})             | 1            | stopped; a failure unless somebody ended it  |
 * | it was killed for memory ({@linkcode endOf})       | 1            | stopped, and a failure of the app            |
 *
 * The app is probed ("asked") because a failed request need not be the app's fault, and because Docker's forwarder
 * accepts connections even if nothing listens behind it. A failure counts towards the back-off only if it comes soon
 * after the instance was ready. If cless itself lagged during a probe, the result is ignored and the probing ends; only
 * the check for a hang probes again. See `unsure` in {@linkcode Probed}.
 */
const IN_A_ROW = { unreachable: 3, late: 3, missed: 3 };

/** A suspected app must answer a probe within this time. */
const ASK_MS = 3000;
/** The pause between the probes of an app that may hang. The probes and pauses take 10 s in all. */
const HANG_PAUSE_MS = 500;
/** At most this many of these probes are repeated because their outcome was `unsure`. */
const MAX_UNSURE = 3;
/** The pauses before the probes of an app that has closed a connection. */
const PAUSES_MS = [0, 200, 400] as const;
/** An app must answer a liveness probe within this time, or within the probe's period if that is shorter. */
const PROBE_MS = 10_000;
/** If a connection breaks within this time after cless lagged, the lag may be the cause. */
const AFTER_LAG_MS = 1000;
/** A failed liveness probe is repeated after this time, or after its period if that is shorter. */
const RETRY_MS = 1000;

/** How often evidence occurred in a row, since the last answer and the last change of the instance. */
interface Counts {
  readonly answers: number;
  readonly changes: number;
  unreachable: number;
  late: number;
}

/** What an instance was doing when it was probed. */
interface Work {
  readonly isFull: boolean;
  readonly leases: readonly Lease[];
  readonly answers: number;
}

interface ProcessorTimes {
  /** The processor time that an instance's container has used, ns; `undefined` if unknown. */
  processorTime(instance: Instance): Promise<number | undefined>;
}

/** Judges from requests and probes whether a revision's apps are well. */
export class Health {
  readonly #clock: Clock;
  readonly #ask: Ask;
  readonly #lag: Lag;
  readonly #counts = new WeakMap<Instance, Counts>();
  readonly #asked = new WeakSet<Instance>();
  readonly #checkedForHang = new WeakSet<Instance>();
  /** For each instance that did not answer its last probe: what it was doing at the first unanswered one. */
  readonly #silent = new WeakMap<Instance, Work>();
  readonly #answering = new Map<Instance, Promise<boolean>>();

  constructor(clock: Clock, { ask, lag = NO_LAG }: Pick<Asking, "ask" | "lag">) {
    this.#clock = clock;
    this.#ask = ask;
    this.#lag = lag;
  }

  /** Notes what a request has observed. Returns whether the instance must be given up; that may take some probes. */
  suspect(instance: Instance, why: Exclude<Suspicion, "silent">): boolean | Promise<boolean> {
    if (instance.state !== "ready") return false;
    const counts = this.#countsOf(instance);
    if (why === "unreachable" && this.#lag.wasLate(this.#clock.now() - AFTER_LAG_MS)) return false;
    if (why === "unreachable") return ++counts.unreachable === IN_A_ROW.unreachable;
    // An app with as many requests as it accepts may be unable to answer a probe.
    if (why === "late" && ++counts.late < IN_A_ROW.late && isFull(instance)) return false;
    if (this.#asked.has(instance)) return false;
    this.#asked.add(instance);
    const judged = why === "late" ? this.#isSilent(instance) : this.#isUnreachable(instance);
    return judged.finally(() => this.#asked.delete(instance));
  }

  /**
   * Whether an app passes its liveness probe, or one of the retries. Takes no lease, so that probing does not keep an
   * instance awake.
   */
  async probe(instance: Instance, path: string, everyMs: number): Promise<boolean> {
    for (let missed = 1; !await this.#passes(instance, path, everyMs); missed++) {
      if (missed === IN_A_ROW.missed) return false;
      await delay(this.#clock, Math.min(everyMs, RETRY_MS), instance.gone);
      if (instance.state !== "ready") return true;
    }
    return true;
  }

  /**
   * Whether an app passes one probe. A full app may be unable to answer before its requests end. So its silence is
   * ignored if one of the requests that were open at the first unanswered probe is still open, or if the app has begun
   * a response since that probe. No outcome counts if the container has changed meanwhile.
   */
  async #passes(instance: Instance, path: string, everyMs: number): Promise<boolean> {
    const { changes } = instance;
    const work = this.#silent.get(instance) ??
      { isFull: isFull(instance), leases: instance.leases, answers: instance.answers };
    const probed = await askWithin(this.#ask, instance.origin + path, this.#clock, Math.min(everyMs, PROBE_MS));
    if (probed === "unsure") return true;
    this.#silent.delete(instance);
    if (instance.changes !== changes) return true;
    const hasAnswered = isWell(probed) || instance.answers > work.answers;
    if (!hasAnswered) this.#silent.set(instance, work);
    const open = new Set(instance.leases);
    const isStillOpen = work.leases.some((lease) => open.has(lease));
    const isBusy = probed === "silent" && work.isFull && (hasAnswered || isStillOpen);
    return isWell(probed) || isBusy;
  }

  /** Whether an app gives any answer within a time. Simultaneous calls share one probe. */
  answers(instance: Instance, withinMs: number): Promise<boolean> {
    const known = this.#answering.get(instance);
    if (known !== undefined) return known;
    const { origin, revision: { readinessPath } } = instance;
    const answers = askWithin(this.#ask, origin + readinessPath, this.#clock, withinMs)
      .then((probed) => typeof probed === "number" || probed === "garbage")
      .finally(() => this.#answering.delete(instance));
    this.#answering.set(instance, answers);
    return answers;
  }

  /** Whether an app {@linkcode hangs} that has answered nothing for a while; false if that is being found out already. */
  async suspectHang(instance: Instance, executor: ProcessorTimes): Promise<boolean> {
    if (instance.state !== "ready" || this.#checkedForHang.has(instance)) return false;
    this.#checkedForHang.add(instance);
    const hangs = await this.hangs(instance, executor);
    this.#checkedForHang.delete(instance);
    return hangs;
  }

  /**
   * Whether an app hangs: it answers no probe and no request, and its container uses no processor time meanwhile. An
   * app that uses processor time is only busy, and so is one whose processor time is unknown. Returns false if the
   * container has changed meanwhile.
   */
  async hangs(
    instance: Instance,
    executor: ProcessorTimes,
    probes = IN_A_ROW.missed,
  ): Promise<boolean> {
    const { answers, changes, origin, revision: { readinessPath } } = instance;
    const isSame = () => instance.changes === changes && instance.answers === answers;
    const before = await executor.processorTime(instance);
    if (before === undefined) return false;
    for (let asked = 0, unsure = 0; asked < probes;) {
      if (asked + unsure > 0) await delay(this.#clock, HANG_PAUSE_MS, instance.gone);
      if (!isSame()) return false;
      const probed = await askWithin(this.#ask, origin + readinessPath, this.#clock, ASK_MS);
      if (probed === "silent") asked++;
      else if (probed !== "unsure" || ++unsure > MAX_UNSURE) return false;
    }
    return await executor.processorTime(instance) === before && isSame();
  }

  #countsOf(instance: Instance): Counts {
    const { answers, changes } = instance;
    const counts = this.#counts.get(instance);
    if (counts !== undefined && counts.answers === answers && counts.changes === changes) return counts;
    const next = { answers, changes, unreachable: 0, late: 0 };
    this.#counts.set(instance, next);
    return next;
  }

  async #isUnreachable(instance: Instance): Promise<boolean> {
    for (const ms of PAUSES_MS) {
      if (ms > 0) await delay(this.#clock, ms, instance.gone);
      if (!await this.#isDead(instance)) return false;
      if (this.suspect(instance, "unreachable") === true) return true;
    }
    return false;
  }

  async #isSilent(instance: Instance): Promise<boolean> {
    for (let missed = 0; missed < IN_A_ROW.missed; missed++) if (!await this.#isDead(instance)) return false;
    return true;
  }

  /** Whether the app does not answer a probe. Returns false if its container has changed meanwhile. */
  async #isDead(instance: Instance): Promise<boolean> {
    if (instance.state !== "ready") return false;
    const { changes, origin, revision: { readinessPath } } = instance;
    const probed = await askWithin(this.#ask, origin + readinessPath, this.#clock, ASK_MS);
    return instance.changes === changes && isDead(probed);
  }
}

/** Says for operators how a container ended. */
export function endOf({ exitCode, oom }: Pick<ContainerEvent, "exitCode" | "oom">, memoryBytes?: number): string {
  if (oom) return outOfMemory(memoryBytes);
  return exitCode === undefined ? "it ended" : `it ended with code ${exitCode}`;
}

/** Says for operators that a container was killed for memory. */
export function outOfMemory(limitBytes: number | undefined): string {
  return limitBytes === undefined ? "out of memory" : `out of memory, limit ${formatMemory(limitBytes)}`;
}

function isDead(probed: Probed): boolean {
  return probed === "closed" || probed === "refused" || probed === "silent";
}

function isFull({ requests, revision: { concurrency } }: Instance): boolean {
  return concurrency > 0 && requests >= concurrency;
}
