import type { Clock } from "../base/clock.ts";
import type { Adoption } from "../fleet/adoption.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { MemoryBudget } from "../fleet/memory_budget.ts";
import type { Reconciler } from "../fleet/reconciler.ts";
import type { Figures } from "./figures/figures.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Activator } from "../routing/activator.ts";
import type { ServiceMap } from "../routing/service_map.ts";

const TIDY_INTERVAL_MS = 3_600_000;

/** What a {@linkcode Supervision} works with. */
export interface SupervisionOptions {
  readonly clock: Clock;
  readonly role: { readonly now: { readonly isOwner: boolean } };
  readonly adoption: Pick<Adoption, "known">;
  readonly activator: Pick<Activator, "draining" | "holding">;
  readonly fleet: Pick<Fleet, "pools">;
  readonly services: Pick<ServiceMap, "kept">;
  readonly memory: Pick<MemoryBudget, "start" | "stop">;
  readonly figures: Pick<Figures, "start" | "stop">;
  readonly reconciler: Pick<Reconciler, "start" | "stop" | "reconcile">;
  readonly engine: { readonly listening: boolean };
  readonly deployer: { tidy(): Promise<void> };
}

/** The periodic work on all containers. Only the process that owns them does it. */
export class Supervision {
  readonly #options: SupervisionOptions;
  /** Set while the work goes on. */
  #stopTidying: (() => void) | undefined;

  constructor(options: SupervisionOptions) {
    this.#options = options;
  }

  /** Begins the work. Does nothing if this process does not own the containers, or if the work goes on already. */
  start(): void {
    const { activator, adoption, clock, deployer, engine, figures, memory, reconciler, role } = this.#options;
    if (this.#stopTidying !== undefined || !adoption.known || activator.draining || !role.now.isOwner) return;
    this.#stopTidying = clock.every(TIDY_INTERVAL_MS, () => deployer.tidy());
    memory.start();
    figures.start();
    reconciler.start(engine);
    reconciler.reconcile(); // finds containers that ended meanwhile, whose events were lost
    for (const pool of this.#pools()) pool.look();
  }

  /** Ends the work. It can begin again. */
  stop(): void {
    const { figures, memory, reconciler } = this.#options;
    this.#stopTidying?.();
    this.#stopTidying = undefined;
    reconciler.stop();
    memory.stop();
    figures.stop();
  }

  /** The pools with instances, with a minimum, or with waiting requests. */
  #pools(): Set<InstancePool> {
    const { activator, fleet, services } = this.#options;
    return fleet.pools().union(new Set(services.kept())).union(activator.holding());
  }
}
