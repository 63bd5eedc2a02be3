import { adminApi } from "./admin/api.ts";
import type { AdminParts, ServiceView } from "./admin/parts.ts";
import type { Config } from "./config.ts";
import { Attempts } from "./control/attempts.ts";
import { type DataDir, openDataDir } from "./control/data_dir.ts";
import { type Store, StoreUnavailable } from "./control/store.ts";
import { Tokens } from "./control/tokens.ts";
import { DockerCommand, DockerError } from "./docker/command.ts";
import { findEngine } from "./docker/engine.ts";
import { EventStream } from "./docker/events.ts";
import { LocalImages } from "./docker/images.ts";
import { DockerLauncher } from "./docker/launcher.ts";
import { OwnNetwork } from "./docker/network.ts";
import { LABEL } from "./docker/run_args.ts";
import type { Endpoint } from "./domain/endpoint.ts";
import { parseCidr } from "./domain/cidr.ts";
import { parseHostname } from "./domain/hostname.ts";
import { conventionLabel, type Revision } from "./domain/revision.ts";
import { ClessError, OperatorError } from "./errors.ts";
import { Activator } from "./serving/activator.ts";
import { atMost, type Clock, pause, systemClock } from "./serving/clock.ts";
import { Convention } from "./serving/convention.ts";
import { FileReserve } from "./serving/file_reserve.ts";
import { Fleet } from "./serving/fleet.ts";
import { ExactForwarder } from "./serving/exact/forwarder.ts";
import { FetchForwarder } from "./serving/fetch_forwarder.ts";
import type { Forwarder } from "./serving/forward.ts";
import { InstancePool } from "./serving/instance_pool.ts";
import type { ContainerEvent } from "./serving/launcher.ts";
import { Proxy } from "./serving/proxy.ts";
import { untilReady } from "./serving/readiness.ts";
import { Reaper } from "./serving/reaper.ts";
import type { RequestHead } from "./serving/request_head.ts";
import { Router } from "./serving/router.ts";
import { Server } from "./serving/server.ts";
import { Service } from "./serving/service.ts";
import { ServiceMap } from "./serving/service_map.ts";
import { Starter } from "./serving/starter.ts";
import { UnansweredRequests } from "./serving/unanswered_requests.ts";
import { WebSocketBridge } from "./serving/websocket/bridge.ts";

const ENGINE_ANSWER_AGE_MS = 1000;
const ENGINE_PATIENCE_MS = 10_000;
const MOST_SWEEPS = 5;
/** How long an engine that hangs may keep the program from ending, ms; what it leaves behind goes at the next start. */
const STOP_PATIENCE_MS = 45_000;
const ADMIN_PATIENCE_MS = 1000;

const LOOPBACK = [parseCidr("127.0.0.0/8"), parseCidr("::1")];

const WHAT: Record<string, ContainerEvent["what"]> = {
  pause: "paused",
  unpause: "resumed",
  die: "ended",
};

/** The whole program: makes every part, starts them in order, and stops them in order. */
export class Cless {
  readonly #config: Config;
  readonly #dataDir: DataDir;
  readonly #clock: Clock = systemClock;
  readonly #docker: DockerCommand;
  readonly #network: OwnNetwork;
  readonly #launcher: DockerLauncher;
  readonly #events: EventStream;
  readonly #images: LocalImages;
  readonly #services = new ServiceMap();
  readonly #fleet = new Fleet();
  readonly #starter: Starter;
  readonly #reaper: Reaper;
  readonly #convention: Convention | undefined;
  readonly #activator: Activator;
  readonly #unanswered = new UnansweredRequests(this.#clock);
  readonly #forwarder: Forwarder;
  readonly #reserve = new FileReserve();
  readonly #websockets = new WebSocketBridge(this.#clock);
  readonly #retiring = new Set<Promise<void>>();
  readonly #proxies: Server[];
  readonly #admin: Server;
  #engineFound = false;
  #engineAsked: Promise<boolean> | undefined;

  private constructor(config: Config, dataDir: DataDir) {
    this.#config = config;
    this.#dataDir = dataDir;
    const { owner } = dataDir;
    const clock = this.#clock;
    this.#forwarder = config.forward === "exact" ? new ExactForwarder(clock) : new FetchForwarder();
    this.#docker = new DockerCommand(config.docker);
    this.#network = new OwnNetwork(this.#docker, dataDir);
    const launcher = this.#launcher = new DockerLauncher({
      docker: this.#docker,
      network: this.#network,
      owner,
      portRange: config.portRange,
      upstream: config.upstream,
    });
    this.#events = new EventStream(this.#docker, {
      event: ({ type, action, attributes }) => {
        if (type === "image") this.#images.changed();
        else if (attributes[LABEL.owner] === owner) this.#observe(action, attributes);
      },
      gap: () => {
        this.#images.changed();
        this.#reaper.reconcile();
      },
    });
    const listening = () => this.#events.live;
    this.#images = new LocalImages(this.#docker, clock, listening);
    this.#starter = new Starter({
      launcher,
      clock,
      untilReady,
      forget: (instance) => {
        this.#fleet.delete(instance);
        // A request may still be on its way to the address.
        instance.untilIdle().then(() => launcher.forget(instance.id));
      },
    });
    this.#reaper = new Reaper({ launcher, fleet: this.#fleet, clock, listening });
    this.#convention = config.convention ? this.#makeConvention() : undefined;
    this.#activator = new Activator(new Router(this.#services, this.#convention), config.maxPending);
    const api = adminApi(this.#adminParts());
    const proxy = new Proxy({
      activator: this.#activator,
      unanswered: this.#unanswered,
      forwarder: this.#forwarder,
      websockets: this.#websockets,
      clock,
      trustedProxies: config.trustedProxies,
      requestTimeout: config.requestTimeout,
      suspect: () => this.#reaper.suspect(),
      admin: (request, head, peer) => this.#isForAdmin(head, peer) ? api(request, peer) : undefined,
    });
    this.#proxies = config.listen.map((endpoint) => new Server(endpoint, proxy.handle, clock, this.#reserve));
    this.#admin = new Server(
      config.admin,
      (request, { remoteAddr }) => api(request, remoteAddr.hostname),
      clock,
      this.#reserve,
    );
  }

  /**
   * Starts everything; when it resolves, requests are served.
   *
   * @throws {OperatorError} When something in the surroundings must be mended first.
   */
  static async start(config: Config): Promise<Cless> {
    const cless = new Cless(config, await openDataDir(config.dataDir));
    try {
      await cless.#start();
      return cless;
    } catch (error) {
      await cless.stop();
      if (error instanceof DockerError) throw new OperatorError(`the Docker engine refuses: ${error.message}`);
      throw error;
    }
  }

  /** Where it listens; with the ports that it got, where none were named. */
  get endpoints(): { listen: Endpoint[]; admin: Endpoint } {
    return { listen: this.#proxies.map((server) => server.endpoint), admin: this.#admin.endpoint };
  }

  /** Where the token of the admin API stands. */
  get tokenFile(): string {
    return this.#dataDir.tokenFile;
  }

  /** How many containers are there. */
  get instances(): number {
    return this.#fleet.instances().length;
  }

  /** The labels that local images answer for. */
  labels(): string[] {
    if (this.#convention === undefined) return [];
    return this.#images.names().flatMap((name) => conventionLabel(name) ?? []);
  }

  /** Where a browser finds a service. */
  urlOf(service: string): string {
    const { domain, domainGiven } = this.#config;
    const { port } = this.#proxies[0]!.endpoint;
    return `http://${service}.${domainGiven ? domain : "localhost"}${port === 80 ? "" : `:${port}`}`;
  }

  /** Stops accepting, lets what is in flight finish for a while, and stops the containers. */
  async stop(): Promise<void> {
    const { drainTimeout } = this.#config;
    this.#reaper.stop();
    this.#activator.drain();
    const served = Promise.all(this.#proxies.map((server) => server.shutdown()));
    const idle = served.then(() => Promise.all(this.#fleet.instances().map((instance) => instance.untilIdle())));
    const patience = new AbortController();
    await Promise.race([idle, pause(this.#clock, drainTimeout, patience.signal)]);
    patience.abort();
    const draining = new ClessError("draining", "cless is shutting down", { retryAfterS: 5 });
    for (const pool of this.#fleet.pools()) pool.refuse(draining);
    this.#unanswered.abortAll(draining);
    if (this.#engineFound) await atMost(this.#stopContainers(), this.#clock, STOP_PATIENCE_MS);
    await atMost(this.#admin.shutdown(), this.#clock, ADMIN_PATIENCE_MS);
    this.#reserve.release();
    this.#forwarder[Symbol.dispose]();
    this.#websockets[Symbol.dispose]();
    this.#dataDir[Symbol.dispose]();
  }

  async #start(): Promise<void> {
    await findEngine(this.#docker);
    this.#engineFound = true;
    this.#events.start();
    await Promise.all([this.#images.changed(), this.#launcher.prepare()]);
    await this.#adopt();
    this.#admin.listen();
    for (const server of this.#proxies) server.listen();
    this.#reserve.take();
    this.#reaper.start();
  }

  async #stopContainers(): Promise<void> {
    await Promise.all([...this.#fleet.pools()].map((pool) => pool.retire(0)));
    await Promise.all(this.#retiring);
    await this.#starter.settled();
    // Whatever is left now belongs to no instance, and goes; an engine under load may need to be asked again.
    for (let tries = 0; tries < MOST_SWEEPS && !await this.#reaper.reconcile(); tries++);
    await this.#events.stop();
    this.#images.stop();
    await this.#network.remove();
  }

  /** Takes over what an earlier process has left and is still of use, and removes the rest. */
  async #adopt(): Promise<void> {
    for (const container of await this.#launcher.list()) {
      const { imageId, origin, service, state } = container;
      const usable = (state === "running" || state === "paused") && origin !== undefined;
      const pool = usable ? this.#convention?.adopt(service, imageId) : undefined;
      if (pool !== undefined && origin !== undefined) pool.adopt({ ...container, origin });
    }
    this.#reaper.reconcile(); // what is left belongs to no instance, and goes
  }

  #makeConvention(): Convention {
    const { startTimeout, requestTimeout, stopAfter, drainTimeout, maxPending } = this.#config;
    return new Convention({
      images: this.#images,
      services: this.#services,
      limits: { startTimeout, requestTimeout, stopAfter },
      clock: this.#clock,
      newPool: (revision) =>
        new InstancePool(revision, {
          launcher: this.#launcher,
          starter: this.#starter,
          clock: this.#clock,
          maxPending,
          newId: newInstanceId,
          note: (instance, pool) => {
            this.#fleet.add(instance, pool);
            instance.onUnready = () => this.#forwarder.leave(instance.origin);
          },
        }),
      retire: (pool) => {
        const retired = pool.retire(drainTimeout).catch(() => {}).finally(() => this.#retiring.delete(retired));
        this.#retiring.add(retired);
      },
    });
  }

  #observe(action: string, attributes: Readonly<Record<string, string>>): void {
    const what = WHAT[action];
    const { name, exitCode } = attributes;
    if (name === undefined) return;
    if (action === "start") this.#launcher.started(name);
    if (what === undefined || this.#launcher.isLaunching(name)) return;
    this.#fleet.apply({ id: name, what, ...(exitCode === undefined ? {} : { exitCode: Number(exitCode) }) });
  }

  /** What the admin API works with, as long as nothing can be declared. */
  #adminParts(): AdminParts {
    const missing = () => {
      throw new StoreUnavailable("services cannot be declared yet");
    };
    const list = () => this.#services.list().filter((service) => service instanceof Service).map(viewOf);
    return {
      catalog: { list, get: (name) => list().find((view) => view.name === name), revisions: () => [] },
      deployer: {
        deploy: missing,
        plan: missing,
        setTraffic: missing,
        rollback: missing,
        delete: missing,
        deleteRevision: missing,
      },
      control: { wake: missing, sleep: missing },
      secrets: { set: missing, list: () => [], delete: missing },
      tokens: new Tokens({ tokens: () => [] } as Partial<Store> as Store, this.#dataDir.token),
      rotateOwner: missing,
      attempts: new Attempts(this.#clock),
      history: () => [],
      backup: missing,
      fleet: this.#fleet,
      events: { subscribe: missing },
      logs: { read: missing },
      metrics: { text: missing },
      ready: () => this.#engineReady(),
      urlOf: (service) => this.urlOf(service),
      serves: (hostname) => Promise.resolve(this.#services.find(parseHostname(hostname)!) !== undefined),
      hostnames: [`admin.${this.#config.domain}`],
    };
  }

  /** Whether the proxy has a request for the admin API: others than this machine would send the token in the clear. */
  #isForAdmin({ hostname }: RequestHead, peer: string): boolean {
    const { adminPublic, domain, trustedProxies } = this.#config;
    if (hostname.name !== `admin.${domain}` && hostname.name !== "admin.localhost") return false;
    return adminPublic || isLoopback(peer) || trustedProxies.some((range) => range.contains(peer));
  }

  /** Whether the engine answers; asked once for all who want to know within a second. */
  async #engineReady(): Promise<boolean> {
    this.#engineAsked ??= findEngine(this.#docker, ENGINE_PATIENCE_MS).then(() => true, () => false).finally(() => {
      this.#clock.after(ENGINE_ANSWER_AGE_MS, () => this.#engineAsked = undefined);
    });
    return await this.#engineAsked && !this.#activator.draining;
  }
}

function viewOf(service: Service): ServiceView {
  return {
    name: service.name,
    domains: [],
    latestRevision: service.latest.revision.name,
    traffic: [{ revision: "latest", percent: 100 }],
    generation: undefined,
    convention: true,
    revisionHistory: undefined,
    declaredBy: undefined,
    createdAt: service.createdAt.getTime(),
    updatedAt: service.updatedAt.getTime(),
  };
}

function isLoopback(address: string): boolean {
  return LOOPBACK.some((range) => range.contains(address));
}

/** A container's name: readable, and with enough of chance in it that no two are alike. */
function newInstanceId(revision: Revision): string {
  const random = [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => (byte % 36).toString(36)).join("");
  return `cless-${revision.service}-${revision.name}-${random}`;
}
