import type { Gates } from "../access/gates.ts";
import type { Clock } from "../base/clock.ts";
import { type ClessError, couldNotStart, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { RevisionMark, RevisionRecord, ServiceRecord } from "../control/records.ts";
import { type RevisionEnv, runtimeRevision } from "../control/runtime_revision.ts";
import type { Store } from "../control/store.ts";
import type { RetiringPools } from "../fleet/retiring_pools.ts";
import { defined } from "../model/defined.ts";
import type { ContainerDefaults } from "../model/isolation.ts";
import type { Limits, Revision } from "../model/revision.ts";
import { needsNoPreparation } from "../model/template.ts";
import { resolveTraffic, type Traffic, type TrafficTarget, withoutEmpty } from "../model/traffic.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Container } from "../pool/launcher.ts";
import { type PoolMaker, Service, type Share, SleepingShare, wakingOf } from "../routing/service.ts";
import type { ServiceMap } from "../routing/service_map.ts";

const log = logger("publisher");
/** After a revision could not be read, it is not read again for this time, even if requests arrive. */
const UNREADABLE_MS = 1000;

/** What a {@linkcode Publisher} works with. */
export interface PublisherOptions {
  readonly store: Pick<Store, "revisions">;
  readonly services: ServiceMap;
  readonly pools: { newPool(revision: Revision): InstancePool };
  readonly retiring: Pick<RetiringPools, "retire" | "gone">;
  readonly env: Pick<RevisionEnv, "of">;
  readonly gates: Pick<Gates, "of">;
  readonly limits: Limits;
  /** The container defaults, for revisions that are not `older`. */
  readonly defaults: ContainerDefaults;
  readonly clock: Pick<Clock, "now">;
  /** Whether no known robot wakes a service, whatever the service says. */
  readonly exceptRobots?: boolean;
  /** From 0 to below 1, evenly; chooses between revisions that share the traffic. */
  readonly random?: () => number;
}

/** A revision without a pool. It is small, since there are many. */
type Sleeper = Pick<RevisionRecord, "name" | "service">;

/**
 * Publishes stored services to the {@linkcode ServiceMap}, so that requests reach them. A revision keeps its pool from
 * one publication to the next.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #maker: PoolMaker<Sleeper> = { make: (sleeper) => this.#wake(sleeper) };
  /**
   * The revisions that could not be read, by name. Until the time `until`, clock ms, their requests get the same error.
   */
  readonly #unreadable = new Map<string, { readonly error: ClessError; readonly until: number }>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Makes the pool of an unpublished revision. @throws If one of its secrets cannot be read. */
  async newPool(record: RevisionRecord): Promise<InstancePool> {
    const { defaults, env, limits, pools } = this.#options;
    const revision = runtimeRevision(record, limits, defaults);
    await env.of(revision); // reads its secrets now, and not while a request waits
    return pools.newPool(revision);
  }

  discard(pool: InstancePool): void {
    this.#options.retiring.retire(pool);
  }

  /** Resolves when the containers of a service's retired pools are gone. */
  gone(name: string): Promise<void> {
    return this.#options.retiring.gone(name);
  }

  madePools(name: string): readonly InstancePool[] {
    return this.#options.services.get(name)?.pools() ?? [];
  }

  /** The pool of a published revision; makes it if there is none yet. */
  poolOf(service: string, revision: string): InstancePool | undefined {
    return this.#options.services.get(service)?.poolOf(revision);
  }

  /**
   * The pool that may adopt a found container; `undefined` if its revision is not published or has enough instances.
   */
  adopt({ imageId, revision, service }: Pick<Container, "imageId" | "revision" | "service">): InstancePool | undefined {
    const pool = this.poolOf(service, revision);
    return pool !== undefined && pool.revision.imageId === imageId && !pool.full ? pool : undefined;
  }

  /**
   * Prepares a publication without changing anything. Until it is published or abandoned, no other publication of the
   * service may begin.
   *
   * @param made Pools that were made for it. Those that get no share or tag are retired. Other pools are made only for
   * revisions that need preparation before their first request.
   * @returns A function that publishes the service, retires the pools that are no longer needed, and starts the minimum
   * of instances.
   * @throws If a secret of a revision cannot be read.
   */
  async prepare(
    service: ServiceRecord,
    revisions: readonly RevisionRecord[],
    made: readonly InstancePool[] = [],
  ): Promise<() => void> {
    const shares = await Promise.all(
      needed(service).map(async (target) => {
        const { revision: name } = target;
        const pool = made.find((pool) => pool.revision.name === name) ?? this.poolOf(service.name, name);
        if (pool !== undefined) return shareOf(target, pool);
        const record = recordOf(service, revisions, name);
        return needsNoPreparation(record.template)
          ? this.#asleep(target, record)
          : shareOf(target, await this.newPool(record));
      }),
    );
    const declared = this.#declare(service, shares);
    return () => this.#options.services.put(declared, made);
  }

  /** Publishes a stored service. If a secret cannot be read now, each start tries again and reports the reason. */
  publish(service: ServiceRecord, revisions: readonly RevisionRecord[]): void {
    const shares = needed(service).map((target) => {
      const { revision: name } = target;
      const pool = this.poolOf(service.name, name) ?? this.#poolOfStored(recordOf(service, revisions, name));
      return shareOf(target, pool);
    });
    this.#options.services.put(this.#declare(service, shares));
  }

  /** Publishes a stored service whose revisions need no preparation. A revision is read at its first request. */
  publishAsleep(service: ServiceRecord, marks: readonly Pick<RevisionMark, "name">[]): void {
    const shares = needed(service).map((target) => {
      const { name } = recordOf(service, marks, target.revision);
      return this.#asleep(target, { name, service: service.name });
    });
    this.#options.services.put(this.#declare(service, shares));
  }

  /** Removes a service, if it exists; its containers are removed in the background. */
  remove(name: string): void {
    this.#options.services.delete(name);
  }

  #asleep(target: TrafficTarget, { name, service }: Sleeper): Share {
    return new SleepingShare(target, { name, service }, this.#maker);
  }

  #declare(service: ServiceRecord, shares: readonly Share[]): Service {
    const { domains, name } = service;
    const { exceptRobots = false, gates, random } = this.#options;
    const waking = wakingOf(service, exceptRobots);
    const { own: gate, ofTags: tagGate } = gates.of(service);
    return new Service(name, defined({ domains, shares, waking, gate, tagGate, random }));
  }

  /** @throws {ClessError} `start_failed` if the revision cannot be read now, or could not within the last second. */
  #wake({ name, service }: Sleeper): InstancePool {
    const { clock, store } = this.#options;
    const known = this.#unreadable.get(name);
    if (known !== undefined && clock.now() < known.until) throw known.error;
    this.#unreadable.delete(name);
    try {
      const record = store.revisions(service).find((one) => one.name === name);
      if (record === undefined) throw new Error(`${service} has no revision ${name}`);
      return this.#poolOfStored(record);
    } catch (cause) {
      const detail = messageOf(cause);
      log.error("cannot read a revision", { service, revision: name, reason: detail });
      const error = couldNotStart(detail);
      this.#unreadable.set(name, { error, until: clock.now() + UNREADABLE_MS });
      throw error;
    }
  }

  #poolOfStored(record: RevisionRecord): InstancePool {
    const { defaults, env, limits, pools } = this.#options;
    const revision = runtimeRevision(record, limits, defaults);
    const { name, service } = record;
    env.of(revision).catch((error) =>
      log.error("cannot read a secret", { service, revision: name, reason: messageOf(error) })
    );
    return pools.newPool(revision);
  }
}

/** The targets of a service's traffic that need a pool, by revision name. */
function needed({ traffic, latestRevision }: ServiceRecord): Traffic {
  return withoutEmpty(resolveTraffic(traffic, latestRevision));
}

function shareOf({ percent, tag }: TrafficTarget, pool: InstancePool): Share {
  return defined({ pool, percent, tag });
}

function recordOf<T extends Pick<RevisionRecord, "name">>(
  { name }: ServiceRecord,
  revisions: readonly T[],
  revision: string,
): T {
  const record = revisions.find((one) => one.name === revision);
  if (record === undefined) throw new Error(`${name} has no revision ${revision}`);
  return record;
}
