import { abortable } from "@std/async/abortable";
import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { formatMemory } from "../model/memory.ts";
import type { Clock } from "../base/clock.ts";
import { whenEngineAnswers } from "./engine_patience.ts";
import type { Instance } from "./instance.ts";
import { ContainerGone, type EngineAway, type Launcher } from "./launcher.ts";
import { engineLate, NOT_IN_TIME, notInTime } from "./not_in_time.ts";
import { NotReady } from "./readiness.ts";

const log = logger("starter");
const OUTPUT_LINES = 20;
/** How long an app that was found running may take to answer at least, ms: it may have been busy with a request. */
const ADOPTION_MS = 5000;
const COULD_NOT_START = "The service could not be started; the log of cless says why";

/** What a {@linkcode Starter} works with. */
export interface StarterParts {
  readonly launcher: Launcher;
  readonly clock: Clock;
  /** Waits until the app at a URL answers; rejects with the signal's reason. */
  readonly untilReady: (url: string, clock: Clock, signal: AbortSignal) => Promise<void>;
  /** Is told of every instance whose container is gone. */
  readonly forget: (instance: Instance) => void;
  /** Is told of every start that ended well: how long the container took, and then the app, ms. */
  readonly started?: (service: string, createMs: number, readyMs: number) => void;
}

/** Brings an instance from nothing to its first good answer, and clears away what has ended. */
export class Starter {
  readonly #parts: StarterParts;
  readonly #clearing = new Set<Promise<void>>();
  /** What an app wrote before its start failed. */
  readonly #outputs = new WeakMap<ClessError, Promise<string>>();

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  /**
   * Starts the container of an instance and waits until the app in it answers; the instance is ready then.
   *
   * @throws {ClessError} `start_failed` when the engine refuses or the container ends, `start_timeout` when the app
   * does not answer within the revision's `startTimeout`, or the engine is away or hangs for so long; then the error's
   * cause is {@linkcode EngineAway}, and {@linkcode ContainerGone} where somebody may have ended it. It is removed in the
   * background.
   */
  async start(instance: Instance): Promise<void> {
    const { launcher, clock, started } = this.#parts;
    const { id, revision } = instance;
    const began = clock.now();
    let created = began;
    await this.#untilReady(instance, async (signal, away) => {
      const { origin } = await whenEngineAnswers(async (again) => {
        if (again) await launcher.remove(id); // it may have been made by an engine that went away then
        return await launcher.launch({ id, revision });
      }, { clock, signal, away });
      instance.origin = origin;
      created = clock.now();
    });
    const ready = clock.now();
    instance.coldStartMs = Math.round(ready - began);
    started?.(revision.service, created - began, ready - created);
    log.info("instance ready", {
      service: revision.service,
      revision: revision.name,
      instance: id,
      createMs: Math.round(created - began),
      readyMs: Math.round(ready - created),
      totalMs: instance.coldStartMs,
    });
  }

  /**
   * Waits until the app of an instance that was found running answers; the instance is ready then.
   *
   * @param upFor For how long it has been running: a start that was on its way has what is left of its time, and one that
   * must have been ready long ago a few seconds.
   * @throws {ClessError} As {@linkcode Starter.start} does.
   */
  async adopt(instance: Instance, upFor = 0): Promise<void> {
    const { startTimeout } = instance.revision;
    const patience = Math.max(Math.min(ADOPTION_MS, startTimeout), startTimeout - upFor);
    await this.#untilReady(instance, () => Promise.resolve(), patience);
    log.info("instance adopted", { service: instance.revision.service, instance: instance.id });
  }

  /**
   * Removes the container of an instance that has ended, in the background, and then forgets the instance. A failure is
   * logged: the reconciler will find a container that belongs to no instance.
   */
  clear(instance: Instance, removal: Promise<void>): void {
    const cleared = removal
      .catch((error) => log.warning("cannot remove a container", { instance: instance.id, reason: messageOf(error) }))
      .finally(() => {
        this.#parts.forget(instance);
        this.#clearing.delete(cleared);
      });
    this.#clearing.add(cleared);
  }

  /** The last lines that an app wrote before its start failed; for the error that the start rejected with. */
  async outputOf(failure: ClessError): Promise<string> {
    return await this.#outputs.get(failure) ?? "";
  }

  /** The last lines that the app of an instance has written; none where they cannot be had. */
  async written({ id }: Instance): Promise<string> {
    return await this.#parts.launcher.output(id, OUTPUT_LINES).catch(() => "");
  }

  /** Resolves when nothing is being cleared away any more. */
  async settled(): Promise<void> {
    while (this.#clearing.size > 0) await Promise.all(this.#clearing);
  }

  async #untilReady(
    instance: Instance,
    run: (signal: AbortSignal, away: (error: EngineAway) => void) => Promise<void>,
    patience = instance.revision.startTimeout,
  ): Promise<void> {
    const { clock, untilReady } = this.#parts;
    const { readinessPath } = instance.revision;
    const timeout = new AbortController();
    const cancelTimeout = clock.after(patience, () => timeout.abort());
    const end = AbortSignal.any([instance.gone, timeout.signal]);
    let away: EngineAway | undefined;
    let runs = false;
    const running = run(end, (error) => away = error).then(() => void (runs = true));
    try {
      await abortable(running, end);
      await untilReady(instance.origin + readinessPath, clock, end);
      instance.become("ready");
    } catch (error) {
      const failure = explain(instance, { late: timeout.signal.aborted, patience, runs, away, error });
      instance.failure = failure.detail;
      instance.end("failed");
      const output = this.#lastOutput(instance, running);
      this.#outputs.set(failure, output);
      this.clear(instance, this.#clearAway(instance, output, failure));
      throw failure;
    } finally {
      cancelTimeout();
    }
  }

  async #lastOutput(instance: Instance, running: Promise<void>): Promise<string> {
    await running.catch(() => {}); // a command that still runs would make the container after its removal
    return await this.written(instance);
  }

  async #clearAway(instance: Instance, lastOutput: Promise<string>, failure: ClessError): Promise<void> {
    const output = await lastOutput;
    log.error("start failed", {
      service: instance.revision.service,
      revision: instance.revision.name,
      instance: instance.id,
      code: failure.code,
      reason: failure.detail,
      output: output || undefined,
    });
    await this.#parts.launcher.remove(instance.id);
  }
}

/** What is said of a container that was killed for memory. @param limit In bytes. */
export function outOfMemory(limit: number | undefined): string {
  return limit === undefined ? "out of memory" : `out of memory, limit ${formatMemory(limit)}`;
}

function explain(
  instance: Instance,
  { late, patience, runs, away, error }: {
    late: boolean;
    patience: number;
    runs: boolean;
    away: EngineAway | undefined;
    error: unknown;
  },
): ClessError {
  if (instance.oom) {
    return new ClessError("start_failed", COULD_NOT_START, { detail: outOfMemory(instance.revision.memory) });
  }
  if (instance.gone.aborted) {
    const how = instance.exitCode === undefined ? "" : ` with code ${instance.exitCode}`;
    const detail = `the container ended${how} before it was ready`;
    const cause = instance.byHand ? new ContainerGone(detail) : undefined;
    return new ClessError("start_failed", COULD_NOT_START, { detail, cause });
  }
  if (late && !runs && away !== undefined) {
    const detail = `the engine does not answer: ${messageOf(away)}`;
    return new ClessError("start_timeout", NOT_IN_TIME, { detail, cause: away });
  }
  if (late && !runs) return engineLate(instance.revision, "start");
  if (late) {
    const last = error instanceof NotReady ? error.last : "silent";
    const detail = notInTime({ ...instance.revision, startTimeout: patience }, last);
    return new ClessError("start_timeout", NOT_IN_TIME, { detail });
  }
  return new ClessError("start_failed", COULD_NOT_START, { detail: messageOf(error), cause: error });
}
