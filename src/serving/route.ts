import type { InstancePool } from "./instance_pool.ts";

/** Where the requests for a hostname go. */
export interface Route {
  /** The name of the service. */
  readonly name: string;
  /** Chooses the pool for a request that is there now. */
  route(): InstancePool;
  /** Every pool that may have instances because of it. */
  pools(): InstancePool[];
}
