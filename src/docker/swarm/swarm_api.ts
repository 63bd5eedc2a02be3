import { linesOf } from "../../base/streams.ts";
import { LABEL } from "../container_spec.ts";
import type { CallOptions, LogLine, LogOptions } from "../engine_api.ts";
import { EngineError, kindOf } from "../engine_error.ts";
import { jsonLines } from "../engine_json.ts";
import { logLines, logQuery } from "../logs/log_answer.ts";
import { type Ask, type EngineCaller, type Kinds, parseAnswer, queryJson } from "../socket_client.ts";
import {
  type ApiConfig,
  type ApiEvent,
  type ApiInfo,
  type ApiNode,
  type ApiService,
  type ApiTask,
  configOf,
  eventOf,
  infoOf,
  nodeOf,
  taskOf,
} from "./swarm_json.ts";

/**
 * How long an answer may take. Managers that cannot agree give up after 20 s, so whoever says nothing for this long has
 * gone.
 */
const TIMEOUT_MS = 25_000;

/** What a node says about itself and its Swarm. */
export interface SwarmInfo {
  /** Empty if the node is a worker. */
  readonly clusterId: string;
  /** Empty if the engine is in no Swarm. */
  readonly nodeId: string;
  /** Where the other nodes reach this one. */
  readonly nodeAddress: string;
  readonly isManager: boolean;
  readonly hostname: string;
}

/** A machine of the Swarm. */
export interface SwarmNode {
  readonly id: string;
  readonly hostname: string;
  readonly address: string;
  readonly role: "manager" | "worker";
  readonly isLeader: boolean;
  /** Whether Swarm hears from it. */
  readonly isReady: boolean;
  readonly availability: "active" | "pause" | "drain";
  readonly labels: Readonly<Record<string, string>>;
  readonly engineVersion: string;
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** One instance: a Swarm service of one task. */
export interface SwarmTask {
  readonly serviceId: string;
  /** The name of the service. */
  readonly name: string;
  /** Of two services, the one that was created first has the lower number. */
  readonly order: number;
  /** Those of the service. */
  readonly labels: Readonly<Record<string, string>>;
  /** Swarm's word: new, pending, … running, complete, failed, rejected … */
  readonly state: string;
  /** Where it is placed; missing before that. */
  readonly nodeId: string | undefined;
  /** The engine's id of its container, known to Swarm once it runs. */
  readonly containerId: string | undefined;
  /** The name of its container on its node. */
  readonly containerName: string | undefined;
  /** The port of its node that leads to the app; missing until it runs. */
  readonly publishedPort: number | undefined;
  /** Why it does not run, or not yet. */
  readonly error: string | undefined;
  /** Set if it has ended by itself. */
  readonly exitCode: number | undefined;
  /** Since when it has been running, ms since 1970; missing if it does not. */
  readonly startedAt: number | undefined;
}

/** A small record in the Swarm's own store: its name is unique, its data never changes, its labels do. */
export interface SwarmConfig {
  readonly id: string;
  readonly name: string;
  /** Changes with every change of the labels. */
  readonly version: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly data: Uint8Array;
}

/** A change that every manager tells. */
export interface SwarmEvent {
  readonly type: "service" | "config" | "node";
  readonly action: "create" | "update" | "remove";
  readonly id: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** By the manager's clock, seconds since 1970 with six decimals; missing if it gave none. */
  readonly time: string | undefined;
}

/** The tasks to list: all of one owner, or that of one service by its name or id. */
export type TaskFilter = { readonly owner: string } | { readonly service: string };

/**
 * What cless needs from a Swarm, by any of its managers: https://docs.docker.com/reference/api/engine/version/v1.45/
 *
 * Every method rejects with an `EngineError`: `away` also if the managers have no leader, or answer too late.
 */
export interface SwarmApi {
  info(options?: CallOptions): Promise<SwarmInfo>;
  nodes(): Promise<SwarmNode[]>;
  /** Resolves with its id. @throws {EngineError} `conflict` if there is a service of that name. */
  createService(body: unknown): Promise<string>;
  tasks(filter: TaskFilter): Promise<SwarmTask[]>;
  /** Does nothing if it is gone. Its container ends a second later. */
  removeService(nameOrId: string): Promise<void>;
  /** Those with a label. @param label `key` or `key=value`. */
  configs(label: string): Promise<SwarmConfig[]>;
  /** @throws {EngineError} `gone` */
  config(nameOrId: string): Promise<SwarmConfig>;
  /** Resolves with its id. @throws {EngineError} `conflict` if there is a config of that name. */
  createConfig(name: string, labels: Readonly<Record<string, string>>, data: Uint8Array): Promise<string>;
  /**
   * Replaces all labels of a config that has been read before.
   *
   * @throws {EngineError} `stale` if it was changed since; `gone`.
   */
  setConfigLabels(
    config: Pick<SwarmConfig, "id" | "name" | "version" | "data">,
    labels: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Does nothing if it is gone. */
  removeConfig(nameOrId: string): Promise<void>;
  /**
   * The output of a service's tasks, on whichever node, until it ends, the signal is aborted or the reader stops.
   *
   * @throws {EngineError} `gone`
   */
  logs(nameOrId: string, options?: LogOptions): AsyncGenerator<LogLine, void, void>;
  /**
   * Listens to changes from a time on (seconds since 1970). Resolves when listening has begun. The events end when the
   * signal is aborted or the connection is lost.
   */
  events(since: string, signal: AbortSignal): Promise<AsyncIterable<SwarmEvent>>;
}

const GONE: Kinds = { 404: "gone" };
const TAKEN: Kinds = { 409: "conflict" };

/** Sends what a {@linkcode SwarmApi} needs to an engine. */
export class SwarmCalls implements SwarmApi {
  readonly #engine: EngineCaller;

  /** @param engine A manager's. A worker's can only tell its `info`. */
  constructor(engine: EngineCaller) {
    this.#engine = engine;
  }

  async info(options: CallOptions = {}): Promise<SwarmInfo> {
    return infoOf(await this.#get<ApiInfo>("/info", options));
  }

  async nodes(): Promise<SwarmNode[]> {
    return (await this.#get<ApiNode[]>("/nodes")).map(nodeOf);
  }

  async createService(body: unknown): Promise<string> {
    return await this.#create("/services/create", body);
  }

  async tasks(filter: TaskFilter): Promise<SwarmTask[]> {
    const wanted = "owner" in filter ? { label: [`${LABEL.owner}=${filter.owner}`] } : { name: [filter.service] };
    const services = "owner" in filter
      ? await this.#get<ApiService[]>(`/services?filters=${queryJson(wanted)}`)
      : await this.#service(filter.service);
    if (services.length === 0) return [];
    const ofThose = "owner" in filter ? wanted : { service: services.map(({ ID }) => ID) };
    const tasks = await this.#get<ApiTask[]>(`/tasks?filters=${queryJson(ofThose)}`);
    const newest = new Map<string, ApiTask>();
    for (const task of tasks) {
      const other = newest.get(task.ServiceID);
      if (other === undefined || other.Version.Index < task.Version.Index) newest.set(task.ServiceID, task);
    }
    return services.map((service) => taskOf(service, newest.get(service.ID)));
  }

  async removeService(nameOrId: string): Promise<void> {
    await this.#remove(`/services/${encodeURIComponent(nameOrId)}`);
  }

  async configs(label: string): Promise<SwarmConfig[]> {
    const configs = await this.#get<ApiConfig[]>(`/configs?filters=${queryJson({ label: [label] })}`);
    return configs.map(configOf);
  }

  async config(nameOrId: string): Promise<SwarmConfig> {
    return configOf(await this.#get<ApiConfig>(`/configs/${encodeURIComponent(nameOrId)}`, { kinds: GONE }));
  }

  async createConfig(name: string, labels: Readonly<Record<string, string>>, data: Uint8Array): Promise<string> {
    return await this.#create("/configs/create", { Name: name, Labels: labels, Data: data.toBase64() });
  }

  async setConfigLabels(
    { data, id, name, version }: Pick<SwarmConfig, "id" | "name" | "version" | "data">,
    labels: Readonly<Record<string, string>>,
  ): Promise<void> {
    const body = { Name: name, Labels: labels, Data: data.toBase64() };
    await this.#ask("POST", `/configs/${encodeURIComponent(id)}/update?version=${version}`, { body, kinds: GONE });
  }

  async removeConfig(nameOrId: string): Promise<void> {
    await this.#remove(`/configs/${encodeURIComponent(nameOrId)}`);
  }

  async *logs(nameOrId: string, options: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    const { signal } = options;
    if (signal?.aborted) return;
    try {
      const path = `/services/${encodeURIComponent(nameOrId)}/logs?${logQuery(options)}`;
      const body = await this.#engine.open(path, signal, GONE);
      for await (const line of logLines(body, signal)) {
        if (signal?.aborted) return;
        if (line.time !== undefined) yield line;
      }
    } catch (error) {
      if (signal?.aborted) return;
      throw error;
    }
  }

  async events(since: string, signal: AbortSignal): Promise<AsyncIterable<SwarmEvent>> {
    const wanted = { scope: ["swarm"], type: ["service", "config", "node"] };
    const body = await this.#engine.open(`/events?since=${since}&filters=${queryJson(wanted)}`, signal);
    return (async function* () {
      for await (const line of linesOf(body, signal)) yield* jsonLines<ApiEvent, SwarmEvent>(line, eventOf);
    })();
  }

  /** The service of a name or id, if there is one. */
  async #service(nameOrId: string): Promise<ApiService[]> {
    try {
      return [await this.#get<ApiService>(`/services/${encodeURIComponent(nameOrId)}`, { kinds: GONE })];
    } catch (error) {
      if (kindOf(error) === "gone") return [];
      throw error;
    }
  }

  async #create(path: string, body: unknown): Promise<string> {
    const { ID } = parseAnswer<{ ID?: unknown }>(path, await this.#ask("POST", path, { body, kinds: TAKEN }));
    if (typeof ID === "string") return ID;
    throw new EngineError("refused", "the engine does not name what it has made");
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.#ask("DELETE", path, { kinds: GONE });
    } catch (error) {
      if (kindOf(error) !== "gone") throw error;
    }
  }

  async #get<T>(path: string, ask: Ask = {}): Promise<T> {
    return parseAnswer<T>(path, await this.#ask("GET", path, ask));
  }

  async #ask(method: string, path: string, ask: Ask): Promise<string> {
    try {
      return await this.#engine.ask(method, path, { timeoutMs: TIMEOUT_MS, ...ask });
    } catch (error) {
      if (kindOf(error) !== "late") throw error;
      throw new EngineError("away", (error as EngineError).message, { cause: error });
    }
  }
}
