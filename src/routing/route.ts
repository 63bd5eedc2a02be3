import type { InstancePool } from "../pool/instance_pool.ts";
import type { WakeRules } from "./wake_rules.ts";

/** How a service wakes, where that is not as with all others. */
export interface Waking {
  /** Who wakes it; `undefined` where everybody does. */
  readonly rules: WakeRules | undefined;
  /** Whether a browser gets a page meanwhile. */
  readonly page: boolean;
}

/** Where the requests for a hostname go. */
export interface Route {
  /** The name of the service. */
  readonly name: string;
  /** Whether nobody has declared the service: its image was found by its name, and can be another one now. */
  readonly convention: boolean;
  /** What is special about its waking; `undefined` where everybody wakes it, and waits until it is awake. */
  readonly waking?: Waking | undefined;
  /**
   * Chooses the pool for a request that is there now.
   *
   * @param chosen What was chosen for the same request before; the choice stays where requests are shared out.
   */
  route(chosen?: InstancePool): InstancePool;
  /** Every pool that may have instances because of it. */
  pools(): InstancePool[];
}
