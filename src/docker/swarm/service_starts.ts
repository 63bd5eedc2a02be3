import { delay } from "../../base/async.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { Revision } from "../../model/revision.ts";
import { ContainerGone } from "../../pool/launcher.ts";
import { EngineError, kindOf } from "../engine_error.ts";
import type { RegistryLogins } from "../images/registry_logins.ts";
import type { Sequence } from "../network/addresses.ts";
import {
  ExistingInstances,
  type ExistingInstancesParts,
  newStart,
  type OtherInstances,
  type Start,
} from "./existing_instances.ts";
import type { ImageNodes } from "./image_nodes.ts";
import { placementOf, takesTasks } from "./placement.ts";
import { serviceBody } from "./service_spec.ts";
import type { SwarmApi } from "./swarm_api.ts";
import type { TaskEngine } from "./task_engine.ts";
import { AppEnded, NotTaken, TaskWait, type TaskWaitParts } from "./task_wait.ts";
import type { VolumeNodes } from "./volume_nodes.ts";

const log = logger("launcher");
/** A name that another instance still has is looked at again after this time, ms. */
const LOOK_MS = 50;
/** A start that Swarm does not end in any way is given up after its own time limit and this. */
const MORE_TIME_MS = 1000;
/** How often a start is attempted: an instance of its name may have ended, a port be taken, an image be missing. */
const MAX_TRIES = 5;

/** What {@linkcode ServiceStarts} are made of. */
export interface ServiceStartsParts extends ExistingInstancesParts, TaskWaitParts {
  readonly swarm: SwarmApi;
  readonly engine: Pick<TaskEngine, "has" | "image" | "origin" | "runs">;
  readonly images: ImageNodes;
  readonly logins: Pick<RegistryLogins, "headerFor">;
  readonly volumes: VolumeNodes;
  /** The ports of nodes that instances get: those that each node's {@linkcode PortGuard} keeps closed to others. */
  readonly ports: Sequence;
  /** The limits of containers that name none: nothing is reserved for these. */
  readonly defaults: Pick<Revision, "memoryBytes" | "cpus">;
}

/** Starts instances as services of Swarm, each of one task that Swarm never replaces. */
export class ServiceStarts {
  readonly #parts: ServiceStartsParts;
  /** For each instance that is being started here, a function that its start event calls. */
  readonly #starting = new Map<string, () => void>();
  readonly #running = new Set<Promise<unknown>>();
  /** The services of the instances that were created here. */
  readonly #made = new Map<string, MadeService>();
  readonly #wait: TaskWait;
  readonly #existing: ExistingInstances;

  constructor(parts: ServiceStartsParts) {
    this.#parts = parts;
    this.#wait = new TaskWait(parts);
    this.#existing = new ExistingInstances(parts, this.#wait);
  }

  /**
   * Starts an instance, or joins it if another cless has. Resolves with its origin once it runs.
   *
   * @throws {ServedByOther} If another instance, which this process does not use, serves in its place.
   * @throws {EngineError | ContainerGone | VolumeAway} Why it never will run. @throws {Error} If its app ends, or another
   * instance does not.
   */
  async start(id: string, revision: Revision, others: OtherInstances): Promise<string> {
    const starting = this.#start(id, revision, others).finally(() => this.#running.delete(starting));
    this.#running.add(starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Notes that an instance has started, here or on another node. */
  started(id: string): void {
    this.#starting.get(id)?.();
  }

  /** Whether {@linkcode start} is still running for an instance. */
  isStarting(id: string): boolean {
    return this.#starting.has(id);
  }

  /** Resolves when no request to create an instance is running. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** The service that was created here for an instance, as long as a failed start may have to remove it. */
  justMade(id: string): string | undefined {
    const { untilMs = -Infinity, serviceId } = this.#made.get(id) ?? {};
    return untilMs >= this.#parts.clock.now() ? serviceId : undefined;
  }

  /** Forgets an instance that is gone. */
  forget(id: string): void {
    this.#made.delete(id);
  }

  /** Creates a service, or joins the one of the same name, and waits until its task runs. Resolves with its origin. */
  async #start(id: string, revision: Revision, others: OtherInstances): Promise<string> {
    const { clock } = this.#parts;
    const started = Promise.withResolvers<void>();
    this.#starting.set(id, started.resolve);
    const deadline = clock.now() + revision.startTimeoutMs + MORE_TIME_MS;
    const start = newStart(deadline, others);
    let byImage = revision.imageDigest === undefined; // whether it runs where its image is, and nobody pulls that
    let bound = await this.#boundTo(revision, byImage);
    const avoided: string[] = [];
    for (let tries = 1;; tries++) {
      const made = await this.#create(id, revision, { bound, byImage, avoided }, start);
      const mayMove = made === undefined || bound !== undefined || tries >= MAX_TRIES
        ? undefined
        : (from: string) => this.#mayRunElsewhere(revision, [...avoided, from]);
      try {
        return await this.#wait.untilRunning(id, started.promise, deadline, mayMove);
      } catch (error) {
        if (made !== undefined) await this.#parts.swarm.removeService(made).catch(() => {});
        if (error instanceof NotTaken) {
          log.warning("a node does not take a task; starting elsewhere", { instance: id, node: error.nodeId });
          avoided.push(error.nodeId);
          continue;
        }
        if (error instanceof ContainerGone && tries < MAX_TRIES) continue; // somebody ended it, or its node is lost
        // An app that another cless has started, maybe long ago, had ended already: that says nothing of this start.
        if (made === undefined && error instanceof AppEnded && tries < MAX_TRIES) continue;
        if (kindOf(error) === "address_taken" && tries < MAX_TRIES) continue; // with another port
        const isMissing = kindOf(error) === "no_such_image" && !byImage;
        if (!isMissing || tries >= MAX_TRIES) throw error;
        log.warning("a node cannot pull an image; starting where it is", { instance: id, reason: messageOf(error) });
        byImage = true;
        bound = await this.#boundTo(revision, byImage);
      }
    }
  }

  /** Creates a service. Resolves with its id; with nothing if there is one already that runs or is about to. */
  async #create(
    id: string,
    revision: Revision,
    { avoided, bound, byImage }: Where,
    start: Start,
  ): Promise<string | undefined> {
    const { clock, defaults, logins, owner, swarm } = this.#parts;
    const { cpus, imageDigest, imageId, memoryBytes, placement = {} } = revision;
    const image = byImage ? imageId : imageDigest ?? imageId;
    const body = serviceBody(revision, {
      nodePort: this.#nextPort(),
      name: id,
      ...{ owner, image },
      placement: placementOf(placement, bound, avoided),
      reserved: {
        memoryBytes: memoryBytes === defaults.memoryBytes ? undefined : memoryBytes,
        ...(cpus === undefined || cpus === defaults.cpus ? {} : { cpus }),
      },
    });
    const registryAuth = byImage ? undefined : await logins.headerFor(image);
    for (;;) {
      await this.#existing.untilNeeded(id, revision, start);
      let made: string | undefined;
      try {
        this.#parts.origins.forget(id); // of an earlier instance of this name
        made = await swarm.createService(body, { registryAuth });
        this.#made.set(id, { serviceId: made, untilMs: clock.now() + 2 * revision.startTimeoutMs });
        if (!await this.#existing.isSecond(id, revision, start)) return made;
        await swarm.removeService(made); // another one was created at the same time
      } catch (error) {
        // It may be one too many, and only this start would have found that out.
        if (made !== undefined) await swarm.removeService(made).catch(() => {});
        if (kindOf(error) !== "conflict" || made !== undefined) throw error;
        if (await this.#existing.join(id)) return undefined;
      }
      if (clock.now() >= start.deadline) throw new Error(`an instance named ${id} does not end`);
      await delay(clock, LOOK_MS);
    }
  }

  /** Whether a revision may run on a node that is none of these. */
  async #mayRunElsewhere({ placement = {} }: Revision, avoided: readonly string[]): Promise<boolean> {
    const nodes = await this.#parts.swarm.nodes();
    return nodes.some((node) => !avoided.includes(node.id) && takesTasks(placement, node));
  }

  /**
   * A port for another instance. Swarm knows which ones its tasks use, on whichever node they are placed, so that none is
   * noted here. But the same one comes again only after all others: a request to an instance that has ended must not
   * reach another one.
   */
  #nextPort(): number {
    const { ports } = this.#parts;
    const port = ports.take();
    ports.free(port);
    return port;
  }

  /**
   * The node to which a revision is bound by its volumes, or by its image if only some nodes have that. Of the nodes that
   * will do, this one is taken before others.
   *
   * @throws {EngineError} If no node has the image, or its volumes are on different ones. @throws {VolumeAway}
   */
  async #boundTo(revision: Revision, byImage: boolean): Promise<string | undefined> {
    const { homes, images, swarm, volumes } = this.#parts;
    if (!byImage && revision.volumes.length === 0) return undefined;
    const { image, imageDigest, imageId, placement = {} } = revision;
    const all = await swarm.nodes();
    const ids = all.filter((node) => takesTasks(placement, node)).map(({ id }) => id);
    const nodes = ids.includes(homes.self) ? [homes.self, ...ids.filter((id) => id !== homes.self)] : ids;
    const having = byImage ? await images.having(imageId, nodes) : nodes;
    if (having.length === 0 && nodes.length > 0) {
      const [what, remedy] = imageDigest === undefined
        ? [
          `no machine that may run it has the image ${image}, which was deployed without a registry`,
          "deploy it again from one, after docker login if that wants a password",
        ]
        : [
          `no machine that may run it has the image ${image}, or can pull it`,
          "if that wants a password: docker login",
        ];
      throw new EngineError("refused", `${what}: ${remedy}, or send it with cless image send`);
    }
    const [best] = having; // none if Swarm will say why no node takes it
    const bound = await volumes.nodeOf(revision, all, best);
    return bound ?? (having.length < nodes.length ? best : undefined);
  }
}

/** What is known of where an instance can run. */
interface Where {
  /** The ids of the nodes that did not take its task. */
  readonly avoided: readonly string[];
  /** The only node on which it may, if there is one. */
  readonly bound: string | undefined;
  /** Whether the nodes have its image, and need not pull it. */
  readonly byImage: boolean;
}

/** A service that this cless has created. */
interface MadeService {
  readonly serviceId: string;
  /** Until when it may be removed from here because its start failed, clock ms. */
  readonly untilMs: number;
}
