import { mayUseProxy } from "./admin/access.ts";
import { adminApi } from "./admin/api.ts";
import { Metrics } from "./admin/metrics.ts";
import { atMost, delay, whileItMoves } from "./base/async.ts";
import { systemClock } from "./base/clock.ts";
import type { Config } from "./base/config.ts";
import { ClessError, messageOf, OperatorError, shuttingDown } from "./base/errors.ts";
import { FileReserve } from "./base/file_reserve.ts";
import { FreedMemory } from "./base/freed_memory.ts";
import { LagMeter } from "./base/lag.ts";
import { logger } from "./base/log.ts";
import { notify } from "./base/notify.ts";
import { VERSION } from "./base/version.ts";
import { Tokens } from "./control/access/tokens.ts";
import { Catalog } from "./control/catalog.ts";
import { type DataDir, isDataDirInUse, openDataDir, type ServeCall } from "./control/data_dir.ts";
import { EventLog, InstanceEvents } from "./control/events.ts";
import { HandoverClient, HandoverServer, type PredecessorFacts, type RunningProcess } from "./control/handover.ts";
import { InstanceControl } from "./control/instance_control.ts";
import { OlderImages } from "./control/older_images.ts";
import { RevisionEnv } from "./control/runtime_revision.ts";
import { Secrets } from "./control/secrets/secrets.ts";
import { ServiceStates } from "./control/service_states.ts";
import { Statistics } from "./control/statistics.ts";
import type { ConfigFile } from "./deploy/config_file.ts";
import { Deployer } from "./deploy/deployer.ts";
import { Publisher } from "./deploy/publisher.ts";
import { RevisionLauncher } from "./deploy/revision_launcher.ts";
import { HostPaths } from "./deploy/volumes.ts";
import { envProblem } from "./docker/container_env.ts";
import { Engine } from "./docker/engine.ts";
import { chooseEngineApi, type EngineChoice, findEngine } from "./docker/engine_choice.ts";
import { EngineError } from "./docker/engine_error.ts";
import type { AddressPosition } from "./docker/network/addresses.ts";
import { Adoption } from "./fleet/adoption.ts";
import { Fleet } from "./fleet/fleet.ts";
import { MemoryBudget } from "./fleet/memory_budget.ts";
import { type InstanceUse, Predecessor, usesOf } from "./fleet/predecessor.ts";
import { Reconciler } from "./fleet/reconciler.ts";
import { RetiringPools } from "./fleet/retiring_pools.ts";
import { ExactForwarder } from "./http/exact/forwarder.ts";
import { FetchForwarder } from "./http/fetch_forwarder.ts";
import { KernelSockets } from "./http/client_sockets.ts";
import { checkNewAddresses, withPorts } from "./http/listening.ts";
import { Loopback } from "./http/loopback.ts";
import { Server } from "./http/server.ts";
import { SlowClients } from "./http/slow_clients.ts";
import { StreamBudget } from "./http/stream_budget.ts";
import { allowMigration, knock, stopAccepting } from "./http/stop_accepting.ts";
import { ServiceLogs } from "./logs/service_logs.ts";
import { type Endpoint, formatEndpoint } from "./model/host.ts";
import { DROPPED } from "./model/isolation.ts";
import { conventionLabel, type Revision } from "./model/revision.ts";
import type { Tenure } from "./pool/decide.ts";
import { Executor } from "./pool/executor.ts";
import { InstancePool, type PoolObserver } from "./pool/pool.ts";
import { Prober } from "./pool/probe.ts";
import { Admission } from "./proxy/admission.ts";
import { drain, finish } from "./proxy/drain.ts";
import { Proxy } from "./proxy/proxy.ts";
import { UnansweredRequests } from "./proxy/request_context.ts";
import { Activator } from "./routing/activator.ts";
import { Convention } from "./routing/convention.ts";
import { Router } from "./routing/router.ts";
import { adminHostnames, Hosts } from "./routing/hosts.ts";
import { ServiceMap } from "./routing/service_map.ts";
import { SqliteStore } from "./sqlite/store.ts";

const log = logger("cless");
/** How many file descriptors are kept for connections to apps, for when clients use all others. */
const RESERVED_FILES = 32;
/** For how long requests are not refused for the slowness of a new process. */
const WARM_UP_MS = 3000;
const TIDY_INTERVAL_MS = 3_600_000;
/**
 * If the removal of containers makes no progress for this time, the program ends without it. The next start continues
 * it.
 */
const STOP_TIMEOUT_MS = 45_000;
const ADMIN_STOP_TIMEOUT_MS = 1000;
const RETRY_MS = 1000;
/** How often a data-dir whose process has just ended is tried, and the time between two tries. */
const MAX_LOCKS = 20;
const LOCK_RETRY_MS = 50;

type Parts = ReturnType<typeof makeParts>;

/** Makes every part, each after the parts that it needs. Starts nothing. */
function makeParts(config: Config, choice: EngineChoice, dataDir: DataDir, store: SqliteStore, secrets: Secrets) {
  const { startTimeoutMs, requestTimeoutMs, clientTimeoutMs, pauseAfterMs, stopAfterMs, drainTimeoutMs } = config;
  const limits = { startTimeoutMs, requestTimeoutMs, clientTimeoutMs, pauseAfterMs, stopAfterMs };
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
  const predecessor = new Predecessor(fleet);
  const tenure: { now: Tenure } = { now: "all" };
  const retiring = new RetiringPools(drainTimeoutMs);
  const services = new ServiceMap(retiring);
  const events = new EventLog(clock, Date.now);
  const instanceEvents = new InstanceEvents(events);
  const reserve = new FileReserve(clock, RESERVED_FILES);
  const freedMemory = new FreedMemory(clock);
  const loopback = new Loopback();
  const lag = new LagMeter(clock, loopback);
  const unanswered = new UnansweredRequests(clock);
  const { maxInFlight } = config;
  const admission = new Admission(lag, clock, { maxInFlight, inFlight: unanswered, warmUpMs: WARM_UP_MS });
  const metrics = new Metrics({ lag, shed: admission.shed });
  const clientSockets = new KernelSockets();
  const budget = new StreamBudget(config.streamBudgetBytes);
  const slowClients = new SlowClients(clock, clientSockets, metrics);
  const forwarder = config.forward === "exact"
    ? new ExactForwarder(clock, slowClients, budget)
    : new FetchForwarder(slowClients, budget);

  // Containers and the pools of instances.
  const engine = new Engine(choice, config, dataDir, clock);
  const env = new RevisionEnv(secrets);
  const hostPaths = new HostPaths(config.allowHostPaths, Deno.realPath);
  const launcher = new RevisionLauncher(engine.launcher, env, hostPaths, clock);
  const adoption = new Adoption(launcher, clock, startTimeoutMs, predecessor);
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
      const pool = new InstancePool(revision, {
        clock,
        executor,
        fleet,
        observer,
        maxPending: config.maxPending,
        tenure,
      });
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
    ...{ activator, unanswered, forwarder, clock, reconciler, metrics, admission, slowClients },
    ...{ budget, limits },
    trustedProxies: config.trustedProxies,
    admin: (request, { hostname }, peer) => mayUseProxy(hostname.name, peer, config) ? api(request, peer) : undefined,
  });
  const servers = config.listen.map((endpoint) => new Server(endpoint, proxy.handle, clock, reserve));
  const handle = (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
    api(request, remoteAddr.hostname);
  const admin = new Server(config.admin, handle, clock, reserve);

  return {
    ...{ config, dataDir, store, clock, stopping, states, fleet, predecessor, tenure, retiring, reserve, unanswered },
    ...{ forwarder, engine, adoption, executor, reconciler, memory, services, convention, hosts, activator, publisher },
    ...{ deployer, proxy, servers, admin, loopback, engineReserve: choice.reserve, clientSockets, slowClients },
    freedMemory,
  };
}

/** The predecessor of a process that takes over: the connection to it, and what it has told. */
interface PredecessorLink {
  readonly handover: HandoverClient<AddressPosition>;
  readonly facts: PredecessorFacts;
}

/** The whole program: starts the parts in order, and stops them in order. */
export class Cless implements RunningProcess<AddressPosition> {
  readonly #parts: Parts;
  /** The settings as they were given, maybe with port 0. */
  readonly #given: Config;
  readonly #handoverServer: HandoverServer<AddressPosition>;
  /** The key that the operator or the predecessor has given: see {@linkcode facts}. */
  readonly #secretKey: string | undefined;
  /** `undefined` without `--config`. */
  #configFile: ConfigFile | undefined;
  #stopTidying: (() => void) | undefined;
  /** Whether another process owns the containers, or will own them soon. Then this one must not stop them. */
  #hasForeignContainers = false;

  private constructor(parts: Parts, given: Config, secretKey: string | undefined) {
    this.#given = given;
    this.#parts = parts;
    this.#secretKey = secretKey;
    this.#handoverServer = new HandoverServer(parts.dataDir.path, parts.clock);
  }

  /** Starts everything; resolves when requests are served. @throws {OperatorError} If the operator must act first. */
  static async start(config: Config): Promise<Cless> {
    const looking = new AbortController();
    const choice = await chooseEngineApi(config, systemClock);
    // The engine is asked now, since its answer takes about as long as opening the store. If the store fails, its error
    // is reported.
    const answer = findEngine(choice.api, { signal: looking.signal });
    answer.catch(() => {});
    let predecessor: PredecessorLink | undefined;
    try {
      predecessor = await Cless.#findPredecessor(config);
      if (predecessor !== undefined) {
        // What can be checked alone is checked before the other process seals its database.
        checkNewAddresses(config, predecessor.facts.listen);
        await answer;
      }
      const cless = await Cless.#open(config, choice, predecessor);
      await cless.#startOrStop(answer, predecessor?.handover);
      return cless;
    } catch (error) {
      await predecessor?.handover.fail(messageOf(error));
      throw error;
    } finally {
      looking.abort();
      await answer.catch(() => {});
    }
  }

  /** The process to take over from; `undefined` if there is none. */
  static async #findPredecessor({ dataDir, takeOver }: Config): Promise<PredecessorLink | undefined> {
    if (!takeOver || !await isDataDirInUse(dataDir)) return undefined;
    const handover = await HandoverClient.connect<AddressPosition>(await Deno.realPath(dataDir));
    const facts = await handover.hello();
    if (facts === undefined) return undefined;
    log.info("taking over", { pid: facts.pid, from: facts.version, to: VERSION });
    return { handover, facts };
  }

  static async #open(config: Config, choice: EngineChoice, predecessor: PredecessorLink | undefined): Promise<Cless> {
    await using opened = new AsyncDisposableStack();
    const dataDir = opened.use(await openDataDir(config.dataDir, predecessor === undefined));
    const sealed = await predecessor?.handover.seal();
    if (predecessor !== undefined) await lock(dataDir, predecessor.handover);
    if (sealed !== undefined) log.debug("take-over", { step: "locked" });
    const store = opened.use(
      sealed === undefined
        ? SqliteStore.open(dataDir.path, { isNew: dataDir.isNew })
        : SqliteStore.openNext(dataDir.path),
    );
    if (sealed !== undefined) log.debug("take-over", { step: "migrated" });
    const secretKey = config.secretKey ?? predecessor?.facts.secretKey;
    const secrets = await Secrets.open(store, { folder: dataDir.path, text: secretKey });
    if (dataDir.isNew) {
      if (store.olderImages() === undefined) store.putOlderImages([]);
      dataDir.settle();
    }
    const parts = makeParts(withPorts(config, predecessor?.facts.listen), choice, dataDir, store, secrets);
    const cless = new Cless(parts, config, secretKey);
    if (sealed !== undefined) {
      cless.#hasForeignContainers = true;
      parts.tenure.now = "finish";
      parts.engine.launcher.continueFrom(sealed.position);
      parts.predecessor.report(sealed.uses);
    }
    if (config.configFile !== undefined) {
      const { ConfigFile } = await import("./deploy/config_file.ts"); // loads the YAML library, which is rarely needed
      cless.#configFile = new ConfigFile(config.configFile, parts.deployer, parts.states);
    }
    opened.move(); // from now on, `stop` closes them
    return cless;
  }

  /** Where it listens, with the actual ports if the system has chosen them. */
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

  /** Resolves with the process id of a process that has taken over. Then {@linkcode leave} must be called. */
  get superseded(): Promise<number> {
    return this.#handoverServer.superseded;
  }

  /** What a successor must know before it begins. */
  get facts(): Omit<PredecessorFacts, "version" | "pid"> {
    const { endpoints: { admin, listen } } = this;
    const given = [...this.#given.listen, this.#given.admin];
    const actual = [...listen, admin];
    return { listen: given.map((given, at) => ({ given, actual: actual[at]! })), secretKey: this.#secretKey };
  }

  /** The labels of the services that local images make by convention. */
  labels(): string[] {
    const { convention, engine } = this.#parts;
    return convention === undefined ? [] : engine.images.names().flatMap((name) => conventionLabel(name) ?? []);
  }

  urlOf(service: string): string {
    return this.#parts.hosts.urlOf(service);
  }

  /** Stores how this process was started. @throws If that cannot be written. */
  keepCall(call: ServeCall): void {
    this.#parts.dataDir.keepCall(call);
  }

  /** Reads the file of `--config` again, if there is one. */
  async reload(): Promise<void> {
    await this.#configFile?.reload();
  }

  /**
   * Refuses changes, copies the store for a successor, and unlocks the data-dir. Requests are still served, but
   * instances are no longer paused or stopped.
   */
  async seal(): Promise<AddressPosition> {
    const { activator, adoption, clock, config, deployer, engine, fleet, memory, proxy, reconciler } = this.#parts;
    const { tenure } = this.#parts;
    if (!adoption.known || activator.draining || this.#hasForeignContainers) {
      throw new OperatorError("it is starting or stopping");
    }
    const error = new ClessError("draining", "another cless process is taking over", { retryAfterS: 1 });
    this.#hasForeignContainers = true;
    try {
      await atMost(deployer.pause(error), clock, config.drainTimeoutMs);
      await deployer.close(error); // cancels what takes longer
      this.#parts.store.seal();
    } catch (error) {
      this.#hasForeignContainers = false;
      deployer.resume();
      throw error;
    }
    this.#stopTidying?.();
    reconciler.share(true);
    reconciler.stop();
    memory.stop();
    tenure.now = "serve";
    proxy.isLast = true;
    this.#parts.dataDir.unlock();
    log.debug("sealed", { instances: fleet.size });
    await this.#notify({ RELOADING: 1 });
    return engine.launcher.position;
  }

  async unseal(): Promise<void> {
    const { clock, deployer, engine, proxy, reconciler, stopping, tenure } = this.#parts;
    proxy.isLast = false;
    while (!stopping.signal.aborted) {
      try {
        await this.#parts.dataDir.lock();
        this.#parts.store.unseal();
        break;
      } catch (error) {
        log.error("cannot use the data-dir again; trying again", { reason: messageOf(error) });
        await delay(clock, RETRY_MS, stopping.signal);
      }
    }
    if (stopping.signal.aborted) return;
    this.#hasForeignContainers = false;
    deployer.resume();
    tenure.now = "all";
    reconciler.share(false);
    this.#supervise();
    await this.#notify({ READY: 1 });
    log.info("changes are accepted again", { listening: engine.listening });
  }

  uses(): readonly InstanceUse[] {
    return usesOf(this.#parts.fleet);
  }

  async yield(knock: () => void): Promise<void> {
    const { admin, clock, servers, stopping, tenure } = this.#parts;
    tenure.now = "finish";
    this.#parts.dataDir.leave();
    stopping.abort(); // ends event streams of the admin API, so that clients reconnect to the successor
    await stopAccepting([...servers, admin], clock, knock);
  }

  /** Ends this process after another one has taken over: finishes the requests in flight, and leaves the containers. */
  async leave(): Promise<void> {
    const { activator, clock, fleet, servers, unanswered } = this.#parts;
    this.#configFile?.stop();
    await finish({ servers, activator, fleet, unanswered }, clock, this.#parts.config.drainTimeoutMs);
    await this.#close();
  }

  /** Refuses new requests, waits for those in flight, and stops the containers unless they are to be kept. */
  async stop(): Promise<void> {
    const { clock, config: { drainTimeoutMs }, stopping, activator, deployer, engine, fleet, reconciler } = this.#parts;
    const { memory, servers, unanswered } = this.#parts;
    const deadline = clock.now() + drainTimeoutMs;
    this.#configFile?.stop();
    this.#stopTidying?.();
    stopping.abort();
    reconciler.stop();
    memory.stop();
    await Promise.all([
      deployer.close(shuttingDown()),
      drain({ servers, activator, fleet, unanswered }, clock, drainTimeoutMs),
    ]);
    engine.launcher.hurry(deadline - clock.now());
    await this.#close();
  }

  async #close(): Promise<void> {
    const { admin, adoption, clock, dataDir, engine, engineReserve, fleet, forwarder, loopback, proxy, slowClients } =
      this.#parts;
    const { reserve, store } = this.#parts;
    adoption.stop();
    this.#parts.freedMemory.stop();
    if (engine.found) await whileItMoves(this.#endContainers(), () => fleet.size, clock, STOP_TIMEOUT_MS);
    await atMost(admin.shutdown(), clock, ADMIN_STOP_TIMEOUT_MS);
    reserve.release();
    engineReserve.release();
    await loopback[Symbol.asyncDispose]();
    for (const closed of [forwarder, proxy, slowClients, store, this.#handoverServer, dataDir]) {
      closed[Symbol.dispose]();
    }
  }

  async #startOrStop(answer: Promise<unknown>, handover: HandoverClient<AddressPosition> | undefined): Promise<void> {
    try {
      await this.#start(answer, handover);
    } catch (error) {
      this.#parts.adoption.stop();
      await this.stop();
      if (error instanceof EngineError) throw new OperatorError(`the Docker engine refuses: ${error.message}`);
      throw error;
    }
  }

  async #start(answer: Promise<unknown>, handover: HandoverClient<AddressPosition> | undefined): Promise<void> {
    const { admin, adoption, clientSockets, clock, deployer, engine, engineReserve, fleet, hosts, predecessor } =
      this.#parts;
    const { reconciler, reserve, servers, tenure } = this.#parts;
    const manifest = await this.#configFile?.read();
    await engine.start(answer, {
      apply: (event) => fleet.apply(event),
      // The reconciler must not run before the adoption knows the containers: it would remove them, since they have no
      // instances yet.
      gap: () => void (adoption.known && reconciler.reconcile()),
    });
    deployer.load();
    const isTakingOver = handover !== undefined && this.#hasForeignContainers;
    if (isTakingOver) {
      handover.listen((uses) => this.#heard(uses));
      handover.gone.addEventListener("abort", () => this.#inherit());
      if (handover.gone.aborted) this.#inherit();
      await this.#adopt();
      predecessor.apply();
      log.debug("take-over", { step: "adopted" });
      await allowMigration();
      this.#parts.store.install();
      log.debug("take-over", { step: "installed" });
    }
    for (const server of [admin, ...servers]) server.listen(isTakingOver);
    hosts.listenOn(servers[0]!.endpoint.port);
    clientSockets.listenOn(servers.map(({ endpoint }) => endpoint.port));
    await engine.proxyListens(servers.map(({ endpoint }) => endpoint.port));
    reserve.take();
    engineReserve.take();
    if (isTakingOver) {
      log.debug("take-over", { step: "listening" });
      tenure.now = "all";
      this.#hasForeignContainers = false;
      await handover.accepting();
      await knock([...servers, admin].map(({ endpoint }) => endpoint), handover.closed, clock);
      log.debug("take-over", { step: "accepted" });
      this.#parts.store.confirm();
      this.#supervise();
    } else this.#adopt().then(() => this.#supervise());
    if (manifest !== undefined) this.#configFile?.apply(manifest);
    try {
      this.#parts.dataDir.announceAdmin(formatEndpoint(admin.endpoint));
    } catch (error) {
      log.warning("cannot write the address of the admin API; clients need --server", { reason: messageOf(error) });
    }
    this.#parts.freedMemory.start();
    this.#handoverServer.open(this);
    await this.#notify({ MAINPID: Deno.pid, READY: 1 });
  }

  /** Takes a report of how the predecessor uses the instances. */
  #heard(uses: readonly InstanceUse[]): void {
    const { adoption, predecessor, reconciler } = this.#parts;
    if (!predecessor.alive) return;
    predecessor.report(uses);
    // A container that it was creating may exist now.
    if (adoption.waits) reconciler.reconcile().then(() => adoption.unsuspend());
  }

  /** Takes over everything from the predecessor, which has ended. */
  #inherit(): void {
    const { adoption, predecessor, reconciler } = this.#parts;
    predecessor.end();
    if (!adoption.known) return;
    adoption.unsuspend();
    if (!this.#hasForeignContainers) reconciler.reconcile();
  }

  /** Adopts the containers of an earlier process. Requests may be served meanwhile. */
  async #adopt(): Promise<void> {
    const { adoption, convention, publisher, states } = this.#parts;
    try {
      await adoption.run((container) =>
        states.has(container.service)
          ? publisher.adopt(container)
          : convention?.adopt(container.service, container.imageId)
      );
    } catch (error) {
      log.error("cannot take over all containers", { reason: messageOf(error) }); // requests are served all the same
    }
  }

  /** Begins the periodic work on all containers. */
  #supervise(): void {
    const { activator, adoption, clock, deployer, engine, fleet, memory, reconciler, services } = this.#parts;
    if (!adoption.known || activator.draining) return;
    this.#stopTidying = clock.every(TIDY_INTERVAL_MS, () => deployer.tidy());
    memory.start();
    reconciler.start(engine);
    reconciler.reconcile(); // finds containers that ended meanwhile, whose events were lost
    for (const pool of fleet.pools().union(new Set(services.kept())).union(activator.holding())) pool.look();
  }

  /** Stops the containers, or leaves them for the next start. */
  async #endContainers(): Promise<void> {
    const { config, engine, executor, fleet, reconciler, retiring, services } = this.#parts;
    engine.launcher.outputs.close(); // nobody reads the apps' output any more
    if (config.onExit === "keep" || this.#hasForeignContainers) {
      await executor.settled(); // some containers may still be stopping
      return await engine.leave();
    }
    // Kept pools too: they would start instances again, up to their minimum.
    const pools = fleet.pools().union(new Set(services.kept()));
    await Promise.all([...pools].map((pool) => pool.retire(0)));
    await retiring.gone();
    await executor.settled();
    await reconciler.sweep(); // removes what is left: no container has an instance any more
    await engine.stop();
  }

  #notify(state: Record<string, string | number>): Promise<void> {
    return notify(this.#parts.config.notifySocket, this.#parts.dataDir.path, state);
  }
}

/**
 * Locks a data-dir that the predecessor has unlocked. If the predecessor has ended instead, its lock may take a moment
 * to vanish.
 */
async function lock(dataDir: DataDir, { gone }: HandoverClient<AddressPosition>): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await dataDir.lock();
    } catch (error) {
      if (!gone.aborted || tries >= MAX_LOCKS) throw error;
      await delay(systemClock, LOCK_RETRY_MS);
    }
  }
}
