import { type Clock, systemClock } from "../base/clock.ts";
import { Limiter } from "../base/async.ts";
import { isExhausted } from "../base/file_reserve.ts";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { firstBytes, linesOf, piecesOf, readText } from "../base/streams.ts";
import { defined } from "../model/defined.ts";
import type { ExecCommand, ExecProcess } from "../control/exec/process.ts";
import { canonicalTime } from "../model/time.ts";
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
import { EngineError, type FailureKind, kindOfMessage } from "./engine_error.ts";
import { containerOf, eventOf, imageOf, infoOf, jsonLines, networkOf, shortName } from "./engine_json.ts";
import { hijack } from "./exec/hijack.ts";
import { type ExecState, SocketExec } from "./exec/socket_exec.ts";
import { framesOf } from "./frames.ts";
import { LogSplitter } from "./logs/log_splitter.ts";

/** After this time, a request counts as stuck. It is long, since an engine under load may need many seconds. */
const TIMEOUT_MS = 120_000;
/** At most this many idle connections are kept for later requests. */
const MAX_IDLE_CONNECTIONS = 4;
/** The memory of at most this many containers is requested at once. */
const MAX_STATS = 4;
/**
 * The host in URLs to the engine: an address that nobody has (RFC 5737). With a name, the platform would query a name
 * server for every connection, although it connects to the socket. Also, `NO_PROXY=*` matches names, and would bypass
 * the socket.
 */
const ENGINE = "http://192.0.2.1";

/**
 * What the user would have to type to leave a command that goes on. The engine's default begins with Ctrl-P, and it holds
 * back the first keys of such a sequence. It cannot be switched off, so this one begins with a key that few programs use.
 */
const DETACH_KEYS = "ctrl-^,ctrl-@,ctrl-^,ctrl-@";

/** The failures that statuses mean for one kind of request. Used if the answer's message is unknown. */
type Kinds = Readonly<Record<number, FailureKind>>;
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

/** One request. */
interface Ask extends CallOptions {
  /** Sent as JSON; never shown in an error. */
  readonly body?: unknown;
  readonly kinds?: Kinds;
}

/** Options of a {@linkcode SocketApi}. */
interface SocketApiOptions {
  readonly clock?: Clock;
  /** How long an answer may take by default. */
  readonly timeoutMs?: number | undefined;
  /** Lends file descriptors when the process has none left. */
  readonly reserve?: { lend(): unknown } | undefined;
}

/**
 * Reaches the engine through its unix socket, without a process for each request:
 * https://docs.docker.com/reference/api/engine/
 */
export class SocketApi implements EngineApi {
  readonly via: string;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #reserve: { lend(): unknown } | undefined;
  readonly #logging = new ChosenLogging();
  readonly #client: Deno.HttpClient;
  /** Keeps no connections: `fetch` would send a request twice if a reused connection breaks. */
  readonly #withoutReuse: Deno.HttpClient;

  constructor(path: string, { clock = systemClock, timeoutMs = TIMEOUT_MS, reserve }: SocketApiOptions = {}) {
    this.#reserve = reserve;
    this.via = `the socket ${path}`;
    this.#path = path;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#client = newClient(path, MAX_IDLE_CONNECTIONS);
    this.#withoutReuse = newClient(path, 0);
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
      this.#ask("POST", path, { body: createBody(revision, placement, logging), kinds: { 409: "conflict" } })
    );
    const { Id } = parse<{ Id?: unknown }>(path, made);
    if (typeof Id !== "string") {
      throw new EngineError("refused", "the engine does not name the container that it has made");
    }
    await this.#ask("POST", `/containers/${Id}/start`, { kinds: CONTAINER_KINDS });
  }

  async stop(id: string, graceS: number): Promise<void> {
    await this.#ask("POST", `${container(id)}/stop?t=${graceS}`, { kinds: CONTAINER_KINDS });
  }

  async pause(id: string): Promise<void> {
    await this.#ask("POST", `${container(id)}/pause`, { kinds: CONTAINER_KINDS });
  }

  async unpause(id: string): Promise<void> {
    await this.#ask("POST", `${container(id)}/unpause`, { kinds: CONTAINER_KINDS });
  }

  async remove(id: string): Promise<void> {
    // A forced removal conflicts only with another removal of the same container.
    await this.#ask("DELETE", `${container(id)}?force=true&v=true`, { kinds: { ...CONTAINER_KINDS, 409: "already" } });
  }

  async containers(filter: ContainerFilter): Promise<ListedContainer[]> {
    const wanted = "owner" in filter ? { label: [`${LABEL.owner}=${filter.owner}`] } : { volume: [filter.volume] };
    const list = await this.#get<ApiContainer[]>(`/containers/json?all=true&filters=${json(wanted)}`);
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
    const { Id } = parse<{ Id?: unknown }>(path, await this.#ask("POST", path, { body, kinds, signal }));
    if (typeof Id !== "string") {
      throw new EngineError("refused", "the engine does not name the command that it is to run");
    }
    const start = defined({ Detach: false, Tty: terminal !== undefined, ConsoleSize: size });
    try {
      const given = await this.#lending(() => hijack(this.#path, `/exec/${Id}/start`, start, signal));
      if ("body" in given) throw refusal(given.status, given.body, kinds);
      return new SocketExec(given, {
        state: () => this.#get<ExecState>(`/exec/${Id}/json`, { kinds }),
        resize: async ({ columns, rows }) => {
          await this.#ask("POST", `/exec/${Id}/resize?h=${rows}&w=${columns}`, { kinds });
        },
      }, { clock: this.#clock, terminal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#explain(error);
    }
  }

  async archive(id: string, path: string, bytes: number): Promise<Uint8Array> {
    const body = await this.#open(
      `${container(id)}/archive?path=${encodeURIComponent(path)}`,
      undefined,
      CONTAINER_KINDS,
    );
    try {
      return await firstBytes(body, bytes);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async *logs(id: string, options: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    const { follow = false, signal, since, tail } = options;
    if (signal?.aborted) return;
    const query = new URLSearchParams({ stdout: "true", stderr: "true", timestamps: "true", follow: `${follow}` });
    if (tail !== undefined) query.set("tail", `${tail}`);
    if (since !== undefined) query.set("since", unixTime(since));
    try {
      const body = await this.#open(`${container(id)}/logs?${query}`, signal, CONTAINER_KINDS);
      for await (const line of logLines(body, signal)) {
        if (signal?.aborted) return;
        if (line.time !== undefined) yield line;
      }
    } catch (error) {
      if (signal?.aborted) return;
      throw this.#explain(error);
    }
  }

  async events(since: string, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>> {
    const wanted = { type: Object.keys(EVENT_ACTIONS), event: Object.values(EVENT_ACTIONS).flat() };
    const body = await this.#open(`/events?since=${since}&filters=${json(wanted)}`, signal);
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
    await this.#ask("POST", "/networks/create", { body, kinds: { 409: "conflict" } });
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#ask("DELETE", `/networks/${encodeURIComponent(name)}`, { kinds: { 404: "no_such_network" } });
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
    const filters = json({ reference: ["*-docker:latest"] });
    const images = await this.#get<ApiImage[]>(`/images/json?filters=${filters}`);
    const tags = images.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => [tag, Id] as const));
    return new Map(tags.flatMap(([tag, id]) => {
      const [, name] = /^([^:]*-docker):latest$/.exec(shortName(tag) ?? "") ?? [];
      return name === undefined ? [] : [[name, id]];
    }));
  }

  async removeImage(reference: string): Promise<void> {
    await this.#ask("DELETE", imagePath(reference), { kinds: { 404: "no_such_image", 409: "in_use" } });
  }

  [Symbol.dispose](): void {
    this.#client.close();
    this.#withoutReuse.close();
  }

  #stats(engineId: string): Promise<ApiStats> {
    return this.#get(`/containers/${engineId}/stats?stream=false&one-shot=true`, { kinds: CONTAINER_KINDS });
  }

  async #get<T>(path: string, ask: Ask = {}): Promise<T> {
    return parse<T>(path, await this.#ask("GET", path, ask));
  }

  /** Sends a request and reads its answer. */
  async #ask(method: string, path: string, ask: Ask = {}): Promise<string> {
    const { body, kinds = {}, signal, timeoutMs = this.#timeoutMs } = ask;
    signal?.throwIfAborted();
    const ended = new AbortController();
    let late = false;
    const cancelTimeout = this.#clock.after(timeoutMs, () => {
      late = true;
      ended.abort();
    });
    const end = () => ended.abort();
    signal?.addEventListener("abort", end, { once: true });
    try {
      const { response, text } = await this.#send(path, {
        method,
        signal: ended.signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      if (response.ok || response.status === 304) return text; // 304: the container is already in that state
      throw refusal(response.status, text, kinds);
    } catch (error) {
      signal?.throwIfAborted();
      if (late) throw new EngineError("late", `the engine did not answer ${path.replace(/\?.*/, "")} in time`);
      throw this.#explain(error);
    } finally {
      cancelTimeout();
      signal?.removeEventListener("abort", end);
    }
  }

  async #send(
    path: string,
    init: RequestInit & { readonly signal: AbortSignal },
  ): Promise<{ response: Response; text: string }> {
    const send = async (client: Deno.HttpClient) => {
      const response = await fetch(ENGINE + path, { ...init, client });
      const text = response.body === null ? "" : await readText(response.body, init.signal);
      init.signal.throwIfAborted();
      return { response, text };
    };
    // A request with a body must not be sent twice. A retry for lack of descriptors is safe: there was no connection.
    if (init.body !== undefined) return await this.#lending(() => send(this.#withoutReuse));
    try {
      return await send(this.#client);
    } catch (error) {
      if (init.signal.aborted) throw error;
      // The engine may have closed the idle connection meanwhile.
      return await this.#lending(() => send(this.#withoutReuse));
    }
  }

  /** Does something; if that fails for lack of file descriptors, lends the reserve and does it again. */
  async #lending<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isExhausted(error) || !this.#reserve?.lend()) throw error;
      return await work();
    }
  }

  /** Opens a streaming answer. @throws {EngineError} When the engine refuses it or does not answer. */
  async #open(path: string, signal?: AbortSignal, kinds: Kinds = {}): Promise<ReadableStream<Uint8Array>> {
    try {
      const response = await this.#lending(() =>
        fetch(ENGINE + path, { client: this.#withoutReuse, signal: signal ?? null })
      );
      if (response.ok && response.body !== null) return response.body;
      throw refusal(response.status, await response.text(), kinds);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Converts an error: a connection error means that the engine does not answer. */
  #explain(error: unknown): unknown {
    if (error instanceof EngineError) return error;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const reason = plainMessageOf(cause).replace(/^.*client error \(\w+\): /, "");
    return new EngineError("away", `the engine does not answer at ${this.#path}: ${reason}`, { cause: error });
  }
}

function newClient(path: string, idleConnections: number): Deno.HttpClient {
  return Deno.createHttpClient({
    proxy: { transport: "unix", path },
    http2: false,
    poolMaxIdlePerHost: idleConnections,
    poolIdleTimeout: false,
  });
}

function container(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}

function imagePath(reference: string): string {
  return `/images/${reference.split("/").map(encodeURIComponent).join("/")}`;
}

function json(value: unknown): string {
  return encodeURIComponent(JSON.stringify(value));
}

function parse<T>(path: string, text: string): T {
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = path.replace(/\?.*/, "");
    throw new EngineError("refused", `the engine's answer to ${what} is not JSON`, { cause: error });
  }
}

/** The error for an unsuccessful answer. */
function refusal(status: number, text: string, kinds: Kinds): EngineError {
  let message = `the engine answered ${status}`;
  try {
    const said = JSON.parse(text).message;
    if (typeof said === "string" && said.trim() !== "") message = messageOf(said);
  } catch {
    // The text says nothing useful.
  }
  return new EngineError(kindOfMessage(message, kinds[status]), message);
}

/** The memory in use without what the kernel can reclaim, as in `docker stats`. */
function usedBytes({ memory_stats }: ApiStats = {}): number | undefined {
  if (memory_stats?.usage === undefined) return undefined;
  const { inactive_file, total_inactive_file } = memory_stats.stats ?? {};
  return Math.max(0, memory_stats.usage - (total_inactive_file ?? inactive_file ?? 0));
}

/** An RFC 3339 time as seconds since 1970 with nanoseconds, for queries. */
function unixTime(time: string): string {
  const utc = canonicalTime(time);
  return utc === undefined ? time : `${Date.parse(`${utc.slice(0, 19)}Z`) / 1000}.${utc.slice(20, 29)}`;
}

/** The lines of a log. Both streams come over one connection. */
async function* logLines(
  bytes: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<LogLine, void, void> {
  const splitters = { stdout: new LogSplitter("stdout"), stderr: new LogSplitter("stderr") };
  for await (const part of framesOf(piecesOf(bytes, signal))) yield* splitters[part.stream].push(part.bytes);
  yield* [...splitters.stdout.end(), ...splitters.stderr.end()];
}
