import type { Limits, Revision } from "../domain/revision.ts";
import { resolveTraffic } from "../domain/traffic.ts";
import { messageOf } from "../errors.ts";
import { logger } from "../log.ts";
import { DeclaredService } from "../serving/declared_service.ts";
import type { InstancePool } from "../serving/instance_pool.ts";
import type { ServiceMap } from "../serving/service_map.ts";
import type { RevisionRecord, ServiceRecord } from "./records.ts";
import { type RevisionSecrets, runtimeRevision } from "./runtime_revision.ts";

const log = logger("publisher");

/** What a {@linkcode Publisher} works with. */
export interface PublisherParts {
  readonly services: ServiceMap;
  readonly limits: Limits;
  readonly secrets: Pick<RevisionSecrets, "resolve">;
  readonly newPool: (revision: Revision) => InstancePool;
  /** Drains a pool that no request goes to any more; resolves when its containers are gone. */
  readonly retire: (pool: InstancePool) => Promise<void>;
  /** From 0 to below 1, evenly; chooses between revisions that share the traffic. */
  readonly random?: () => number;
}

/** Has requests see services as the records say. A revision that is published keeps its pool from one publication to the next. */
export class Publisher {
  readonly #parts: PublisherParts;
  readonly #retiring = new Map<InstancePool, Promise<void>>();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Makes a pool for a revision that is not published yet. @throws Where a secret of it cannot be read. */
  async newPool(record: RevisionRecord): Promise<InstancePool> {
    const { limits, newPool, secrets } = this.#parts;
    return newPool(await runtimeRevision(record, limits, secrets));
  }

  /** Ends a pool that was made, and is not to be published. */
  discard(pool: InstancePool): void {
    this.#retire(pool);
  }

  /** Resolves when the containers are gone of all pools of a service that no request goes to any more. */
  async gone(name: string): Promise<void> {
    await Promise.all([...this.#retiring].flatMap(([{ revision }, gone]) => revision.service === name ? [gone] : []));
  }

  /** The pools that a service's requests may go to now. */
  pools(name: string): readonly InstancePool[] {
    return this.#parts.services.get(name)?.pools() ?? [];
  }

  /** The pool of a published revision. */
  poolOf(service: string, revision: string): InstancePool | undefined {
    return this.pools(service).find((pool) => pool.revision.name === revision);
  }

  /**
   * Makes ready what a service is to be, and changes nothing yet. Until that is published or given up, nothing else of the
   * service may be published.
   *
   * @param made A pool of one of the revisions that was made for it; retired where it has no share or tag.
   * @returns Publishes it, at once; and then retires the pools that no share or tag needs any more.
   * @throws Where a secret of a revision cannot be read.
   */
  async prepare(
    service: ServiceRecord,
    revisions: readonly RevisionRecord[],
    made?: InstancePool,
  ): Promise<() => void> {
    const poolFor = async (name: string): Promise<InstancePool> => {
      if (made?.revision.name === name) return made;
      const published = this.poolOf(service.name, name);
      if (published !== undefined) return published;
      const record = revisions.find((revision) => revision.name === name);
      if (record === undefined) throw new Error(`${service.name} has no revision ${name}`);
      return await this.newPool(record);
    };
    const needed = resolveTraffic(service.traffic, service.latestRevision)
      .filter(({ percent, tag }) => percent > 0 || tag !== undefined);
    const shares = await Promise.all(needed.map(async ({ revision, percent, tag }) => ({
      pool: await poolFor(revision),
      percent,
      ...(tag === undefined ? {} : { tag }),
    })));
    const { random } = this.#parts;
    const declared = new DeclaredService(service.name, {
      domains: service.domains,
      shares,
      ...(random === undefined ? {} : { random }),
    });
    return () => this.#swap(declared, made);
  }

  /** Publishes a service. @throws As {@linkcode Publisher.prepare}; nothing has changed then. */
  async publish(service: ServiceRecord, revisions: readonly RevisionRecord[]): Promise<void> {
    (await this.prepare(service, revisions))();
  }

  /** Ends a service: from now on its hostnames are unknown. */
  remove(name: string): void {
    const pools = this.pools(name);
    this.#parts.services.delete(name);
    pools.forEach((pool) => this.#retire(pool));
  }

  #swap(declared: DeclaredService, made: InstancePool | undefined): void {
    const before = new Set([...this.pools(declared.name), ...made === undefined ? [] : [made]]);
    const needed = new Set(declared.pools());
    this.#parts.services.put(declared);
    for (const pool of before) if (!needed.has(pool)) this.#retire(pool);
  }

  /** In the background: nobody who changes something waits for requests to end. */
  #retire(pool: InstancePool): void {
    const gone = this.#parts.retire(pool)
      .catch((error) => log.warning("cannot drain", { revision: pool.revision.name, reason: messageOf(error) }))
      .finally(() => this.#retiring.delete(pool));
    this.#retiring.set(pool, gone);
  }
}
