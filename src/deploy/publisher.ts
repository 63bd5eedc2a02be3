import type { Limits, Revision } from "../model/revision.ts";
import { isUndemanding } from "../model/template.ts";
import { resolveTraffic, type Traffic, type TrafficTarget } from "../model/traffic.ts";
import { ClessError, messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Clock } from "../base/clock.ts";
import { DeclaredService, type PoolMaker, type Share, SleepingShare, type Waking } from "../routing/service.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import type { RetiringPools } from "../fleet/retiring_pools.ts";
import type { ServiceMap } from "../routing/service_map.ts";
import type { RevisionMark, RevisionRecord, ServiceRecord } from "../control/records.ts";
import { type RevisionEnv, runtimeRevision } from "../control/runtime_revision.ts";
import { WakeRules } from "../routing/wake_rules.ts";

const log = logger("publisher");
/** For how long a revision that cannot be read is not read again, ms: many requests may come for it. */
const UNREADABLE_MS = 1000;

/** What a {@linkcode Publisher} works with. */
export interface PublisherParts {
  readonly services: ServiceMap;
  readonly limits: Limits;
  readonly env: Pick<RevisionEnv, "of">;
  /** The revisions of a service. @throws {StoreUnavailable} */
  readonly revisions: (service: string) => readonly RevisionRecord[];
  readonly newPool: (revision: Revision) => InstancePool;
  readonly clock: Pick<Clock, "now">;
  /** Takes the pools that no request goes to any more. */
  readonly retiring: Pick<RetiringPools, "retire" | "gone">;
  /** From 0 to below 1, evenly; chooses between revisions that share the traffic. */
  readonly random?: () => number;
}

/** A revision whose pool is not made yet; there are many, and each has to be small. */
type Sleeper = Pick<RevisionRecord, "name" | "service">;

/** Has requests see services as the records say. A revision that is published keeps its pool from one publication to the next. */
export class Publisher {
  readonly #parts: PublisherParts;
  /** Makes the pools of revisions that are asleep. */
  readonly #maker: PoolMaker<Sleeper>;
  /** What reading a revision has come to, by its name, and until when that stands, in the clock's ms. */
  readonly #unreadable = new Map<string, { readonly error: ClessError; readonly until: number }>();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#maker = { make: (sleeper) => this.#wake(sleeper) };
  }

  /** Makes a pool for a revision that is not published yet. @throws Where a secret of it cannot be read. */
  async newPool(record: RevisionRecord): Promise<InstancePool> {
    const { env, limits, newPool } = this.#parts;
    const revision = runtimeRevision(record, limits);
    await env.of(revision); // now, and not when a request waits
    return newPool(revision);
  }

  /** Ends a pool that was made, and is not to be published. */
  discard(pool: InstancePool): void {
    this.#parts.retiring.retire(pool);
  }

  /** Resolves when the containers are gone of all pools of a service that no request goes to any more. */
  gone(name: string): Promise<void> {
    return this.#parts.retiring.gone(name);
  }

  /** The pools that a service's requests may go to now; makes none of those that nobody has needed yet. */
  madePools(name: string): readonly InstancePool[] {
    return this.#parts.services.get(name)?.pools() ?? [];
  }

  /** The pool of a published revision; made now, where nobody has needed it yet. */
  poolOf(service: string, revision: string): InstancePool | undefined {
    const found = this.#parts.services.get(service);
    return found?.convention ? found.pools().find((pool) => pool.revision.name === revision) : found?.poolOf(revision);
  }

  /**
   * Makes ready what a service is to be, and changes nothing yet. Until that is published or given up, nothing else of the
   * service may be published.
   *
   * @param made Pools of its revisions that were made for it; those without a share or tag are retired. Others are made
   * where something matters before their first request.
   * @returns Publishes it, at once; then retires the pools that no share or tag needs any more, and has the others start
   * the instances that they should have always.
   * @throws Where a secret of a revision cannot be read.
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
        return isUndemanding(record.template)
          ? this.#asleep(target, record)
          : shareOf(target, await this.newPool(record));
      }),
    );
    const declared = this.#declare(service, shares);
    return () => {
      this.#swap(declared, made);
      for (const pool of declared.kept()) pool.keepMinimum();
    };
  }

  /**
   * Publishes a service as it was left. One whose secret cannot be read is published too: each start tries anew, and
   * says why it fails.
   */
  publish(service: ServiceRecord, revisions: readonly RevisionRecord[]): void {
    const shares = needed(service).map((target) => {
      const { revision: name } = target;
      const pool = this.poolOf(service.name, name) ?? this.#poolOfLeft(recordOf(service, revisions, name));
      return shareOf(target, pool);
    });
    this.#swap(this.#declare(service, shares), []);
  }

  /**
   * Publishes a service as it was left, of whose revisions nothing matters before its first request: that reads them.
   *
   * @param marks Those of its revisions, of which only the names are needed.
   */
  publishAsleep(service: ServiceRecord, marks: readonly Pick<RevisionMark, "name">[]): void {
    const shares = needed(service).map((target) => {
      const { name } = recordOf(service, marks, target.revision);
      return this.#asleep(target, { name, service: service.name });
    });
    this.#swap(this.#declare(service, shares), []);
  }

  /** Ends a service, where there is one: from now on its hostnames are unknown. Its containers go in the background. */
  remove(name: string): void {
    const { retiring, services } = this.#parts;
    const pools = this.madePools(name);
    services.delete(name);
    for (const pool of pools) retiring.retire(pool);
  }

  #asleep(target: TrafficTarget, { name, service }: Sleeper): Share {
    return new SleepingShare(target, { name, service }, this.#maker);
  }

  #declare(service: ServiceRecord, shares: readonly Share[]): DeclaredService {
    const { random } = this.#parts;
    const { domains, name } = service;
    const waking = wakingOf(service);
    return new DeclaredService(name, { domains, shares, waking, ...(random === undefined ? {} : { random }) });
  }

  /** @throws {ClessError} `start_failed` where the store cannot be read, or could not within the last second. */
  #wake({ name, service }: Sleeper): InstancePool {
    const { clock, revisions } = this.#parts;
    const known = this.#unreadable.get(name);
    if (known !== undefined && clock.now() < known.until) throw known.error;
    this.#unreadable.delete(name);
    try {
      const record = revisions(service).find((one) => one.name === name);
      if (record === undefined) throw new Error(`${service} has no revision ${name}`);
      return this.#poolOfLeft(record);
    } catch (cause) {
      const detail = messageOf(cause);
      log.error("cannot read a revision", { service, revision: name, reason: detail });
      const what = "The service could not be started; the log of cless says why";
      const error = new ClessError("start_failed", what, { detail });
      this.#unreadable.set(name, { error, until: clock.now() + UNREADABLE_MS });
      throw error;
    }
  }

  #poolOfLeft(record: RevisionRecord): InstancePool {
    const { env, limits, newPool } = this.#parts;
    const revision = runtimeRevision(record, limits);
    const { name, service } = record;
    env.of(revision).catch((error) =>
      log.error("cannot read a secret", { service, revision: name, reason: messageOf(error) })
    );
    return newPool(revision);
  }

  #swap(declared: DeclaredService, made: readonly InstancePool[]): void {
    const before = new Set([...this.madePools(declared.name), ...made]);
    const needed = new Set(declared.pools());
    this.#parts.services.put(declared);
    for (const pool of before) if (!needed.has(pool)) this.#parts.retiring.retire(pool);
  }
}

/** Nothing where it wakes as every service does: then no request is asked who it is. */
function wakingOf({ wake: { except }, loading }: ServiceRecord): Waking | undefined {
  const rules = except.userAgents.length + except.paths.length > 0 ? new WakeRules(except) : undefined;
  const page = loading === "page";
  return rules !== undefined || page ? { rules, page } : undefined;
}

/** The parts of a service's traffic that a pool is needed for, by name. */
function needed({ traffic, latestRevision }: ServiceRecord): Traffic {
  return resolveTraffic(traffic, latestRevision).filter(({ percent, tag }) => percent > 0 || tag !== undefined);
}

function shareOf({ percent, tag }: TrafficTarget, pool: InstancePool): Share {
  return { pool, percent, ...(tag === undefined ? {} : { tag }) };
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
