import type { EngineApi, EngineEvent, LogLine } from "../../src/docker/engine_api.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import type { EngineCaller } from "../../src/docker/socket_client.ts";
import type { FakeSwarm, FakeTask } from "./fake_swarm.ts";

interface FakeContainer {
  readonly task: FakeTask;
  state: "running" | "paused" | "exited";
}

/** The engine of a node of a {@linkcode FakeSwarm}: what Swarm starts there runs in it. */
export class FakeNode implements EngineCaller {
  readonly nodeId: string;
  /** The containers by the engine's ids. */
  readonly containers = new Map<string, FakeContainer>();
  /** What was done with containers, such as `pause ID`, by the names of their services. */
  readonly calls: string[] = [];
  /** The ids of the images. */
  readonly images = new Set<string>();
  /** The names of the volumes. */
  readonly volumes = new Set<string>();
  /** Called before the engine does something: may wait, and may throw. */
  before: (call: string) => Promise<void> | void = () => {};
  readonly #swarm: FakeSwarm;
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  constructor(swarm: FakeSwarm, nodeId: string) {
    this.nodeId = nodeId;
    this.#swarm = swarm;
    swarm.containers.push({
      started: (task) => {
        if (task.nodeId !== nodeId) return;
        this.containers.set(task.containerId!, { task, state: "running" });
        for (const source of task.labels["cless.volumes"]?.split("\n") ?? []) this.volumes.add(source);
        this.#tell("start", task);
      },
      removed: (task) => {
        if (task.nodeId === nodeId) this.#end(task.containerId!, true);
      },
    });
  }

  /** Lets an app end by itself. */
  end(name: string, exitCode: number): void {
    const [, { task }] = [...this.containers].find(([, { task }]) => task.name === name)!;
    this.containers.get(task.containerId!)!.state = "exited";
    this.#swarm.end(name, exitCode);
    this.#tell("die", task, { exitCode: `${exitCode}` });
  }

  /** The states of the containers, by the names of their services. */
  get states(): Record<string, string> {
    return Object.fromEntries([...this.containers.values()].map(({ state, task }) => [task.name, state]));
  }

  /** The API, as far as these tests need it. */
  get api(): EngineApi {
    const api: Partial<EngineApi> = {
      via: "a test",
      version: () => Promise.resolve("26.1.5"),
      info: () => Promise.resolve({ id: `engine of ${this.nodeId}`, dataFolder: "/var/lib/docker", runtime: "runc" }),
      conventionImages: () => Promise.resolve(new Map()),
      image: (id) => {
        if (!this.images.has(id)) return Promise.reject(new EngineError("no_such_image", "No such image"));
        return Promise.resolve({ id, digests: [], exposedPorts: [80], hasHealthCheck: false, user: "" });
      },
      containers: () => Promise.resolve([]),
      pause: (id) => this.#do("pause", id, (container) => void (container.state = "paused")),
      unpause: (id) => this.#do("unpause", id, (container) => void (container.state = "running")),
      stop: (id) => this.#do("stop", id, () => this.#end(id, false)),
      remove: (id) => this.#do("remove", id, () => this.#end(id, true)),
      usage: () => Promise.resolve(new Map()),
      logs: (id) => this.#logs(id),
      events: (_since, signal) => Promise.resolve(this.#events(signal)),
      [Symbol.dispose]: () => {},
    };
    return api as EngineApi;
  }

  ask(_method: string, path: string): Promise<string> {
    const volume = /^\/volumes\/(.*)$/.exec(path)?.[1];
    if (volume !== undefined) {
      return this.volumes.has(volume)
        ? Promise.resolve("{}")
        : Promise.reject(new EngineError("gone", `get ${volume}: no such volume`));
    }
    const { id: [wanted] = [], label = [] } = JSON.parse(new URL(path, "http://x").searchParams.get("filters")!);
    const ofService = label.find((label: string) => label.startsWith("com.docker.swarm.service.id="))?.split("=")[1];
    const listed = [...this.containers].filter(([id, { state, task }]) => {
      if (ofService !== undefined) return task.serviceId === ofService && state !== "exited";
      return wanted === undefined || (id === wanted && (state !== "exited" || path.includes("all=true")));
    });
    return Promise.resolve(JSON.stringify(listed.map(([Id, { state, task }]) => ({
      Id,
      State: state,
      Status: "Up 1 second",
      Labels: {
        ...task.labels,
        "com.docker.swarm.service.name": task.name,
        "com.docker.swarm.service.id": task.serviceId,
      },
      Ports: state === "exited" ? [] : [{ PublicPort: task.publishedPort }],
    }))));
  }

  open(): Promise<ReadableStream<Uint8Array>> {
    return Promise.reject(new EngineError("refused", "there are no streams"));
  }

  async #do(what: string, id: string, work: (container: FakeContainer) => void): Promise<void> {
    const container = this.containers.get(id);
    if (container === undefined) throw new EngineError("gone", `No such container: ${id}`);
    const call = `${what} ${container.task.name}`;
    this.calls.push(call);
    await this.before(call);
    work(container);
    if (what === "pause" || what === "unpause") this.#tell(what, container.task);
  }

  #end(id: string, isRemoved: boolean): void {
    const container = this.containers.get(id);
    if (container === undefined) return;
    if (isRemoved) this.containers.delete(id);
    if (container.state === "exited") return;
    container.state = "exited";
    this.#tell("kill", container.task);
    this.#swarm.end(container.task.name, 143);
    this.#tell("die", container.task, { exitCode: "143" });
  }

  async *#logs(id: string): AsyncGenerator<LogLine, void, void> {
    const { name = "" } = this.containers.get(id)?.task ?? {};
    await this.before(`logs ${name}`);
    yield* this.#swarm.output.get(name) ?? [];
  }

  #tell(action: string, task: FakeTask, more: Record<string, string> = {}): void {
    const { containerId, labels, name, serviceId } = task;
    const ofService = { "com.docker.swarm.service.name": name, "com.docker.swarm.service.id": serviceId };
    const attributes = { ...labels, ...ofService, ...more };
    const event: EngineEvent = { type: "container", action, engineId: containerId!, attributes, time: undefined };
    for (const listener of [...this.#listeners]) listener(event);
  }

  async *#events(signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const events: EngineEvent[] = [];
    let wake = () => {};
    const listener = (event: EngineEvent) => {
      events.push(event);
      wake();
    };
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => wake(), { once: true });
    while (!signal.aborted) {
      while (events.length > 0) yield events.shift()!;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (signal.aborted || events.length > 0) resolve();
      });
    }
    this.#listeners.delete(listener);
  }
}
