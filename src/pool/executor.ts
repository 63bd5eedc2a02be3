import { abortable } from "@std/async/abortable";
import { atMost, delay, within } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError, couldNotStart, messageOf, volumeAway } from "../base/errors.ts";
import { type Lag, NO_LAG } from "../base/lag.ts";
import { logger } from "../base/log.ts";
import { isAsleep, isEnding } from "../model/instance_state.ts";
import { formatDuration } from "../model/time.ts";
import type { Revision } from "../model/revision.ts";
import { outOfMemory } from "./health.ts";
import type { HeldSlots, SlotUser } from "./held_slots.ts";
import type { Instance } from "./instance.ts";
import {
  ContainerGone,
  EngineAway,
  type KnownContainer,
  type Launcher,
  NotNow,
  type Reached,
  ServedByOther,
  VolumeAway,
} from "./launcher.ts";
import { type Asking, askWithin, isWell, notInTime, NotReady } from "./probe.ts";
import type { StopHow } from "./decide.ts";
import type { Blame, PoolEvent } from "./state.ts";

const log = logger("executor");
const OUTPUT_LINES = 20;
/** A hung app gets this long to end. */
const HUNG_GRACE_S = 2;
/** An adopted app gets at least this time to answer, or its start timeout if that is shorter: it may be busy. */
const ADOPTION_MS = 5000;
/** An app that did not answer when it was to be adopted is not adopted in place of a start for this time. */
const SILENT_MS = 60_000;
const NOT_IN_TIME = "The service did not become ready in time; the log of cless says more";
/** A resume waits this long for a running pause before it probes the app. */
const PAUSE_WAIT_MS = 1000;
/** The error of a failed start names the ports that the image exposes, if their list comes within this time. */
const EXPOSED_PORTS_MS = 1000;
/** If cless itself lags, an app gets more time in steps of this length, up to twice its start timeout in all. */
const MORE_TIME_MS = 5000;
/** The first delay between attempts while the engine does not answer. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 1000;
/** A start that cannot succeed before an operator does something fails after this time, so that requests share one. */
const LOST_MS = 1000;

/**
 * The outcome of a start: an error, or two times. `createMs` is the time until the container ran, `readyMs` the time
 * from then to the first good answer.
 */
export type Started =
  | { readonly createMs: number; readonly readyMs: number }
  | {
    readonly error: ClessError;
    readonly blame: Blame;
    /** The container that serves in place of the one that was to start: then there is no failure. */
    readonly servedBy?: Reached;
  };

/** Each instance until its container is removed. */
interface KnownInstances {
  get(id: string): Pick<Instance, "origin" | "state"> | undefined;
  delete(instance: Instance): void;
}

/** Carries out a pool's decisions with the engine, and reports the outcomes. It never changes an instance's state. */
export class Executor {
  readonly asking: Asking;
  readonly #launcher: Launcher;
  readonly #clock: Clock;
  readonly #fleet: KnownInstances;
  readonly #pausing = new Map<Instance, Promise<unknown>>();
  readonly #clearing = new Set<Promise<void>>();
  /** When an app was given up that was to be adopted, by its origin; clock ms. */
  readonly #silent = new Map<string, number>();
  /** The output of each instance's app, read once. After a failed start, the start's error is a second key for it. */
  readonly #written = new WeakMap<Instance | ClessError, Promise<string>>();

  constructor(launcher: Launcher, clock: Clock, fleet: KnownInstances, asking: Asking) {
    this.#launcher = launcher;
    this.#clock = clock;
    this.#fleet = fleet;
    this.asking = asking;
  }

  /**
   * Starts an instance's container, and waits until its app answers. A failed start removes the container in the
   * background.
   */
  async start(instance: Instance): Promise<Started> {
    const { id, revision } = instance;
    const began = this.#clock.now();
    let created = began;
    const failed = await this.#untilReady(instance, revision.startTimeoutMs, async (signal, away) => {
      const { origin } = await this.#whenEngineAnswers(
        async (again) => {
          // The engine may have created it without reporting that. A shared one is joined then: others may use it.
          if (again && !this.isShared) await this.#launcher.remove(id);
          return await this.#launcher.launch({
            ...{ id, revision },
            known: (id) => this.#known(id),
            isSilent: (origin) => (this.#silent.get(origin) ?? -Infinity) > this.#clock.now() - SILENT_MS,
          });
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
    const times = { createMs: Math.round(createMs), readyMs: Math.round(readyMs), totalMs: instance.coldStartMs };
    log.info("instance ready", { service: revision.service, revision: revision.name, instance: id, ...times });
    return { createMs, readyMs };
  }

  /**
   * Waits until the app of an adopted instance answers. The instance has been running for `upForMs`. It gets the rest
   * of its start timeout, but at least a few seconds: see {@linkcode ADOPTION_MS}.
   */
  async adopt(instance: Instance, upForMs = 0): Promise<Started> {
    const { startTimeoutMs, service } = instance.revision;
    const timeoutMs = Math.max(Math.min(ADOPTION_MS, startTimeoutMs), startTimeoutMs - upForMs);
    const failed = await this.#untilReady(instance, timeoutMs, () => Promise.resolve(), "instance not adopted");
    if (failed !== undefined) {
      this.#noteSilent(instance.origin);
      return { ...failed, blame: "nobody" };
    }
    log.info("instance adopted", { service, instance: instance.id });
    return { createMs: 0, readyMs: 0 };
  }

  /** Whether other cless use the instances too. */
  get isShared(): boolean {
    return this.#launcher.sharing !== undefined;
  }

  /** Whether this process decides when an instance sleeps and ends. */
  isOurs({ id }: Instance): boolean {
    return this.#launcher.sharing?.isOurs(id) ?? true;
  }

  /**
   * Whether the others agree to the end of an instance that has not been used here for `idleMs`. If not, notes how long
   * they have not used it, so that its idle time counts from their last request too.
   */
  async mayEnd(instance: Instance, idleMs: number): Promise<boolean> {
    try {
      await this.#launcher.sharing?.mayEnd(instance.id, idleMs);
      return true;
    } catch (error) {
      this.#noteUse(instance, error);
      log.debug("an instance stays", { instance: instance.id, reason: messageOf(error) });
      return false;
    }
  }

  /** Tells the others that an instance runs on, though they have agreed to its end. */
  runsOn({ id }: Instance): void {
    this.#launcher.sharing?.runsOn(id);
  }

  /**
   * The slots of an instance that this process holds, if other cless use the instance too and its requests are limited.
   */
  holdSlots({ id, revision }: Instance, user: SlotUser): HeldSlots | undefined {
    return revision.concurrency === 0 ? undefined : this.#launcher.sharing?.slots.hold(id, revision.concurrency, user);
  }

  /** Asks for slots for the waiting requests. Returns the event of the outcome. */
  async getSlots({ held, id }: Instance): Promise<PoolEvent> {
    return { type: "got slots", id, isShort: await this.#launcher.sharing!.slots.get(held!) };
  }

  /** Gives back slots that are due. Returns whether there were any. */
  giveBack(held: HeldSlots): boolean {
    return this.#launcher.sharing!.slots.giveBack(held);
  }

  /** Pauses an instance. Returns the event of the outcome. */
  async pause(instance: Instance): Promise<PoolEvent> {
    const paused = this.#pause(instance).finally(() => this.#pausing.delete(instance));
    this.#pausing.set(instance, paused);
    return await paused;
  }

  /**
   * Resumes a paused instance, and returns the event of the outcome. If a pause is still running, it waits for the end
   * of that pause. If that takes long and the app answers a probe, no resume is needed. While the engine does not
   * answer, it tries again until the start timeout.
   */
  async resume(instance: Instance, attempt: number): Promise<PoolEvent> {
    const { id, revision } = instance;
    const late = new AbortController();
    const cancel = this.#clock.after(revision.startTimeoutMs, () => late.abort(engineLate(instance, "resume")));
    const end = AbortSignal.any([instance.gone, late.signal]);
    try {
      const isUnpaused = await abortable(this.#resume(instance, end), end);
      return { type: isUnpaused ? "answers" : "resumed", id, attempt };
    } catch (error) {
      if (!instance.gone.aborted) log.warning("cannot resume an instance", { instance: id, reason: messageOf(error) });
      // A `ClessError` says that the engine was late: waiting requests get it.
      return { type: "resume failed", id, attempt, error: error instanceof ClessError ? error : undefined };
    } finally {
      cancel();
    }
  }

  /** Whether {@linkcode hibernate} may succeed now. */
  get canHibernate(): boolean {
    return this.#launcher.canHibernate;
  }

  /**
   * Moves the memory of a paused instance to disk. Returns the event of the outcome. A resume breaks it off.
   *
   * @param type The event if it succeeds.
   */
  async hibernate({ id }: Instance, attempt: number, type: "hibernated" | "reclaimed"): Promise<PoolEvent> {
    try {
      await this.#launcher.hibernate(id);
      return { type, id, attempt };
    } catch (error) {
      log.debug("an instance does not hibernate", { instance: id, reason: messageOf(error) });
      return { type: "hibernate failed", id };
    }
  }

  /** Resumes a container that somebody has paused. The engine's events report the outcome. */
  undoPause({ id }: Instance): void {
    this.#launcher.resume(id).catch(() => {});
  }

  /**
   * Removes an instance's container. If that fails, the reconciler tries again later. @param how See {@linkcode
   * StopHow}.
   */
  async stop(instance: Instance, how: StopHow): Promise<void> {
    await this.#clear(instance, this.#remove(instance, how));
  }

  /** The processor time that an instance's container has used so far, ns; `undefined` if unknown. */
  processorTime({ id }: Instance): Promise<number | undefined> {
    return this.#launcher.processorTime(id).catch(() => undefined);
  }

  /** The last lines that an instance's app has written; empty if they cannot be read. */
  written(instance: Instance): Promise<string> {
    const written = this.#written.get(instance) ?? this.#read(instance);
    this.#written.set(instance, written);
    return written;
  }

  /** Why a start failed, as operators are told it: the error with its reason and with the app's output. */
  async explain(error: ClessError): Promise<ClessError> {
    const { code, detail = error.message, message, retryAfterS } = error;
    const output = error.output ?? await this.#written.get(error) ?? "";
    const hint = retryAfterS === undefined ? {} : { retryAfterS };
    return new ClessError(code, message, { detail, output, ...hint, cause: error });
  }

  #read({ id }: Instance): Promise<string> {
    return this.#launcher.output(id, OUTPUT_LINES).catch(() => "");
  }

  /** Resolves when no removal of a container is running. */
  async settled(): Promise<void> {
    while (this.#clearing.size > 0) await Promise.all(this.#clearing);
  }

  async #untilReady(
    instance: Instance,
    timeoutMs: number,
    run: (signal: AbortSignal, away: (error: EngineAway) => void) => Promise<void>,
    what: "start failed" | "instance not adopted" = "start failed",
  ): Promise<Extract<Started, { error: ClessError }> | undefined> {
    const timeout = new AbortController();
    const { lag = NO_LAG } = this.asking;
    const stopWatching = lag.watch();
    const cancelTimeout = this.#afterLag(timeoutMs, lag, () => timeout.abort());
    const end = AbortSignal.any([instance.gone, timeout.signal]);
    let away: EngineAway | undefined;
    let runs = false;
    const running = run(end, (error) => away = error).then(() => void (runs = true));
    try {
      await abortable(running, end);
      const url = instance.origin + instance.revision.readinessPath;
      await this.asking.untilReady(url, this.#clock, end, (probed) => instance.probed = probed);
      instance.gone.throwIfAborted();
      return undefined;
    } catch (thrown) {
      if (thrown instanceof ServedByOther && !end.aborted) return this.#leaveTo(thrown, instance);
      let error = (thrown instanceof VolumeAway ? volumeAway : couldNotStart)(messageOf(thrown), thrown);
      if (timeout.signal.aborted) {
        error = runs ? await this.#appLate(instance.revision, timeoutMs, thrown) : engineLate(instance, "start", away);
      }
      error = endedEarly(instance) ?? error;
      const { cause } = error;
      const wasLate = lag.wasLate(this.#clock.now() - MORE_TIME_MS);
      const isUnsure = timeout.signal.aborted && (wasLate || (thrown instanceof NotReady && thrown.last === "unsure"));
      const blame = isUnsure && !instance.gone.aborted
        ? "machine"
        : cause instanceof EngineAway
        ? "engine"
        : cause instanceof ContainerGone
        ? "somebody"
        : "app";
      // Wait for `running`: a command that still runs would create the container again after its removal.
      const written = running.catch(() => {}).then(() => this.#read(instance));
      this.#written.set(instance, written).set(error, written);
      this.#clear(instance, this.#removeFailed(instance, what, written, error));
      return { error, blame };
    } finally {
      cancelTimeout();
      stopWatching();
    }
  }

  /** The container under an id that this process uses or is ending; `undefined` if there is none. */
  #known(id: string): KnownContainer | undefined {
    const { origin = "", state } = this.#fleet.get(id) ?? {};
    if (state === undefined) return undefined;
    return { origin, isEnding: isEnding(state) };
  }

  #noteSilent(origin: string): void {
    const now = this.#clock.now();
    for (const [origin, at] of this.#silent) if (at <= now - SILENT_MS) this.#silent.delete(origin);
    this.#silent.set(origin, now);
  }

  /** Ends the start of an instance for which nothing was created, since another one serves in its place. */
  #leaveTo(served: ServedByOther, instance: Instance): Extract<Started, { error: ClessError }> {
    const { container: servedBy, message } = served;
    log.info("another instance serves", { service: servedBy.service, instance: servedBy.id, insteadOf: instance.id });
    this.#clear(instance, Promise.resolve());
    return { error: couldNotStart(message, served), blame: "nobody", servedBy };
  }

  /** Calls back after `ms`. If cless itself lagged meanwhile, it calls back later, at most after twice that time. */
  #afterLag(ms: number, lag: Lag, callback: () => void): () => void {
    let sinceMs = this.#clock.now();
    let moreMs = ms;
    const end = () => {
      const stepMs = Math.min(moreMs, MORE_TIME_MS);
      if (stepMs <= 0 || !lag.wasLate(sinceMs)) return callback();
      moreMs -= stepMs;
      sinceMs = this.#clock.now();
      cancel = this.#clock.after(stepMs, end);
    };
    let cancel = this.#clock.after(ms, end);
    return () => cancel();
  }

  /** The error if the app was not ready in time. */
  async #appLate(revision: Revision, timeoutMs: number, error: unknown): Promise<ClessError> {
    const exposed = this.#launcher.exposedPorts(revision).catch(() => []);
    const ports = await within(exposed, this.#clock, EXPOSED_PORTS_MS) ?? [];
    const last = error instanceof NotReady ? error.last : "silent";
    const detail = notInTime({ ...revision, startTimeoutMs: timeoutMs }, last, ports);
    return new ClessError("start_timeout", NOT_IN_TIME, { detail });
  }

  async #removeFailed(
    instance: Instance,
    what: "start failed" | "instance not adopted",
    output: Promise<string>,
    { code, detail }: ClessError,
  ): Promise<void> {
    const { id, revision } = instance;
    const written = await output || undefined;
    const { service, name } = revision;
    const facts = { service, revision: name, instance: id, code, reason: detail, output: written };
    // Who started it may have ended it, and another one is started if it is needed: nobody has to do anything.
    if (what === "start failed") log.error(what, facts);
    else log.info(what, facts);
    await this.#launcher.remove(id);
  }

  async #remove(instance: Instance, how: StopHow): Promise<void> {
    const { id } = instance;
    if (how === "stop") return await this.#launcher.stop(id);
    if (how === "stop soon") return await this.#launcher.stop(id, HUNG_GRACE_S);
    if (how === "clear") await this.written(instance);
    await this.#launcher.remove(id);
  }

  async #clear(instance: Instance, removal: Promise<void>): Promise<void> {
    const { id } = instance;
    const cleared = removal
      .catch((error) => log.warning("cannot remove a container", { instance: id, reason: messageOf(error) }))
      .finally(() => {
        this.#fleet.delete(instance);
        this.#clearing.delete(cleared);
        instance.untilIdle().then(() => this.#launcher.forget(id)); // a request may still be on its way to the address
      });
    this.#clearing.add(cleared);
    await cleared;
  }

  async #pause(instance: Instance): Promise<PoolEvent> {
    const { id, revision } = instance;
    try {
      await this.#launcher.pause(id, revision.pauseAfterMs);
      return { type: "paused", id };
    } catch (error) {
      this.#noteUse(instance, error);
      if (error instanceof NotNow) {
        return { type: "pause failed", id, runs: true, isUsedElsewhere: error.idleMs !== undefined };
      }
      log.warning("cannot pause an instance", { instance: id, reason: messageOf(error) });
      // The container may be paused all the same, so resume it. If the engine answers neither call, the container most
      // likely still runs.
      const runs = await this.#launcher.resume(id).then(() => true, (error) => error instanceof EngineAway);
      return { type: "pause failed", id, runs };
    }
  }

  /** Notes the last use of an instance by another cless. */
  #noteUse(instance: Instance, error: unknown): void {
    if (!(error instanceof NotNow) || error.idleMs === undefined) return;
    instance.idleSince = Math.max(instance.idleSince, this.#clock.now() - error.idleMs);
  }

  /**
   * Resumes an instance that must run. Returns true if no resume was needed: the pause is still running, and the app
   * answers.
   */
  async #resume(instance: Instance, end: AbortSignal): Promise<boolean> {
    const pausing = this.#pausing.get(instance);
    if (pausing !== undefined) this.#launcher.sharing?.usesAgain(instance.id);
    if (pausing !== undefined && await this.#answersUnpaused(instance, pausing, end)) return true;
    // A draining instance must run so that its requests in flight can end.
    const isWanted = isAsleep(instance.state) || (instance.state === "draining" && instance.inFlight > 0);
    if (isWanted && !end.aborted) await this.#whenEngineAnswers(() => this.#launcher.resume(instance.id), end);
    return false;
  }

  /** Waits for a running pause. Returns true if that takes long and the app answers a probe. */
  async #answersUnpaused(instance: Instance, pausing: Promise<unknown>, end: AbortSignal): Promise<boolean> {
    const isOver = () => this.#pausing.get(instance) !== pausing || instance.state !== "paused" || end.aborted;
    while (!isOver()) {
      await atMost(pausing, this.#clock, PAUSE_WAIT_MS);
      if (isOver()) break;
      const { origin, revision: { readinessPath } } = instance;
      const probed = await askWithin(this.asking.ask, origin + readinessPath, this.#clock, PAUSE_WAIT_MS);
      if (!isWell(probed) || isOver()) continue;
      log.warning("the engine does not pause an instance, which keeps running", { instance: instance.id });
      return true;
    }
    return false;
  }

  /**
   * Repeats a call to the engine while the engine does not answer. @param end Aborting it rejects with the last error.
   */
  async #whenEngineAnswers<T>(
    call: (again: boolean) => Promise<T>,
    end: AbortSignal,
    away?: (error: EngineAway) => void,
  ): Promise<T> {
    for (let waitMs = FIRST_RETRY_MS, again = false;; waitMs = Math.min(MAX_RETRY_MS, waitMs * 2), again = true) {
      try {
        return await call(again);
      } catch (error) {
        if (!(error instanceof EngineAway) || end.aborted) throw error;
        away?.(error);
        const isLost = error instanceof VolumeAway && error.isLost;
        await delay(this.#clock, isLost ? LOST_MS : waitMs, end);
        if (isLost || end.aborted) throw error;
      }
    }
  }
}

/** The error if the engine, not the app, took too long. @param away The last error, if the engine did not answer. */
function engineLate({ revision }: Instance, what: "start" | "resume", away?: EngineAway): ClessError {
  if (away instanceof VolumeAway) return volumeAway(messageOf(away), away);
  const detail = away === undefined
    ? `the engine did not ${what} the container within ${formatDuration(revision.startTimeoutMs)}`
    : `the engine does not answer: ${messageOf(away)}`;
  return new ClessError("start_timeout", NOT_IN_TIME, { detail, cause: away ?? new EngineAway(detail) });
}

/** The error if the container ended before its app was ready. */
function endedEarly({ byHand, exitCode, gone, oom, revision }: Instance): ClessError | undefined {
  if (oom) return couldNotStart(outOfMemory(revision.memoryBytes));
  if (!gone.aborted) return undefined;
  const how = exitCode === undefined ? "" : ` with code ${exitCode}`;
  const detail = `the container ended${how} before it was ready`;
  return couldNotStart(detail, byHand ? new ContainerGone(detail) : undefined);
}
