import type { SignIn } from "../../src/access/oidc/sign_in.ts";
import { type GatedService, Gates } from "../../src/access/gates.ts";
import { OPEN, UNLIMITED } from "../../src/model/access.ts";
import { parseCidr } from "../../src/model/ip.ts";
import { NO_EXTRAS, type Revision } from "../../src/model/revision.ts";
import { Activator } from "../../src/routing/activator.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { Convention } from "../../src/routing/convention.ts";
import { Service, type Share, type Waking } from "../../src/routing/service.ts";
import { FileReserve } from "../../src/base/file_reserve.ts";
import { Server } from "../../src/http/server.ts";
import { Fleet } from "../../src/fleet/fleet.ts";
import { ExactForwarder } from "../../src/http/exact/forwarder.ts";
import { FetchForwarder } from "../../src/http/fetch_forwarder.ts";
import type { ClientSockets } from "../../src/http/client_sockets.ts";
import { type ClientMetrics, SlowClients } from "../../src/http/slow_clients.ts";
import { StreamBudget } from "../../src/http/stream_budget.ts";
import type { Forwarder } from "../../src/http/forwarder.ts";
import type { Instance } from "../../src/pool/instance.ts";
import type { PoolObserver } from "../../src/pool/observer.ts";
import { InstancePool } from "../../src/pool/pool.ts";
import type { Ask, Asking } from "../../src/pool/probe.ts";
import { Proxy, type ProxyOptions } from "../../src/proxy/proxy.ts";
import { type RequestContext, UnansweredRequests } from "../../src/proxy/request_context.ts";
import { Reconciler } from "../../src/fleet/reconciler.ts";
import { Router } from "../../src/routing/router.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { Executor } from "../../src/pool/executor.ts";
import { FakeImages } from "./fake_images.ts";
import { FakeLauncher } from "./fake_launcher.ts";
import { admitAll, NEW_DEFAULTS } from "./kit.ts";
import { signInParts } from "./sign_in.ts";
import type { HttpMessage } from "./http_message.ts";
import { RawClient } from "./raw_client.ts";

/** What a test may decide about a {@linkcode Harness}. */
export interface HarnessOptions {
  /** Where the n-th instance's app is; or the test decides about each start by the launcher. */
  readonly origin?: { readonly url: string } | ((n: number) => string);
  /** Which forwarder; `fetch` where a test does not say. */
  readonly forward?: "exact" | "fetch";
  readonly trustedProxies?: readonly string[];
  readonly requestTimeoutMs?: number;
  readonly clientTimeoutMs?: number;
  /** What the kernel knows about clients' connections; nothing where a test does not say. */
  readonly clientSockets?: ClientSockets;
  readonly clientMetrics?: ClientMetrics;
  /** How many requests an instance serves at once; any number where a test does not say. */
  readonly concurrency?: number;
  readonly clock?: Clock;
  readonly listen?: string;
  /** The port to listen on; a free one where a test does not say. */
  readonly port?: number;
  readonly admin?: ProxyOptions["admin"];
  /** Makes the one share of a declared service of the app's pool. */
  readonly share?: (pool: InstancePool) => Share;
  /** The service's custom domains. */
  readonly domains?: readonly string[];
  /** What is special about the service's waking. */
  readonly waking?: Waking;
  /** Who may use the service, how much it accepts, and whether it is under maintenance. */
  readonly locked?: Partial<GatedService>;
  /** What sign-ins need, if the service asks for them. */
  readonly signIn?: SignIn;
  readonly callbackHost?: ProxyOptions["callbackHost"];
  readonly accessLog?: ProxyOptions["accessLog"];
  readonly metrics?: ProxyOptions["metrics"];
  readonly wakeLog?: ProxyOptions["wakeLog"];
  /** Is told of each wake. */
  readonly woken?: PoolObserver["woken"];
  readonly tracing?: ProxyOptions["tracing"];
  /** Admits every request where it is missing. */
  readonly admission?: ProxyOptions["admission"];
  /** Lets the first request find the service by the image of its name, in place of a declared one. */
  readonly undeclared?: { readonly exceptRobots: boolean };
  /** Waits for an app, in the place of the real probe. */
  readonly untilReady?: Asking["untilReady"];
  /** Asks an app whether it is there; where it is missing, it always is. */
  readonly ask?: Ask;
}

/** The whole request path without containers: a request for `app.localhost` goes to an origin of the test's own. */
export class Harness implements AsyncDisposable {
  readonly launcher = new FakeLauncher();
  readonly fleet = new Fleet();
  readonly unanswered: WatchedRequests;
  /** Every instance that there has been. */
  readonly instances: Instance[] = [];
  readonly #clock: OwnTimers;
  readonly #forwarder: Forwarder;
  readonly #slowClients: SlowClients;
  readonly #proxy: Proxy;
  readonly #server: Server;
  readonly #executor: Executor;
  readonly #pool: InstancePool;
  readonly #put: (gated: Partial<GatedService> | undefined) => void;

  private constructor(options: HarnessOptions) {
    const { launcher, fleet } = this;
    const clock = this.#clock = new OwnTimers(options.clock ?? systemClock);
    const { origin } = options;
    if (origin !== undefined) {
      launcher.on.launch = () => ({
        origin: typeof origin === "function" ? origin(this.instances.length - 1) : origin.url,
      });
    }
    launcher.onEvent = (event) => fleet.apply(event);
    const slowClients = this.#slowClients = new SlowClients(clock, options.clientSockets, options.clientMetrics);
    const budget = new StreamBudget();
    this.#forwarder = options.forward === "exact"
      ? new ExactForwarder(clock, slowClients, budget)
      : new FetchForwarder(slowClients, budget);
    this.unanswered = new WatchedRequests(clock);
    const { ask = () => Promise.resolve(200), untilReady = () => Promise.resolve() } = options;
    const executor = this.#executor = new Executor(launcher, clock, fleet, { untilReady, ask });
    const [forwarder, instances] = [this.#forwarder, this.instances];
    const pool = this.#pool = new InstancePool({
      ...REVISION,
      requestTimeoutMs: options.requestTimeoutMs ?? REVISION.requestTimeoutMs,
      clientTimeoutMs: options.clientTimeoutMs ?? REVISION.clientTimeoutMs,
      concurrency: options.concurrency ?? REVISION.concurrency,
    }, {
      clock,
      executor,
      fleet,
      maxPending: 100,
      newId: () => `app-${instances.length + 1}`,
      observer: {
        changed(instance, before) {
          if (before === undefined) instances.push(instance);
          if (before === "ready") forwarder.leave(instance.origin);
        },
        ...(options.woken === undefined ? {} : { woken: options.woken }),
      },
    });
    const services = new ServiceMap({ retire: () => {} });
    const { domains = [], locked, undeclared, waking } = options;
    const gates = new Gates({ clock, signIn: options.signIn ?? signInParts({ clock }) });
    const shares = [options.share?.(pool) ?? { pool, percent: 100 }];
    this.#put = (settings) => {
      const { own: gate, ofTags: tagGate } = gates.of({ ...UNGATED, ...settings });
      services.put(new Service("app", { shares, domains, waking, gate, tagGate }));
    };
    if (undeclared === undefined) {
      this.#put(locked);
    }
    const convention = undeclared && this.#conventionOf(services, undeclared.exceptRobots);
    const reconciler = new Reconciler(launcher, fleet, { stays: () => false }, clock);
    const proxy = this.#proxy = new Proxy({
      activator: new Activator(new Router(services, convention), 100),
      exceptRobots: undeclared?.exceptRobots ?? false,
      unanswered: this.unanswered,
      forwarder: this.#forwarder,
      clock,
      trustedProxies: (options.trustedProxies ?? []).map(parseCidr),
      limits: REVISION, // for requests of no revision
      slowClients,
      reconciler,
      admission: options.admission ?? admitAll(),
      budget,
      callbackHost: options.callbackHost,
      accessLog: options.accessLog,
      tracing: options.tracing,
      ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
      ...(options.wakeLog === undefined ? {} : { wakeLog: options.wakeLog }),
      admin: options.admin ?? (() => undefined),
    });
    this.#server = new Server(
      { hostname: options.listen ?? "127.0.0.1", port: options.port ?? 0 },
      proxy.handle,
      clock,
      new FileReserve(clock, 32),
    );
  }

  /** Finds the service by its image, and gives it the pool. */
  #conventionOf(services: ServiceMap, exceptRobots: boolean): Convention {
    const images = new FakeImages();
    images.build(REVISION.image, REVISION.imageId);
    return new Convention({
      ...{ images, services, exceptRobots },
      pools: { newPool: () => this.#pool },
      declared: new Set<string>(),
      limits: REVISION,
      defaults: NEW_DEFAULTS,
      older: new Set<string>(),
    });
  }

  /** Starts it, listening on a port of its own; the first request starts an instance. */
  static cold(options: HarnessOptions): Harness {
    const harness = new Harness(options);
    harness.#server.listen();
    return harness;
  }

  /** Starts it with an instance that is ready. */
  static async warm(options: HarnessOptions): Promise<Harness> {
    const harness = Harness.cold(options);
    harness.#pool.wake();
    await harness.#pool.settled();
    return harness;
  }

  get port(): number {
    return this.#server.endpoint.port;
  }

  /** The instance that serves, or served last. */
  get instance(): Instance {
    const instance = this.instances.at(-1);
    if (instance === undefined) throw new Error("No instance has been started");
    return instance;
  }

  /** How many requests wait for an instance. */
  get waiting(): number {
    return this.#pool.waiting;
  }

  /** Changes who may use the service, how much it accepts, or whether it is under maintenance. */
  change(gated: Partial<GatedService>): void {
    this.#put(gated);
  }

  /** A connection as a client's. */
  connect(): Promise<RawClient> {
    return RawClient.connect(this.port, this.#server.endpoint.hostname);
  }

  /** One request on a connection of its own. */
  async ask(request: string, body?: Uint8Array): Promise<HttpMessage> {
    using client = await this.connect();
    return await client.ask(request, body);
  }

  /** Resolves when no request is in flight on any instance. */
  async idle(): Promise<void> {
    for (const instance of this.instances) await instance.untilIdle();
  }

  /** Stops it; waits for what is in flight. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await this.#executor.settled();
    this.#proxy[Symbol.dispose]();
    this.#forwarder[Symbol.dispose]();
    this.#slowClients[Symbol.dispose]();
    this.#clock[Symbol.dispose]();
  }
}

/** Requests without a response, with a way to wait until there are none. */
class WatchedRequests extends UnansweredRequests {
  #none: PromiseWithResolvers<void> | undefined;

  /** Resolves when every request has had its response or was given up. */
  none(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    this.#none ??= Promise.withResolvers();
    return this.#none.promise;
  }

  override delete(context: RequestContext): boolean {
    const wasThere = super.delete(context);
    if (this.size > 0) return wasThere;
    this.#none?.resolve();
    this.#none = undefined;
    return wasThere;
  }
}

const UNGATED: GatedService = { name: "app", access: OPEN, limits: UNLIMITED, maintenance: "" };

const REVISION: Revision = Object.freeze({
  name: "app-00001",
  service: "app",
  image: "app-docker",
  imageId: "sha256:0123456789abcdef",
  port: 8080,
  readinessPath: "/",
  startTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: Infinity,
  stopHibernatedAfterMs: Infinity,
  ...NO_EXTRAS,
  concurrency: 0,
  minInstances: 0,
  maxInstances: 1,
});

/** A clock whose timers can all be called off at once: those of the request path outlive a test by a tick. */
class OwnTimers implements Clock, Disposable {
  readonly #clock: Clock;
  readonly #set = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  after(ms: number, callback: () => void): () => void {
    return this.#note(this.#clock.after(ms, callback));
  }

  every(ms: number, callback: () => void): () => void {
    return this.#note(this.#clock.every(ms, callback));
  }

  [Symbol.dispose](): void {
    for (const cancel of this.#set) cancel();
  }

  #note(cancel: () => void): () => void {
    const forget = () => {
      this.#set.delete(forget);
      cancel();
    };
    this.#set.add(forget);
    return forget;
  }
}
