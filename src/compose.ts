import { Gates } from "./access/gates.ts";
import { SignInAddresses } from "./access/oidc/addresses.ts";
import { CallbackHost } from "./access/oidc/callback_host.ts";
import { Providers } from "./access/oidc/sign_in.ts";
import { Sealer } from "./access/oidc/sealer.ts";
import { mayUseProxy } from "./admin/access.ts";
import { adminApi } from "./admin/api.ts";
import { Metrics } from "./admin/metrics.ts";
import { atMost, whileItMoves, within } from "./base/async.ts";
import { systemClock } from "./base/clock.ts";
import type { Config } from "./base/config.ts";
import { messageOf, OperatorError, shuttingDown } from "./base/errors.ts";
import { FileReserve } from "./base/file_reserve.ts";
import { FreedMemory } from "./base/freed_memory.ts";
import { LagMeter } from "./base/lag.ts";
import { logger } from "./base/log.ts";
import { notify } from "./base/notify.ts";
import { Sessions } from "./control/access/sessions.ts";
import { Tokens } from "./control/access/tokens.ts";
import { Activity } from "./control/activity.ts";
import { Catalog } from "./control/catalog.ts";
import { CertificateNames } from "./control/certificates/names.ts";
import { Costs } from "./control/costs.ts";
import { type DataDir, openDataDir, type ServeCall } from "./control/data_dir.ts";
import { Estimates } from "./control/estimates.ts";
import { ExecSessions } from "./control/exec/sessions.ts";
import { EventLog, InstanceEvents } from "./control/events.ts";
import { Figures } from "./control/figures.ts";
import { HandoverServer, type OwnFacts } from "./control/handover.ts";
import { IdleGaps } from "./control/idle_gaps.ts";
import { InstanceControl } from "./control/instance_control.ts";
import { LastHour } from "./control/last_hour.ts";
import { OlderImages } from "./control/older_images.ts";
import { Past } from "./control/past.ts";
import { RequestCounts } from "./control/request_counts.ts";
import { RevisionEnv } from "./control/runtime_revision.ts";
import { Secrets } from "./control/secrets/secrets.ts";
import { RevisionLimits } from "./control/revision_limits.ts";
import { RunningDeploys } from "./control/running_deploys.ts";
import { ServiceStates } from "./control/service_states.ts";
import { ServiceStatuses } from "./control/service_status.ts";
import { Spells } from "./control/spells.ts";
import { Statistics } from "./control/statistics.ts";
import { StatusEvents } from "./control/status_events.ts";
import { StatusWatch } from "./control/status_watch.ts";
import { Supervision } from "./control/supervision.ts";
import { Waits } from "./control/waits.ts";
import { WakeLog } from "./control/wake_log.ts";
import { Wakes } from "./control/wakes.ts";
import { findPredecessor, lockAfter, type PredecessorLink, type Role, ROLES, TakeOver } from "./control/take_over.ts";
import type { ConfigFile } from "./deploy/config_file.ts";
import { DeployQueue } from "./deploy/deploy_queue.ts";
import { Deployer } from "./deploy/deployer.ts";
import { Publisher } from "./deploy/publisher.ts";
import { RevisionLauncher } from "./deploy/revision_launcher.ts";
import { HostPaths } from "./deploy/volumes.ts";
import { envProblem } from "./docker/container_env.ts";
import { Engine } from "./docker/engine.ts";
import { EngineCalls } from "./docker/engine_calls.ts";
import { chooseEngineApi, type EngineChoice, findEngine } from "./docker/engine_choice.ts";
import { EngineError } from "./docker/engine_error.ts";
import type { AddressPosition } from "./docker/network/addresses.ts";
import { Adoption } from "./fleet/adoption.ts";
import { Fleet } from "./fleet/fleet.ts";
import { MemoryBudget } from "./fleet/memory_budget.ts";
import { Predecessor } from "./fleet/predecessor.ts";
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
import { ServiceLogs } from "./logs/service_logs.ts";
import { type Endpoint, formatEndpoint } from "./model/host.ts";
import { DROPPED } from "./model/isolation.ts";
import { conventionLabel, type Revision } from "./model/revision.ts";
import { Executor } from "./pool/executor.ts";
import type { PoolObserver } from "./pool/observer.ts";
import { InstancePool } from "./pool/pool.ts";
import { Prober } from "./pool/probe.ts";
import { AccessLog, openAccessFile } from "./proxy/access_log.ts";
import { Admission } from "./proxy/admission.ts";
import { drain, finish } from "./proxy/drain.ts";
import { Proxy } from "./proxy/proxy.ts";
import { Tracing } from "./proxy/tracing.ts";
import { UnansweredRequests } from "./proxy/request_context.ts";
import type { RequestMetrics } from "./proxy/responder.ts";
import { Activator } from "./routing/activator.ts";
import { Convention } from "./routing/convention.ts";
import { Router } from "./routing/router.ts";
import { adminHostnames, baseDomains, Hosts } from "./routing/hosts.ts";
import { ServiceMap } from "./routing/service_map.ts";
import { SqliteStore } from "./sqlite/store.ts";

const log = logger("cless");
/** This many file descriptors are reserved for connections to apps, for when clients use all others. */
const RESERVED_FILES = 32;
/** For this long after its first request, a process refuses no request because of its own lag: see `Admission`. */
const WARM_UP_MS = 3000;
/**
 * If the removal of containers makes no progress for this time, the program ends all the same. The next start adopts or
 * removes the rest.
 */
const STOP_TIMEOUT_MS = 45_000;
const ADMIN_STOP_TIMEOUT_MS = 1000;
/** For at most this long, a process that is superseded sends its last figures. */
const HAND_ON_TIMEOUT_MS = 1000;

type Parts = ReturnType<typeof makeParts>;

/** Makes every part, each after the parts that it needs. Starts nothing. */
function makeParts(
  config: Config,
  { accessLog, choice, dataDir, secrets, store }: {
    readonly choice: EngineChoice;
    readonly dataDir: DataDir;
    readonly store: SqliteStore;
    readonly secrets: Secrets;
    readonly accessLog: AccessLog | undefined;
  },
) {
  const { startTimeoutMs, requestTimeoutMs, clientTimeoutMs, pauseAfterMs, drainTimeoutMs } = config;
  const { hibernateAfterMs, stopAfterMs, stopHibernatedAfterMs } = config;
  const ends = { pauseAfterMs, hibernateAfterMs, stopAfterMs, stopHibernatedAfterMs };
  const limits = { startTimeoutMs, requestTimeoutMs, clientTimeoutMs, ...ends };
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
  const role: { now: Role } = { now: ROLES.owner };
  const retiring = new RetiringPools(drainTimeoutMs);
  const services = new ServiceMap(retiring);
  const events = new EventLog(clock, Date.now);
  const instanceEvents = new InstanceEvents(events);
  const deploys = new DeployQueue();
  const running = new RunningDeploys();
  const statuses = new ServiceStatuses(services, deploys);
  const spells = new Spells(Date.now);
  const statusWatch = new StatusWatch(statuses, [spells, new StatusEvents(events)]);
  const reserve = new FileReserve(clock, RESERVED_FILES);
  const freedMemory = new FreedMemory(clock);
  const loopback = new Loopback();
  const lag = new LagMeter(clock, loopback);
  const unanswered = new UnansweredRequests(clock);
  const { maxInFlight } = config;
  const admission = new Admission(lag, clock, { maxInFlight, inFlight: unanswered, warmUpMs: WARM_UP_MS });
  const engineCalls = new EngineCalls();
  const metrics = new Metrics({ lag, shed: admission.shed, engineCalls, accessLog, store });
  store.observe(metrics);
  const tracing = Tracing.ofPlatform(clock, Date.now);
  const clientSockets = new KernelSockets();
  const budget = new StreamBudget(config.streamBudgetBytes);
  const slowClients = new SlowClients(clock, clientSockets, metrics);
  const forwarder = config.forward === "exact"
    ? new ExactForwarder(clock, slowClients, budget)
    : new FetchForwarder(slowClients, budget, tracing !== undefined);

  // Containers and the pools of instances.
  const engine = new Engine({ ...choice, api: engineCalls.counting(choice.api) }, config, dataDir, clock);
  const env = new RevisionEnv(secrets);
  const hostPaths = new HostPaths(config.allowHostPaths, Deno.realPath);
  const launcher = new RevisionLauncher(engine.launcher, env, hostPaths, clock);
  const adoption = new Adoption(launcher, clock, startTimeoutMs, predecessor);
  const executor = new Executor(launcher, clock, fleet, new Prober(clock, lag, choice.reserve));
  const wakes = new Wakes(Date.now);
  const wakeLog = new WakeLog(Date.now);
  const gaps = new IdleGaps({ clock, now: Date.now });
  const costs = new Costs(Date.now);
  const requests = new RequestCounts(Date.now, services);
  const lastHour = new LastHour({ now: Date.now, store, requests, wakes });
  const figures = new Figures({
    ...{ clock, launcher, fleet, store, wakes, wakeLog, gaps, costs, requests, lastHour, spells, statusWatch },
    now: Date.now,
  });
  const observer: PoolObserver = {
    changed(instance, before) {
      if (before === "ready") forwarder.leave(instance.origin);
      instanceEvents.changed(instance);
      statusWatch.check(instance.revision.service);
      figures.changed(instance);
    },
    failed(revision, failure) {
      instanceEvents.revisionFailed(revision, failure);
      statusWatch.check(revision.service);
    },
    started: (revision, createMs, readyMs) => metrics.coldStart(revision, createMs, readyMs),
    woken(instance, how, ms, by) {
      const { revision } = instance;
      wakes.woken(revision, how, ms);
      wakeLog.woken(instance, how, ms, by);
      metrics.woken(revision, how, ms);
    },
    broke: (revision, how) => metrics.broke(revision, how),
  };
  const pools = {
    newPool(revision: Revision): InstancePool {
      const pool = new InstancePool(revision, {
        clock,
        executor,
        fleet,
        observer,
        maxPending: config.maxPending,
        role,
        visits: gaps.of(revision.service),
      });
      adoption.hold(pool);
      return pool;
    },
  };
  const memory = new MemoryBudget(launcher, fleet, clock, config.memoryBudgetBytes, config.swapBudgetBytes);
  const reconciler = new Reconciler(launcher, fleet, adoption, clock, role);

  // From a hostname to an instance.
  const older = new OlderImages(store);
  engine.images.onChange(() => older.note(engine.images.ids()));
  const convention = config.convention
    ? new Convention({
      ...{ services, pools, limits, defaults, older },
      images: engine.images,
      declared: states,
      exceptRobots: config.wakeExceptRobots,
    })
    : undefined;
  const router = new Router(services, convention);
  const hosts = new Hosts(config, services, convention);
  const activator = new Activator(router, config.maxPending);

  // Who may come in.
  const signInAddresses = new SignInAddresses({ hosts, publicUrl: config.publicUrl, callbackHost: config.oidcHost });
  const signIn = {
    ...{ addresses: signInAddresses, secrets, now: Date.now },
    sealer: new Sealer(secrets),
    providers: new Providers(clock),
  };
  const gates = new Gates({ clock, signIn });

  // What operators see and change.
  const publisher = new Publisher({
    ...{ services, limits, defaults, env, gates, store, pools, clock, retiring },
    exceptRobots: config.wakeExceptRobots,
  });
  const deployer = new Deployer({
    ...{ store, states, publisher, images: engine.source, secrets, launcher, drainTimeoutMs, deploys, running },
    statusWatch,
    rules: {
      checkEnv: envProblem,
      hostPaths,
      reservedHostnames: adminHostnames(config),
      baseDomains: baseDomains(config),
      signInAddresses,
    },
    volumeUsers: engine,
    volumeAccess: engine.launcher.volumeAccess,
    events: {
      tell: (type, service, data) => events.tell(type, service, data),
      emit(type, service, data) {
        events.emit(type, service, data);
        if (type !== "service.deleted") return statusWatch.check(service);
        statusWatch.forget(service);
        metrics.forget(service);
        figures.forget(service);
        gates.forget(service);
      },
    },
    now: Date.now,
  });
  const catalog = new Catalog(states, services, statuses);
  const waits = new Waits({ deploys: running, fleet, events, outputs: engine.launcher.outputs, now: Date.now });
  events.onTick(() => waits.tell());
  const statistics = new Statistics(catalog, fleet, activator);
  const tokens = new Tokens(store, dataDir.token);
  const exec = new ExecSessions({ router, fleet, engine: engine.launcher, events, clock });
  const api = adminApi({
    ...{ config, clock, stopping: stopping.signal, catalog, deployer, store, dataDir, secrets, fleet, events },
    ...{ exec, metrics, engine, figures, hosts, signInAddresses, activator, running, waits, statistics },
    past: new Past({ now: Date.now, services, store, figures, requests, wakes, spells }),
    activity: new Activity({ services, statuses, fleet, statistics, figures, requests, lastHour }),
    certificateNames: new CertificateNames({ store, clock, now: Date.now }),
    control: new InstanceControl(router, services, drainTimeoutMs),
    ...{ tokens, sessions: new Sessions(store, tokens) },
    revisionLimits: new RevisionLimits(limits, defaults, config.sources),
    imageNames: engine.names,
    volumeAccess: engine.launcher.volumeAccess,
    noRobots: config.wakeExceptRobots ? config.sources.get("wake-except-robots") : undefined,
    logs: new ServiceLogs(engine.launcher.outputs),
    estimates: new Estimates({ now: Date.now, store, gaps, costs }),
  });

  // The way of a request.
  const counted: RequestMetrics = {
    requested(service, revision, status, ms) {
      metrics.requested(service, revision, status, ms);
      if (service !== undefined) requests.requested(service, status, ms);
    },
    waited: (revision, ms) => metrics.waited(revision, ms),
  };
  const proxy = new Proxy({
    ...{ activator, unanswered, forwarder, clock, reconciler, admission, slowClients },
    metrics: counted,
    ...{ budget, limits, role, accessLog, tracing },
    exceptRobots: config.wakeExceptRobots,
    wakeLog: config.wakeLog,
    trustedProxies: config.trustedProxies,
    callbackHost: config.oidcHost === undefined ? undefined : new CallbackHost(config.oidcHost, signIn),
    admin: (request, head) =>
      mayUseProxy(head, request.headers, config) ? api(request, head.client, "proxy", head.secure) : undefined,
  });
  const servers = config.listen.map((endpoint) => new Server(endpoint, proxy.handle, clock, reserve));
  const handle = (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
    api(request, remoteAddr.hostname);
  const admin = new Server(config.admin, handle, clock, reserve);

  // The periodic work of the containers' owner, and the take-over, which changes the owner.
  const supervision = new Supervision({
    clock,
    role,
    adoption,
    activator,
    fleet,
    services,
    memory,
    figures,
    reconciler,
    engine,
    deployer,
  });
  const takeOver = new TakeOver<AddressPosition>({
    ...{ role, clock, config, stopping, dataDir, store, deployer, engine, fleet, adoption, predecessor, reconciler },
    ...{ figures, supervision, servers: [...servers, admin] },
  });
  const handoverServer = new HandoverServer<AddressPosition>(dataDir.path, clock);

  return {
    ...{ config, dataDir, store, clock, stopping, states, fleet, retiring, reserve, unanswered, role, takeOver },
    ...{ forwarder, engine, adoption, executor, reconciler, services, convention, hosts, activator, publisher },
    ...{
      deployer,
      figures,
      proxy,
      servers,
      admin,
      loopback,
      engineReserve: choice.reserve,
      clientSockets,
      slowClients,
      statusWatch,
    },
    ...{ freedMemory, exec, supervision, handoverServer, accessLog },
  };
}

/** Opens the access log, if there is to be one. @throws {OperatorError} If it cannot be opened. */
async function beginAccessLog(config: Config): Promise<AccessLog | undefined> {
  const { accessLog: path, accessLogFormat: format, accessLogQuery: withQuery } = config;
  if (path === undefined) return undefined;
  return await AccessLog.begin({
    ...{ clock: systemClock, now: Date.now, format, withQuery },
    open: () => openAccessFile(path),
  });
}

/** The whole program: starts the parts in order, and stops them in order. */
export class Cless {
  readonly #parts: Parts;
  /** The settings as they were given, maybe with port 0. */
  readonly #given: Config;
  /** The key that the operator or the predecessor has given: see {@linkcode OwnFacts}. */
  readonly #secretKey: string | undefined;
  /** `undefined` without `--config`. */
  #configFile: ConfigFile | undefined;

  private constructor(parts: Parts, given: Config, secretKey: string | undefined) {
    this.#given = given;
    this.#parts = parts;
    this.#secretKey = secretKey;
  }

  /** Starts everything; resolves when requests are served. @throws {OperatorError} If the operator must act first. */
  static async start(config: Config): Promise<Cless> {
    const looking = new AbortController();
    const choice = await chooseEngineApi(config, systemClock);
    // The engine is asked while the store is opened, since both take about as long. If the store fails, its error is
    // reported.
    const answer = findEngine(choice.api, { signal: looking.signal });
    answer.catch(() => {});
    let predecessor: PredecessorLink<AddressPosition> | undefined;
    try {
      predecessor = await findPredecessor(config);
      if (predecessor !== undefined) {
        // Before the other process seals its database, check all that does not need that database.
        checkNewAddresses(config, predecessor.facts.listen);
        await answer;
      }
      const cless = await Cless.#open(config, choice, predecessor);
      await cless.#startOrStop(answer);
      return cless;
    } catch (error) {
      await predecessor?.handover.fail(messageOf(error));
      throw error;
    } finally {
      looking.abort();
      await answer.catch(() => {});
    }
  }

  static async #open(
    config: Config,
    choice: EngineChoice,
    predecessor: PredecessorLink<AddressPosition> | undefined,
  ): Promise<Cless> {
    await using opened = new AsyncDisposableStack();
    const accessLog = opened.use(await beginAccessLog(config));
    const dataDir = opened.use(await openDataDir(config.dataDir, predecessor === undefined));
    const sealed = predecessor && await lockAfter(predecessor.handover, dataDir, systemClock);
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
    const ported = withPorts(config, predecessor?.facts.listen);
    const parts = makeParts(ported, { accessLog, choice, dataDir, secrets, store });
    const cless = new Cless(parts, config, secretKey);
    if (predecessor !== undefined && sealed !== undefined) parts.takeOver.begin(predecessor.handover, sealed);
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

  /**
   * Resolves with the successor's process id once the successor has taken over. Then {@linkcode leave} must be called.
   */
  get superseded(): Promise<number> {
    return this.#parts.handoverServer.superseded;
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

  /** Opens the access log again, and reads the file of `--config` again, if there are such. */
  async reload(): Promise<void> {
    this.#parts.accessLog?.reopen();
    await this.#configFile?.reload();
  }

  /** Ends this process after a successor has taken over: finishes the requests in flight, and leaves the containers. */
  async leave(): Promise<void> {
    const { activator, clock, exec, figures, fleet, handoverServer, servers, unanswered } = this.#parts;
    this.#configFile?.stop();
    await finish({ servers, activator, fleet, sessions: exec, unanswered }, clock, this.#parts.config.drainTimeoutMs);
    await atMost(handoverServer.handOn(figures.counted), clock, HAND_ON_TIMEOUT_MS);
    await this.#close();
  }

  /**
   * Refuses new requests, waits for those in flight, and stops the containers unless they are to be kept. If a
   * successor is taking over, this process serves until the successor does, and then leaves the containers to it.
   */
  async stop(): Promise<void> {
    const { clock, config: { drainTimeoutMs }, stopping, activator, deployer, engine, fleet } = this.#parts;
    const { exec, servers, supervision, takeOver, unanswered } = this.#parts;
    if (await within(takeOver.handedOver(), clock, drainTimeoutMs) === true) return await this.leave();
    const deadline = clock.now() + drainTimeoutMs;
    this.#configFile?.stop();
    stopping.abort();
    supervision.stop();
    await Promise.all([
      deployer.close(shuttingDown()),
      drain({ servers, activator, fleet, sessions: exec, unanswered }, clock, drainTimeoutMs),
    ]);
    engine.launcher.hurry(deadline - clock.now());
    await this.#close();
  }

  async #close(): Promise<void> {
    const { admin, adoption, clock, dataDir, engine, engineReserve, fleet, forwarder, loopback, proxy, slowClients } =
      this.#parts;
    const { handoverServer, reserve, store } = this.#parts;
    adoption.stop();
    this.#parts.freedMemory.stop();
    if (engine.found) await whileItMoves(this.#endContainers(), () => fleet.size, clock, STOP_TIMEOUT_MS);
    await atMost(admin.shutdown(), clock, ADMIN_STOP_TIMEOUT_MS);
    if (this.#parts.role.now.isOwner) this.#parts.figures.finish();
    reserve.release();
    engineReserve.release();
    await loopback[Symbol.asyncDispose]();
    await this.#parts.accessLog?.[Symbol.asyncDispose]();
    for (const closed of [forwarder, proxy, slowClients, store, handoverServer, dataDir]) {
      closed[Symbol.dispose]();
    }
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
    const { admin, adoption, clientSockets, config, dataDir, deployer, engine, engineReserve, figures, fleet } =
      this.#parts;
    const { freedMemory, handoverServer, hosts, reconciler, reserve, servers, statusWatch, supervision, takeOver } =
      this.#parts;
    const manifest = await this.#configFile?.read();
    await engine.start(answer, {
      apply: (event) => fleet.apply(event),
      // The reconciler must not run before the adoption knows the containers: it would remove them, since they have no
      // instances yet.
      gap: () => void (adoption.known && reconciler.reconcile()),
    });
    deployer.load();
    const { isSuccessor } = takeOver;
    figures.load(isSuccessor);
    if (isSuccessor) {
      await this.#adopt();
      await takeOver.install();
    }
    for (const server of [admin, ...servers]) server.listen(isSuccessor);
    hosts.listenOn(servers[0]!.endpoint.port);
    clientSockets.listenOn(servers.map(({ endpoint }) => endpoint.port));
    await engine.proxyListens(servers.map(({ endpoint }) => endpoint.port));
    reserve.take();
    engineReserve.take();
    if (isSuccessor) {
      await takeOver.supersede();
      statusWatch.lookAgain();
    } else this.#adopt().then(() => supervision.start());
    if (manifest !== undefined) this.#configFile?.apply(manifest);
    try {
      dataDir.announceAdmin(formatEndpoint(admin.endpoint));
    } catch (error) {
      log.warning("cannot write the address of the admin API; clients need --server", { reason: messageOf(error) });
    }
    freedMemory.start();
    handoverServer.open(takeOver, this.#facts());
    await notify(config.notifySocket, dataDir.path, { MAINPID: Deno.pid, READY: 1 });
  }

  /** What a successor must know before it begins. */
  #facts(): OwnFacts {
    const { endpoints: { admin, listen } } = this;
    const given = [...this.#given.listen, this.#given.admin];
    const actual = [...listen, admin];
    return { listen: given.map((given, at) => ({ given, actual: actual[at]! })), secretKey: this.#secretKey };
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

  /** Stops the containers, or leaves them for the next start. */
  async #endContainers(): Promise<void> {
    const { config, engine, executor, fleet, reconciler, retiring, role, services } = this.#parts;
    engine.launcher.outputs.close(); // nobody reads the apps' output any more
    if (config.onExit === "keep" || !role.now.isOwner) {
      await executor.settled(); // some containers may still be stopping
      if (role.now.isOwner) await engine.launcher.handOver();
      return await engine.leave();
    }
    // Pools with a minimum of instances are retired even if they have no instance now. Otherwise they would start some.
    const pools = fleet.pools().union(new Set(services.kept()));
    await Promise.all([...pools].map((pool) => pool.retire(0)));
    await retiring.gone();
    await executor.settled();
    await reconciler.sweep(); // removes what is left: no container has an instance any more
    await engine.stop();
  }
}
