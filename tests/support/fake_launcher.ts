import type { Container, ContainerEvent, Launch, Launcher, Sharing, Usage } from "../../src/pool/launcher.ts";

/** A start that the test decides about. */
export interface PendingLaunch extends Launch {
  /** The container runs, and the app in it is there. */
  succeed(origin: string): void;
  /** The engine refuses. */
  fail(error: Error): void;
}

/** What a launcher was asked to do. */
export interface LauncherCall {
  readonly method: Exclude<
    keyof Launcher,
    "canHibernate" | "exposedPorts" | "list" | "usage" | "processorTime" | "sharing" | "swapTotalBytes"
  >;
  readonly id: string;
  /** Of a `stop`, where it is given. */
  readonly graceS?: number;
}

/**
 * An engine without containers. By default a start hangs until the test takes it from {@linkcode nextLaunch} and decides,
 * and everything else is done at once; `on` puts a test's own behaviour in front of a method.
 */
export class FakeLauncher implements Launcher {
  /** What was asked, in order. */
  readonly calls: LauncherCall[] = [];
  /** What the engine has, by id. */
  readonly containers = new Map<string, Container>();
  /** Called before the fake does its part: may wait, and may throw as a refusing engine does. */
  readonly on: {
    launch?: (launch: Launch) => Promise<{ origin: string }> | { origin: string };
    pause?: (id: string) => Promise<void> | void;
    resume?: (id: string) => Promise<void> | void;
    hibernate?: (id: string) => Promise<void> | void;
    stop?: (id: string) => Promise<void> | void;
    remove?: (id: string) => Promise<void> | void;
    list?: () => Promise<void> | void;
  } = {};
  /** How much memory each container uses, by id. */
  used: ReadonlyMap<string, Usage> = new Map();
  /** Whether the machine has swap. */
  canHibernate = true;
  swapTotalBytes = 0;
  /** How much processor time each container has used, ns by id. */
  processor: ReadonlyMap<string, number> = new Map();
  /** How other cless use the containers too. */
  sharing: Sharing | undefined;
  /** What every app has written. */
  written = "";
  /** The ports that every image exposes. */
  exposed: readonly number[] = [];
  /** Where the engine's events go. */
  onEvent: (event: ContainerEvent) => void = () => {};
  readonly #pending: PendingLaunch[] = [];
  readonly #expecting: ((launch: PendingLaunch) => void)[] = [];

  /** The ids that a method was called with, in order. */
  called(method: LauncherCall["method"]): string[] {
    return this.calls.filter((call) => call.method === method).map(({ id }) => id);
  }

  /** The first start that nobody has decided about; waits for one where there is none. */
  nextLaunch(): Promise<PendingLaunch> {
    const launch = this.#pending.shift();
    return launch === undefined ? new Promise((resolve) => this.#expecting.push(resolve)) : Promise.resolve(launch);
  }

  /** The container ends by itself, and the engine says so; without a code nobody has seen how. */
  end(id: string, exitCode?: number, oom?: boolean): void {
    this.endUnseen(id);
    const told = {
      ...(exitCode === undefined ? {} : { exitCode, byHand: false }),
      ...(oom === undefined ? {} : { oom }),
    };
    this.onEvent({ id, what: "ended", ...told });
  }

  /** Somebody stops or kills the container, and the engine says so. */
  kill(id: string, exitCode = 137): void {
    this.endUnseen(id);
    this.onEvent({ id, what: "ended", exitCode, byHand: true });
  }

  /** The container ends by itself, and the event gets lost: only the list tells. */
  endUnseen(id: string): void {
    this.#put(id, "ended");
  }

  /** Pauses the container, there and then where the test does not delay it; also as somebody else would. */
  async pause(id: string): Promise<void> {
    this.calls.push({ method: "pause", id });
    const before = this.on.pause?.(id);
    if (before !== undefined) await before;
    this.#put(id, "paused");
    this.onEvent({ id, what: "paused" });
  }

  /** Reports something as the engine would. */
  emit(event: ContainerEvent): void {
    this.onEvent(event);
  }

  /** There is a container, whoever has made it. */
  put({ id, revision: { imageId, name, service } }: Launch, state: Container["state"]): void {
    this.containers.set(id, { id, service, revision: name, imageId, state, origin: `http://${id}` });
  }

  async launch(launch: Launch): Promise<{ origin: string }> {
    const { id, revision } = launch;
    this.calls.push({ method: "launch", id });
    const { origin } = await (this.on.launch?.(launch) ?? this.#decided(launch));
    const { imageId, name, service } = revision;
    this.containers.set(id, { id, service, revision: name, imageId, state: "running", origin });
    return { origin };
  }

  async resume(id: string): Promise<void> {
    this.calls.push({ method: "resume", id });
    await this.on.resume?.(id);
    this.#put(id, "running");
    this.onEvent({ id, what: "resumed" });
  }

  async hibernate(id: string): Promise<void> {
    this.calls.push({ method: "hibernate", id });
    await this.on.hibernate?.(id);
  }

  async stop(id: string, graceS?: number): Promise<void> {
    this.calls.push({ method: "stop", id, ...(graceS === undefined ? {} : { graceS }) });
    await this.on.stop?.(id);
    this.#take(id);
  }

  async remove(id: string): Promise<void> {
    this.calls.push({ method: "remove", id });
    await this.on.remove?.(id);
    this.#take(id);
  }

  forget(id: string): void {
    this.calls.push({ method: "forget", id });
  }

  output(id: string, lines: number): Promise<string> {
    this.calls.push({ method: "output", id });
    return Promise.resolve(this.written.split("\n").slice(-lines).join("\n"));
  }

  exposedPorts(): Promise<readonly number[]> {
    return Promise.resolve(this.exposed);
  }

  async list(): Promise<Container[]> {
    const listed = [...this.containers.values()]; // as it is when the engine is asked, not when it answers
    await this.on.list?.();
    return listed;
  }

  usage(): Promise<ReadonlyMap<string, Usage>> {
    return Promise.resolve(this.used);
  }

  processorTime(id: string): Promise<number | undefined> {
    return Promise.resolve(this.processor.get(id));
  }

  #decided(launch: Launch): Promise<{ origin: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ origin: string }>();
    const pending = { ...launch, succeed: (origin: string) => resolve({ origin }), fail: reject };
    const expecting = this.#expecting.shift();
    if (expecting === undefined) this.#pending.push(pending);
    else expecting(pending);
    return promise;
  }

  #put(id: string, state: Container["state"]): void {
    const container = this.containers.get(id);
    if (container !== undefined) this.containers.set(id, { ...container, state });
  }

  #take(id: string): void {
    if (this.containers.delete(id)) this.onEvent({ id, what: "ended" });
  }
}
