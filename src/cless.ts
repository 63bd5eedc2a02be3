import { atMost, whileItMoves, within } from "./base/async.ts";
import { systemClock } from "./base/clock.ts";
import type { Config } from "./base/config.ts";
import { messageOf, OperatorError, shuttingDown } from "./base/errors.ts";
import { logger } from "./base/log.ts";
import { notify } from "./base/notify.ts";
import { makeParts, type Parts } from "./compose.ts";
import { openDataDir, type ServeCall } from "./control/data_dir.ts";
import type { OwnFacts } from "./control/handover.ts";
import { Secrets } from "./control/secrets/secrets.ts";
import { checkSameEngine, findPredecessor, lockAfter, type PredecessorLink } from "./control/take_over.ts";
import type { ConfigFile } from "./deploy/config_file.ts";
import { chooseEngineApi, type EngineChoice, findEngine } from "./docker/engine_choice.ts";
import { EngineError } from "./docker/engine_error.ts";
import type { AddressPosition } from "./docker/network/addresses.ts";
import { checkNewAddresses, withPorts } from "./http/listening.ts";
import { type Endpoint, formatEndpoint } from "./model/host.ts";
import { conventionLabel } from "./model/revision.ts";
import { AccessLog, openAccessFile } from "./proxy/access_log.ts";
import { drain, finish } from "./proxy/drain.ts";
import { SqliteStore } from "./sqlite/store.ts";
import { openSwarm } from "./swarm.ts";

const log = logger("cless");
/**
 * If the removal of containers makes no progress for this time, the program ends all the same. The next start adopts or
 * removes the rest.
 */
const STOP_TIMEOUT_MS = 45_000;
const ADMIN_STOP_TIMEOUT_MS = 1000;
/** For at most this long, a process that is superseded sends its last figures. */
const HAND_ON_TIMEOUT_MS = 1000;

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
        checkSameEngine(config, predecessor.facts);
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
    const database = opened.use(
      sealed === undefined
        ? SqliteStore.open(dataDir.path, { isNew: dataDir.isNew })
        : SqliteStore.openNext(dataDir.path),
    );
    const swarm = config.engine === "swarm"
      ? opened.use(
        await openSwarm(config, {
          choice,
          database,
          dataDir,
          clock: systemClock,
          listening: predecessor?.facts.listen,
        }),
      )
      : undefined;
    if (swarm === undefined) database.goApart();
    await swarm?.store.start();
    const store = swarm?.store ?? database;
    if (sealed !== undefined) log.debug("take-over", { step: "migrated" });
    const secretKey = config.secretKey ?? predecessor?.facts.secretKey;
    const secrets = await Secrets.open(store, { folder: dataDir.path, text: secretKey });
    if (dataDir.isNew) {
      if (store.olderImages() === undefined) store.putOlderImages([]);
      dataDir.settle();
    }
    const ported = withPorts(config, predecessor?.facts.listen);
    const parts = makeParts(ported, { accessLog, choice, dataDir, database, secrets, store, swarm });
    const cless = new Cless(parts, config, secretKey);
    if (predecessor !== undefined && sealed !== undefined) parts.takeOver.begin(predecessor.handover, sealed);
    if (config.configFile !== undefined) {
      const { ConfigFile } = await import("./deploy/config_file.ts"); // loads the YAML library, which is rarely needed
      cless.#configFile = new ConfigFile(config.configFile, parts.deployer, parts.declared);
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
    const { handoverServer, peerServer, reserve, role, store, swarm } = this.#parts;
    adoption.stop();
    this.#parts.freedMemory.stop();
    if (engine.found) await whileItMoves(this.#endContainers(), () => fleet.size, clock, STOP_TIMEOUT_MS);
    if (!role.now.isOwner) swarm?.members.leave();
    else await swarm?.members.stop();
    await Promise.all(
      [admin, peerServer].map((server) => server && atMost(server.shutdown(), clock, ADMIN_STOP_TIMEOUT_MS)),
    );
    if (role.now.isOwner) this.#parts.figures.finish();
    reserve.release();
    engineReserve.release();
    await loopback[Symbol.asyncDispose]();
    await this.#parts.accessLog?.[Symbol.asyncDispose]();
    for (const closed of [forwarder, proxy, slowClients, store, handoverServer, dataDir, swarm]) {
      closed?.[Symbol.dispose]();
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
    const { freedMemory, handoverServer, hosts, peerServer, reconciler, reserve, servers, statusWatch, supervision } =
      this.#parts;
    const { swarm, takeOver, tokens } = this.#parts;
    const manifest = await this.#configFile?.read();
    await engine.start(answer, {
      apply: (event) => fleet.apply(event),
      // The reconciler must not run before the adoption knows the containers: it would remove them, since they have no
      // instances yet.
      gap: () => void (adoption.known && reconciler.refresh()),
      appeared: (id) => void reconciler.discover(id),
    });
    deployer.load();
    await swarm?.follow({
      refresh: async (service) => {
        await deployer.refresh(service);
        // A new revision may have an instance here already, which was of no known revision when it started.
        if (adoption.hasStrangers) await reconciler.refresh();
      },
    }, tokens);
    const { isSuccessor } = takeOver;
    figures.load(isSuccessor);
    if (isSuccessor) {
      await swarm?.members.read(); // they say which instances sleep
      await this.#adopt();
      await takeOver.install();
    }
    if (swarm !== undefined && peerServer !== undefined) {
      peerServer.listen(isSuccessor);
      const { hostname, port } = peerServer.endpoint;
      // At another address, it may be reached over another network, in which Swarm does not know the nodes' addresses.
      if (hostname === swarm.usualEndpoint.hostname) await swarm.guard.close(port);
      await swarm.store.sow();
      await swarm.members.start(swarm.reachable(peerServer.endpoint));
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
    const { peerServer, swarm } = this.#parts;
    const peers = peerServer && swarm && { given: swarm.usualEndpoint, actual: peerServer.endpoint };
    const given = [...this.#given.listen, this.#given.admin, ...(peers ? [peers.given] : [])];
    const actual = [...listen, admin, ...(peers ? [peers.actual] : [])];
    return {
      listen: given.map((given, at) => ({ given, actual: actual[at]! })),
      engine: this.#given.engine,
      secretKey: this.#secretKey,
    };
  }

  /** Adopts the containers of an earlier process. Requests may be served meanwhile. */
  async #adopt(): Promise<void> {
    const { adoption, convention, declared, publisher } = this.#parts;
    try {
      await adoption.run((container) =>
        declared.has(container.service)
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
    const { swarm } = this.#parts;
    // Before the others are known, all instances may be theirs.
    const isShared = swarm !== undefined && (swarm.members.live.length > 1 || !swarm.members.hasStarted);
    if (isShared && role.now.isOwner) await engine.launcher.handOver();
    if (config.onExit === "keep" || isShared || !role.now.isOwner) {
      await executor.settled(); // some containers may still be stopping
      if (role.now.isOwner && !isShared) await engine.launcher.handOver();
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
