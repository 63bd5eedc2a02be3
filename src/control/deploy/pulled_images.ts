import { messageOf } from "../../errors.ts";
import { logger } from "../../log.ts";
import type { RevisionRecord } from "../records.ts";
import type { RevisionLauncher } from "../volumes/revision_launcher.ts";

const log = logger("images");

/** Removes images from this machine. */
export interface ImageRemover {
  /**
   * @param names What it was pulled as, as far as that is known.
   * @returns Whether it is gone; not where something still needs it.
   */
  remove(imageId: string, names: Iterable<string>): Promise<boolean>;
}

/** What of a revision tells which image goes with it. */
type WithImage = Pick<RevisionRecord, "imageId" | "pulled">;

/** What {@linkcode PulledImages} work with. */
export interface PulledImagesParts {
  readonly images: ImageRemover;
  readonly launcher: Pick<RevisionLauncher, "untilGone">;
  /** Whether there is such a one among all revisions that are kept. */
  readonly isKept: (fits: (revision: WithImage) => boolean) => boolean;
}

/** The images that cless has pulled: each goes with its last revision. */
export class PulledImages {
  readonly #parts: PulledImagesParts;
  /** How many deploys on their way need an image. */
  readonly #needed = new Map<string, number>();
  /** Those that may have to go: the last revision has gone, or something has needed it when it should. */
  readonly #leaving = new Set<string>();
  /** Those that go as soon as their containers are gone. */
  readonly #waiting = new Set<string>();
  readonly #removals = new Map<string, Promise<void>>();
  /** What each was pulled as by this process; a name that somebody else has given it is not ours to take. */
  readonly #names = new Map<string, Set<string>>();

  constructor(parts: PulledImagesParts) {
    this.#parts = parts;
  }

  /** Whether it was cless that has pulled an image. */
  has(imageId: string): boolean {
    return this.#leaving.has(imageId) || this.#kept(imageId, ({ pulled }) => pulled);
  }

  /** The removal of an image that is on its way; what was found out of it before is of no use any more. */
  removal(imageId: string): Promise<void> | undefined {
    return this.#removals.get(imageId);
  }

  /**
   * Keeps an image for a deploy on its way, whatever becomes of its revisions, until the function is called; then it goes
   * unless a revision has it.
   *
   * @param pulledAs What cless has just pulled it as, where it has.
   */
  need(imageId: string, pulledAs: string | undefined): () => void {
    if (pulledAs !== undefined) {
      this.#leaving.add(imageId);
      this.#names.set(imageId, (this.#names.get(imageId) ?? new Set()).add(pulledAs));
    }
    this.#needed.set(imageId, (this.#needed.get(imageId) ?? 0) + 1);
    return () => {
      const left = this.#needed.get(imageId)! - 1;
      if (left > 0) this.#needed.set(imageId, left);
      else this.#needed.delete(imageId);
      this.sweep();
    };
  }

  /** Removes the images of revisions that are not kept any more, in the background, but those that another one needs. */
  leave(revisions: Iterable<WithImage>): void {
    for (const { imageId, pulled } of revisions) if (pulled) this.#leaving.add(imageId);
    this.sweep();
  }

  /**
   * Removes what may go, once its containers are gone, and tries anew what did not go before. In the background; a failure
   * is logged.
   */
  sweep(): void {
    for (const imageId of this.#leaving) {
      if (this.#kept(imageId, () => true)) this.#leaving.delete(imageId);
      else if (!this.#needed.has(imageId) && !this.#waiting.has(imageId)) this.#leave(imageId);
    }
  }

  async #leave(imageId: string): Promise<void> {
    this.#waiting.add(imageId);
    await this.#parts.launcher.untilGone((revision) => revision.imageId === imageId);
    this.#waiting.delete(imageId);
    if (this.#needed.has(imageId) || this.#kept(imageId, () => true) || !this.#leaving.has(imageId)) return;
    this.#removals.set(imageId, this.#remove(imageId).finally(() => this.#removals.delete(imageId)));
  }

  async #remove(imageId: string): Promise<void> {
    try {
      const names = this.#names.get(imageId) ?? [];
      if (!await this.#parts.images.remove(imageId, names)) return; // something else needs it, for now
      this.#leaving.delete(imageId);
      this.#names.delete(imageId);
      log.info("image removed", { image: imageId });
    } catch (error) {
      log.warning("cannot remove an image", { image: imageId, reason: messageOf(error) });
    }
  }

  #kept(imageId: string, fits: (revision: WithImage) => boolean): boolean {
    return this.#parts.isKept((revision) => revision.imageId === imageId && fits(revision));
  }
}
