import { type Clock, systemClock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Revision } from "../model/revision.ts";
import type { Container, Launch, Launcher } from "../pool/launcher.ts";
import { carryEnv, redactError } from "./container_env.ts";
import { environmentOf } from "./container_spec.ts";
import type { EngineApi } from "./engine_api.ts";
import { kindOf } from "./engine_error.ts";
import type { Freezer } from "./freezer/freezer.ts";
import type { Hibernator } from "./freezer/hibernator.ts";
import type { ImageSource } from "./images/image_source.ts";
import type { ContainerOutputs } from "./logs/outputs.ts";
import type { Addresses, AddressPosition } from "./network/addresses.ts";
import { forPool, OwnContainers } from "./own_containers.ts";

const log = logger("launcher");
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_PLACEMENTS = 8;

/** Starts, pauses, stops and removes the containers of one owner. */
export class DockerLauncher extends OwnContainers implements Launcher {
  readonly #api: EngineApi;
  readonly #images: ImageSource;
  readonly #addresses: Addresses;
  /** For each starting container, a function that its start event calls. */
  readonly #starting = new Map<string, () => void>();
  readonly #making = new Set<Promise<unknown>>();

  constructor(
    api: EngineApi,
    images: ImageSource,
    addresses: Addresses,
    outputs: ContainerOutputs,
    freezer: Freezer,
    hibernator: Hibernator,
    clock: Clock = systemClock,
  ) {
    super(api, addresses.network.owner, { outputs, freezer, hibernator }, clock);
    this.#api = api;
    this.#images = images;
    this.#addresses = addresses;
  }

  /** Does in advance what the first start would have to wait for, and begins what the first pause needs. */
  override async prepare(): Promise<void> {
    super.prepare();
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
  override started(id: string, engineId: string): void {
    super.started(id, engineId);
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

  override forget(id: string): void {
    super.forget(id);
    this.#addresses.free(id);
  }

  exposedPorts({ imageId }: Pick<Revision, "imageId">): Promise<readonly number[]> {
    return this.#images.exposedPorts(imageId);
  }

  async list(): Promise<Container[]> {
    const direct = await this.#addresses.reachesDirectly();
    const placed = this.#addresses.ids();
    const containers = await this.all();
    await this.findFrozen(containers);
    return containers.map(({ address, id, imageId, origin, revision, service, state, upFor }) => {
      // An ended container holds no address. A container in `placed` had an address before the list was requested, and
      // may have given it back since.
      if (state !== "ended" && !placed.has(id) && this.#addresses.found(id, address, origin)) {
        this.outputs.started(id, { service, revision });
      }
      const published = origin.startsWith("http://127.0.0.1:");
      // A container cannot be used if the host reaches containers in another way than when it was started, or if an
      // earlier process has frozen it, and this one cannot thaw it.
      const reachable = origin !== "" && published !== direct && !this.isStuck(id);
      const seen = state === "running" && this.isFrozen(id) ? "paused" : state;
      return { id, service, revision, imageId, state: seen, upFor, origin: reachable ? origin : undefined };
    });
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
          (kind === "conflict" && (await this.all()).some((container) => container.id === id));
        if (!again || placements >= MAX_PLACEMENTS) throw error;
        const reason = messageOf(error);
        log.warning("cannot start a container there; trying again", { instance: id, origin: placement.origin, reason });
        await this.discard(id); // it may have been created
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
}
