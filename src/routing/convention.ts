import { EVERYBODY_WAKES, isServiceName } from "../model/service.ts";
import { type ContainerDefaults, OLDER_DEFAULTS } from "../model/isolation.ts";
import { conventionImage, conventionRevision, type Limits, type Revision } from "../model/revision.ts";
import { logger } from "../base/log.ts";
import type { InstancePool } from "../pool/pool.ts";
import { Service, type Share, type Waking, wakingOf } from "./service.ts";
import type { ServiceMap } from "./service_map.ts";

const log = logger("convention");
/**
 * If the old revision was in use less than this time before the image's change became known, the new revision starts at
 * once: the last request may have come after the rebuild.
 */
const JUST_NOW_MS = 1000;

/** The local images that the convention uses, by name; kept in memory. */
export interface ImageIndex {
  /** The id of the local image of that name; `undefined` if there is none. */
  find(name: string): string | undefined;
  /** Resolves when the index is up to date with the engine. */
  settled(): Promise<void>;
  /** Calls back each time the images have been read from the engine, even if none has changed. */
  onChange(callback: () => void): void;
}

/** What a {@linkcode Convention} works with. */
export interface ConventionOptions {
  readonly images: ImageIndex;
  readonly services: ServiceMap;
  readonly pools: { newPool(revision: Revision): InstancePool };
  /** The names of the declared services, including those that cannot be served now. */
  readonly declared: { has(name: string): boolean };
  readonly limits: Limits;
  /** Whether no known robot wakes a service. */
  readonly exceptRobots?: boolean;
  readonly defaults: ContainerDefaults;
  /** The ids of the images whose containers do not get these defaults: see `older_images.ts`. */
  readonly older: { has(imageId: string): boolean };
}

/**
 * Makes services from local images: the label `golang` means the image `golang-docker`. Such a service exists only in
 * the {@linkcode ServiceMap}. Its revision is named after the image's id. After a rebuild it has two shares: the old
 * revision with 100 percent and the new one with 0. The next request starts the new revision, which takes over once it
 * is ready.
 */
export class Convention {
  readonly #options: ConventionOptions;
  readonly #waking: Waking | undefined;
  /** The pools of new revisions that are starting. */
  readonly #starting = new Set<InstancePool>();

  constructor(options: ConventionOptions) {
    this.#options = options;
    this.#waking = wakingOf({ wake: EVERYBODY_WAKES, loading: "hold" }, options.exceptRobots ?? false);
    options.images.onChange(() => this.#update());
  }

  /** The service of a label, for a request. Makes the service if there is an image of that name. */
  async find(label: string): Promise<Service | undefined> {
    if (!isServiceName(label)) return undefined;
    const { declared, images, services } = this.#options;
    await images.settled();
    const known = services.get(label);
    if (known !== undefined) return known.convention ? this.current(known) : undefined;
    if (declared.has(label)) return undefined;
    const imageId = images.find(conventionImage(label));
    return imageId === undefined ? undefined : this.#add(label, imageId);
  }

  /** Whether {@linkcode find} would find the service of a label, to judge by the images in memory. */
  knows(label: string): boolean {
    const { declared, images } = this.#options;
    return isServiceName(label) && !declared.has(label) && images.find(conventionImage(label)) !== undefined;
  }

  /**
   * The service for a request. After a rebuild, this starts the new revision, but the request goes to the old revision
   * as long as the old one has an instance.
   */
  current(service: Service): Service {
    if (service.shares.length === 1) return service;
    const [old, next] = service.shares;
    if (!old!.pool.live) return this.#takeOver(service);
    const { pool } = next!;
    // If the new revision has failed to start, not every request tries it again, since the old one still serves.
    if (this.#starting.has(pool) || pool.backingOff) return service;
    this.#starting.add(pool);
    pool.wake();
    pool.settled().then(() => {
      this.#starting.delete(pool);
      if (pool.live && this.#options.services.get(service.name) === service) this.#takeOver(service);
    });
    return service;
  }

  /** The pool for a container that was found running; `undefined` if its image is out of date. */
  adopt(label: string, imageId: string): InstancePool | undefined {
    const { declared, images, services } = this.#options;
    if (!isServiceName(label) || images.find(conventionImage(label)) !== imageId) return undefined;
    const known = services.get(label);
    if (known === undefined && declared.has(label)) return undefined;
    const service = known ?? this.#add(label, imageId);
    if (!service.convention) return undefined;
    const pool = service.pools().find(({ revision }) => revision.imageId === imageId);
    return pool === undefined || pool.live ? undefined : pool;
  }

  #add(label: string, imageId: string): Service {
    const now = new Date();
    const shares = [{ pool: this.#newPool(label, imageId), percent: 100 }];
    const service = this.#newService(label, shares, { createdAt: now, updatedAt: now });
    this.#options.services.put(service);
    return service;
  }

  #newService(name: string, shares: readonly Share[], found: NonNullable<Service["found"]>): Service {
    return new Service(name, { shares, found, waking: this.#waking });
  }

  /** Compares every service with the images. A rebuilt image makes a new revision; a removed one ends the service. */
  #update(): void {
    const { images, services } = this.#options;
    for (const service of services.found()) {
      const { name } = service;
      const imageId = images.find(conventionImage(name));
      if (imageId === undefined) {
        log.info("image is gone", { service: name });
        services.delete(name);
      } else if (imageId !== latestPool(service).revision.imageId) {
        this.#addRevision(service, imageId);
      }
    }
  }

  #addRevision({ name, shares: [old], found }: Service, imageId: string): void {
    const { pool } = old!;
    const isBack = pool.revision.imageId === imageId; // the name was moved back to the old image
    const next = isBack ? [] : [{ pool: this.#newPool(name, imageId), percent: 0 }];
    const shares = [{ pool, percent: 100 }, ...next];
    const changed = this.#newService(name, shares, { ...found!, updatedAt: new Date() });
    log.info("image has changed", { service: name, revision: latestPool(changed).revision.name });
    this.#options.services.put(changed);
    if (pool.usedWithin(JUST_NOW_MS)) this.current(changed);
  }

  #takeOver({ name, found, shares: [, next] }: Service): Service {
    const taken = this.#newService(name, [{ pool: next!.pool, percent: 100 }], found!);
    this.#options.services.put(taken);
    return taken;
  }

  #newPool(label: string, imageId: string): InstancePool {
    const { defaults, limits, older, pools } = this.#options;
    const own = older.has(imageId) ? OLDER_DEFAULTS : defaults;
    return pools.newPool(conventionRevision(label, imageId, limits, own));
  }
}

/** The pool of the newest revision of an undeclared service. */
export function latestPool({ shares }: Service): InstancePool {
  return shares.at(-1)!.pool;
}
