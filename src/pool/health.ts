import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { type Lag, NO_LAG } from "../base/lag.ts";
import { formatMemory } from "../model/memory.ts";
import type { Instance, Lease, Suspicion } from "./instance.ts";
import type { ContainerEvent } from "./launcher.ts";
import { type Ask, type Asking, askWithin, isWell, type Probed } from "./probe.ts";

/**
 * The evidence against an app, how often it must occur in a row, and the consequence. An answer resets the count.
 *
 * | evidence                                           | in a row     | what follows                                 |
 * |----------------------------------------------------|--------------|----------------------------------------------|
 * | `unreachable`: a connection was refused or broke   | 3            | the instance is drained                      |
 * | `closed`: a connection ended without an answer     | 1            | the app is asked up to 3 times; each silence |
 * |                                                    |              | counts as `unreachable`                      |
 * | `late`: no answer within the request's time        | 1; 3 if busy | the app is asked up to 3 times; drained if   |
 * |                                                    |              | it is silent each time                       |
 * | `silent`: none of its requests was answered for a  | 1            | the app is asked up to 3 times; if it hangs, |
 * | while (`hangAfter`)                                |              | it is drained, its requests are let go, and  |
 * |                                                    |              | the app has failed                           |
 * | a liveness probe fails (and the app is not busy)   | 3            | drained, and a failure of the app            |
 * | the container ends ({@linkcode endOf})             | 1            | stopped; a failure unless somebody ended it  |
 * | the engine kills it for memory ({@linkcode endOf}) | 1            | stopped, and a failure of the app            |
 *
 * The app is asked because one failed request need not be the app's fault, and because Docker's forwarder accepts
 * connections even if nothing listens behind it. A failure counts only soon after the instance was ready. A probe that
 * was not observed on time is no evidence, and ends the questions: see {@linkcode Probed}.
 */
const IN_A_ROW = { unreachable: 3, late: 3, missed: 3 };

/** How long a suspected app may take to answer. */
const ASK_MS = 3000;
/** The pause between the questions to an app that may hang, which with their answers take 10 s in all. */
const HANG_PAUSE_MS = 500;
/** How many of these questions may be asked again because their outcome is unsure. */
const MOST_UNSURE = 3;
/** The pauses before each question to an app that has closed a connection. */
const PAUSES_MS = [0, 200, 400] as const;
/** How long the answer to a liveness probe may take. */
const PROBE_MS = 10_000;
/** Connections that break this soon after cless was late may have broken because of that. */
const LATE_MS = 1000;
/** After a failed liveness probe the next one comes sooner. */
const MISSED_PAUSE_MS = 1000;

/** Evidence in a row since the last answer and the last change of the instance. */
interface Row {
  readonly answers: number;
  readonly changes: number;
  unreachable: number;
  late: number;
}

/** What an instance was doing when it was asked. */
interface Work {
  readonly isFull: boolean;
  readonly leases: readonly Lease[];
  readonly answers: number;
}

/** Judges from requests, probes and the engine's reports whether a revision's apps are well. */
export class Health {
  readonly #clock: Clock;
  readonly #ask: Ask;
  readonly #lag: Lag;
  readonly #rows = new WeakMap<Instance, Row>();
  readonly #asked = new WeakSet<Instance>();
  /** For each silent instance, what it was doing when its silence began. */
  readonly #silent = new WeakMap<Instance, Work>();

  readonly #answering = new Map<Instance, Promise<boolean>>();

  constructor(clock: Clock, { ask, lag = NO_LAG }: Pick<Asking, "ask" | "lag">) {
    this.#clock = clock;
    this.#ask = ask;
    this.#lag = lag;
  }

  /** Notes what a request has seen. Returns whether the app must be given up, which may take a question to the app. */
  suspect(instance: Instance, why: Exclude<Suspicion, "silent">): boolean | Promise<boolean> {
    if (instance.state !== "ready") return false;
    const row = this.#rowOf(instance);
    if (why === "unreachable" && this.#lag.wasLate(this.#clock.now() - LATE_MS)) return false;
    if (why === "unreachable") return ++row.unreachable === IN_A_ROW.unreachable;
    // An app with as many requests as it takes may be unable to answer a question.
    if (why === "late" && ++row.late < IN_A_ROW.late && isFull(instance)) return false;
    if (this.#asked.has(instance)) return false;
    this.#asked.add(instance);
    const judged = why === "late" ? this.#isSilent(instance) : this.#isDeaf(instance);
    return judged.finally(() => this.#asked.delete(instance));
  }

  /** Asks whether an app is well, without a lease: an instance that is only probed is idle. */
  async probe(instance: Instance, path: string, everyMs: number): Promise<boolean> {
    for (let missed = 1; !await this.#passes(instance, path, everyMs); missed++) {
      if (missed === IN_A_ROW.missed) return false;
      await delay(this.#clock, Math.min(everyMs, MISSED_PAUSE_MS), instance.gone);
      if (instance.state !== "ready") return true;
    }
    return true;
  }

  /**
   * Whether an app passes one probe. A full app may be unable to answer before its requests end. So its silence means
   * nothing while one of those requests goes on, or if the app has begun an answer since. The outcome also means
   * nothing if something has happened to the container meanwhile.
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
    const goesOn = work.leases.some((lease) => open.has(lease));
    const isBusy = probed === "silent" && work.isFull && (hasAnswered || goesOn);
    return isWell(probed) || isBusy;
  }

  /** Whether an app gives any answer within a time; simultaneous calls share one question. */
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

  /**
   * Whether an app hangs: it answers no question and no request, and its container uses no processor time meanwhile. An
   * app that computes is only busy. If the processor time is unknown, the app counts as busy. The outcome means nothing
   * if something has happened to the container meanwhile.
   *
   * @param executor Tells the processor time that a container has used, ns; `undefined` if it is unknown.
   */
  async hangs(
    instance: Instance,
    executor: { processorTime(instance: Instance): Promise<number | undefined> },
    questions = IN_A_ROW.missed,
  ): Promise<boolean> {
    const { answers, changes, origin, revision: { readinessPath } } = instance;
    const isSame = () => instance.changes === changes && instance.answers === answers;
    const before = await executor.processorTime(instance);
    if (before === undefined) return false;
    for (let asked = 0, unsure = 0; asked < questions;) {
      if (asked + unsure > 0) await delay(this.#clock, HANG_PAUSE_MS, instance.gone);
      if (!isSame()) return false;
      const probed = await askWithin(this.#ask, origin + readinessPath, this.#clock, ASK_MS);
      if (probed === "silent") asked++;
      else if (probed !== "unsure" || ++unsure > MOST_UNSURE) return false;
    }
    return await executor.processorTime(instance) === before && isSame();
  }

  #rowOf(instance: Instance): Row {
    const { answers, changes } = instance;
    const row = this.#rows.get(instance);
    if (row !== undefined && row.answers === answers && row.changes === changes) return row;
    const next = { answers, changes, unreachable: 0, late: 0 };
    this.#rows.set(instance, next);
    return next;
  }

  async #isDeaf(instance: Instance): Promise<boolean> {
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

  /** Whether the app is silent. Its silence means nothing if something has happened to its container meanwhile. */
  async #isDead(instance: Instance): Promise<boolean> {
    if (instance.state !== "ready") return false;
    const { changes, origin, revision: { readinessPath } } = instance;
    const probed = await askWithin(this.#ask, origin + readinessPath, this.#clock, ASK_MS);
    return instance.changes === changes && isDead(probed);
  }
}

/** Why a container has ended, in words for operators. */
export function endOf({ exitCode, oom }: Pick<ContainerEvent, "exitCode" | "oom">, memoryBytes?: number): string {
  if (oom) return outOfMemory(memoryBytes);
  return exitCode === undefined ? "it ended" : `it ended with code ${exitCode}`;
}

/** The words for a container that was killed for memory. */
export function outOfMemory(limitBytes: number | undefined): string {
  return limitBytes === undefined ? "out of memory" : `out of memory, limit ${formatMemory(limitBytes)}`;
}

function isDead(probed: Probed): boolean {
  return probed === "closed" || probed === "refused" || probed === "silent";
}

function isFull({ inFlight, revision: { concurrency } }: Instance): boolean {
  return concurrency > 0 && inFlight >= concurrency;
}
