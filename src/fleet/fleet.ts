import { type InstanceState, isAsleep } from "../model/instance_state.ts";
import type { Instance } from "../pool/instance.ts";
import type { Container, ContainerEvent } from "../pool/launcher.ts";
import type { InstancePool } from "../pool/pool.ts";

/** An instance as it was at an earlier time. */
interface KnownInstance {
  readonly instance: Instance;
  readonly state: InstanceState;
  /** See {@linkcode Instance.changes}. */
  readonly changes: number;
}

/** All instances of this cless, each until its container is removed. */
export class Fleet {
  readonly #entries = new Map<string, { instance: Instance; pool: InstancePool }>();

  add(instance: Instance, pool: InstancePool): void {
    this.#entries.set(instance.id, { instance, pool });
  }

  delete(instance: Instance): void {
    this.#entries.delete(instance.id);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** An instance whose container is not removed yet. */
  get(id: string): Instance | undefined {
    return this.#entries.get(id)?.instance;
  }

  /** The pool of an instance; `undefined` if its container is removed. */
  poolOf({ id }: Instance): InstancePool | undefined {
    return this.#entries.get(id)?.pool;
  }

  /** All instances that have not ended, oldest first. */
  instances(): Instance[] {
    return [...this.#entries.values()].map(({ instance }) => instance).filter(({ gone }) => !gone.aborted);
  }

  /** The paused and hibernated instances with their pools. */
  asleep(): { instance: Instance; pool: InstancePool }[] {
    return [...this.#entries.values()].filter(({ instance }) => isAsleep(instance.state));
  }

  pools(): Set<InstancePool> {
    return new Set([...this.#entries.values()].map(({ pool }) => pool));
  }

  /** The instances as they are now, for {@linkcode reconcile}. */
  known(): readonly KnownInstance[] {
    return this.instances().map((instance) => ({ instance, state: instance.state, changes: instance.changes }));
  }

  /** Passes an engine event on to the pool of its container. */
  apply(event: ContainerEvent): void {
    const entry = this.#entries.get(event.id);
    entry?.pool.observe(entry.instance, event);
  }

  /**
   * Corrects the instances whose events were lost, and returns the containers that belong to no instance. `known` must
   * be read before the list is requested: instances that have changed since then are left alone.
   */
  reconcile(listed: readonly Container[], known: readonly KnownInstance[]): Container[] {
    const containers = new Map(listed.map((container) => [container.id, container]));
    for (const { instance, state, changes } of known) {
      if (instance.changes !== changes) continue;
      const { id } = instance;
      const container = containers.get(id);
      const running = container !== undefined && container.state !== "ended";
      // A container that is being created is not listed yet; its start reports the outcome.
      if (!running && (state === "ready" || isAsleep(state) || container !== undefined)) {
        this.apply({ id, what: "ended" });
      } else if (container?.state === "paused" && state === "ready") {
        this.apply({ id, what: "paused" });
      } else if (container?.state === "running" && isAsleep(state)) {
        this.apply({ id, what: "resumed" });
      }
    }
    return listed.filter(({ id }) => !this.#entries.has(id));
  }
}
