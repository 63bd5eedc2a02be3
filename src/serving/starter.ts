import { ClessError, messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import type { Clock } from "./clock.ts";
import type { Instance } from "./instance.ts";
import type { Launcher } from "./launcher.ts";

const log = logger("starter");
const OUTPUT_LINES = 20;

/** What a {@linkcode Starter} works with. */
export interface StarterParts {
  readonly launcher: Launcher;
  readonly clock: Clock;
  /** Waits until the app at a URL answers; rejects with the signal's reason. */
  readonly untilReady: (url: string, clock: Clock, signal: AbortSignal) => Promise<void>;
}

/** Brings an instance from nothing to its first good answer, and clears away what did not get that far. */
export class Starter {
  readonly #parts: StarterParts;
  readonly #cleaning = new Set<Promise<void>>();

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  /**
   * Starts the container of an instance and waits until the app in it answers; the instance is ready then.
   *
   * @throws {ClessError} `start_failed` when the engine refuses or the container ends, `start_timeout` when the app
   * does not answer within the revision's `startTimeout`. The container is removed in the background.
   */
  async start(instance: Instance): Promise<void> {
    const { launcher, clock, untilReady } = this.#parts;
    const { revision } = instance;
    const began = clock.now();
    const timeout = new AbortController();
    const cancelTimeout = clock.after(revision.startTimeout, () => timeout.abort());
    const end = AbortSignal.any([instance.gone, timeout.signal]);
    const launched = launcher.launch({ id: instance.id, revision });
    try {
      const { origin } = await unlessAborted(launched, end);
      instance.origin = origin;
      const created = clock.now();
      await untilReady(origin + revision.readinessPath, clock, end);
      instance.become("ready");
      instance.coldStartMs = Math.round(clock.now() - began);
      log.info("instance ready", {
        service: revision.service,
        revision: revision.name,
        instance: instance.id,
        createMs: Math.round(created - began),
        readyMs: Math.round(clock.now() - created),
        totalMs: instance.coldStartMs,
      });
    } catch (error) {
      const failure = explain(instance, timeout.signal, error);
      instance.end("failed");
      this.clean(this.#clearAway(instance, launched, failure));
      throw failure;
    } finally {
      cancelTimeout();
    }
  }

  /** Waits until an instance that was found running, or was thought to run, answers. */
  async confirm(instance: Instance): Promise<void> {
    const { clock, untilReady } = this.#parts;
    const timeout = new AbortController();
    const cancelTimeout = clock.after(instance.revision.startTimeout, () => timeout.abort());
    try {
      const end = AbortSignal.any([instance.gone, timeout.signal]);
      await untilReady(instance.origin + instance.revision.readinessPath, clock, end);
      instance.become("ready");
      log.info("instance adopted", { service: instance.revision.service, instance: instance.id });
    } catch (error) {
      const failure = explain(instance, timeout.signal, error);
      instance.end("failed");
      this.clean(this.#clearAway(instance, Promise.resolve(), failure));
      throw failure;
    } finally {
      cancelTimeout();
    }
  }

  /** Has work done in the background that {@linkcode settled} waits for; its failure is logged. */
  clean(work: Promise<void>): void {
    const done = work.catch((error) => log.warning("cannot clear away a container", { reason: messageOf(error) }))
      .finally(() => this.#cleaning.delete(done));
    this.#cleaning.add(done);
  }

  /** Resolves when nothing is being cleared away any more. */
  async settled(): Promise<void> {
    while (this.#cleaning.size > 0) await Promise.all(this.#cleaning);
  }

  async #clearAway(instance: Instance, launched: Promise<unknown>, failure: ClessError): Promise<void> {
    const { launcher } = this.#parts;
    await launched.catch(() => {}); // a command that still runs would make the container after its removal
    const output = await launcher.output(instance.id, OUTPUT_LINES).catch(() => "");
    log.error("start failed", {
      service: instance.revision.service,
      revision: instance.revision.name,
      instance: instance.id,
      code: failure.code,
      reason: failure.detail,
      output: output || undefined,
    });
    await launcher.remove(instance.id);
  }
}

function explain(instance: Instance, timeout: AbortSignal, error: unknown): ClessError {
  if (instance.gone.aborted) {
    const how = instance.exitCode === undefined ? "" : ` with code ${instance.exitCode}`;
    const detail = `the container ended${how} before it was ready`;
    return new ClessError("start_failed", "The service could not be started", { detail });
  }
  if (timeout.aborted) {
    const { port, startTimeout } = instance.revision;
    const detail = `no answer on port ${port} within ${startTimeout} ms`;
    return new ClessError("start_timeout", "The service did not become ready in time", { detail });
  }
  return new ClessError("start_failed", "The service could not be started", { detail: messageOf(error), cause: error });
}

/** The promise's outcome, or the signal's reason once it is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
