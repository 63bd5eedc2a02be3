import { type Clock, systemClock } from "../base/clock.ts";
import { type ExecCommand, ExecError, type ExecProcess } from "../control/exec/process.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Revision } from "../model/revision.ts";
import { type Container, ContainerGone, EngineAway, type Launch, type Launcher, type Usage } from "../pool/launcher.ts";
import { carryEnv, redactError } from "./container_env.ts";
import { ContainerUsage, processorTime } from "./container_usage.ts";
import { environmentOf } from "./container_spec.ts";
import type { EngineApi, ListedContainer } from "./engine_api.ts";
import { kindOf } from "./engine_error.ts";
import type { Freezer } from "./freezer/freezer.ts";
import type { Hibernator } from "./freezer/hibernator.ts";
import type { ImageSource } from "./images/image_source.ts";
import type { ContainerOutputs } from "./logs/outputs.ts";
import type { Addresses, AddressPosition } from "./network/addresses.ts";
import { VolumeAccess } from "./volume_access.ts";

const log = logger("launcher");
/** An app that is asked to end gets this long. */
const STOP_GRACE_S = 10;
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_PLACEMENTS = 8;
const MAX_REMOVALS = 3;

/** Starts, pauses, stops and removes the containers of one owner. */
export class DockerLauncher implements Launcher {
  /** The apps' output, kept for a while after their containers are removed. */
  readonly outputs: ContainerOutputs;
  /** Which volumes apps cannot write to. */
  readonly volumeAccess: VolumeAccess;
  readonly #api: EngineApi;
  readonly #images: ImageSource;
  readonly #addresses: Addresses;
  readonly #usage: ContainerUsage;
  readonly #freezer: Freezer;
  readonly #hibernator: Hibernator;
  #graceS = STOP_GRACE_S;
  /** For each starting container, a function that its start event calls. */
  readonly #starting = new Map<string, () => void>();
  readonly #making = new Set<Promise<unknown>>();
  /** The pauses that are running. */
  readonly #pausing = new Set<Promise<unknown>>();

  constructor(
    api: EngineApi,
    images: ImageSource,
    addresses: Addresses,
    outputs: ContainerOutputs,
    freezer: Freezer,
    hibernator: Hibernator,
    clock: Clock = systemClock,
  ) {
    this.#freezer = freezer;
    this.#hibernator = hibernator;
    this.#api = api;
    this.#images = images;
    this.#addresses = addresses;
    this.#usage = new ContainerUsage(api, addresses.network.owner);
    this.outputs = outputs;
    this.volumeAccess = new VolumeAccess(api, clock);
  }

  /** Does in advance what the first start would have to wait for, and begins what the first pause needs. */
  async prepare(): Promise<void> {
    this.#freezer.prepare();
    await this.#addresses.prepare();
  }

  /** The next address and port to give out. */
  get position(): AddressPosition {
    return this.#addresses.position;
  }

  /** Begins with the next address and port of another process. */
  continueFrom(position: AddressPosition): void {
    this.#addresses.continueFrom(position);
  }

  async launch({ id, revision }: Launch): Promise<{ origin: string }> {
    try {
      carryEnv(environmentOf(revision)); // fails before anything is created
      const origin = await this.#run(id, revision);
      // From now on, events report what happens to the container.
      this.outputs.started(id, { service: revision.service, revision: revision.name });
      this.volumeAccess.check(id, revision);
      return { origin };
    } catch (error) {
      throw forPool(redactError(error, revision));
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Notes a start event. It comes some milliseconds before the engine's answer to the start request. */
  started(id: string, engineId: string): void {
    this.#freezer.started(id, engineId);
    this.#starting.get(id)?.();
    this.#starting.delete(id);
  }

  /**
   * Whether {@linkcode launch} is still running for a container. Until that call ends, the container's events do not
   * count.
   */
  isLaunching(id: string): boolean {
    return this.#starting.has(id);
  }

  /** Resolves when no request to create a container is running. */
  async settled(): Promise<void> {
    while (this.#making.size > 0) await Promise.all(this.#making);
  }

  async pause(id: string): Promise<void> {
    const pausing = this.#pause(id);
    const ended: Promise<unknown> = pausing.catch(() => {}).finally(() => this.#pausing.delete(ended));
    this.#pausing.add(ended);
    await pausing;
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

  async stop(id: string, graceS = Infinity): Promise<void> {
    await this.#freezer.thaw(id); // so that the app can end by itself
    // If it cannot be stopped, it is removed all the same.
    await this.#api.stop(id, Math.min(graceS, this.#graceS)).catch(() => {});
    await this.remove(id);
  }

  async remove(id: string): Promise<void> {
    // A frozen app can still end by itself, which one that the engine has paused cannot.
    if (await this.#freezer.thaw(id)) await this.#api.stop(id, this.#graceS).catch(() => {});
    await Promise.all([this.outputs.retain(id), this.volumeAccess.settled(id)]);
    await this.#remove(id);
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
    const container = (await this.#ownContainers()).find((container) => container.id === id);
    return container && await processorTime(this.#api, container.engineId);
  }

  forget(id: string): void {
    this.outputs.forget(id);
    this.#addresses.free(id);
    this.#freezer.forget(id);
  }

  output(id: string, lines: number): Promise<string> {
    return this.outputs.lastLines(id, lines);
  }

  exposedPorts({ imageId }: Pick<Revision, "imageId">): Promise<readonly number[]> {
    return this.#images.exposedPorts(imageId);
  }

  async list(): Promise<Container[]> {
    const direct = await this.#addresses.reachesDirectly();
    const placed = this.#addresses.ids();
    const containers = await this.#ownContainers();
    await this.#findFrozen(containers);
    return containers.map(({ address, id, imageId, origin, revision, service, state, upFor }) => {
      // An ended container holds no address. A container in `placed` had an address before the list was requested, and
      // may have given it back since.
      if (state !== "ended" && !placed.has(id) && this.#addresses.found(id, address, origin)) {
        this.outputs.started(id, { service, revision });
      }
      const published = origin.startsWith("http://127.0.0.1:");
      // A container cannot be used if the host reaches containers in another way than when it was started, or if an
      // earlier process has frozen it, and this one cannot thaw it.
      const reachable = origin !== "" && published !== direct && !this.#freezer.isStuck(id);
      const seen = state === "running" && this.#freezer.isFrozen(id) ? "paused" : state;
      return { id, service, revision, imageId, state: seen, upFor, origin: reachable ? origin : undefined };
    });
  }

  async #pause(id: string): Promise<void> {
    if (!await this.#freezer.freeze(id)) await this.#ask(() => this.#api.pause(id));
  }

  /** Creates and starts a container. Tries other addresses if one is taken, and restores a missing image or network. */
  async #run(id: string, revision: Revision): Promise<string> {
    let restored = false;
    let asked = false;
    for (let placements = 1;; placements++) {
      this.outputs.forget(id);
      const placement = await this.#addresses.take(id, revision.port);
      try {
        await this.#untilStarted(id, this.#api.run(revision, placement));
        return placement.origin;
      } catch (error) {
        this.#starting.set(id, () => {}); // the failed container's events do not concern the instance
        const kind = kindOf(error);
        if (kind === "no_such_image" && !restored) {
          await this.#images.restore(revision);
          restored = true;
          continue;
        }
        if (kind === "no_such_network") this.#addresses.network.lost();
        const again = kind === "no_such_network" || kind === "address_taken" ||
          // If only the engine's answer was lost, the container may exist now or soon.
          (kind === "away" && !asked && (asked = true) && await this.#answers()) ||
          (kind === "conflict" && (await this.#ownContainers()).some((container) => container.id === id));
        if (!again || placements >= MAX_PLACEMENTS) throw error;
        const reason = messageOf(error);
        log.warning("cannot start a container there; trying again", { instance: id, origin: placement.origin, reason });
        await this.#remove(id); // it may have been created
      }
    }
  }

  /** Waits for the answer to the start request or for the start event, whichever comes first. */
  async #untilStarted(id: string, running: Promise<void>): Promise<void> {
    const started = new Promise<void>((resolve) => this.#starting.set(id, resolve));
    const ended: Promise<unknown> = running.catch(() => {}).finally(() => this.#making.delete(ended));
    this.#making.add(ended);
    await Promise.race([running, started]);
  }

  #answers(): Promise<boolean> {
    return this.#api.version({ timeoutMs: ANSWER_TIMEOUT_MS }).then(() => true, () => false);
  }

  /** Finds out which of the containers that the engine believes to run are frozen. */
  async #findFrozen(containers: readonly ListedContainer[]): Promise<void> {
    const running = new Map<string, string>();
    for (const { engineId, id, state } of containers) {
      if (state === "running") running.set(id, engineId);
      else if (state === "paused") this.#freezer.leave(id, engineId);
    }
    await this.#freezer.found(running);
  }

  #ownContainers(): Promise<ListedContainer[]> {
    return this.#api.containers({ owner: this.#addresses.network.owner });
  }

  /** Sends a request. It does not fail if the container is already in the wanted state. */
  async #ask(ask: () => Promise<void>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      if (kindOf(error) !== "already") throw forPool(error);
    }
  }

  async #remove(id: string): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#ask(() => this.#api.remove(id));
      } catch (error) {
        if (error instanceof ContainerGone) return;
        if (tries >= MAX_REMOVALS) throw error;
      }
    }
  }
}

/** Converts an engine's error for the pool. */
function forPool(error: unknown): unknown {
  const kind = kindOf(error);
  if (kind === "away") return new EngineAway(messageOf(error), { cause: error });
  return kind === "gone" ? new ContainerGone(messageOf(error), { cause: error }) : error;
}
