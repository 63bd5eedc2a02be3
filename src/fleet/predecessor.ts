import { type InstanceState, isAsleep } from "../model/instance_state.ts";
import type { SlotCounts } from "../pool/held_slots.ts";
import type { Instance, Lease } from "../pool/instance.ts";
import type { Fleet } from "./fleet.ts";

/** How a process uses an instance. */
export interface InstanceUse {
  readonly id: string;
  /** The name of its revision. */
  readonly revision: string;
  readonly state: InstanceState;
  /** Whether its container runs, as far as the process knows; false while the container is being created. */
  readonly placed: boolean;
  /** How many of its slots the process has claimed: see {@linkcode Lease}. */
  readonly inFlight: number;
  /** How many of these claims keep the instance awake. */
  readonly inUse: number;
  /** Those of its slots that the process holds; missing if no other cless uses the instance. */
  readonly slots?: SlotCounts | undefined;
}

/** How this process uses its instances. */
export function usesOf(fleet: Fleet): InstanceUse[] {
  return fleet.instances().map(({ held, id, inFlight, inUse, origin, revision, state }) => ({
    ...{
      id,
      revision: revision.name,
      state,
      placed: origin !== "",
      inFlight,
      inUse,
      ...(held && { slots: held.counts }),
    },
  }));
}

/**
 * The process that this one takes over from, while that process finishes its requests. For each of these requests, this
 * process claims a slot (a {@linkcode Lease}) on the same instance. So it neither pauses nor stops the instances that
 * the predecessor still uses.
 */
export class Predecessor {
  readonly #fleet: Fleet;
  /**
   * The predecessor's last report, by the instances' ids; `undefined` if there is no predecessor, or if it has ended.
   */
  #uses: Map<string, InstanceUse> | undefined;
  readonly #leases = new Map<Instance, { readonly loud: Lease[]; readonly quiet: Lease[] }>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** Whether there is a predecessor that may still use containers. */
  get alive(): boolean {
    return this.#uses !== undefined;
  }

  /** Whether the predecessor will stop an instance once its requests have ended. */
  isEnding(id: string): boolean {
    const use = this.#uses?.get(id);
    return use !== undefined && !isLive(use.state);
  }

  /** Whether the predecessor is creating a container for an instance of a revision. */
  isStarting(revision: string): boolean {
    return this.#uses?.values().some((use) => use.revision === revision && use.state === "starting" && !use.placed) ??
      false;
  }

  /** What the predecessor holds at most of an instance's slots, if other cless use it too. */
  slotsOf(id: string): SlotCounts | undefined {
    return this.#uses?.get(id)?.slots;
  }

  /** Takes the predecessor's latest report. */
  report(uses: readonly InstanceUse[]): void {
    this.#uses = new Map(uses.map((use) => [use.id, use]));
    this.apply();
  }

  /** Notes that the predecessor has ended, and releases the leases claimed for it. */
  end(): void {
    this.#uses = undefined;
    this.apply();
  }

  /** Claims and releases leases to match the predecessor's last report, on the instances that are known by now. */
  apply(): void {
    for (const { id, inFlight, inUse } of this.#uses?.values() ?? []) {
      const instance = this.#fleet.get(id);
      if (instance === undefined || (inFlight === 0 && !this.#leases.has(instance))) continue;
      const leases = this.#leases.get(instance) ?? { loud: [], quiet: [] };
      this.#leases.set(instance, leases);
      adjust(leases.loud, inUse, () => instance.claim());
      adjust(leases.quiet, inFlight - inUse, () => instance.claim(true));
    }
    for (const [instance, { loud, quiet }] of this.#leases) {
      if (this.#uses?.has(instance.id)) continue;
      for (const lease of [...loud, ...quiet]) lease.release();
      this.#leases.delete(instance);
    }
  }
}

function isLive(state: InstanceState): boolean {
  return state === "starting" || state === "ready" || isAsleep(state);
}

function adjust(leases: Lease[], count: number, claim: () => Lease): void {
  while (leases.length < count) leases.push(claim());
  while (leases.length > count) leases.pop()!.release();
}
