import { mayUseProxy } from "./admin/access.ts";
import { adminApi } from "./admin/api.ts";
import { Metrics } from "./admin/metrics.ts";
import { atMost, whileItMoves } from "./base/async.ts";
import { systemClock } from "./base/clock.ts";
import type { Config } from "./base/config.ts";
import { ClessError, messageOf, OperatorError } from "./base/errors.ts";
import { FileReserve } from "./base/file_reserve.ts";
import { LagMeter } from "./base/lag.ts";
import { logger } from "./base/log.ts";
import { Tokens } from "./control/access/tokens.ts";
import { Catalog } from "./control/catalog.ts";
import { type DataDir, openDataDir } from "./control/data_dir.ts";
import { EventLog, InstanceEvents } from "./control/events.ts";
import { InstanceControl } from "./control/instance_control.ts";
import { OlderImages } from "./control/older_images.ts";
import { RevisionEnv } from "./control/runtime_revision.ts";
import { Secrets } from "./control/secrets/secrets.ts";
import { ServiceStates } from "./control/service_states.ts";
import { Statistics } from "./control/statistics.ts";
import type { Store } from "./control/store.ts";
import type { ConfigFile } from "./deploy/config_file.ts";
import { Deployer } from "./deploy/deployer.ts";
import { Publisher } from "./deploy/publisher.ts";
import { RevisionLauncher } from "./deploy/revision_launcher.ts";
import { HostPaths } from "./deploy/volumes.ts";
import { envProblem } from "./docker/container_env.ts";
import { Engine } from "./docker/engine.ts";
import { chooseEngineApi, type EngineChoice, findEngine } from "./docker/engine_choice.ts";
import { EngineError } from "./docker/engine_error.ts";
import { Adoption } from "./fleet/adoption.ts";
import { Fleet, RetiringPools } from "./fleet/fleet.ts";
import { MemoryBudget } from "./fleet/memory_budget.ts";
import { Reconciler } from "./fleet/reconciler.ts";
import { ExactForwarder } from "./http/exact/forwarder.ts";
import { FetchForwarder } from "./http/fetch_forwarder.ts";
import { Loopback } from "./http/loopback.ts";
import { Server } from "./http/server.ts";
import { ServiceLogs } from "./logs/service_logs.ts";
import { type Endpoint, formatEndpoint } from "./model/host.ts";
import { DROPPED } from "./model/isolation.ts";
import { conventionLabel, type Revision } from "./model/revision.ts";
import { Executor } from "./pool/executor.ts";
import { InstancePool, type PoolObserver } from "./pool/pool.ts";
import { Prober } from "./pool/probe.ts";
import { drain } from "./proxy/drain.ts";
import { Proxy } from "./proxy/proxy.ts";
import { UnansweredRequests } from "./proxy/request_context.ts";
import { Activator } from "./routing/activator.ts";
import { Convention } from "./routing/convention.ts";
import { adminHostnames, Hosts, Router } from "./routing/router.ts";
import { ServiceMap } from "./routing/service_map.ts";
import { SqliteStore } from "./sqlite/store.ts";

const log = logger("cless");
/** File descriptors for requests to reach their apps when clients have all others. */
const RESERVED_FILES = 32;
const TIDY_INTERVAL_MS = 3_600_000;
/** How long the removal of containers may stall before the program ends without it. The next start goes on with it. */
const STOP_TIMEOUT_MS = 45_000;
const ADMIN_STOP_TIMEOUT_MS = 1000;

type Parts = ReturnType<typeof makeParts>;

/** Makes every part, each after those that it needs. Starts nothing. */
function makeParts(config: Config, choice: EngineChoice, dataDir: DataDir, store: Store, secrets: Secrets) {
  const { startTimeoutMs, requestTimeoutMs, pauseAfterMs, stopAfterMs, drainTimeoutMs } = config;
  const limits = { startTimeoutMs, requestTimeoutMs, pauseAfterMs, stopAfterMs };
  const defaults = {
    dropped: DROPPED,
    memoryBytes: config.defaultMemoryBytes === Infinity ? undefined : config.defaultMemoryBytes,
    cpus: config.defaultCpus,
  };
  const clock = systemClock;
  const stopping = new AbortController();

  // What several parts share.
  const states = new ServiceStates(store);
  const fleet = new Fleet();
  const retiring = new RetiringPools(drainTimeoutMs);
  const services = new ServiceMap(retiring);
  const events = new EventLog(clock, Date.now);
  const instanceEvents = new InstanceEvents(events);
  const metrics = new Metrics();
  const reserve = new FileReserve(clock, RESERVED_FILES);
  const loopback = new Loopback();
  const lag = new LagMeter(clock, loopback);
  const unanswered = new UnansweredRequests(clock);
  const forwarder = config.forward === "exact" ? new ExactForwarder(clock) : new FetchForwarder();

  // Containers and the pools of instances.
  const engine = new Engine(choice, config, dataDir, clock);
  const env = new RevisionEnv(secrets);
  const hostPaths = new HostPaths(config.allowHostPaths, Deno.realPath);
  const launcher = new RevisionLauncher(engine.launcher, env, hostPaths, clock);
  const adoption = new Adoption(launcher, clock, startTimeoutMs);
  const executor = new Executor(launcher, clock, fleet, new Prober(clock, lag, choice.reserve));
  const observer: PoolObserver = {
    changed(instance, before) {
      if (before === "ready") forwarder.leave(instance.origin);
      instanceEvents.changed(instance);
    },
    failed: (failure, pool) => instanceEvents.revisionFailed(pool.revision, failure),
    started: (service, createMs, readyMs) => metrics.coldStart(service, createMs, readyMs),
  };
  const pools = {
    newPool(revision: Revision): InstancePool {
      const pool = new InstancePool(revision, { clock, executor, fleet, observer, maxPending: config.maxPending });
      adoption.hold(pool);
      return pool;
    },
  };
  const memory = new MemoryBudget(launcher, fleet, clock, config.memoryBudgetBytes);
  const reconciler = new Reconciler(launcher, fleet, adoption, clock);

  // From a hostname to an instance.
  const older = new OlderImages(store);
  engine.images.onChange(() => older.note(engine.images.ids()));
  const convention = config.convention
    ? new Convention({ images: engine.images, services, declared: states, pools, limits, defaults, older })
    : undefined;
  const router = new Router(services, convention);
  const hosts = new Hosts(config, services, router);
  const activator = new Activator(router, config.maxPending);

  // What operators see and change.
  const publisher = new Publisher({ services, limits, defaults, env, store, pools, clock, retiring });
  const deployer = new Deployer({
    ...{ store, states, publisher, images: engine.source, secrets, launcher, drainTimeoutMs },
    rules: {
      checkEnv: envProblem,
      hostPaths,
      reservedHostnames: adminHostnames(config),
      baseDomains: [config.domain, "localhost"],
    },
    volumeUsers: engine,
    events: {
      emit(type, service, data) {
        events.emit(type, service, data);
        if (type === "service.deleted") metrics.forget(service);
      },
    },
    now: Date.now,
  });
  const catalog = new Catalog(states, services);
  const api = adminApi({
    ...{ config, clock, stopping: stopping.signal, catalog, deployer, store, dataDir, secrets, fleet, events },
    ...{ metrics, engine, hosts, activator },
    control: new InstanceControl(router, services, drainTimeoutMs),
    tokens: new Tokens(store, dataDir.token),
    logs: new ServiceLogs(engine.launcher.outputs),
    statistics: new Statistics(catalog, fleet, activator),
  });

  // The way of a request.
  const proxy = new Proxy({
    ...{ activator, unanswered, forwarder, clock, reconciler, metrics },
    trustedProxies: config.trustedProxies,
    requestTimeoutMs,
    admin: (request, { hostname }, peer) => mayUseProxy(hostname.name, peer, config) ? api(request, peer) : undefined,
  });
  const servers = config.listen.map((endpoint) => new Server(endpoint, proxy.handle, clock, reserve));
  const handle = (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
    api(request, remoteAddr.hostname);
  const admin = new Server(config.admin, handle, clock, reserve);

  return {
    ...{ config, dataDir, store, clock, stopping, states, fleet, retiring, reserve, unanswered, forwarder, engine },
    ...{ adoption, executor, reconciler, memory, services, convention, hosts, activator, publisher, deployer, proxy },
    ...{ servers, admin, loopback, engineReserve: choice.reserve },
  };
}

/** The whole program: starts the parts in order, and stops them in order. */
export class Cless {
  readonly #parts: Parts;
  /** `undefined` if only operators declare services. */
  #configFile: ConfigFile | undefined;
  #stopTidying: (() => void) | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Starts everything; resolves when requests are served. @throws {OperatorError} If the operator must act first. */
  static async start(config: Config): Promise<Cless> {
    const looking = new AbortController();
    const choice = await chooseEngineApi(config, systemClock);
    // The engine takes about as long to answer as the store takes to open. If the store fails, its error is reported.
    const answer = findEngine(choice.api, { signal: looking.signal });
    answer.catch(() => {});
    try {
      const cless = await Cless.#open(config, choice);
      await cless.#startOrStop(answer);
      return cless;
    } finally {
      looking.abort();
      await answer.catch(() => {});
    }
  }

  static async #open(config: Config, choice: EngineChoice): Promise<Cless> {
    await using opened = new AsyncDisposableStack();
    const dataDir = opened.use(await openDataDir(config.dataDir));
    const store = opened.use(SqliteStore.open(dataDir.path, { isNew: dataDir.isNew }));
    const secrets = await Secrets.open(store, { folder: dataDir.path, text: config.secretKey });
    if (dataDir.isNew) {
      if (store.olderImages() === undefined) store.putOlderImages([]);
      dataDir.settle();
    }
    const parts = makeParts(config, choice, dataDir, store, secrets);
    const cless = new Cless(parts);
    if (config.configFile !== undefined) {
      const { ConfigFile } = await import("./deploy/config_file.ts"); // loads the YAML library, which is rarely needed
      cless.#configFile = new ConfigFile(config.configFile, parts.deployer, parts.states);
    }
    opened.move(); // from now on, stop() closes them
    return cless;
  }

  /** Where it listens, with the real ports if the system chose them. */
  get endpoints(): { listen: Endpoint[]; admin: Endpoint } {
    const { admin, servers } = this.#parts;
    return { listen: servers.map(({ endpoint }) => endpoint), admin: admin.endpoint };
  }

  get tokenFile(): string {
    return this.#parts.dataDir.tokenFile;
  }

  get instances(): number {
    return this.#parts.fleet.instances().length;
  }

  /** The labels that local images stand for. */
  labels(): string[] {
    const { convention, engine } = this.#parts;
    return convention === undefined ? [] : engine.images.names().flatMap((name) => conventionLabel(name) ?? []);
  }

  urlOf(service: string): string {
    return this.#parts.hosts.urlOf(service);
  }

  /** Reads the file of `--config` again, if there is one. */
  async reload(): Promise<void> {
    await this.#configFile?.reload();
  }

  /** Refuses new requests, waits for those in flight, and stops the containers unless they are to be kept. */
  async stop(): Promise<void> {
    const { clock, stopping, activator, admin, adoption, deployer, engine, fleet, reconciler } = this.#parts;
    const { config: { drainTimeoutMs }, dataDir, forwarder, memory, proxy, reserve, servers, store } = this.#parts;
    const { engineReserve, loopback } = this.#parts;
    const { unanswered } = this.#parts;
    const deadline = clock.now() + drainTimeoutMs;
    this.#configFile?.stop();
    this.#stopTidying?.();
    stopping.abort();
    reconciler.stop();
    memory.stop();
    await Promise.all([
      deployer.close(new ClessError("draining", "cless is shutting down", { retryAfterS: 5 })),
      drain({ servers, activator, fleet, unanswered }, clock, drainTimeoutMs),
    ]);
    adoption.stop();
    if (engine.found) {
      engine.launcher.hurry(deadline - clock.now());
      await whileItMoves(this.#endContainers(), () => fleet.size, clock, STOP_TIMEOUT_MS);
    }
    await atMost(admin.shutdown(), clock, ADMIN_STOP_TIMEOUT_MS);
    reserve.release();
    engineReserve.release();
    await loopback[Symbol.asyncDispose]();
    for (const closed of [forwarder, proxy, store, dataDir]) closed[Symbol.dispose]();
  }

  async #startOrStop(answer: Promise<unknown>): Promise<void> {
    try {
      await this.#start(answer);
    } catch (error) {
      this.#parts.adoption.stop();
      await this.stop();
      if (error instanceof EngineError) throw new OperatorError(`the Docker engine refuses: ${error.message}`);
      throw error;
    }
  }

  async #start(answer: Promise<unknown>): Promise<void> {
    const { admin, adoption, clock, deployer, engine, engineReserve, fleet, hosts, reconciler, reserve, servers } =
      this.#parts;
    const manifest = await this.#configFile?.read();
    await engine.start(answer, {
      apply: (event) => fleet.apply(event),
      // Until the adoption knows the containers, the reconciler would find them without instances, and remove them.
      gap: () => void (adoption.known && reconciler.reconcile()),
    });
    deployer.load();
    this.#stopTidying = clock.every(TIDY_INTERVAL_MS, () => deployer.tidy());
    admin.listen();
    for (const server of servers) server.listen();
    hosts.listenOn(servers[0]!.endpoint.port);
    await engine.proxyListens(servers.map(({ endpoint }) => endpoint.port));
    reserve.take();
    engineReserve.take();
    this.#adopt();
    if (manifest !== undefined) this.#configFile?.apply(manifest);
    try {
      this.#parts.dataDir.announceAdmin(formatEndpoint(admin.endpoint));
    } catch (error) {
      log.warning("clients have to be told where the admin API is", { reason: messageOf(error) });
    }
  }

  /** Adopts the containers of an earlier process, then looks after all of them. Requests are served meanwhile. */
  async #adopt(): Promise<void> {
    const { activator, adoption, convention, engine, memory, publisher, reconciler, states } = this.#parts;
    try {
      await adoption.run((container) =>
        states.has(container.service)
          ? publisher.adopt(container)
          : convention?.adopt(container.service, container.imageId)
      );
    } catch (error) {
      log.error("cannot take over all containers", { reason: messageOf(error) }); // it serves all the same
    }
    if (!adoption.known || activator.draining) return;
    memory.start();
    reconciler.start(engine);
    reconciler.reconcile(); // the events of containers that ended during adoption were lost
  }

  /** Stops the containers, or leaves them for the next start. */
  async #endContainers(): Promise<void> {
    const { config, engine, executor, fleet, reconciler, retiring, services } = this.#parts;
    engine.launcher.outputs.close(); // nobody reads the apps' output any more
    if (config.onExit === "keep") {
      await executor.settled(); // waits for containers that are being stopped
      return await engine.leave();
    }
    const pools = fleet.pools().union(new Set(services.kept())); // kept pools would start instances again
    await Promise.all([...pools].map((pool) => pool.retire(0)));
    await retiring.gone();
    await executor.settled();
    await reconciler.sweep(); // no container has an instance any more
    await engine.stop();
  }
}
