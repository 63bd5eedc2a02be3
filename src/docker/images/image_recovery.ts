import type { Revision } from "../../model/revision.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { within } from "../../base/async.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { ImageError } from "./image_error.ts";
import type { ImageSource, ResolvedImage } from "./image_source.ts";

const log = logger("images");

/** What is to be had again. */
type Wanted = Pick<Revision, "name" | "image" | "imageId" | "imageDigest" | "startTimeout">;

/** Whether the engine has refused to start a container since the image is not on this machine. */
export function isImageGone(error: unknown): boolean {
  return /^no such image\b|\bimage not known$/i.test(messageOf(error));
}

/** Gets back the images of revisions that somebody has removed from this machine. */
export class ImageRecovery {
  readonly #images: Pick<ImageSource, "pullByDigest">;
  readonly #clock: Clock;
  readonly #pulls = new Map<string, Promise<ResolvedImage>>();

  constructor(images: Pick<ImageSource, "pullByDigest">, clock: Clock = systemClock) {
    this.#images = images;
    this.#clock = clock;
  }

  /**
   * Pulls the image of a revision again: once for all who need it at the same time, and to the end, though the start that
   * wanted it first may have been given up by then.
   *
   * @throws {ImageError} When it cannot be had again, or not within the time for a start; the message says what to do.
   */
  async restore(wanted: Wanted): Promise<void> {
    const { image, imageDigest, imageId, name, startTimeout } = wanted;
    const gone = `the image ${image} of ${name} (${imageId.slice(0, 19)}) is not on this machine any more`;
    if (imageDigest === undefined) {
      throw new ImageError("not_found", `${gone}, and no registry has it: build it again, and deploy it`);
    }
    try {
      const pulled = await within(this.#pull(imageDigest), this.#clock, startTimeout);
      if (pulled === undefined) throw new ImageError("timeout", `it is still being pulled; try again`);
      if (pulled.imageId === imageId) return;
      throw new ImageError("not_found", `the registry has something else for ${imageDigest}: deploy it again`);
    } catch (error) {
      const reason = error instanceof ImageError ? error.reason : "engine";
      throw new ImageError(reason, `${gone}: ${messageOf(error)}`, { cause: error });
    }
  }

  #pull(digest: string): Promise<ResolvedImage> {
    const known = this.#pulls.get(digest);
    if (known !== undefined) return known;
    log.warning("an image is not on this machine any more; pulling it again", { image: digest });
    const pulling = this.#images.pullByDigest(digest).finally(() => this.#pulls.delete(digest));
    pulling.then(
      () => log.info("image is there again", { image: digest }),
      (error) => log.error("cannot pull an image again", { image: digest, reason: messageOf(error) }),
    );
    this.#pulls.set(digest, pulling);
    return pulling;
  }
}
