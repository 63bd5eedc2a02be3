import type { LogLine, LogOptions } from "../../src/docker/engine_api.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { type ApiService, hasEnded, taskOf as taskOfService } from "../../src/docker/swarm/swarm_json.ts";
import type {
  LeavingTask,
  SwarmApi,
  SwarmConfig,
  SwarmEvent,
  SwarmInfo,
  SwarmNode,
  SwarmTask,
  TaskFilter,
} from "../../src/docker/swarm/swarm_api.ts";
import type { Clock } from "../../src/base/clock.ts";

/** What is taken out of a service's specification. */
interface ServiceBody {
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly EndpointSpec?: { readonly Ports?: readonly { readonly PublishedPort?: number }[] };
  readonly TaskTemplate: {
    readonly Placement?: { readonly Constraints?: readonly string[] };
    readonly ContainerSpec: { readonly Image: string };
  };
}

/** A task with the id of its container, which only its node's engine tells; missing until it runs. */
export interface FakeTask extends SwarmTask {
  readonly containerId: string | undefined;
}

/** What a node needs before a task runs there. */
export interface FakePull {
  readonly nodeId: string;
  readonly image: string;
  readonly login: string | undefined;
}

interface FakeService {
  readonly id: string;
  /** What Swarm says of it. */
  api: ApiService;
  readonly body: ServiceBody;
  /** The login with which its nodes pull. */
  readonly login: string | undefined;
  task: Omit<FakeTask, "serviceId" | "name" | "order" | "labels">;
}

/** Swarm's longest name. */
const MAX_NAME = { service: 63, config: 64 };
/** A config's data is smaller than this, bytes. */
const MAX_DATA = 1_000_000;

/** So soon after it was created, Swarm raises the version of a service. */
const ALLOCATE_MS = 5;

/** A Swarm in memory, which several cless share: each of its nodes has an API of its own. */
export class FakeSwarm {
  readonly #clock: Clock;
  readonly #nodes = new Map<string, SwarmNode>();
  readonly #services = new Map<string, FakeService>();
  readonly #configs = new Map<string, SwarmConfig>();
  readonly #listeners = new Set<(event: SwarmEvent) => void>();
  /** Every call that changes something, in words. */
  readonly changes: string[] = [];
  /** Whether the managers have no leader: every call fails. */
  isAway = false;
  /** How long a task takes to run, ms; `Infinity`: until {@linkcode run} is called. */
  startMs = 0;
  /** The node on which tasks are placed at once that do not run yet, if any. */
  assign: string | undefined;
  /** The tasks whose containers have not ended yet, though their services have been removed. */
  leaving: LeavingTask[] = [];
  /** If set, tasks end in this way and never run. */
  refusal: { readonly state: "rejected" | "failed"; readonly error: string; readonly exitCode?: number } | undefined;
  /** Whether a node gets an image with a login. */
  pulls: (pull: FakePull) => boolean = () => true;
  /** The hooks of the nodes' engines: what happens to their containers. */
  readonly containers: {
    started(task: FakeTask): void;
    removed(task: FakeTask): void;
  }[] = [];
  /** How often all instances of an owner were listed. */
  lists = 0;
  /** What services have written, by name. */
  readonly output = new Map<string, LogLine[]>();
  #made = 0;
  #version = 10;
  #nanos = 0;
  #nextPort = 32_768;

  /** @param nodeIds The first one is the leader. */
  constructor(clock: Clock, nodeIds: readonly string[] = ["node1"]) {
    this.#clock = clock;
    for (const id of nodeIds) this.addNode(id);
  }

  get nodes(): readonly SwarmNode[] {
    return [...this.#nodes.values()];
  }

  addNode(id: string, changes: Partial<SwarmNode> = {}): void {
    const node: SwarmNode = {
      id,
      hostname: `host-${id}`,
      address: `10.0.0.${this.#nodes.size + 1}`,
      role: "manager",
      isLeader: this.#nodes.size === 0,
      isReady: true,
      availability: "active",
      labels: {},
      engineVersion: "26.1.5",
      memoryBytes: 8 * 2 ** 30,
      cpus: 2,
      ...changes,
    };
    this.#nodes.set(id, node);
    this.#tell({ type: "node", action: "create", id, name: node.hostname, attributes: {} });
  }

  /** Changes what Swarm knows of a node. What runs on a node that is not ready is not touched. */
  setNode(id: string, changes: Partial<SwarmNode>): void {
    const node = { ...this.#nodes.get(id)!, ...changes };
    this.#nodes.set(id, node);
    const attributes = { "state.new": node.isReady ? "ready" : "down" };
    this.#tell({ type: "node", action: "update", id, name: node.hostname, attributes });
  }

  removeNode(id: string): void {
    const node = this.#nodes.get(id);
    if (this.#nodes.delete(id)) {
      this.#tell({ type: "node", action: "remove", id, name: node!.hostname, attributes: {} });
    }
  }

  /** The instances' tasks. */
  get tasks(): FakeTask[] {
    return [...this.#services.values()].map(taskOf);
  }

  /** The body with which a service was made. */
  body(name: string): unknown {
    return this.#service(name)?.body;
  }

  /** The configs, by name. */
  get configs(): ReadonlyMap<string, SwarmConfig> {
    return new Map([...this.#configs.values()].map((config) => [config.name, config]));
  }

  /** Lets a task run. */
  run(name: string): void {
    const service = this.#service(name);
    if (service === undefined || hasEnded(service.task) || service.task.state === "running") return;
    if (this.refusal !== undefined) {
      service.task = { ...service.task, ...this.refusal };
      return;
    }
    const containerId = `${++this.#made}`.padStart(64, "c");
    const nodeId = this.#place(service.body);
    const publishedPort = service.body.EndpointSpec?.Ports?.[0]?.PublishedPort || this.#nextPort++;
    const isPortTaken = this.tasks.some((task) => task.nodeId === nodeId && task.publishedPort === publishedPort);
    if (nodeId === undefined || isPortTaken) {
      const why = isPortTaken ? " (host-mode port already in use on 1 node)" : "";
      service.task = { ...service.task, state: "pending", error: `no suitable node${why}` };
      return;
    }
    const image = service.body.TaskTemplate.ContainerSpec.Image;
    if (!this.pulls({ nodeId, image, login: service.login })) {
      service.task = { ...service.task, state: "rejected", nodeId, error: `No such image: ${image}` };
      return;
    }
    service.task = {
      ...service.task,
      ...{ state: "running", nodeId, containerId, error: undefined, startedAt: this.#clock.now() },
      publishedPort,
    };
    for (const hook of this.containers) hook.started(taskOf(service));
  }

  /** Lets a task end by itself. */
  end(name: string, exitCode: number): void {
    const service = this.#service(name);
    if (service === undefined || hasEnded(service.task)) return;
    const state = exitCode === 0 ? "complete" : "failed";
    const error = exitCode === 0 ? undefined : `task: non-zero exit (${exitCode})`;
    service.task = { ...service.task, state, error, exitCode, startedAt: undefined, publishedPort: undefined };
  }

  /** The API as a node has it: every manager's answers are the same but for what it says of itself. */
  api(nodeId: string): SwarmApi {
    return {
      info: () => this.#do(() => this.#info(nodeId)),
      nodes: () => this.#do(() => [...this.#nodes.values()]),
      createService: (body, { registryAuth } = {}) =>
        this.#do(() => this.#createService(structuredClone(body) as ServiceBody, registryAuth)),
      leaving: () => this.#do(() => [...this.leaving]),
      tasks: (filter) => this.#do(() => this.#list(filter)),
      removeService: (name) => this.#do(() => this.#removeService(name)),
      configs: (label) => this.#do(() => [...this.#configs.values()].filter((config) => hasLabel(config, label))),
      config: (name) => this.#do(() => this.#config(name)),
      createConfig: (name, labels, data) => this.#do(() => this.#createConfig(name, labels, data)),
      setConfigLabels: (config, labels) => this.#do(() => this.#setLabels(config, labels)),
      removeConfig: (name) => this.#do(() => this.#removeConfig(name)),
      logs: (name, options) => this.#logs(name, options),
      events: (_since, signal) => this.#do(() => this.#events(signal)),
    };
  }

  /** How many streams of events are open. */
  get followers(): number {
    return this.#listeners.size;
  }

  /** Ends every stream of events, as if the managers had been started anew. */
  breakEvents(): void {
    for (const end of [...this.#ends]) end();
  }

  readonly #ends = new Set<() => void>();

  /** Answers later, never at once, as what comes over a connection. */
  async #do<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    if (this.isAway) throw new EngineError("away", "The swarm does not have a leader");
    return work();
  }

  #info(nodeId: string): SwarmInfo {
    const { address, role } = this.#nodes.get(nodeId)!;
    return { nodeId, nodeAddress: address, isManager: role === "manager" };
  }

  #service(nameOrId: string): FakeService | undefined {
    return [...this.#services.values()].find(({ body, id }) => body.Name === nameOrId || id === nameOrId);
  }

  #createService(body: ServiceBody, login: string | undefined): string {
    const { Name } = body;
    if (Name.length > MAX_NAME.service) throw new EngineError("refused", "name must be 63 characters or fewer");
    if (this.#service(Name) !== undefined) {
      throw new EngineError("conflict", `name conflicts with an existing object: service ${Name} already exists`);
    }
    const id = `service${++this.#made}`;
    const task = {
      ...{
        state: this.assign === undefined ? "new" : "assigned",
        nodeId: this.assign,
        containerId: undefined,
        publishedPort: undefined,
        error: undefined,
      },
      ...{ exitCode: undefined, startedAt: undefined },
    };
    const CreatedAt = createdAt(this.#clock.now(), ++this.#nanos);
    const api = { ID: id, Version: { Index: ++this.#version }, CreatedAt, Spec: { Name, Labels: body.Labels ?? {} } };
    const service: FakeService = { id, api, body, login, task };
    this.#services.set(id, service);
    // The allocator of Swarm updates each service once, soon after it was created.
    this.#clock.after(ALLOCATE_MS, () => service.api = { ...service.api, Version: { Index: ++this.#version } });
    this.changes.push(`create service ${Name}`);
    this.#tell({ type: "service", action: "create", id, name: Name, attributes: { name: Name } });
    if (this.startMs === 0) queueMicrotask(() => this.run(id));
    else if (this.startMs < Infinity) this.#clock.after(this.startMs, () => this.run(id));
    return id;
  }

  #removeService(nameOrId: string): void {
    const service = this.#service(nameOrId);
    if (service === undefined) return;
    this.#services.delete(service.id);
    this.changes.push(`remove service ${service.body.Name}`);
    const { Name } = service.body;
    this.#tell({ type: "service", action: "remove", id: service.id, name: Name, attributes: { name: Name } });
    for (const hook of this.containers) hook.removed(taskOf(service));
  }

  /** The node with the fewest tasks among those that are allowed. */
  #place({ TaskTemplate: { Placement } }: ServiceBody): string | undefined {
    const load = (id: string) => this.tasks.filter(({ nodeId }) => nodeId === id).length;
    return [...this.#nodes.values()]
      .filter((node) => node.isReady && node.availability === "active")
      .filter((node) => (Placement?.Constraints ?? []).every((constraint) => fulfils(node, constraint)))
      .sort((a, b) => load(a.id) - load(b.id))[0]?.id;
  }

  #list(filter: TaskFilter): SwarmTask[] {
    if ("service" in filter) return [this.#service(filter.service) ?? []].flat().map(taskOf);
    const { owner, revision } = filter;
    if (revision === undefined) this.lists++;
    const isOf = ({ labels }: SwarmTask) =>
      labels["cless.owner"] === owner && labels["cless.revision"] === (revision ?? labels["cless.revision"]);
    return this.tasks.filter(isOf);
  }

  #config(nameOrId: string): SwarmConfig {
    const config = this.#configs.get(nameOrId) ?? this.configs.get(nameOrId);
    if (config === undefined) throw new EngineError("gone", `config ${nameOrId} not found`);
    return structuredClone(config);
  }

  #createConfig(name: string, labels: Readonly<Record<string, string>>, data: Uint8Array): string {
    if (!/^[a-zA-Z0-9](?:[-_.a-zA-Z0-9]*[A-Za-z0-9])?$/.test(name) || name.length > MAX_NAME.config) {
      throw new EngineError("refused", "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed");
    }
    if (data.length === 0 || data.length >= MAX_DATA) {
      throw new EngineError("refused", "config data must be larger than 0 and less than 1024000 bytes");
    }
    if (this.configs.has(name)) throw new EngineError("conflict", `config ${name} already exists`);
    const id = `config${++this.#made}`;
    this.#configs.set(id, structuredClone({ id, name, version: ++this.#version, labels, data }));
    this.changes.push(`create config ${name}`);
    this.#tell({ type: "config", action: "create", id, name, attributes: { name } });
    return id;
  }

  #setLabels(
    { id, name, version }: Pick<SwarmConfig, "id" | "name" | "version">,
    labels: Readonly<Record<string, string>>,
  ): void {
    const config = this.#config(id);
    if (config.version !== version) {
      throw new EngineError("stale", "rpc error: code = Unknown desc = update out of sequence");
    }
    this.#configs.set(id, { ...config, version: ++this.#version, labels: { ...labels } });
    this.changes.push(`label config ${name}`);
    this.#tell({ type: "config", action: "update", id, name, attributes: { name } });
  }

  #removeConfig(nameOrId: string): void {
    const config = this.#configs.get(nameOrId) ?? this.configs.get(nameOrId);
    if (config === undefined) return;
    const { id, name } = config;
    this.#configs.delete(id);
    this.changes.push(`remove config ${name}`);
    this.#tell({ type: "config", action: "remove", id, name, attributes: { name } });
  }

  #tell(event: Omit<SwarmEvent, "time">): void {
    const time = (this.#clock.now() / 1000).toFixed(6);
    for (const listener of [...this.#listeners]) listener({ ...event, time });
  }

  async *#logs(name: string, { signal }: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    if (this.#service(name) === undefined) throw new EngineError("gone", `service ${name} not found`);
    if (!signal?.aborted) yield* this.output.get(name) ?? [];
  }

  #events(signal: AbortSignal): AsyncIterable<SwarmEvent> {
    const events: SwarmEvent[] = [];
    let wake = () => {};
    let isOver = signal.aborted;
    const listener = (event: SwarmEvent) => {
      events.push(event);
      wake();
    };
    const end = () => {
      isOver = true;
      this.#listeners.delete(listener);
      this.#ends.delete(end);
      signal.removeEventListener("abort", end);
      wake();
    };
    this.#listeners.add(listener);
    this.#ends.add(end);
    signal.addEventListener("abort", end, { once: true });
    return (async function* () {
      for (;;) {
        while (events.length > 0) yield events.shift()!;
        if (isOver) return;
        await new Promise<void>((resolve) => wake = resolve);
      }
    })();
  }
}

function taskOf({ api, task }: FakeService): FakeTask {
  return { ...taskOfService(api, undefined), ...task };
}

/** A time as Go writes it: in nanoseconds, without the zeros at its end. */
function createdAt(ms: number, nanos: number): string {
  const fraction = `${new Date(ms).toISOString().slice(0, -1)}${`${nanos}`.padStart(6, "0")}`;
  return `${fraction.replace(/\.?0+$/, "")}Z`;
}

function hasLabel({ labels }: SwarmConfig, label: string): boolean {
  const [key, value] = label.split(/=(.*)/s) as [string, string | undefined];
  return key in labels && (value === undefined || labels[key] === value);
}

/** Whether a node fulfils a constraint such as `node.id==abc` or `node.labels.disk!=slow`. */
function fulfils(node: SwarmNode, constraint: string): boolean {
  const [, key = "", operator, value = ""] = /^\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*$/.exec(constraint) ?? [];
  const known: Record<string, string> = { "node.id": node.id, "node.hostname": node.hostname, "node.role": node.role };
  const found = key.startsWith("node.labels.") ? node.labels[key.slice("node.labels.".length)] ?? "" : known[key] ?? "";
  return (found === value) === (operator === "==");
}
