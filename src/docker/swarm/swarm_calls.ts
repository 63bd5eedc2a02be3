import { linesOf } from "../../base/streams.ts";
import { LABEL } from "../container_spec.ts";
import type { CallOptions, LogLine, LogOptions } from "../engine_api.ts";
import { EngineError, kindOf } from "../engine_error.ts";
import { jsonLines } from "../engine_json.ts";
import { logLines, logQuery } from "../logs/log_answer.ts";
import { type Ask, type EngineCaller, type Kinds, parseAnswer, queryJson } from "../socket_client.ts";
import type {
  LeavingTask,
  SwarmApi,
  SwarmConfig,
  SwarmEvent,
  SwarmInfo,
  SwarmNode,
  SwarmTask,
  TaskFilter,
} from "./swarm_api.ts";
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
  leavingOf,
  nodeOf,
  taskOf,
} from "./swarm_json.ts";

/**
 * How long an answer may take. Managers that cannot agree give up after 20 s, so whoever says nothing for this long has
 * gone.
 */
const TIMEOUT_MS = 25_000;

const GONE: Kinds = { 404: "gone" };
const TAKEN: Kinds = { 409: "conflict" };

function labelsOf({ owner, revision }: Extract<TaskFilter, { owner: string }>): string[] {
  const ofOwner = `${LABEL.owner}=${owner}`;
  return revision === undefined ? [ofOwner] : [ofOwner, `${LABEL.revision}=${revision}`];
}

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

  async createService(body: unknown, { registryAuth }: Pick<Ask, "registryAuth"> = {}): Promise<string> {
    return await this.#create("/services/create", { body, registryAuth });
  }

  async tasks(filter: TaskFilter): Promise<SwarmTask[]> {
    const services = "owner" in filter
      ? await this.#get<ApiService[]>(`/services?filters=${queryJson({ label: labelsOf(filter) })}`)
      : await this.#service(filter.service);
    if (services.length === 0) return [];
    const tasks = "owner" in filter
      ? await this.#get<ApiTask[]>(`/tasks?filters=${queryJson({ label: labelsOf(filter) })}`)
      : await this.#tasksOf(services[0]!.ID);
    if (tasks === undefined) return [];
    const newest = new Map<string, ApiTask>();
    for (const task of tasks) {
      const other = newest.get(task.ServiceID);
      if (other === undefined || other.Version.Index < task.Version.Index) newest.set(task.ServiceID, task);
    }
    return services.map((service) => taskOf(service, newest.get(service.ID)));
  }

  async leaving(owner: string): Promise<LeavingTask[]> {
    const wanted = { label: [`${LABEL.owner}=${owner}`] };
    return leavingOf(await this.#get<ApiTask[]>(`/tasks?filters=${queryJson(wanted)}`));
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
    return await this.#create("/configs/create", { body: { Name: name, Labels: labels, Data: data.toBase64() } });
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

  /** The tasks of a service; `undefined` if it has been removed. */
  async #tasksOf(serviceId: string): Promise<ApiTask[] | undefined> {
    try {
      return await this.#get<ApiTask[]>(`/tasks?filters=${queryJson({ service: [serviceId] })}`, { kinds: GONE });
    } catch (error) {
      if (kindOf(error) === "gone") return undefined;
      throw error;
    }
  }

  async #create(path: string, ask: Ask): Promise<string> {
    const { ID } = parseAnswer<{ ID?: unknown }>(path, await this.#ask("POST", path, { ...ask, kinds: TAKEN }));
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
