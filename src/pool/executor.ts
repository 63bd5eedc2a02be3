import { abortable } from "@std/async/abortable";
import { atMost, delay, within } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { formatDuration } from "../model/time.ts";
import type { Revision } from "../model/revision.ts";
import { outOfMemory } from "./health.ts";
import type { Instance } from "./instance.ts";
import { ContainerGone, EngineAway, type Launcher } from "./launcher.ts";
import { type Ask, askWithin, isWell, notInTime, NotReady } from "./probe.ts";
import type { Blame } from "./state.ts";

const log = logger("executor");
const OUTPUT_LINES = 20;
/** The shortest time for a found app to answer: it may be busy with a request. */
const ADOPTION_MS = 5000;
const COULD_NOT_START = "The service could not be started; the log of cless says why";
const NOT_IN_TIME = "The service did not become ready in time; the log of cless says more";
/** How long a resume waits for a pause under way. After that, it asks the app whether it still runs. */
const PAUSE_PATIENCE_MS = 1000;
/** How long the error of a failed start waits for the list of ports that the image exposes. */
const EXPOSED_PORTS_MS = 1000;
/** The first pause between two orders while the engine does not answer. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1000;

/** The outcome of a start, with the times until the container runs and from there to the first good answer. */
export type Started =
  | { readonly createMs: number; readonly readyMs: number }
  | { readonly error: ClessError; readonly blame: Blame; readonly output: Promise<string> };

/** Knows the instances and their containers. */
export interface Roster {
  delete(instance: Instance): void;
}

/** How apps are probed. */
export interface Asking {
  /** Waits until the app at a URL answers; rejects with {@linkcode NotReady}, or the signal's reason. */
  readonly untilReady: (url: string, clock: Clock, signal: AbortSignal) => Promise<void>;
  /** Probes an app once. */
  readonly ask: Ask;
}

/** Carries out a pool's decisions over the engine, and reports the outcome. It never changes an instance's state. */
export class Executor {
  readonly asking: Asking;
  readonly #launcher: Launcher;
  readonly #clock: Clock;
  readonly #roster: Roster;
  readonly #pausing = new Map<Instance, Promise<unknown>>();
  readonly #clearing = new Set<Promise<void>>();
  /** The output of each instance's app; read once. */
  readonly #written = new WeakMap<Instance, Promise<string>>();
  /** What an app wrote before its start failed. */
  readonly #outputs = new WeakMap<ClessError, Promise<string>>();

  constructor(launcher: Launcher, clock: Clock, roster: Roster, asking: Asking) {
    this.#launcher = launcher;
    this.#clock = clock;
    this.#roster = roster;
    this.asking = asking;
  }

  /**
   * Starts an instance's container and waits until its app answers, for at most the revision's `startTimeout` and only
   * while the instance exists. The container of a failed start is removed in the background.
   */
  async start(instance: Instance): Promise<Started> {
    const { id, revision } = instance;
    const began = this.#clock.now();
    let created = began;
    const failed = await this.#untilReady(instance, revision.startTimeout, async (signal, away) => {
      const { origin } = await this.#whenEngineAnswers(
        async (again) => {
          if (again) await this.#launcher.remove(id); // the engine may have made it just before it stopped answering
          return await this.#launcher.launch({ id, revision });
        },
        signal,
        away,
      );
      instance.origin = origin;
      created = this.#clock.now();
    });
    if (failed !== undefined) return failed;
    const readyMs = this.#clock.now() - created;
    const createMs = created - began;
    instance.coldStartMs = Math.round(createMs + readyMs);
    log.info("instance ready", {
      service: revision.service,
      revision: revision.name,
      instance: id,
      createMs: Math.round(createMs),
      readyMs: Math.round(readyMs),
      totalMs: instance.coldStartMs,
    });
    return { createMs, readyMs };
  }

  /**
   * Waits until the app of a found instance answers. An instance within its start timeout gets the rest of that time;
   * an older one must have been ready, and gets a few seconds.
   *
   * @param upForMs For how long it has been running.
   */
  async adopt(instance: Instance, upForMs = 0): Promise<Started> {
    const { startTimeout, service } = instance.revision;
    const patienceMs = Math.max(Math.min(ADOPTION_MS, startTimeout), startTimeout - upForMs);
    const failed = await this.#untilReady(instance, patienceMs, () => Promise.resolve());
    if (failed !== undefined) return { ...failed, blame: "nobody" };
    log.info("instance adopted", { service, instance: instance.id });
    return { createMs: 0, readyMs: 0 };
  }

  /** Pauses an instance. If the engine fails to, returns whether the instance runs, or that this is unknown. */
  async pause(instance: Instance): Promise<"paused" | "runs" | "unknown"> {
    const paused = this.#pause(instance.id).finally(() => this.#pausing.delete(instance));
    this.#pausing.set(instance, paused);
    return await paused;
  }

  /**
   * Resumes a paused instance, after a pause under way. If that pause takes long, it asks the app, and does not wait
   * for the engine if the app answers. While the engine does not answer, it tries for as long as a start may take.
   *
   * @returns The error of a failed resume; a {@linkcode ClessError} if the engine was late.
   */
  async resume(instance: Instance): Promise<"resumed" | "answers" | { readonly error: unknown }> {
    const { revision } = instance;
    const late = new AbortController();
    const cancel = this.#clock.after(revision.startTimeout, () => late.abort(engineLate(revision, "resume")));
    const end = AbortSignal.any([instance.gone, late.signal]);
    try {
      return await abortable(this.#resume(instance, end), end);
    } catch (error) {
      const reason = messageOf(error);
      if (!instance.gone.aborted) log.warning("cannot resume an instance", { instance: instance.id, reason });
      return { error };
    } finally {
      late.abort();
      cancel();
    }
  }

  /** Resumes a container that somebody has paused. The engine's events report the outcome. */
  thaw({ id }: Instance): void {
    this.#launcher.resume(id).catch(() => {});
  }

  /**
   * Removes an instance's container. If that fails, the reconciler finds a container without an instance.
   *
   * @param how `stop` asks the app to end, `kill` does not; `clear` reads the output of an ended one first.
   */
  async stop(instance: Instance, how: "stop" | "kill" | "clear"): Promise<void> {
    const { id } = instance;
    if (how === "stop") return await this.#clear(instance, this.#launcher.stop(id));
    if (how === "kill") return await this.#clear(instance, this.#launcher.remove(id));
    await this.#clear(instance, this.written(instance).then(() => this.#launcher.remove(id)));
  }

  /** The last lines that an app wrote before its start failed with this error. */
  async outputOf(failure: ClessError): Promise<string> {
    return await this.#outputs.get(failure) ?? "";
  }

  /** The last lines that an instance's app has written; empty if they cannot be read. */
  written(instance: Instance): Promise<string> {
    const known = this.#written.get(instance);
    if (known !== undefined) return known;
    const written = this.#launcher.output(instance.id, OUTPUT_LINES).catch(() => "");
    this.#written.set(instance, written);
    return written;
  }

  /** Resolves when no container is being removed. */
  async settled(): Promise<void> {
    while (this.#clearing.size > 0) await Promise.all(this.#clearing);
  }

  async #untilReady(
    instance: Instance,
    patienceMs: number,
    run: (signal: AbortSignal, away: (error: EngineAway) => void) => Promise<void>,
  ): Promise<Extract<Started, { error: ClessError }> | undefined> {
    const timeout = new AbortController();
    const cancelTimeout = this.#clock.after(patienceMs, () => timeout.abort());
    const end = AbortSignal.any([instance.gone, timeout.signal]);
    let away: EngineAway | undefined;
    let runs = false;
    const running = run(end, (error) => away = error).then(() => void (runs = true));
    try {
      await abortable(running, end);
      await this.asking.untilReady(instance.origin + instance.revision.readinessPath, this.#clock, end);
      instance.gone.throwIfAborted();
      return undefined;
    } catch (thrown) {
      const isLate = timeout.signal.aborted;
      const exposedPorts = isLate && runs ? await this.#exposedPorts(instance.revision) : [];
      const error = explain(instance, { isLate, patienceMs, runs, away, exposedPorts, error: thrown });
      const { cause } = error;
      const blame = cause instanceof EngineAway ? "engine" : cause instanceof ContainerGone ? "somebody" : "app";
      // A command that still runs would make the container again after its removal.
      const output = running.catch(() => {}).then(() => this.written(instance));
      this.#outputs.set(error, output);
      this.#clear(instance, this.#removeFailed(instance, output, error));
      return { error, blame, output };
    } finally {
      cancelTimeout();
    }
  }

  /** The ports that an image exposes; none if the engine does not answer soon. */
  async #exposedPorts(revision: Revision): Promise<readonly number[]> {
    const exposed = this.#launcher.exposedPorts(revision).catch(() => []);
    return await within(exposed, this.#clock, EXPOSED_PORTS_MS) ?? [];
  }

  async #removeFailed(instance: Instance, output: Promise<string>, { code, detail }: ClessError): Promise<void> {
    const { id, revision } = instance;
    const written = await output || undefined;
    const { service, name } = revision;
    log.error("start failed", { service, revision: name, instance: id, code, reason: detail, output: written });
    await this.#launcher.remove(id);
  }

  async #clear(instance: Instance, removal: Promise<void>): Promise<void> {
    const { id } = instance;
    const cleared = removal
      .catch((error) => log.warning("cannot remove a container", { instance: id, reason: messageOf(error) }))
      .finally(() => {
        this.#roster.delete(instance);
        this.#clearing.delete(cleared);
        instance.untilIdle().then(() => this.#launcher.forget(id)); // a request may still be on its way to this address
      });
    this.#clearing.add(cleared);
    await cleared;
  }

  async #pause(id: string): Promise<"paused" | "runs" | "unknown"> {
    try {
      await this.#launcher.pause(id);
      return "paused";
    } catch (error) {
      log.warning("cannot pause an instance", { instance: id, reason: messageOf(error) });
      // The pause may have happened all the same. If the engine answers neither order, most likely nothing happened.
      const runs = await this.#launcher.resume(id).then(() => true, (error) => error instanceof EngineAway);
      return runs ? "runs" : "unknown";
    }
  }

  async #resume(instance: Instance, end: AbortSignal): Promise<"resumed" | "answers"> {
    const pausing = this.#pausing.get(instance);
    if (pausing !== undefined && await this.#answersUnpaused(instance, pausing, end)) return "answers";
    // Requests in flight can only end on a draining instance that runs.
    const isWanted = instance.state === "paused" || (instance.state === "draining" && instance.inFlight > 0);
    if (!isWanted || end.aborted) return "resumed";
    await this.#whenEngineAnswers(() => this.#launcher.resume(instance.id), end);
    return "resumed";
  }

  /** Waits for a pause under way. Returns true if that takes long and the app answers. */
  async #answersUnpaused(instance: Instance, pausing: Promise<unknown>, end: AbortSignal): Promise<boolean> {
    const isOver = () => this.#pausing.get(instance) !== pausing || instance.state !== "paused" || end.aborted;
    while (!isOver()) {
      await atMost(pausing, this.#clock, PAUSE_PATIENCE_MS);
      if (isOver()) break;
      const { origin, revision: { readinessPath } } = instance;
      const probed = await askWithin(this.asking.ask, origin + readinessPath, this.#clock, PAUSE_PATIENCE_MS);
      if (!isWell(probed) || isOver()) continue;
      log.warning("the engine does not pause an instance, which goes on", { instance: instance.id });
      return true;
    }
    return false;
  }

  /** Repeats an order while the engine does not answer. @param end Stops this with the last error. */
  async #whenEngineAnswers<T>(
    order: (again: boolean) => Promise<T>,
    end: AbortSignal,
    away?: (error: EngineAway) => void,
  ): Promise<T> {
    for (let waitMs = FIRST_RETRY_MS, again = false;; waitMs = Math.min(LONGEST_RETRY_MS, waitMs * 2), again = true) {
      try {
        return await order(again);
      } catch (error) {
        if (!(error instanceof EngineAway) || end.aborted) throw error;
        away?.(error);
        await delay(this.#clock, waitMs, end);
        if (end.aborted) throw error;
      }
    }
  }
}

/** The error if the engine, not the app, was too late with a start or resume. */
function engineLate({ startTimeout }: Revision, what: "start" | "resume"): ClessError {
  const detail = `the engine did not ${what} the container within ${formatDuration(startTimeout)}`;
  return new ClessError("start_timeout", NOT_IN_TIME, { detail, cause: new EngineAway(detail) });
}

function explain(
  instance: Instance,
  { isLate, patienceMs, runs, away, exposedPorts, error }: {
    readonly isLate: boolean;
    readonly patienceMs: number;
    readonly runs: boolean;
    readonly away: EngineAway | undefined;
    readonly exposedPorts: readonly number[];
    readonly error: unknown;
  },
): ClessError {
  const { byHand, exitCode, gone, oom, revision } = instance;
  if (oom) return new ClessError("start_failed", COULD_NOT_START, { detail: outOfMemory(revision.memory) });
  if (gone.aborted) {
    const how = exitCode === undefined ? "" : ` with code ${exitCode}`;
    const detail = `the container ended${how} before it was ready`;
    const cause = byHand ? new ContainerGone(detail) : undefined;
    return new ClessError("start_failed", COULD_NOT_START, { detail, cause });
  }
  if (isLate && !runs && away !== undefined) {
    const detail = `the engine does not answer: ${messageOf(away)}`;
    return new ClessError("start_timeout", NOT_IN_TIME, { detail, cause: away });
  }
  if (isLate && !runs) return engineLate(revision, "start");
  if (isLate) {
    const last = error instanceof NotReady ? error.last : "silent";
    const detail = notInTime({ ...revision, startTimeout: patienceMs }, last, exposedPorts);
    return new ClessError("start_timeout", NOT_IN_TIME, { detail });
  }
  return new ClessError("start_failed", COULD_NOT_START, { detail: messageOf(error), cause: error });
}
