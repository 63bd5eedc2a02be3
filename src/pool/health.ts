import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { formatMemory } from "../model/memory.ts";
import type { Instance, Lease, Suspicion } from "./instance.ts";
import type { ContainerEvent } from "./launcher.ts";
import { type Ask, askWithin, isWell, type Probed } from "./probe.ts";

/**
 * What speaks against an app, how often in a row, and what follows. An answer begins the row anew.
 *
 * | evidence                                            | in a row     | what follows                                    |
 * |-----------------------------------------------------|--------------|-------------------------------------------------|
 * | `unreachable`: a connection was refused or broke    | 3            | the instance is drained                         |
 * | `closed`: a connection ended without an answer      | 1            | the app is asked up to 3 times; each time that  |
 * |                                                     |              | it is silent counts as `unreachable`            |
 * | `late`: no answer within the request's time         | 1; 3 if busy | the app is asked; drained if it is silent       |
 * | a liveness probe fails (and the app is not busy)    | 1            | drained, and a failure of the app               |
 * | the container ends ({@linkcode endOf})              | 1            | stopped; a failure unless somebody ended it     |
 * | the engine kills it for memory ({@linkcode endOf})  | 1            | stopped, and a failure of the app               |
 *
 * The app is asked because the fate of one request need not say anything of the app, and because Docker's forwarder takes
 * connections also where nobody listens behind it. A failure counts only soon after the instance was ready.
 */
const IN_A_ROW = { unreachable: 3, late: 3 };

/** How long the app may take to answer when it is suspected. */
const ASK_MS = 3000;
/** How long to wait before each question to an app that has closed a connection. */
const PAUSES_MS = [0, 200, 400] as const;
/** How long an answer to a liveness probe may take at most. */
const PROBE_MS = 10_000;

/** What was seen in a row, since the last answer and the last change of the instance. */
interface Row {
  readonly answers: number;
  readonly changes: number;
  unreachable: number;
  late: number;
}

/** What an instance had to do when it was asked. */
interface Work {
  readonly isFull: boolean;
  readonly leases: readonly Lease[];
  readonly answers: number;
}

/** Judges by what requests, probes and the engine tell whether the apps of a revision are well. */
export class Health {
  readonly #clock: Clock;
  readonly #ask: Ask;
  readonly #rows = new WeakMap<Instance, Row>();
  readonly #asked = new WeakSet<Instance>();
  /** What the instances had to do that are silent, when that began. */
  readonly #silent = new WeakMap<Instance, Work>();

  /** @param ask Asks an app once whether it is there. */
  constructor(clock: Clock, ask: Ask) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /**
   * Takes note of what a request has seen.
   *
   * @returns Whether the app has to be given up; where it has to be asked first, that takes a while.
   */
  suspect(instance: Instance, why: Suspicion): boolean | Promise<boolean> {
    if (instance.state !== "ready") return false;
    const row = this.#rowOf(instance);
    if (why === "unreachable") return ++row.unreachable === IN_A_ROW.unreachable;
    const { inFlight, revision: { concurrency } } = instance;
    // An app with as many requests as it takes at once may be unable to answer another question.
    const isBusy = concurrency > 0 && inFlight >= concurrency;
    if (why === "late" && ++row.late < IN_A_ROW.late && isBusy) return false;
    if (this.#asked.has(instance)) return false;
    this.#asked.add(instance);
    const judged = why === "late" ? this.#isDead(instance) : this.#isDeaf(instance);
    return judged.finally(() => this.#asked.delete(instance));
  }

  /**
   * Asks whether an app is well. No lease is taken: an instance that is only probed is idle.
   *
   * An app that has as many requests as it takes at once may answer only after them. Its silence says nothing as long as
   * one of those requests goes on, or it has answered any request since.
   *
   * @returns Whether the instance may stay; also if something has happened to its container meanwhile.
   */
  async probe(instance: Instance, path: string, everyMs: number): Promise<boolean> {
    const { changes } = instance;
    const work = this.#silent.get(instance) ?? workOf(instance);
    const probed = await askWithin(this.#ask, instance.origin + path, this.#clock, Math.min(everyMs, PROBE_MS));
    this.#silent.delete(instance);
    if (instance.changes !== changes) return true;
    const hasAnswered = isWell(probed) || instance.answers > work.answers;
    if (!hasAnswered) this.#silent.set(instance, work);
    const isBusy = probed === "silent" && work.isFull && (hasAnswered || goesOn(work, instance));
    return isWell(probed) || isBusy;
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

  /** Whether the app gives no sign of life; that says nothing if something has happened to its container meanwhile. */
  async #isDead(instance: Instance): Promise<boolean> {
    if (instance.state !== "ready") return false;
    const { changes, origin, revision: { readinessPath } } = instance;
    const probed = await askWithin(this.#ask, origin + readinessPath, this.#clock, ASK_MS);
    return instance.changes === changes && isDead(probed);
  }
}

/** What is said of a container that has ended; for operators. */
export function endOf({ exitCode, oom }: Pick<ContainerEvent, "exitCode" | "oom">, memoryBytes?: number): string {
  if (oom) return outOfMemory(memoryBytes);
  return exitCode === undefined ? "it ended" : `it ended with code ${exitCode}`;
}

/** What is said of a container that was killed for memory. */
export function outOfMemory(limitBytes: number | undefined): string {
  return limitBytes === undefined ? "out of memory" : `out of memory, limit ${formatMemory(limitBytes)}`;
}

function isDead(probed: Probed): boolean {
  return probed === "closed" || probed === "refused" || probed === "silent";
}

function workOf({ answers, inFlight, leases, revision: { concurrency } }: Instance): Work {
  return { isFull: concurrency > 0 && inFlight >= concurrency, leases, answers };
}

/** Whether one of the requests that an instance had is still open. */
function goesOn({ leases }: Work, instance: Instance): boolean {
  const open = new Set(instance.leases);
  return leases.some((lease) => open.has(lease));
}
