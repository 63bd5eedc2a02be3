import type { CallOptions, LogLine, LogOptions } from "../engine_api.ts";
import type { Ask } from "../socket_client.ts";

/** What a node says about itself and its Swarm. */
export interface SwarmInfo {
  /** Empty if the engine is in no Swarm. */
  readonly nodeId: string;
  /** Where the other nodes reach this one. */
  readonly nodeAddress: string;
  readonly isManager: boolean;
}

/** A machine of the Swarm. */
export interface SwarmNode {
  readonly id: string;
  readonly hostname: string;
  readonly address: string;
  readonly role: "manager" | "worker";
  readonly isLeader: boolean;
  /** Whether Swarm hears from it, or waits to hear from it. */
  readonly isReady: boolean;
  /** Whether Swarm waits to hear from it, after a change of the leader. Until then it gets no tasks. */
  readonly isAwaited?: boolean;
  /** When Swarm last noted a change of it, such as that it is down; ms since 1970. */
  readonly changedAt?: number;
  readonly availability: "active" | "pause" | "drain";
  readonly labels: Readonly<Record<string, string>>;
  readonly engineVersion: string;
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** One instance: a Swarm service of one task. */
export interface SwarmTask {
  readonly serviceId: string;
  /** The name of the service. */
  readonly name: string;
  /** Of two services, the one that was created first has the lesser text. It never changes. */
  readonly order: string;
  /** Those of the service. */
  readonly labels: Readonly<Record<string, string>>;
  /** Swarm's word: new, pending, … running, complete, failed, rejected … */
  readonly state: string;
  /** Where it is placed; missing before that. */
  readonly nodeId: string | undefined;
  /** The port of its node that leads to the app; missing until it runs. */
  readonly publishedPort: number | undefined;
  /** Why it does not run, or not yet. */
  readonly error: string | undefined;
  /** Set if it has ended by itself. */
  readonly exitCode: number | undefined;
  /** Since when it has been running, ms since 1970; missing if it does not. */
  readonly startedAt: number | undefined;
}

/** A task without a service: its container is being ended. */
export type LeavingTask = Pick<SwarmTask, "labels" | "nodeId">;

/** A small record in the Swarm's own store: its name is unique, its data never changes, its labels do. */
export interface SwarmConfig {
  readonly id: string;
  readonly name: string;
  /** Changes with every change of the labels. */
  readonly version: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly data: Uint8Array;
}

/** A change that every manager tells. */
export interface SwarmEvent {
  readonly type: "service" | "config" | "node";
  readonly action: "create" | "update" | "remove";
  readonly id: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** By the manager's clock, seconds since 1970 with six decimals; missing if it gave none. */
  readonly time: string | undefined;
}

/** The tasks to list: all of one owner, those of one of its revisions, or that of one service by its name or id. */
export type TaskFilter = { readonly owner: string; readonly revision?: string } | { readonly service: string };

/**
 * What cless needs from a Swarm, by any of its managers: https://docs.docker.com/reference/api/engine/version/v1.45/
 *
 * Every method rejects with an `EngineError`: `away` also if the managers have no leader, or answer too late.
 */
export interface SwarmApi {
  info(options?: CallOptions): Promise<SwarmInfo>;
  nodes(): Promise<SwarmNode[]>;
  /**
   * Resolves with its id. Its nodes pull its image with the login, which Swarm keeps as long as the service.
   *
   * @throws {EngineError} `conflict` if there is a service of that name.
   */
  createService(body: unknown, login?: Pick<Ask, "registryAuth">): Promise<string>;
  tasks(filter: TaskFilter): Promise<SwarmTask[]>;
  /** The tasks of an owner that have not ended yet, though their services have been removed. */
  leaving(owner: string): Promise<LeavingTask[]>;
  /** Does nothing if it is gone. Its container ends a second later. */
  removeService(nameOrId: string): Promise<void>;
  /** Those with a label. @param label `key` or `key=value`. */
  configs(label: string): Promise<SwarmConfig[]>;
  /** @throws {EngineError} `gone` */
  config(nameOrId: string): Promise<SwarmConfig>;
  /** Resolves with its id. @throws {EngineError} `conflict` if there is a config of that name. */
  createConfig(name: string, labels: Readonly<Record<string, string>>, data: Uint8Array): Promise<string>;
  /**
   * Replaces all labels of a config that has been read before.
   *
   * @throws {EngineError} `stale` if it was changed since; `gone`.
   */
  setConfigLabels(
    config: Pick<SwarmConfig, "id" | "name" | "version" | "data">,
    labels: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Does nothing if it is gone. */
  removeConfig(nameOrId: string): Promise<void>;
  /**
   * The output of a service's tasks, on whichever node, until it ends, the signal is aborted or the reader stops.
   *
   * @throws {EngineError} `gone`
   */
  logs(nameOrId: string, options?: LogOptions): AsyncGenerator<LogLine, void, void>;
  /**
   * Listens to changes from a time on (seconds since 1970). Resolves when listening has begun. The events end when the
   * signal is aborted or the connection is lost.
   */
  events(since: string, signal: AbortSignal): Promise<AsyncIterable<SwarmEvent>>;
}
