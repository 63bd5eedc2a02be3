import { type AdminApi, adminApi } from "../admin/api.ts";
import type { Metrics } from "../admin/metrics.ts";
import type { Config } from "../base/config.ts";
import type { DataDir } from "../control/data_dir.ts";
import { Statistics } from "../control/statistics.ts";
import { Catalog } from "../control/catalog.ts";
import { Deployer } from "../deploy/deployer.ts";
import { EventLog, InstanceEvents } from "../control/events.ts";
import type { HostPaths } from "../deploy/volumes.ts";
import { InstanceControl } from "../control/instance_control.ts";
import { Publisher } from "../deploy/publisher.ts";
import type { RevisionEnv } from "../control/runtime_revision.ts";
import type { RevisionLauncher } from "../deploy/revision_launcher.ts";
import type { Secrets } from "../control/secrets/secrets.ts";
import { ServiceLogs } from "../logs/service_logs.ts";
import type { ServiceStates } from "../control/service_states.ts";
import type { Store } from "../control/store.ts";
import { Tokens } from "../control/access/tokens.ts";
import { envProblem } from "../docker/container_env.ts";
import { ClessError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Engine } from "../docker/engine.ts";
import { adminHostnames } from "../routing/router.ts";
import type { RequestPath } from "./request_path.ts";

const TIDY_INTERVAL_MS = 3_600_000;

/** What a {@linkcode ControlPlane} works with. */
export interface ControlPlaneParts {
  readonly config: Config;
  readonly dataDir: DataDir;
  readonly clock: Clock;
  readonly store: Store;
  readonly states: ServiceStates;
  readonly secrets: Secrets;
  readonly env: RevisionEnv;
  readonly hostPaths: HostPaths;
  readonly launcher: RevisionLauncher;
  readonly engine: Engine;
  readonly requests: RequestPath;
  readonly metrics: Metrics;
}

/** All that operators work with: what is declared, what has happened, and the API that they ask. */
export class ControlPlane {
  readonly events: EventLog;
  readonly instanceEvents: InstanceEvents;
  readonly metrics: Metrics;
  readonly deployer: Deployer;
  readonly publisher: Publisher;
  readonly catalog: Catalog;
  /** The handler of the admin API. */
  readonly api: AdminApi;
  readonly #parts: ControlPlaneParts;
  readonly #stopping = new AbortController();
  #stopTidying: (() => void) | undefined;

  constructor(parts: ControlPlaneParts) {
    const { clock, config, engine, dataDir, env, hostPaths, launcher, metrics, requests, secrets, states, store } =
      parts;
    this.#parts = parts;
    const { services, fleet } = requests;
    const { startTimeout, requestTimeout, pauseAfter, stopAfter, drainTimeout } = config;
    const now = Date.now;
    const start = (pool: InstancePool, signal: AbortSignal) => pool.tryStart(signal);
    this.metrics = metrics;
    this.events = new EventLog({ clock, now });
    this.instanceEvents = new InstanceEvents(this.events);
    this.publisher = new Publisher({
      services,
      limits: { startTimeout, requestTimeout, pauseAfter, stopAfter },
      env,
      store,
      pools: requests,
      clock,
      retiring: requests.retiring,
    });
    this.deployer = new Deployer({
      store,
      states,
      publisher: this.publisher,
      images: engine.source,
      secrets,
      launcher,
      volumeUsers: engine,
      drainTimeoutMs: drainTimeout,
      rules: {
        checkEnv: envProblem,
        hostPaths,
        reservedHostnames: adminHostnames(config),
        baseDomains: [config.domain, "localhost"],
      },
      events: {
        emit: (type, service, data) => {
          this.events.emit(type, service, data);
          if (type === "service.deleted") this.metrics.forget(service);
        },
      },
      now,
      tryStart: start,
    });
    this.catalog = new Catalog(states, services);
    const control = new InstanceControl({
      services,
      router: requests.router,
      tryStart: start,
      drainTimeoutMs: drainTimeout,
    });
    this.api = adminApi({
      config,
      clock,
      stopping: this.#stopping.signal,
      catalog: this.catalog,
      deployer: this.deployer,
      control,
      store,
      dataDir,
      secrets,
      tokens: new Tokens(store, dataDir.token),
      fleet,
      events: this.events,
      logs: new ServiceLogs(engine.launcher.outputs),
      metrics: this.metrics,
      engine,
      hosts: requests.hosts,
      statistics: new Statistics(this.catalog, fleet, requests.activator),
      activator: requests.activator,
    });
  }

  /** Publishes what is declared. @throws {StoreUnavailable} */
  load(): void {
    this.deployer.load();
    this.#stopTidying = this.#parts.clock.every(TIDY_INTERVAL_MS, () => this.deployer.tidy());
  }

  /** Takes no more changes, ends what is told to clients without end, and calls off the deploys that are on their way. */
  async close(): Promise<void> {
    this.#stopTidying?.();
    this.#stopping.abort();
    await this.deployer.close(new ClessError("draining", "cless is shutting down", { retryAfterS: 5 }));
  }
}
