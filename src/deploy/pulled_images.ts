import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { ServiceStates } from "../control/service_states.ts";
import type { Revision } from "../model/revision.ts";

const log = logger("images");

/** Removes images from this machine. */
export interface ImageRemover {
  /** Removes an image with the names that it was pulled by. Returns `false` if something still uses it. */
  remove(imageId: string, names: Iterable<string>): Promise<boolean>;
}

/** The containers that may exist, as {@linkcode RevisionLauncher} knows them. */
export interface Containers {
  untilGone(fits: (revision: Revision) => boolean): Promise<void>;
}

/**
 * The images that cless pulled. {@linkcode sweep} removes those that no revision uses. An image that is left when the
 * process ends is unknown to the next process, and stays: `docker image prune` removes it.
 */
export class PulledImages {
  readonly #images: ImageRemover;
  readonly #states: ServiceStates;
  readonly #containers: Containers;
  /** The known images with the names that this process pulled them by. cless must not remove other names. */
  readonly #pulled = new Map<string, Set<string>>();
  /** How many running deploys need each image. */
  readonly #holds = new Map<string, number>();
  readonly #refused = new Set<string>();
  #removing: { readonly imageId: string; readonly done: Promise<void> } | undefined;
  /** The last sweep; the next one waits for it. */
  #sweeping: Promise<void> = Promise.resolve();

  constructor(images: ImageRemover, states: ServiceStates, containers: Containers) {
    this.#images = images;
    this.#states = states;
    this.#containers = containers;
  }

  has(imageId: string): boolean {
    return this.#pulled.has(imageId) || this.#states.hasPulledImage(imageId);
  }

  /** The running removal of an image; `undefined` if there is none. */
  removal(imageId: string): Promise<void> | undefined {
    return this.#removing?.imageId === imageId ? this.#removing.done : undefined;
  }

  /**
   * Keeps an image until the hold is disposed. Not allowed during its {@linkcode removal}.
   *
   * @param pulledAs The name by which cless has just pulled it, if it has.
   */
  hold(imageId: string, pulledAs: string | undefined): Disposable {
    if (pulledAs !== undefined) this.#namesOf(imageId).add(pulledAs);
    this.#holds.set(imageId, (this.#holds.get(imageId) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = this.#holds.get(imageId)! - 1;
        if (left > 0) this.#holds.set(imageId, left);
        else this.#holds.delete(imageId);
      },
    };
  }

  /**
   * Removes the pulled images that no revision uses, one after the other, each once its containers are gone. Failures
   * are logged. With `again`, for periodic calls, it checks all revisions and retries failed removals.
   */
  sweep(again = false): Promise<void> {
    return this.#sweeping = this.#sweeping.then(() => this.#sweep(again));
  }

  async #sweep(again: boolean): Promise<void> {
    if (again) {
      this.#refused.clear();
      for (const imageId of this.#states.pulledImages()) this.#namesOf(imageId); // including those of earlier processes
    }
    for (const [imageId, names] of this.#pulled) {
      if (this.#refused.has(imageId) || this.#isNeeded(imageId)) continue;
      await this.#containers.untilGone((revision) => revision.imageId === imageId);
      if (this.#isNeeded(imageId)) continue; // a deploy needs it meanwhile
      const done = this.#remove(imageId, names);
      this.#removing = { imageId, done };
      await done;
      this.#removing = undefined;
    }
  }

  #isNeeded(imageId: string): boolean {
    if (this.#holds.has(imageId)) return true;
    if (!this.#states.hasImage(imageId)) return false;
    // The other revisions use an image that was there before: cless must not remove it.
    if (!this.#states.hasPulledImage(imageId)) this.#pulled.delete(imageId);
    return true;
  }

  async #remove(imageId: string, names: Iterable<string>): Promise<void> {
    try {
      this.#refused.add(imageId);
      if (!await this.#images.remove(imageId, names)) return;
      this.#refused.delete(imageId);
      this.#pulled.delete(imageId);
      log.info("image removed", { image: imageId });
    } catch (error) {
      log.warning("cannot remove an image", { image: imageId, reason: messageOf(error) });
    }
  }

  #namesOf(imageId: string): Set<string> {
    const names = this.#pulled.get(imageId) ?? new Set();
    this.#pulled.set(imageId, names);
    return names;
  }
}
