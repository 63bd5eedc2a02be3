import { Metrics } from "./admin/metrics.ts";
import { Adoption } from "./fleet/adoption.ts";
import type { ConfigFile } from "./deploy/config_file.ts";
import { ControlPlane } from "./compose/control_plane.ts";
import { mayUseProxy } from "./admin/access.ts";
import { atMost, whileItMoves } from "./base/async.ts";
import { RequestPath } from "./compose/request_path.ts";
import type { Config } from "./base/config.ts";
import { type DataDir, openDataDir } from "./control/data_dir.ts";
import { HostPaths } from "./deploy/volumes.ts";
import { RevisionEnv } from "./control/runtime_revision.ts";
import { RevisionLauncher } from "./deploy/revision_launcher.ts";
import { Secrets } from "./control/secrets/secrets.ts";
import { ServiceStates } from "./control/service_states.ts";
import type { Store } from "./control/store.ts";
import { Engine } from "./docker/engine.ts";
import { chooseEngineApi, type EngineChoice, findEngine } from "./docker/engine_choice.ts";
import { EngineError } from "./docker/engine_error.ts";
import { Fleet } from "./fleet/fleet.ts";
import { type Endpoint, formatEndpoint } from "./model/host.ts";
import { conventionLabel } from "./model/revision.ts";
import { messageOf, OperatorError } from "./base/errors.ts";
import { logger } from "./base/log.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import type { InstancePool } from "./pool/pool.ts";
import type { Container } from "./pool/launcher.ts";
import { Server } from "./http/server.ts";
import { SqliteStore } from "./sqlite/store.ts";

const log = logger("cless");
/** How long an engine that removes nothing may keep the program from ending, ms; what it leaves behind goes at the next start. */
const STOP_PATIENCE_MS = 45_000;
const ADMIN_PATIENCE_MS = 1000;

/** The whole program: makes every part, starts them in order, and stops them in order. */
export class Cless {
  readonly #config: Config;
  readonly #dataDir: DataDir;
  readonly #store: Store;
  readonly #states: ServiceStates;
  readonly #clock: Clock = systemClock;
  readonly #engine: Engine;
  readonly #adoption: Adoption;
  readonly #requests: RequestPath;
  readonly #control: ControlPlane;
  /** Missing where only operators declare services. */
  #configFile: ConfigFile | undefined;
  readonly #admin: Server;

  private constructor(config: Config, choice: EngineChoice, dataDir: DataDir, store: Store, secrets: Secrets) {
    const clock = this.#clock;
    this.#config = config;
    this.#dataDir = dataDir;
    this.#store = store;
    const metrics = new Metrics();
    const states = this.#states = new ServiceStates(store);
    const fleet = new Fleet();
    const engine = this.#engine = new Engine(choice, config, dataDir, { clock, fleet });
    const env = new RevisionEnv(secrets);
    const hostPaths = new HostPaths(config.allowHostPaths, Deno.realPath);
    const launcher = new RevisionLauncher({ launcher: engine.launcher, env, hostPaths, clock });
    const adoption = this.#adoption = new Adoption(launcher, clock, config.startTimeout);
    const requests: RequestPath = this.#requests = new RequestPath({
      config,
      clock,
      launcher,
      fleet,
      images: engine.images,
      listening: () => engine.listening,
      declared: states,
      made: (pool) => adoption.hold(pool),
      stays: (container) => adoption.stays(container),
      changed: (instance) => control.instanceEvents.changed(instance),
      metrics,
      failed: (failure, pool) => control.instanceEvents.revisionFailed(pool.revision, failure),
      started: (service, createMs, readyMs) => metrics.coldStart(service, createMs, readyMs),
      admin: (request, head, peer) =>
        mayUseProxy(head.hostname.name, peer, config) ? control.api(request, peer) : undefined,
    });
    const control: ControlPlane = this.#control = new ControlPlane({
      config,
      dataDir,
      clock,
      store,
      states,
      secrets,
      env,
      hostPaths,
      launcher,
      engine,
      requests,
      metrics,
    });
    // Before it is known which containers are of use, each would look like one that belongs to nobody.
    engine.onGap(() => void (adoption.known && requests.reconciler.reconcile()));
    this.#admin = new Server(
      config.admin,
      (request, { remoteAddr }) => control.api(request, remoteAddr.hostname),
      clock,
      requests.reserve,
    );
  }

  /**
   * Starts everything; when it resolves, requests are served.
   *
   * @throws {OperatorError} When something in the surroundings must be mended first.
   */
  static async start(config: Config): Promise<Cless> {
    const looking = new AbortController();
    const choice = await chooseEngineApi(config, systemClock);
    // Its answer takes about as long as opening the store; if it is an error, it is reported first.
    const answer = findEngine(choice.api, { signal: looking.signal });
    answer.catch(() => {});
    try {
      return await Cless.#startWith(config, choice, answer);
    } finally {
      looking.abort();
      await answer.catch(() => {});
    }
  }

  static async #startWith(config: Config, choice: EngineChoice, answer: Promise<unknown>): Promise<Cless> {
    const cless = await Cless.#open(config, choice);
    try {
      await cless.#start(answer);
      return cless;
    } catch (error) {
      cless.#adoption.stop();
      await cless.stop();
      if (error instanceof EngineError) throw new OperatorError(`the Docker engine refuses: ${error.message}`);
      throw error;
    }
  }

  /** Where it listens; with the ports that it got, where none were named. */
  get endpoints(): { listen: Endpoint[]; admin: Endpoint } {
    return { listen: this.#requests.servers.map((server) => server.endpoint), admin: this.#admin.endpoint };
  }

  /** Where the token of the admin API stands. */
  get tokenFile(): string {
    return this.#dataDir.tokenFile;
  }

  /** How many containers are there. */
  get instances(): number {
    return this.#requests.fleet.instances().length;
  }

  /** The labels that local images answer for. */
  labels(): string[] {
    if (this.#requests.convention === undefined) return [];
    return this.#engine.images.names().flatMap((name) => conventionLabel(name) ?? []);
  }

  /** Where a browser finds a service. */
  urlOf(service: string): string {
    return this.#requests.hosts.urlOf(service);
  }

  /** Reads the file of `--config` again, where there is one. */
  async reload(): Promise<void> {
    await this.#configFile?.reload();
  }

  /** Stops accepting, lets what is in flight finish for a while, and stops the containers, unless they are to be kept. */
  async stop(): Promise<void> {
    const deadline = this.#clock.now() + this.#config.drainTimeout;
    this.#configFile?.stop();
    await Promise.all([this.#control.close(), this.#requests.drain()]);
    this.#adoption.stop();
    const { fleet } = this.#requests;
    if (this.#engine.found) {
      this.#engine.launcher.hurry(deadline - this.#clock.now());
      await whileItMoves(this.#endContainers(), () => fleet.size, this.#clock, STOP_PATIENCE_MS);
    }
    await atMost(this.#admin.shutdown(), this.#clock, ADMIN_PATIENCE_MS);
    this.#requests[Symbol.dispose]();
    this.#store[Symbol.dispose]();
    this.#dataDir[Symbol.dispose]();
  }

  static async #open(config: Config, choice: EngineChoice): Promise<Cless> {
    await using opened = new AsyncDisposableStack();
    const dataDir = opened.use(await openDataDir(config.dataDir));
    const store = opened.use(SqliteStore.open(dataDir.path));
    const secrets = await Secrets.open(store, { folder: dataDir.path, text: config.secretKey });
    const cless = new Cless(config, choice, dataDir, store, secrets);
    if (config.configFile !== undefined) {
      const { ConfigFile } = await import("./deploy/config_file.ts"); // reading YAML takes much that others do not need
      cless.#configFile = new ConfigFile(config.configFile, cless.#control.deployer, cless.#states);
    }
    opened.move(); // they are its own now
    return cless;
  }

  async #start(answer: Promise<unknown>): Promise<void> {
    const manifest = await this.#configFile?.read();
    await this.#engine.start(answer);
    this.#control.load();
    this.#admin.listen();
    for (const server of this.#requests.servers) server.listen();
    this.#requests.hosts.listenOn(this.#requests.servers[0]!.endpoint.port);
    this.#requests.reserve.take();
    this.#adopt();
    if (manifest !== undefined) this.#configFile?.apply(manifest);
    try {
      this.#dataDir.announceAdmin(formatEndpoint(this.#admin.endpoint));
    } catch (error) {
      log.warning("clients have to be told where the admin API is", { reason: messageOf(error) });
    }
  }

  /** Takes over what an earlier process has left, and from then on looks after it; requests are served meanwhile. */
  async #adopt(): Promise<void> {
    const { activator, reconciler } = this.#requests;
    try {
      await this.#adoption.run({ poolOf: (container) => this.#poolOf(container) });
    } catch (error) {
      log.error("cannot take over all containers", { reason: messageOf(error) }); // the rest goes on all the same
    }
    if (!this.#adoption.known || activator.draining) return;
    reconciler.start();
    reconciler.reconcile(); // what has ended just when it was taken over was told to nobody
  }

  /** Stops the containers, or leaves them for the next start. */
  async #endContainers(): Promise<void> {
    this.#engine.launcher.outputs.close(); // nobody will ask for what they have written
    if (this.#config.onExit === "keep") {
      await this.#requests.executor.settled(); // what is to go goes
      await this.#engine.leave();
    } else {
      await this.#requests.stopContainers();
      await this.#engine.stop();
    }
  }

  /** The pool that a container of an earlier process belongs to; `undefined` where it is of no use any more. */
  #poolOf(container: Container): InstancePool | undefined {
    const { imageId, service } = container;
    if (!this.#states.has(service)) {
      return this.#requests.convention?.adopt(service, imageId);
    }
    return this.#control.publisher.adopt(container);
  }
}
