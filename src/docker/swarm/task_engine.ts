import type { ExecCommand, ExecProcess } from "../../control/exec/process.ts";
import type { Usage } from "../../pool/launcher.ts";
import { LABEL } from "../container_spec.ts";
import type {
  CallOptions,
  ContainerFilter,
  EngineApi,
  EngineEvent,
  EngineImage,
  EngineInfo,
  EngineNetwork,
  ListedContainer,
  LogLine,
  LogOptions,
  NetworkSpec,
} from "../engine_api.ts";
import { EngineError, kindOf } from "../engine_error.ts";
import { containerOf } from "../engine_json.ts";
import { type EngineCaller, parseAnswer, queryJson } from "../socket_client.ts";
import type { SwarmApi } from "./swarm_api.ts";

/** The label by which Swarm says to which service a container belongs. */
export const SERVICE_LABEL = "com.docker.swarm.service.name";
const SERVICE_ID_LABEL = "com.docker.swarm.service.id";
/** An engine's id of a container. The names of services are shorter. */
const ENGINE_ID = /^[0-9a-f]{64}$/;

/** A container of this node, of which there is only one ever. */
export interface TaskContainer {
  readonly engineId: string;
  readonly serviceId: string;
}

/** What `GET /containers/json` says of a container. */
interface ApiContainer {
  readonly Id: string;
  readonly State: string;
  readonly Status: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Ports?: readonly { readonly PublicPort?: number }[] | null;
}

/**
 * The engine of this node, with the containers of Swarm's tasks under the names of their services, which are the ids of
 * instances. A container of the same service that came before is nobody's any more.
 */
export class TaskEngine implements EngineApi {
  readonly via: string;
  readonly #api: EngineApi;
  readonly #caller: EngineCaller;
  readonly #swarm: Pick<SwarmApi, "logs">;
  readonly #nodeAddress: string;
  /** The containers, by instance. */
  readonly #containers = new Map<string, TaskContainer>();

  /** @param nodeAddress Where all nodes reach the ports of this one. */
  constructor(api: EngineApi, caller: EngineCaller, swarm: Pick<SwarmApi, "logs">, nodeAddress: string) {
    this.via = api.via;
    this.#api = api;
    this.#caller = caller;
    this.#swarm = swarm;
    this.#nodeAddress = nodeAddress;
  }

  /** Whether an instance's container is, or was, on this node. */
  has(id: string): boolean {
    return this.#containers.has(id);
  }

  /** The newest container of an instance on this node. */
  container(id: string): TaskContainer | undefined {
    return this.#containers.get(id);
  }

  /** Where all nodes reach an instance of this node that runs; `undefined` if it does not. */
  async origin(id: string): Promise<string | undefined> {
    return (await this.owner(id))?.origin;
  }

  /** Whose an instance of this node is, and where all nodes reach it while it runs; `undefined` if it is gone. */
  async owner(id: string): Promise<{ service: string; revision: string; origin: string | undefined } | undefined> {
    const wanted = { id: [this.#known(id)] };
    const path = `/containers/json?all=true&filters=${queryJson(wanted)}`;
    const [container] = parseAnswer<ApiContainer[]>(path, await this.#caller.ask("GET", path));
    if (container === undefined) return undefined;
    const { [LABEL.service]: service = "", [LABEL.revision]: revision = "" } = container.Labels;
    return { service, revision, origin: this.#originOf(container) || undefined };
  }

  /** Whether a container of a service runs on this node, or is paused. */
  async runs(serviceId: string): Promise<boolean> {
    const wanted = { label: [`${SERVICE_ID_LABEL}=${serviceId}`], status: ["running", "paused"] };
    const path = `/containers/json?filters=${queryJson(wanted)}`;
    return parseAnswer<ApiContainer[]>(path, await this.#caller.ask("GET", path)).length > 0;
  }

  /** Whether this node has a named volume. */
  async hasVolume(name: string): Promise<boolean> {
    try {
      await this.#caller.ask("GET", `/volumes/${encodeURIComponent(name)}`, { kinds: { 404: "gone" } });
      return true;
    } catch (error) {
      if (kindOf(error) === "gone") return false;
      throw error;
    }
  }

  /** Forgets an instance that is gone. */
  forget(id: string): void {
    this.#containers.delete(id);
  }

  version(options?: CallOptions): Promise<string> {
    return this.#api.version(options);
  }

  info(): Promise<EngineInfo> {
    return this.#api.info();
  }

  /** Swarm alone starts containers. */
  run(): Promise<void> {
    return Promise.reject(new EngineError("refused", "a container of a Swarm is started by Swarm"));
  }

  async stop(id: string, graceS: number): Promise<void> {
    await this.#api.stop(this.#known(id), graceS);
  }

  async pause(id: string): Promise<void> {
    await this.#api.pause(this.#known(id));
  }

  async unpause(id: string): Promise<void> {
    await this.#api.unpause(this.#known(id));
  }

  async remove(id: string): Promise<void> {
    await this.#api.remove(this.#known(id));
  }

  async containers(filter: ContainerFilter): Promise<ListedContainer[]> {
    if ("volume" in filter) return await this.#api.containers(filter);
    const path = `/containers/json?all=true&filters=${queryJson({ label: [`${LABEL.owner}=${filter.owner}`] })}`;
    const listed = parseAnswer<ApiContainer[]>(path, await this.#caller.ask("GET", path));
    const newest = new Map<string, ApiContainer>();
    for (const container of listed) {
      const id = container.Labels[SERVICE_LABEL];
      // One without it is of a cless on this machine alone. The engine lists the newest first.
      if (id !== undefined && !newest.has(id)) newest.set(id, container);
    }
    return [...newest].map(([id, container]) => {
      const { Id: engineId, Labels: labels, State: state, Status: status } = container;
      this.#containers.set(id, { engineId, serviceId: labels[SERVICE_ID_LABEL] ?? "" });
      return { ...containerOf({ id, engineId, state, status, labels }), origin: this.#originOf(container) };
    });
  }

  usage(engineIds: readonly string[]): Promise<Map<string, Usage>> {
    return this.#api.usage(engineIds);
  }

  async exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess> {
    return await this.#api.exec(this.#known(id), command, signal);
  }

  async archive(id: string, path: string, bytes: number): Promise<Uint8Array> {
    return await this.#api.archive(this.#known(id), path, bytes);
  }

  /** The output of an instance, also of one on another node: a manager passes it on. */
  logs(id: string, options?: LogOptions): AsyncGenerator<LogLine, void, void> {
    const { engineId } = this.#containers.get(id) ?? {};
    return engineId === undefined ? this.#swarm.logs(id, options) : this.#api.logs(engineId, options);
  }

  async events(since: string, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>> {
    const events = await this.#api.events(since, signal);
    return (async function* (this: TaskEngine) {
      for await (const event of events) {
        const translated = this.#translate(event);
        if (translated !== undefined) yield translated;
      }
    }).call(this);
  }

  networks(): Promise<EngineNetwork[]> {
    return this.#api.networks();
  }

  createNetwork(spec: NetworkSpec): Promise<void> {
    return this.#api.createNetwork(spec);
  }

  removeNetwork(name: string): Promise<void> {
    return this.#api.removeNetwork(name);
  }

  image(reference: string, options?: CallOptions): Promise<EngineImage> {
    return this.#api.image(reference, options);
  }

  imageNames(): Promise<Map<string, string>> {
    return this.#api.imageNames();
  }

  conventionImages(): Promise<Map<string, string>> {
    return this.#api.conventionImages();
  }

  removeImage(reference: string): Promise<void> {
    return this.#api.removeImage(reference);
  }

  [Symbol.dispose](): void {
    this.#api[Symbol.dispose]();
  }

  /** An event under the instance's id; `undefined` for one of an earlier container, or of no instance. */
  #translate(event: EngineEvent): EngineEvent | undefined {
    const { action, attributes, engineId, type } = event;
    if (type !== "container") return event;
    const id = attributes[SERVICE_LABEL];
    if (id === undefined) return undefined;
    if (action === "start") this.#containers.set(id, { engineId, serviceId: attributes[SERVICE_ID_LABEL] ?? "" });
    if (this.#containers.get(id)?.engineId !== engineId) return undefined;
    return { ...event, attributes: { ...attributes, name: id } };
  }

  #originOf({ Ports }: ApiContainer): string {
    const port = Ports?.find(({ PublicPort = 0 }) => PublicPort > 0)?.PublicPort;
    return port === undefined ? "" : originAt(this.#nodeAddress, port);
  }

  /**
   * @param id An instance's, or the engine's of a container.
   * @throws {EngineError} `gone` if this node has had no container of an instance.
   */
  #known(id: string): string {
    const engineId = this.#containers.get(id)?.engineId ?? ENGINE_ID.exec(id)?.[0];
    if (engineId === undefined) throw new EngineError("gone", `no container of ${id} is on this node`);
    return engineId;
  }
}

/** Where a port of a node is reached. @param address Of IPv4 or IPv6. */
export function originAt(address: string, port: number): string {
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}`;
}
