import type { Clock } from "../base/clock.ts";
import { type ExecCommand, ExecError, type ExecProcess } from "../control/exec/process.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { ContainerGone, EngineAway, type Usage } from "../pool/launcher.ts";
import { ContainerUsage, processorTime } from "./container_usage.ts";
import type { EngineApi, ListedContainer } from "./engine_api.ts";
import { kindOf } from "./engine_error.ts";
import type { Freezer } from "./freezer/freezer.ts";
import type { Hibernator } from "./freezer/hibernator.ts";
import type { ContainerOutputs } from "./logs/outputs.ts";
import { VolumeAccess } from "./volume_access.ts";

const log = logger("launcher");
/** An app that is asked to end gets this long. */
export const STOP_GRACE_S = 10;
const MAX_REMOVALS = 3;

/** What is done on this machine with the containers of one owner, however they were started. */
export class OwnContainers {
  /** The apps' output, kept for a while after their containers are removed. */
  readonly outputs: ContainerOutputs;
  /** Which volumes apps cannot write to. */
  readonly volumeAccess: VolumeAccess;
  readonly #api: EngineApi;
  readonly #owner: string;
  readonly #usage: ContainerUsage;
  readonly #freezer: Freezer;
  readonly #hibernator: Hibernator;
  /** The pauses that are running. */
  readonly #pausing = new Set<Promise<unknown>>();
  #graceS = STOP_GRACE_S;

  constructor(
    api: EngineApi,
    owner: string,
    { freezer, hibernator, outputs }: {
      readonly outputs: ContainerOutputs;
      readonly freezer: Freezer;
      readonly hibernator: Hibernator;
    },
    clock: Clock,
  ) {
    this.#api = api;
    this.#owner = owner;
    this.#freezer = freezer;
    this.#hibernator = hibernator;
    this.#usage = new ContainerUsage(api, owner);
    this.outputs = outputs;
    this.volumeAccess = new VolumeAccess(api, clock);
  }

  /** Begins what the first pause needs. */
  prepare(): void {
    this.#freezer.prepare();
  }

  /** Notes that a container has started. */
  started(id: string, engineId: string): void {
    this.#freezer.started(id, engineId);
  }

  async pause(id: string): Promise<void> {
    const pausing = this.#pause(id);
    const ended: Promise<unknown> = pausing.catch(() => {}).finally(() => this.#pausing.delete(ended));
    this.#pausing.add(ended);
    await pausing;
  }

  /** Resolves when no pause is running. */
  async endPauses(): Promise<void> {
    await Promise.all(this.#pausing);
  }

  async resume(id: string): Promise<void> {
    if (await this.#freezer.thaw(id)) return;
    if (this.#freezer.isFrozen(id)) throw new Error("the container is frozen, and no helper thaws it");
    await this.#ask(() => this.#api.unpause(id));
  }

  get canHibernate(): boolean {
    return this.#hibernator.problem === undefined;
  }

  get swapTotalBytes(): number {
    return this.#hibernator.swapTotalBytes;
  }

  hibernate(id: string): Promise<void> {
    return this.#hibernator.hibernate(id, this.#usage);
  }

  /** Lets a frozen container run, so that it can take a signal. Resolves with false if it was not frozen. */
  signalled(id: string): Promise<boolean> {
    return this.#freezer.signalled(id);
  }

  /** The ids of the containers that are frozen without the engine's knowledge. */
  get frozen(): readonly string[] {
    return this.#freezer.frozen;
  }

  /** Called when the engine has paused a container. From now on, only the engine can resume it. */
  pausedByEngine(id: string, engineId: string): void {
    this.#freezer.leave(id, engineId);
  }

  /** Called when the engine has resumed a container. */
  resumedByEngine(id: string): void {
    this.#freezer.resumedByEngine(id);
  }

  /**
   * Lets the engine pause what is frozen, so that any later process can resume it. The engine cannot pause a frozen
   * container, so each one runs for a moment.
   */
  async handOver(): Promise<void> {
    this.#freezer.stopFreezing();
    await Promise.all(this.#pausing); // one that has begun may still freeze its container
    await Promise.all(this.#freezer.frozen.map(async (id) => {
      if (!await this.#freezer.thaw(id)) return;
      await this.#ask(() => this.#api.pause(id))
        .catch((error) => log.warning("cannot pause a container", { instance: id, reason: messageOf(error) }));
    }));
  }

  /** Limits the grace time of all later stops to the time left, but to no less than a second. */
  hurry(leftMs: number): void {
    this.#graceS = Math.max(1, Math.min(STOP_GRACE_S, Math.floor(leftMs / 1000)));
  }

  /** @param container Its id for the engine, if another one may get the same name meanwhile. */
  async stop(id: string, graceS = Infinity, container = id): Promise<void> {
    await this.#freezer.thaw(id); // so that the app can end by itself
    // If it cannot be stopped, it is removed all the same.
    await this.#api.stop(container, Math.min(graceS, this.#graceS)).catch(() => {});
    await this.remove(id, container);
  }

  /** @param container See {@linkcode stop}. */
  async remove(id: string, container = id): Promise<void> {
    // A frozen app can still end by itself, which one that the engine has paused cannot.
    if (await this.#freezer.thaw(id)) await this.#api.stop(container, this.#graceS).catch(() => {});
    await Promise.all([this.outputs.retain(id), this.volumeAccess.settled(id)]);
    await this.discard(container);
  }

  /** Runs a command in a running container. @throws {ExecError} @throws The signal's reason. */
  async exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess> {
    try {
      return await this.#api.exec(id, command, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new ExecError(`the command cannot be run: ${messageOf(error)}`, { cause: error });
    }
  }

  usage(): Promise<ReadonlyMap<string, Usage>> {
    return this.#usage.read();
  }

  async processorTime(id: string): Promise<number | undefined> {
    const container = (await this.all()).find((container) => container.id === id);
    return container && await processorTime(this.#api, container.engineId);
  }

  /** Forgets a container that is gone. */
  forget(id: string): void {
    this.outputs.forget(id);
    this.#freezer.forget(id);
  }

  output(id: string, lines: number): Promise<string> {
    return this.outputs.lastLines(id, lines);
  }

  /** All containers of the owner, as the engine lists them; ended ones too. */
  all(): Promise<ListedContainer[]> {
    return this.#api.containers({ owner: this.#owner });
  }

  /** Finds out which of the containers that the engine believes to run are frozen. */
  async findFrozen(containers: readonly ListedContainer[]): Promise<void> {
    const running = new Map<string, string>();
    for (const { engineId, id, state } of containers) {
      if (state === "running") running.set(id, engineId);
      else if (state === "paused") this.#freezer.leave(id, engineId);
    }
    await this.#freezer.found(running);
  }

  /** Whether a container is frozen without the engine's knowledge. */
  isFrozen(id: string): boolean {
    return this.#freezer.isFrozen(id);
  }

  /** Whether a container is frozen, and there is no helper to thaw it. */
  isStuck(id: string): boolean {
    return this.#freezer.isStuck(id);
  }

  /** Removes a container without a word to its app. Does nothing if it is gone. */
  async discard(id: string): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#ask(() => this.#api.remove(id));
      } catch (error) {
        if (error instanceof ContainerGone) return;
        if (tries >= MAX_REMOVALS) throw error;
      }
    }
  }

  async #pause(id: string): Promise<void> {
    if (!await this.#freezer.freeze(id)) await this.#ask(() => this.#api.pause(id));
  }

  /** Sends a request. It does not fail if the container is already in the wanted state. */
  async #ask(ask: () => Promise<void>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      if (kindOf(error) !== "already") throw forPool(error);
    }
  }
}

/** Converts an engine's error for the pool. */
export function forPool(error: unknown): unknown {
  const kind = kindOf(error);
  if (kind === "away") return new EngineAway(messageOf(error), { cause: error });
  return kind === "gone" ? new ContainerGone(messageOf(error), { cause: error }) : error;
}
