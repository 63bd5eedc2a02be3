import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Store } from "./store.ts";

const log = logger("older-images");

/**
 * The images that are older than {@linkcode ContainerDefaults}. Older versions of cless did not know these defaults.
 * When a newer version first uses a data-dir of such an older version, it records the images named `…-docker`. Their
 * containers do not get the defaults until the images are rebuilt. A data-dir made by a newer version has no such
 * images.
 */
export class OlderImages {
  readonly #store: Pick<Store, "olderImages" | "putOlderImages">;
  #ids: ReadonlySet<string> | undefined;
  #isStored: boolean;

  /** @throws {StoreUnavailable} */
  constructor(store: Pick<Store, "olderImages" | "putOlderImages">) {
    this.#store = store;
    const ids = store.olderImages();
    this.#isStored = ids !== undefined;
    this.#ids = ids && new Set(ids);
  }

  /** Whether an image is older than the defaults. Until that is known, every image counts as older. */
  has(imageId: string): boolean {
    return this.#ids?.has(imageId) ?? true;
  }

  /**
   * Records the present images, unless that has been done before. If they cannot be stored, the next call tries again.
   */
  note(imageIds: readonly string[]): void {
    if (this.#isStored) return;
    const ids = [...this.#ids ??= new Set(imageIds)];
    try {
      this.#store.putOlderImages(ids);
      this.#isStored = true;
    } catch (error) {
      log.warning("cannot store which images keep the defaults from before", { reason: messageOf(error) });
    }
  }
}
