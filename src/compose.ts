import { Gates } from "./access/gates.ts";
import { SignInAddresses } from "./access/oidc/addresses.ts";
import { CallbackHost } from "./access/oidc/callback_host.ts";
import { Sealer } from "./access/oidc/sealer.ts";
import { Providers } from "./access/oidc/sign_in.ts";
import { mayUseProxy } from "./admin/access.ts";
import { adminApi } from "./admin/api.ts";
import { Metrics } from "./admin/metrics.ts";
import { systemClock } from "./base/clock.ts";
import type { Config } from "./base/config.ts";
import { FileReserve } from "./base/file_reserve.ts";
import { FreedMemory } from "./base/freed_memory.ts";
import { LagMeter } from "./base/lag.ts";
import { Sessions } from "./control/access/sessions.ts";
import { Tokens } from "./control/access/tokens.ts";
import { Catalog } from "./control/catalog.ts";
import { CertificateNames } from "./control/certificates/names.ts";
import type { DataDir } from "./control/data_dir.ts";
import { DeclaredServices } from "./control/declared_services.ts";
import { EventLog, InstanceEvents } from "./control/events.ts";
import { ExecSessions } from "./control/exec/sessions.ts";
import { Activity } from "./control/figures/activity.ts";
import { Costs } from "./control/figures/costs.ts";
import { Estimates } from "./control/figures/estimates.ts";
import { Figures } from "./control/figures/figures.ts";
import { IdleGaps } from "./control/figures/idle_gaps.ts";
import { LastHour } from "./control/figures/last_hour.ts";
import { Past } from "./control/figures/past.ts";
import { RequestCounts } from "./control/figures/request_counts.ts";
import { SpellLog } from "./control/figures/spell_log.ts";
import { OtherUsages } from "./control/figures/other_usages.ts";
import { UsageMeter } from "./control/figures/usage_meter.ts";
import { WakeCounts } from "./control/figures/wake_counts.ts";
import { WakeLog } from "./control/figures/wake_log.ts";
import { HandoverServer } from "./control/handover.ts";
import { InstanceControl } from "./control/instance_control.ts";
import { OlderImages } from "./control/older_images.ts";
import { RevisionLimits } from "./control/revision_limits.ts";
import { RunningDeploys } from "./control/running_deploys.ts";
import { RevisionEnv } from "./control/runtime_revision.ts";
import type { Secrets } from "./control/secrets/secrets.ts";
import { ServiceStatuses } from "./control/service_status.ts";
import { Statistics } from "./control/statistics.ts";
import { StatusEvents } from "./control/status_events.ts";
import { StatusWatch } from "./control/status_watch.ts";
import type { Store } from "./control/store.ts";
import { Supervision } from "./control/supervision.ts";
import { type Role, ROLES, TakeOver } from "./control/take_over.ts";
import { ServiceWaits } from "./control/service_waits.ts";
import { DeployQueue } from "./deploy/deploy_queue.ts";
import { Deployer } from "./deploy/deployer.ts";
import { Publisher } from "./deploy/publisher.ts";
import { RevisionLauncher } from "./deploy/revision_launcher.ts";
import { HostPaths } from "./deploy/volumes.ts";
import { envProblem } from "./docker/container_env.ts";
import { Engine } from "./docker/engine.ts";
import { EngineCalls } from "./docker/engine_calls.ts";
import type { EngineChoice } from "./docker/engine_choice.ts";
import type { AddressPosition } from "./docker/network/addresses.ts";
import { SwarmEngine } from "./docker/swarm/swarm_engine.ts";
import { Adoption } from "./fleet/adoption.ts";
import { Fleet } from "./fleet/fleet.ts";
import { MemoryBudget } from "./fleet/memory_budget.ts";
import { Predecessor } from "./fleet/predecessor.ts";
import { Reconciler } from "./fleet/reconciler.ts";
import { RetiringPools } from "./fleet/retiring_pools.ts";
import { KernelSockets } from "./http/client_sockets.ts";
import { ExactForwarder } from "./http/exact/forwarder.ts";
import { FetchForwarder } from "./http/fetch_forwarder.ts";
import { Loopback } from "./http/loopback.ts";
import { Server } from "./http/server.ts";
import { SlowClients } from "./http/slow_clients.ts";
import { StreamBudget } from "./http/stream_budget.ts";
import { ClusterLogs } from "./logs/cluster_logs.ts";
import { ServiceLogs } from "./logs/service_logs.ts";
import { DROPPED } from "./model/isolation.ts";
import type { Revision } from "./model/revision.ts";
import { PeerLogs } from "./peers/peer_logs.ts";
import { SharedToken } from "./peers/shared_token.ts";
import { Executor } from "./pool/executor.ts";
import type { PoolObserver } from "./pool/observer.ts";
import { InstancePool } from "./pool/pool.ts";
import { Prober } from "./pool/probe.ts";
import type { AccessLog } from "./proxy/access_log.ts";
import { Admission } from "./proxy/admission.ts";
import { Proxy } from "./proxy/proxy.ts";
import { UnansweredRequests } from "./proxy/request_context.ts";
import type { RequestMetrics } from "./proxy/responder.ts";
import { Tracing } from "./proxy/tracing.ts";
import { Activator } from "./routing/activator.ts";
import { Convention } from "./routing/convention.ts";
import { adminHostnames, baseDomains, Hosts } from "./routing/hosts.ts";
import { Router } from "./routing/router.ts";
import { ServiceMap } from "./routing/service_map.ts";
import type { SqliteStore } from "./sqlite/store.ts";
import { clusterOf, otherMachinesOf, peerServerOf, type SwarmLink } from "./swarm.ts";

/** This many file descriptors are reserved for connections to apps, for when clients use all others. */
const RESERVED_FILES = 32;
/** For this long after its first request, a process refuses no request because of its own lag: see `Admission`. */
const WARM_UP_MS = 3000;
/** A machine that is gone neither accepts nor refuses a connection. Between machines of a Swarm, one takes far less. */
const CONNECT_TIMEOUT_MS = 1000;

/** All parts of the program that is being started or stopped. */
export type Parts = ReturnType<typeof makeParts>;

/** Makes every part, each after the parts that it needs. Starts nothing. */
export function makeParts(
  config: Config,
  { accessLog, choice, dataDir, database, secrets, store, swarm }: {
    readonly choice: EngineChoice;
    readonly dataDir: DataDir;
    /** This machine's own. */
    readonly database: SqliteStore;
    /** The same, or one that several machines share. */
    readonly store: Store;
    readonly secrets: Secrets;
    readonly accessLog: AccessLog | undefined;
    /** `undefined` if instances run on this machine alone. */
    readonly swarm: SwarmLink | undefined;
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
  const declared = new DeclaredServices(store);
  const fleet = new Fleet();
  const predecessor = new Predecessor(fleet);
  const role: { now: Role } = { now: ROLES.owner };
  const share = swarm?.members.share;
  const retiring = new RetiringPools(drainTimeoutMs);
  const services = new ServiceMap(retiring);
  const events = new EventLog(clock, Date.now);
  const instanceEvents = new InstanceEvents(events);
  const deploys = new DeployQueue();
  const running = new RunningDeploys();
  const statuses = new ServiceStatuses(services, deploys);
  const spells = new SpellLog(clock, Date.now);
  const statusWatch = new StatusWatch(statuses, [spells, new StatusEvents(events)]);
  const reserve = new FileReserve(clock, RESERVED_FILES);
  const freedMemory = new FreedMemory(clock);
  const loopback = new Loopback();
  const lag = new LagMeter(clock, loopback);
  const unanswered = new UnansweredRequests(clock);
  const { maxInFlight } = config;
  const admission = new Admission(lag, clock, { maxInFlight, inFlight: unanswered, warmUpMs: WARM_UP_MS });
  const engineCalls = new EngineCalls();
  const metrics = new Metrics({ lag, shed: admission.shed, engineCalls, accessLog, store: database });
  database.observe(metrics);
  const tracing = Tracing.ofPlatform(clock, Date.now);
  const clientSockets = new KernelSockets();
  const budget = new StreamBudget(config.streamBudgetBytes);
  const slowClients = new SlowClients(clock, clientSockets, metrics);
  const connectTimeoutMs = swarm === undefined ? Infinity : CONNECT_TIMEOUT_MS;
  const forwarder = config.forward === "exact"
    ? new ExactForwarder(clock, slowClients, budget, connectTimeoutMs)
    : new FetchForwarder(slowClients, budget, tracing !== undefined);

  // Containers and the pools of instances.
  const counted = { ...choice, api: engineCalls.counting(choice.api) };
  const hostPaths = new HostPaths(config.allowHostPaths, Deno.realPath);
  const swarmEngine = swarm && new SwarmEngine(
    { ...swarm, swarm: swarm.api, choice: counted, hostPaths },
    config,
    dataDir,
    clock,
    { role, predecessor },
  );
  const engine = swarmEngine ?? new Engine(counted, config, dataDir, clock);
  const env = new RevisionEnv(secrets);
  // In a Swarm, the folders that count are those of the machine on which a container runs: its cless is asked.
  const checkedPaths = swarm === undefined ? hostPaths : { problem: () => Promise.resolve(undefined) };
  const launcher = new RevisionLauncher(engine.launcher, env, checkedPaths, clock);
  const adoption = new Adoption(launcher, clock, startTimeoutMs, predecessor);
  const executor = new Executor(launcher, clock, fleet, new Prober(clock, lag, choice.reserve));
  const wakes = new WakeCounts(Date.now);
  const wakeLog = new WakeLog(Date.now);
  const gaps = new IdleGaps({ clock, now: Date.now });
  const costs = new Costs(Date.now);
  const requests = new RequestCounts(Date.now, services);
  const lastHour = new LastHour({ now: Date.now, store, requests, wakes });
  const others = swarm && new OtherUsages(otherMachinesOf(swarm), clock);
  const meter = new UsageMeter({ clock, launcher, fleet, costs, others });
  const figures = new Figures({
    ...{ clock, meter, store, wakes, wakeLog, gaps, costs, requests, lastHour, spells, statusWatch },
    now: Date.now,
  });
  const observer: PoolObserver = {
    changed(instance, before) {
      if (before === "ready") forwarder.leave(instance.origin);
      instanceEvents.changed(instance);
      statusWatch.check(instance.revision.service);
      meter.changed(instance);
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
        ...(swarmEngine &&
          {
            newId: (revision, isMember) =>
              swarmEngine.newId(revision, (id) => isMember(id) || fleet.get(id) !== undefined),
          }),
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
      declared,
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
  const gates = new Gates({ clock, signIn, share });

  // What operators see and change.
  const publisher = new Publisher({
    ...{ services, limits, defaults, env, gates, store, pools, clock, retiring },
    exceptRobots: config.wakeExceptRobots,
  });
  const deployer = new Deployer({
    ...{ store, declared, publisher, images: engine.source, secrets, launcher, drainTimeoutMs, deploys, running },
    statusWatch,
    rules: {
      checkEnv: envProblem,
      hostPaths: checkedPaths,
      reservedHostnames: adminHostnames(config),
      baseDomains: baseDomains(config),
      signInAddresses,
    },
    volumeUsers: engine,
    machines: engine,
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
  const catalog = new Catalog(declared, services, statuses);
  const waits = new ServiceWaits({
    ...{ deploys: running, fleet, events, images: launcher },
    outputs: engine.launcher.outputs,
    now: Date.now,
  });
  events.onTick(() => waits.tell());
  const statistics = new Statistics(catalog, fleet, activator);
  const control = new InstanceControl(router, services, drainTimeoutMs, swarmEngine?.launcher.sharing);
  const tokens = new Tokens(store, dataDir.token);
  const sharedToken = swarm &&
    new SharedToken({ ...swarm, nodeId: swarm.info.nodeId, dataDir, tokens, clock, now: Date.now });
  const ownLogs = new ServiceLogs(engine.launcher.outputs);
  const peerLogs = swarm && new PeerLogs({
    ...{ ...swarm, nodeId: swarm.info.nodeId, own: ownLogs },
    nodes: () => swarm.api.nodes(),
  });
  const exec = new ExecSessions({ router, fleet, engine: engine.launcher, events, clock });
  const api = adminApi({
    ...{ config, clock, stopping: stopping.signal, catalog, deployer, store, dataDir, secrets, fleet, events },
    ...{ exec, metrics, meter, engine, hosts, signInAddresses, activator, running, waits, statistics },
    past: new Past({ now: Date.now, catalog, store, requests, wakes, wakeLog, spells }),
    activity: new Activity({ services, statuses, fleet, statistics, meter, requests, lastHour }),
    certificateNames: new CertificateNames({ store, clock, now: Date.now }),
    control,
    ...{ tokens, sessions: new Sessions(store, tokens) },
    revisionLimits: new RevisionLimits(limits, defaults, config.sources),
    imageNames: engine.names,
    volumeAccess: engine.launcher.volumeAccess,
    volumeNodes: swarmEngine?.volumes,
    noRobots: config.wakeExceptRobots ? config.sources.get("wake-except-robots") : undefined,
    logs: peerLogs === undefined ? ownLogs : new ClusterLogs(ownLogs, peerLogs, clock),
    estimates: new Estimates({ now: Date.now, store, gaps, costs }),
    cluster: swarm && clusterOf(swarm, { config, dataDir, engine: swarmEngine!, sharedToken: sharedToken! }),
  });

  // The way of a request.
  const countedRequests: RequestMetrics = {
    requested(service, revision, status, ms) {
      metrics.requested(service, revision, status, ms);
      if (service !== undefined) requests.requested(service, status, ms);
    },
    waited: (revision, ms) => metrics.waited(revision, ms),
  };
  const proxy = new Proxy({
    ...{ activator, unanswered, forwarder, clock, reconciler, admission, slowClients },
    metrics: countedRequests,
    ...{ budget, limits, role, accessLog, tracing, connectTimeoutMs },
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
  const reconcile = async () => {
    if (adoption.known) await reconciler.refresh();
  };
  const peerServer = swarmEngine && peerServerOf(swarm!, {
    ...{ clock, control, fleet, reserve, role, engine: swarmEngine },
    reconciler: { refresh: reconcile, discover: (id) => reconciler.discover(id) },
    ...{ logs: peerLogs!, sharedToken: sharedToken!, usages: () => meter.usages() },
  });
  // The home of instances may be another one from now on.
  swarm?.members.onChange({
    came() {},
    went(nodeId) {
      swarmEngine?.launcher.sharing.slots.home.went(nodeId);
      reconcile();
      for (const pool of fleet.pools()) pool.look();
    },
  });

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
    ...{ role, clock, config, stopping, dataDir, deployer, engine, fleet, adoption, predecessor, reconciler },
    store: database,
    ...{ figures, supervision, peerServer, servers: [...servers, admin, ...(peerServer ? [peerServer] : [])] },
  });
  const handoverServer = new HandoverServer<AddressPosition>(dataDir.path, clock);

  return {
    ...{
      config,
      dataDir,
      store,
      clock,
      stopping,
      declared,
      fleet,
      retiring,
      role,
      takeOver,
      handoverServer,
      supervision,
    },
    ...{ reserve, engineReserve: choice.reserve, loopback, freedMemory, unanswered, clientSockets, slowClients },
    ...{ forwarder, engine, adoption, executor, reconciler, services, convention, hosts, activator, publisher },
    ...{ deployer, figures, statusWatch, exec, proxy, servers, admin, accessLog, swarm, peerServer, tokens },
  };
}
