import type { Config } from "../base/config.ts";
import type { Revision } from "../model/revision.ts";
import { Activator } from "../routing/activator.ts";
import type { Clock } from "../base/clock.ts";
import { Convention, type ImageIndex } from "../routing/convention.ts";
import { ExactForwarder } from "../http/exact/forwarder.ts";
import { FetchForwarder } from "../http/fetch_forwarder.ts";
import { FileReserve, Server } from "../http/server.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Forwarder } from "../http/forwarder.ts";
import { InstancePool, type PoolContext, type PoolObserver } from "../pool/pool.ts";
import type { Container, Launcher } from "../pool/launcher.ts";
import { MemoryBudget } from "../fleet/memory_budget.ts";
import { drain } from "../proxy/drain.ts";
import { Proxy, type ProxyOptions } from "../proxy/proxy.ts";
import { probe, untilReady } from "../pool/probe.ts";
import { Reconciler } from "../fleet/reconciler.ts";
import { RetiringPools } from "../fleet/retiring_pools.ts";
import { Hosts, Router } from "../routing/router.ts";
import { ServiceMap } from "../routing/service_map.ts";
import { Executor } from "../pool/executor.ts";
import { UnansweredRequests } from "../proxy/request_context.ts";

/** What a {@linkcode RequestPath} works with. */
export interface RequestPathParts extends Pick<ProxyOptions, "admin" | "metrics">, PoolObserver {
  readonly config: Config;
  readonly clock: Clock;
  readonly launcher: Launcher;
  readonly fleet: Fleet;
  readonly images: ImageIndex;
  /** Whether the engine's events are being received. */
  readonly listening: () => boolean;
  /** The names of the declared services. */
  readonly declared: { has(name: string): boolean };
  /** Is told of every pool, before a request comes to it. */
  readonly made: (pool: InstancePool) => void;
  /** Whether a container that belongs to no instance is not to be removed. */
  readonly stays: (container: Container) => boolean;
}

/** All that a request meets on its way, and what looks after the instances that it comes to. */
export class RequestPath {
  readonly services: ServiceMap;
  readonly fleet: Fleet;
  readonly executor: Executor;
  readonly reconciler: Reconciler;
  /** Missing where only declared services are served. */
  readonly convention: Convention | undefined;
  readonly router: Router;
  readonly hosts: Hosts;
  readonly activator: Activator;
  /** The proxy's servers, in the order of `--listen`. */
  readonly servers: readonly Server[];
  /** Shared by all servers of the program. */
  readonly reserve = new FileReserve();
  /** The pools that no request goes to any more. */
  readonly retiring: RetiringPools;
  readonly #parts: RequestPathParts;
  /** What all pools share. */
  readonly #pools: PoolContext;
  readonly #unanswered: UnansweredRequests;
  readonly #forwarder: Forwarder;
  readonly #proxy: Proxy;

  constructor(parts: RequestPathParts) {
    const { admin, clock, config, images, declared, launcher, listening, metrics, stays } = this.#parts = parts;
    const fleet = this.fleet = parts.fleet;
    this.retiring = new RetiringPools((pool) => pool.retire(config.drainTimeout));
    const services = this.services = new ServiceMap(this.retiring);
    this.#forwarder = config.forward === "exact" ? new ExactForwarder(clock) : new FetchForwarder();
    this.#unanswered = new UnansweredRequests(clock);
    this.executor = new Executor(launcher, clock, fleet, { untilReady, ask: probe });
    const forwarder = this.#forwarder;
    this.#pools = {
      ...{ clock, executor: this.executor, fleet, maxPending: config.maxPending },
      observer: {
        changed(instance, before) {
          if (before === "ready") forwarder.leave(instance.origin);
          parts.changed?.(instance, before);
        },
        failed: (failure, pool) => parts.failed?.(failure, pool),
        started: (service, createMs, readyMs) => parts.started?.(service, createMs, readyMs),
      },
    };
    const memory = new MemoryBudget({ launcher, fleet, clock, budget: config.memoryBudget });
    this.reconciler = new Reconciler({ launcher, fleet, clock, listening, memory, stays });
    const { startTimeout, requestTimeout, pauseAfter, stopAfter } = config;
    this.convention = !config.convention ? undefined : new Convention({
      images,
      services,
      declared,
      pools: this,
      limits: { startTimeout, requestTimeout, pauseAfter, stopAfter },
    });
    this.router = new Router(services, this.convention);
    this.hosts = new Hosts(config, services, this.router);
    this.activator = new Activator(this.router, config.maxPending);
    const proxy = this.#proxy = new Proxy({
      activator: this.activator,
      unanswered: this.#unanswered,
      forwarder: this.#forwarder,
      clock,
      trustedProxies: config.trustedProxies,
      requestTimeoutMs: requestTimeout,
      reconciler: this.reconciler,
      admin,
      ...(metrics === undefined ? {} : { metrics }),
    });
    this.servers = config.listen.map((endpoint) => new Server(endpoint, proxy.handle, clock, this.reserve));
  }

  /** Makes the pool of a revision. */
  newPool(revision: Revision): InstancePool {
    const pool = new InstancePool(revision, this.#pools);
    this.#parts.made(pool);
    return pool;
  }

  /** Accepts no more requests, lets those in flight finish for a while, and sends the rest away. */
  async drain(): Promise<void> {
    const { clock, config } = this.#parts;
    this.reconciler.stop();
    const { activator, fleet, servers } = this;
    await drain({ servers, activator, fleet, unanswered: this.#unanswered }, clock, config.drainTimeout);
  }

  /** Stops every container. */
  async stopContainers(): Promise<void> {
    const pools = this.fleet.pools().union(new Set(this.services.kept())); // the latter would start instances anew
    await Promise.all([...pools].map((pool) => pool.retire(0)));
    await this.retiring.gone();
    await this.executor.settled();
    await this.reconciler.sweep(); // whatever is left now belongs to no instance
  }

  [Symbol.dispose](): void {
    this.reserve.release();
    this.#forwarder[Symbol.dispose]();
    this.#proxy[Symbol.dispose]();
  }
}
