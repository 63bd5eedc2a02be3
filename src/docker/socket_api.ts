import { type Clock, systemClock } from "../base/clock.ts";
import { Limiter } from "../base/async.ts";
import { firstBytes, linesOf } from "../base/streams.ts";
import { defined } from "../model/defined.ts";
import type { ExecCommand, ExecProcess } from "../control/exec/process.ts";
import type { Revision } from "../model/revision.ts";
import type { Usage } from "../pool/launcher.ts";
import { ChosenLogging, createBody, LABEL, type Placement } from "./container_spec.ts";
import {
  type CallOptions,
  type ContainerFilter,
  type EngineApi,
  type EngineEvent,
  type EngineImage,
  type EngineInfo,
  type EngineNetwork,
  EVENT_ACTIONS,
  type ListedContainer,
  type LogLine,
  type LogOptions,
  type NetworkSpec,
} from "./engine_api.ts";
import { EngineError } from "./engine_error.ts";
import { containerOf, eventOf, imageOf, infoOf, jsonLines, networkOf, shortName } from "./engine_json.ts";
import { hijack } from "./exec/hijack.ts";
import { type ExecState, SocketExec } from "./exec/socket_exec.ts";
import { logLines, logQuery } from "./logs/log_answer.ts";
import {
  type Ask,
  type EngineCaller,
  type Kinds,
  parseAnswer,
  queryJson,
  refusal,
  SocketClient,
  type SocketOptions,
} from "./socket_client.ts";

/** The memory of at most this many containers is requested at once. */
const MAX_STATS = 4;
/**
 * What the user would have to type to leave a command that goes on. The engine's default begins with Ctrl-P, and it holds
 * back the first keys of such a sequence. It cannot be switched off, so this one begins with a key that few programs use.
 */
const DETACH_KEYS = "ctrl-^,ctrl-@,ctrl-^,ctrl-@";

const CONTAINER_KINDS: Kinds = { 404: "gone" };

/** What `GET /containers/json` says of a container. */
interface ApiContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  readonly Status: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** What `GET /images/json` says of an image. */
interface ApiImage {
  readonly Id: string;
  readonly RepoTags?: readonly string[] | null;
}

/** What `GET /containers/ID/stats` says. */
interface ApiStats {
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
}

/**
 * Reaches the engine through its unix socket, without a process for each request:
 * https://docs.docker.com/reference/api/engine/
 */
export class SocketApi implements EngineApi {
  readonly via: string;
  readonly #clock: Clock;
  readonly #logging = new ChosenLogging();
  readonly #client: SocketClient;

  constructor(path: string, options: SocketOptions = {}) {
    this.via = `the socket ${path}`;
    this.#clock = options.clock ?? systemClock;
    this.#client = new SocketClient(path, options);
  }

  async version(options: CallOptions = {}): Promise<string> {
    const { Version } = await this.#get<{ Version?: unknown }>("/version", options);
    return typeof Version === "string" ? Version : "unknown";
  }

  async info(): Promise<EngineInfo> {
    return infoOf(await this.#get("/info"));
  }

  async run(revision: Revision, placement: Placement): Promise<void> {
    const path = `/containers/create?name=${encodeURIComponent(placement.id)}`;
    const made = await this.#logging.run((logging) =>
      this.#client.ask("POST", path, { body: createBody(revision, placement, logging), kinds: { 409: "conflict" } })
    );
    const { Id } = parseAnswer<{ Id?: unknown }>(path, made);
    if (typeof Id !== "string") {
      throw new EngineError("refused", "the engine does not name the container that it has made");
    }
    await this.#client.ask("POST", `/containers/${Id}/start`, { kinds: CONTAINER_KINDS });
  }

  async stop(id: string, graceS: number): Promise<void> {
    await this.#client.ask("POST", `${container(id)}/stop?t=${graceS}`, { kinds: CONTAINER_KINDS });
  }

  async pause(id: string): Promise<void> {
    await this.#client.ask("POST", `${container(id)}/pause`, { kinds: CONTAINER_KINDS });
  }

  async unpause(id: string): Promise<void> {
    await this.#client.ask("POST", `${container(id)}/unpause`, { kinds: CONTAINER_KINDS });
  }

  async remove(id: string): Promise<void> {
    // A forced removal conflicts only with another removal of the same container.
    await this.#client.ask("DELETE", `${container(id)}?force=true&v=true`, {
      kinds: { ...CONTAINER_KINDS, 409: "already" },
    });
  }

  async containers(filter: ContainerFilter): Promise<ListedContainer[]> {
    const wanted = "owner" in filter ? { label: [`${LABEL.owner}=${filter.owner}`] } : { volume: [filter.volume] };
    const list = await this.#get<ApiContainer[]>(`/containers/json?all=true&filters=${queryJson(wanted)}`);
    return list.map(({ Id, Labels: labels, Names, State: state, Status: status }) => {
      const id = Names[0]?.replace(/^\//, "") ?? Id; // a container that is being removed has no name any more
      return containerOf({ id, engineId: Id, state, status, labels });
    });
  }

  async usage(engineIds: readonly string[]): Promise<Map<string, Usage>> {
    const usage = new Map<string, Usage>();
    const limiter = new Limiter(MAX_STATS);
    await Promise.all(engineIds.map((id) =>
      limiter.run(async () => {
        const stats = await this.#stats(id).catch(() => undefined); // it may have ended
        const bytes = usedBytes(stats);
        const processorNs = stats?.cpu_stats?.cpu_usage?.total_usage;
        if (bytes !== undefined) usage.set(id, defined({ bytes, processorNs }));
      })
    ));
    return usage;
  }

  async exec(id: string, { command, terminal, user }: ExecCommand, signal: AbortSignal): Promise<ExecProcess> {
    const size = terminal && [terminal.rows, terminal.columns];
    const kinds = CONTAINER_KINDS;
    const path = `${container(id)}/exec`;
    const body = defined({
      ...{ AttachStdin: true, AttachStdout: true, AttachStderr: true, DetachKeys: DETACH_KEYS },
      ...{ Tty: terminal !== undefined, ConsoleSize: size, Cmd: command, User: user },
    });
    const { Id } = parseAnswer<{ Id?: unknown }>(path, await this.#client.ask("POST", path, { body, kinds, signal }));
    if (typeof Id !== "string") {
      throw new EngineError("refused", "the engine does not name the command that it is to run");
    }
    const start = defined({ Detach: false, Tty: terminal !== undefined, ConsoleSize: size });
    try {
      const given = await this.#client.lending(() => hijack(this.#client.path, `/exec/${Id}/start`, start, signal));
      if ("body" in given) throw refusal(given.status, given.body, kinds);
      return new SocketExec(given, {
        state: () => this.#get<ExecState>(`/exec/${Id}/json`, { kinds }),
        resize: async ({ columns, rows }) => {
          await this.#client.ask("POST", `/exec/${Id}/resize?h=${rows}&w=${columns}`, { kinds });
        },
      }, { clock: this.#clock, terminal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#client.explain(error);
    }
  }

  async archive(id: string, path: string, bytes: number): Promise<Uint8Array> {
    const body = await this.#client.open(
      `${container(id)}/archive?path=${encodeURIComponent(path)}`,
      undefined,
      CONTAINER_KINDS,
    );
    try {
      return await firstBytes(body, bytes);
    } catch (error) {
      throw this.#client.explain(error);
    }
  }

  async *logs(id: string, options: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    const { signal } = options;
    if (signal?.aborted) return;
    try {
      const body = await this.#client.open(`${container(id)}/logs?${logQuery(options)}`, signal, CONTAINER_KINDS);
      for await (const line of logLines(body, signal)) {
        if (signal?.aborted) return;
        if (line.time !== undefined) yield line;
      }
    } catch (error) {
      if (signal?.aborted) return;
      throw this.#client.explain(error);
    }
  }

  async events(since: string, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>> {
    const wanted = { type: Object.keys(EVENT_ACTIONS), event: Object.values(EVENT_ACTIONS).flat() };
    const body = await this.#client.open(`/events?since=${since}&filters=${queryJson(wanted)}`, signal);
    return (async function* () {
      for await (const line of linesOf(body, signal)) yield* jsonLines(line, eventOf);
    })();
  }

  async networks(): Promise<EngineNetwork[]> {
    return (await this.#get<Parameters<typeof networkOf>[0][]>("/networks")).map(networkOf);
  }

  async createNetwork({ gateway, labels, name, subnet }: NetworkSpec): Promise<void> {
    const body = {
      Name: name,
      Driver: "bridge",
      CheckDuplicate: true,
      IPAM: { Config: [{ Subnet: subnet, Gateway: gateway }] },
      Options: { "com.docker.network.bridge.enable_icc": "false" },
      Labels: labels,
    };
    await this.#client.ask("POST", "/networks/create", { body, kinds: { 409: "conflict" } });
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#client.ask("DELETE", `/networks/${encodeURIComponent(name)}`, { kinds: { 404: "no_such_network" } });
  }

  async image(reference: string, options: CallOptions = {}): Promise<EngineImage> {
    const kinds = { 404: "no_such_image" } as const;
    const image = imageOf(await this.#get(`${imagePath(reference)}/json`, { ...options, kinds }));
    if (image === undefined) throw new EngineError("refused", `the engine does not say what ${reference} is`);
    return image;
  }

  async imageNames(): Promise<Map<string, string>> {
    const images = await this.#get<ApiImage[]>("/images/json");
    return new Map(images.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => [tag, Id] as const)));
  }

  async conventionImages(): Promise<Map<string, string>> {
    const filters = queryJson({ reference: ["*-docker:latest"] });
    const images = await this.#get<ApiImage[]>(`/images/json?filters=${filters}`);
    const tags = images.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => [tag, Id] as const));
    return new Map(tags.flatMap(([tag, id]) => {
      const [, name] = /^([^:]*-docker):latest$/.exec(shortName(tag) ?? "") ?? [];
      return name === undefined ? [] : [[name, id]];
    }));
  }

  async removeImage(reference: string): Promise<void> {
    await this.#client.ask("DELETE", imagePath(reference), { kinds: { 404: "no_such_image", 409: "in_use" } });
  }

  /** Sends other requests to the same engine. */
  get caller(): EngineCaller {
    return this.#client;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  #stats(engineId: string): Promise<ApiStats> {
    return this.#get(`/containers/${engineId}/stats?stream=false&one-shot=true`, { kinds: CONTAINER_KINDS });
  }

  async #get<T>(path: string, ask: Ask = {}): Promise<T> {
    return parseAnswer<T>(path, await this.#client.ask("GET", path, ask));
  }
}

function container(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}

function imagePath(reference: string): string {
  return `/images/${reference.split("/").map(encodeURIComponent).join("/")}`;
}

/** The memory in use without what the kernel can reclaim, as in `docker stats`. */
function usedBytes({ memory_stats }: ApiStats = {}): number | undefined {
  if (memory_stats?.usage === undefined) return undefined;
  const { inactive_file, total_inactive_file } = memory_stats.stats ?? {};
  return Math.max(0, memory_stats.usage - (total_inactive_file ?? inactive_file ?? 0));
}
