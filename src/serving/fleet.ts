import { logger } from "../log.ts";
import type { Instance } from "./instance.ts";
import type { InstancePool } from "./instance_pool.ts";
import type { Container, ContainerEvent } from "./launcher.ts";

const log = logger("fleet");

/** Every instance of this cless with the pool that it belongs to: what the engine reports is held against it. */
export class Fleet {
  readonly #pools = new Map<string, { instance: Instance; pool: InstancePool }>();

  /** Notes an instance, before its container is asked for. */
  add(instance: Instance, pool: InstancePool): void {
    this.#pools.set(instance.id, { instance, pool });
  }

  /** Forgets an instance. */
  delete(instance: Instance): void {
    this.#pools.delete(instance.id);
  }

  /** Whether there is an instance of that id. */
  has(id: string): boolean {
    return this.#pools.has(id);
  }

  /** Every instance, oldest first. */
  instances(): Instance[] {
    return [...this.#pools.values()].map(({ instance }) => instance);
  }

  /** Every pool that has an instance. */
  pools(): Set<InstancePool> {
    return new Set([...this.#pools.values()].map(({ pool }) => pool));
  }

  /** Passes an event on to the pool that it concerns. */
  apply(event: ContainerEvent): void {
    const entry = this.#pools.get(event.id);
    entry?.pool.observe(entry.instance, event);
  }

  /**
   * Corrects what events have missed.
   *
   * @param listed Every container that the engine had when it was asked.
   * @param asked The instances that were known before it was asked: a container started since is not in the list.
   * @returns The containers that belong to no instance.
   */
  reconcile(listed: readonly Container[], asked: readonly Instance[]): Container[] {
    const containers = new Map(listed.map((container) => [container.id, container]));
    for (const { id, state } of asked) {
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
    const orphans = listed.filter((container) => !this.#pools.has(container.id));
    for (const { id, service, state } of orphans) log.info("container without an instance", { service, id, state });
    return orphans;
  }
}
