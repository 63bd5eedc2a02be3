import type { Clock } from "../../src/base/clock.ts";
import type { DataDir } from "../../src/control/data_dir.ts";
import { InstanceAnswers } from "../../src/docker/swarm/instance_answers.ts";
import { PortGuard } from "../../src/docker/swarm/port_guard.ts";
import { type SwarmAccess, SwarmEngine } from "../../src/docker/swarm/swarm_engine.ts";
import { Adoption } from "../../src/fleet/adoption.ts";
import { Fleet } from "../../src/fleet/fleet.ts";
import { Reconciler } from "../../src/fleet/reconciler.ts";
import type { Revision } from "../../src/model/revision.ts";
import { Executor } from "../../src/pool/executor.ts";
import { InstancePool } from "../../src/pool/pool.ts";
import type { Asking } from "../../src/pool/probe.ts";

/** The owner of all cless of these tests. */
export const OWNER = "a1b2c3d4";

/** The part of a cless that shares its instances with others, with a pool of one revision. */
export class SharingCless {
  readonly nodeId: string;
  readonly engine: SwarmEngine;
  readonly fleet = new Fleet();
  readonly executor: Executor;
  readonly answers: InstanceAnswers;
  readonly adoption: Adoption;
  readonly reconciler: Reconciler;
  pool: InstancePool;
  readonly role = { now: { isOwner: true } };
  readonly #clock: Clock;

  constructor(
    access: Omit<SwarmAccess, "guard" | "hostPaths">,
    revision: Revision,
    clock: Clock,
    asking: Asking,
  ) {
    this.nodeId = access.info.nodeId;
    const wall = { admit: () => Promise.resolve(), remove: () => Promise.resolve(), repair: () => Promise.resolve() };
    const portRange = { first: 20_000, last: 20_999 };
    this.engine = new SwarmEngine(
      {
        ...access,
        guard: new PortGuard(wall, access.swarm, portRange, clock),
        hostPaths: { problem: () => Promise.resolve(undefined) },
      },
      {
        ...{ freezer: "docker", freezerSocket: "/none", swapBudgetBytes: undefined, noHostAccess: false },
        ...{ defaultCpus: undefined, defaultMemoryBytes: Infinity, drainTimeoutMs: 30_000 },
        dockerEnv: { host: undefined, context: undefined, platform: undefined, folder: undefined },
        portRange,
        openPorts: true,
      },
      { owner: OWNER, path: "/data" } as DataDir,
      clock,
      { role: this.role, predecessor: { slotsOf: () => undefined } },
    );
    const { engine, fleet } = this;
    const { launcher } = engine;
    this.executor = new Executor(launcher, clock, fleet, asking);
    this.adoption = new Adoption(Object.assign(launcher, { found() {} }), clock, 1000);
    this.reconciler = new Reconciler(launcher, fleet, this.adoption, clock);
    this.answers = new InstanceAnswers({
      ...{ fleet, launcher, clock, control: this, reconciler: this.reconciler },
      role: { now: { tenure: "all" } },
    });
    this.#clock = clock;
    this.pool = this.#newPool(revision);
  }

  /** Serves another revision from now on. Nothing must run of the one before. */
  usePool(revision: Revision): void {
    this.pool = this.#newPool(revision);
  }

  async start(): Promise<void> {
    await this.engine.start(Promise.resolve(), {
      apply: (event) => this.fleet.apply(event),
      gap: () => void (this.adoption.known && this.reconciler.refresh()),
      appeared: (id) => void this.reconciler.discover(id),
    });
    await this.adoption.run(({ revision }) => revision === this.pool.revision.name ? this.pool : undefined);
  }

  /** The states of the instances, by id. */
  get states(): Record<string, string> {
    return Object.fromEntries(this.fleet.instances().map(({ id, state }) => [id, state]));
  }

  /** Has a request served. Resolves with the instance's id. */
  async serve(): Promise<string> {
    const lease = this.pool.claim() ?? (await this.pool.hold(new AbortController().signal)).lease;
    await this.ask(lease.instance.origin);
    lease.release();
    return lease.instance.id;
  }

  async sleepHere(service: string): Promise<boolean> {
    const isKnown = service === this.pool.revision.service;
    if (isKnown) await this.pool.sleep(30_000);
    return isKnown;
  }

  /** Sends a request to an app. */
  ask(_origin: string): Promise<void> {
    return Promise.resolve();
  }

  #newPool(revision: Revision): InstancePool {
    const { engine, executor, fleet } = this;
    const newId = (revision: Revision, isMember: (id: string) => boolean) =>
      engine.newId(revision, (id) => isMember(id) || fleet.get(id) !== undefined);
    const shared = { clock: this.#clock, executor, fleet };
    return new InstancePool(revision, { ...shared, maxPending: 100, newId });
  }
}
