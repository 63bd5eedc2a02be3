import type { InstanceState } from "../model/instance_state.ts";
import type { Instance } from "../pool/instance.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Container, ContainerEvent } from "../pool/launcher.ts";

/** An instance as it was at some moment. */
interface KnownInstance {
  readonly instance: Instance;
  readonly state: InstanceState;
  /** See {@linkcode Instance.changes}. */
  readonly changes: number;
}

/** What there was at some moment. */
export interface Known {
  readonly instances: readonly KnownInstance[];
}

/** Every instance of this cless, until its container is removed: what the engine reports is held against it. */
export class Fleet {
  readonly #entries = new Map<string, { instance: Instance; pool: InstancePool }>();

  /** Notes an instance, before its container is asked for. */
  add(instance: Instance, pool: InstancePool): void {
    this.#entries.set(instance.id, { instance, pool });
  }

  /** Forgets an instance, once its container is gone. */
  delete(instance: Instance): void {
    this.#entries.delete(instance.id);
  }

  /** How many containers there are: also of instances that have ended. */
  get size(): number {
    return this.#entries.size;
  }

  /** Every instance that has not ended, oldest first. */
  instances(): Instance[] {
    return [...this.#entries.values()].map(({ instance }) => instance).filter(({ gone }) => !gone.aborted);
  }

  /** The paused instances, each with its pool; the one that was used least lately comes first. */
  paused(): { instance: Instance; pool: InstancePool }[] {
    return [...this.#entries.values()].filter(({ instance }) => instance.state === "paused")
      .sort((a, b) => a.instance.idleSince - b.instance.idleSince);
  }

  /** Every pool that has an instance. */
  pools(): Set<InstancePool> {
    return new Set([...this.#entries.values()].map(({ pool }) => pool));
  }

  /** What there is now, as far as is known. */
  known(): Known {
    return {
      instances: this.instances().map((instance) => {
        const { changes, state } = instance;
        return { instance, state, changes };
      }),
    };
  }

  /** Passes an event on to the pool that it concerns. */
  apply(event: ContainerEvent): void {
    const entry = this.#entries.get(event.id);
    entry?.pool.observe(entry.instance, event);
  }

  /**
   * Corrects what events have missed.
   *
   * @param listed Every container that the engine had when it was asked.
   * @param known What was known before it was asked. An instance that has gone on since is left alone.
   * @returns The containers that belong to no instance.
   */
  reconcile(listed: readonly Container[], known: Known): Container[] {
    const containers = new Map(listed.map((container) => [container.id, container]));
    for (const { instance, state, changes } of known.instances) {
      if (instance.changes !== changes) continue;
      const { id } = instance;
      const container = containers.get(id);
      const running = container !== undefined && container.state !== "ended";
      // A container that is being created is not in the list yet; the command that creates it tells how that went.
      if (!running && (state === "ready" || state === "paused" || container !== undefined)) {
        this.apply({ id, what: "ended" });
      } else if (container?.state === "paused" && state === "ready") {
        this.apply({ id, what: "paused" });
      } else if (container?.state === "running" && state === "paused") {
        this.apply({ id, what: "resumed" });
      }
    }
    return listed.filter(({ id }) => !this.#entries.has(id));
  }
}
