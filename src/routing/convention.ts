import { isServiceName } from "../model/hostname.ts";
import { conventionImage, conventionRevision, type Limits, type Revision } from "../model/revision.ts";
import { logger } from "../base/log.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import { ConventionService } from "./convention_service.ts";
import type { ServiceMap } from "./service_map.ts";

const log = logger("convention");

/** The local images by name, as far as the convention needs them. Answers come from memory. */
export interface ImageIndex {
  /** The id of the local image of that name; `undefined` where there is none. */
  find(name: string): string | undefined;
  /** Resolves when the answers are as good as the engine's own. */
  settled(): Promise<void>;
  /** Calls back whenever an image has come, gone or changed. */
  onChange(callback: () => void): void;
}

/** What the {@linkcode Convention} works with. */
export interface ConventionParts {
  readonly images: ImageIndex;
  readonly services: ServiceMap;
  readonly limits: Limits;
  readonly newPool: (revision: Revision) => InstancePool;
  /** Drains a pool that no request goes to any more. */
  readonly retire: (pool: InstancePool) => void;
  /** Whether somebody has declared a service of that name, also where it cannot be served now. */
  readonly isDeclared?: (label: string) => boolean;
}

/** Makes services out of hostnames: the label `golang` means the local image `golang-docker`, whatever that is at the time. */
export class Convention {
  readonly #parts: ConventionParts;

  constructor(parts: ConventionParts) {
    this.#parts = parts;
    parts.images.onChange(() => this.#follow());
  }

  /** The service of a label, made where an image goes with it; `undefined` where none does. */
  async find(label: string): Promise<ConventionService | undefined> {
    if (!isServiceName(label)) return undefined;
    await this.#parts.images.settled();
    const known = this.#parts.services.get(label);
    if (known !== undefined) return known.convention ? known : undefined;
    if (this.#parts.isDeclared?.(label)) return undefined;
    const imageId = this.#parts.images.find(conventionImage(label));
    return imageId === undefined ? undefined : this.#add(label, imageId);
  }

  /**
   * The pool for a container that was found running, if it runs what its service means now.
   *
   * @returns `undefined` where it is of no use any more.
   */
  adopt(label: string, imageId: string): InstancePool | undefined {
    const { images, services } = this.#parts;
    if (!isServiceName(label) || images.find(conventionImage(label)) !== imageId) return undefined;
    const known = services.get(label);
    if (known === undefined && this.#parts.isDeclared?.(label)) return undefined;
    const service = known ?? this.#add(label, imageId);
    if (!service.convention) return undefined;
    const pool = service.current;
    return pool.awake ? undefined : pool;
  }

  #add(label: string, imageId: string): ConventionService {
    const { limits, newPool, retire, services } = this.#parts;
    const pool = newPool(conventionRevision(label, imageId, limits));
    const service = new ConventionService(label, pool, retire);
    services.put(service);
    return service;
  }

  /** Holds every service against the images: one that was rebuilt gets a new revision, one that is gone ends. */
  #follow(): void {
    const { images, limits, newPool, retire, services } = this.#parts;
    for (const service of services.found()) {
      const imageId = images.find(conventionImage(service.name));
      if (imageId === undefined) {
        log.info("image is gone", { service: service.name });
        services.delete(service.name);
        service.pools().forEach(retire);
      } else if (imageId !== service.latest.revision.imageId) {
        const isCurrent = service.current.revision.imageId === imageId; // the name was moved back
        const pool = isCurrent ? service.current : newPool(conventionRevision(service.name, imageId, limits));
        log.info("image has changed", { service: service.name, revision: pool.revision.name });
        service.roll(pool);
      }
    }
  }
}
