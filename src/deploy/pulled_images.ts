import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { ImageUnavailable } from "../control/deploy_error.ts";
import type { DeclaredServices } from "../control/declared_services.ts";
import type { Revision } from "../model/revision.ts";
import type { PullPolicy } from "../model/template.ts";

const log = logger("images");

/** The progress of a pull. */
export interface PullProgress {
  /** The short id of the layer that this is about; missing for the image as a whole. */
  readonly layer?: string;
  /** In the engine's words, such as `Download complete`. */
  readonly status: string;
  /** How many of the known layers are done. */
  readonly done: number;
  readonly total: number;
}

/** Options of {@linkcode Images.resolve}. */
export interface ResolveOptions {
  /** Cancels a pull: the call rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
}

/** The content behind an image's name. */
export interface ResolvedImage {
  /** `sha256:…` */
  readonly imageId: string;
  /** The name by which the image can be pulled again, `name@sha256:…`; missing for an image that is only local. */
  readonly digest?: string;
  /** Whether cless pulled it. */
  readonly pulled: boolean;
  /** Whether it has a `HEALTHCHECK`; missing if not. */
  readonly hasHealthCheck?: true;
}

/** The images of this machine and of the registries. */
export interface Images {
  /** Finds the content behind a name; pulls it if the policy requires it. @throws {ImageUnavailable} If there is none. */
  resolve(reference: string, policy: PullPolicy, options: ResolveOptions): Promise<ResolvedImage>;
  /** Removes an image with the names that it was pulled by. Returns `false` if something still uses it. */
  remove(imageId: string, names: Iterable<string>): Promise<boolean>;
}

/** The containers that may exist, as {@linkcode RevisionLauncher} knows them. */
export interface Containers {
  untilGone(fits: (revision: Revision) => boolean): Promise<void>;
}

/**
 * The images that cless pulled. {@linkcode sweep} removes those that no revision uses. If the process ends before that,
 * the next process does not know such an image: only `docker image prune` removes it.
 */
export class PulledImages {
  readonly #images: Images;
  readonly #declared: DeclaredServices;
  readonly #containers: Containers;
  /** The known images, each with the names by which this process pulled it. cless must not remove other names. */
  readonly #pulled = new Map<string, Set<string>>();
  /** How many running deploys need each image. */
  readonly #holds = new Map<string, number>();
  readonly #refused = new Set<string>();
  #removing: { readonly imageId: string; readonly done: Promise<void> } | undefined;
  /** The last sweep; the next one waits for it. */
  #sweeping: Promise<void> = Promise.resolve();

  constructor(images: Images, declared: DeclaredServices, containers: Containers) {
    this.#images = images;
    this.#declared = declared;
    this.#containers = containers;
  }

  /**
   * Finds the content behind a name as {@linkcode Images.resolve} does. The image is not removed before the result is
   * disposed.
   */
  async find(reference: string, policy: PullPolicy, options: ResolveOptions): Promise<ResolvedImage & Disposable> {
    while (true) {
      const image = await this.#images.resolve(reference, policy, options);
      const { imageId, pulled: isNew } = image;
      if (this.#removing?.imageId === imageId) {
        await this.#removing.done; // a sweep is removing the image: it has to be pulled again
        continue;
      }
      options.signal.throwIfAborted();
      const pulled = isNew || this.#pulled.has(imageId) || this.#declared.hasPulledImage(imageId);
      if (isNew) this.#namesOf(imageId).add(reference);
      this.#holds.set(imageId, (this.#holds.get(imageId) ?? 0) + 1);
      return { ...image, pulled, [Symbol.dispose]: () => this.#release(imageId) };
    }
  }

  /**
   * Finds the content behind a name without a pull; `undefined` if only a pull can find it.
   *
   * @throws {ImageUnavailable} If there is none, and the policy forbids a pull.
   */
  async findLocal(reference: string, policy: PullPolicy): Promise<ResolvedImage | undefined> {
    const { signal } = new AbortController();
    return await this.#images.resolve(reference, "never", { signal }).catch((error) => {
      if (policy !== "never" && error instanceof ImageUnavailable && error.reason === "not_found") return undefined;
      throw error;
    });
  }

  /**
   * Removes the pulled images that no revision uses, one at a time, each once its containers are gone. Failures are
   * logged. @param again For periodic calls: whether to check the images of all revisions, and to retry failed
   * removals.
   */
  sweep(again = false): Promise<void> {
    return this.#sweeping = this.#sweeping.then(() => this.#sweep(again));
  }

  async #sweep(again: boolean): Promise<void> {
    if (again) {
      this.#refused.clear();
      // Also images that earlier processes pulled.
      for (const imageId of this.#declared.pulledImages()) this.#namesOf(imageId);
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

  #release(imageId: string): void {
    const left = this.#holds.get(imageId)! - 1;
    if (left > 0) this.#holds.set(imageId, left);
    else this.#holds.delete(imageId);
  }

  #isNeeded(imageId: string): boolean {
    if (this.#holds.has(imageId)) return true;
    if (!this.#declared.hasImage(imageId)) return false;
    // The remaining revisions did not pull the image: they found it on this machine. So cless must not remove it.
    if (!this.#declared.hasPulledImage(imageId)) this.#pulled.delete(imageId);
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
