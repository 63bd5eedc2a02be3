import type { Fleet } from "../fleet/fleet.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Activator } from "../routing/activator.ts";
import type { Catalog } from "./catalog.ts";

/** Counts services, instances and requests. */
export class Statistics {
  readonly #catalog: Pick<Catalog, "size">;
  readonly #fleet: Pick<Fleet, "instances" | "pools">;
  readonly #activator: Pick<Activator, "holding">;

  constructor(
    catalog: Pick<Catalog, "size">,
    fleet: Pick<Fleet, "instances" | "pools">,
    activator: Pick<Activator, "holding">,
  ) {
    this.#catalog = catalog;
    this.#fleet = fleet;
    this.#activator = activator;
  }

  /** The pools with an instance or waiting requests. */
  pools(): Set<InstancePool> {
    return this.#fleet.pools().union(this.#activator.holding());
  }

  /** The data of a stats tick: services, instances by state, requests in flight and requests that wait. */
  read(): Record<string, unknown> {
    const instances = this.#fleet.instances();
    const states = Map.groupBy(instances, ({ state }) => state);
    return {
      services: this.#catalog.size,
      instances: Object.fromEntries([...states].map(([state, those]) => [state, those.length])),
      inFlight: instances.reduce((sum, { requests }) => sum + requests, 0),
      pending: [...this.pools()].reduce((sum, { waiting }) => sum + waiting, 0),
    };
  }
}
