import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { ImageUse, WithImage } from "../control/service_states.ts";
import type { RevisionLauncher } from "./revision_launcher.ts";

const log = logger("images");

/** Removes images from this machine. */
export interface ImageRemover {
  /**
   * @param names What it was pulled as, as far as that is known.
   * @returns Whether it is gone; not where something still needs it.
   */
  remove(imageId: string, names: Iterable<string>): Promise<boolean>;
}

/** What {@linkcode PulledImages} work with. */
export interface PulledImagesParts {
  readonly images: ImageRemover;
  readonly launcher: Pick<RevisionLauncher, "untilGone">;
  /** The images that the revisions have that are kept. */
  readonly kept: () => Pick<ImageUse, "has" | "hasPulled">;
}

/** How it stands with an image that has to go; each time that changes, it is another object. */
interface Leaving {
  /** `due`: as soon as nobody needs it; `going`: it waits for its containers or its turn; `stuck`: something has refused. */
  readonly state: "due" | "going" | "stuck";
}

/**
 * The images that cless has pulled: each goes with its last revision. An image whose removal the end of the process has cut
 * short is not known any more, and stays: one too many does less harm than one too few, and `docker image prune` takes it.
 */
export class PulledImages {
  readonly #parts: PulledImagesParts;
  /** How many deploys on their way need an image. */
  readonly #needed = new Map<string, number>();
  /** Those that may have to go: the last revision has gone, or something has needed it when it should. */
  readonly #leaving = new Map<string, Leaving>();
  /** The one that is being removed. */
  readonly #removals = new Map<string, Promise<void>>();
  /** The last removal; the next one waits for it, as many at once would keep an engine from everything else. */
  #lastRemoval: Promise<void> = Promise.resolve();
  /** What each was pulled as by this process; a name that somebody else has given it is not ours to take. */
  readonly #names = new Map<string, Set<string>>();

  constructor(parts: PulledImagesParts) {
    this.#parts = parts;
  }

  /** Whether it was cless that has pulled an image. */
  has(imageId: string): boolean {
    return this.#leaving.has(imageId) || this.#parts.kept().hasPulled(imageId);
  }

  /** The removal of an image that is on its way; what was found out of it before is of no use any more. */
  removal(imageId: string): Promise<void> | undefined {
    return this.#removals.get(imageId);
  }

  /**
   * Keeps an image for a deploy on its way, whatever becomes of its revisions, until the function is called; then it goes
   * unless a revision has it. Not to be called during its {@linkcode removal}.
   *
   * @param pulledAs What cless has just pulled it as, where it has.
   */
  need(imageId: string, pulledAs: string | undefined): () => void {
    if (pulledAs !== undefined) {
      this.#names.set(imageId, (this.#names.get(imageId) ?? new Set()).add(pulledAs));
    }
    // One that was going stays for now, and waits anew for the containers that this deploy may start.
    if (pulledAs !== undefined || this.#leaving.get(imageId)?.state === "going") {
      this.#leaving.set(imageId, { state: "due" });
    }
    this.#needed.set(imageId, (this.#needed.get(imageId) ?? 0) + 1);
    return () => {
      const left = this.#needed.get(imageId)! - 1;
      if (left > 0) this.#needed.set(imageId, left);
      else this.#needed.delete(imageId);
      this.#sweep();
    };
  }

  /** Removes the images of revisions that are not kept any more, in the background, but those that another one needs. */
  leave(revisions: Iterable<WithImage>): void {
    for (const { imageId, pulled } of revisions) if (pulled) this.#leaving.set(imageId, { state: "due" });
    this.#sweep();
  }

  /** Tries anew to remove what something has refused to let go. In the background; a failure is logged. */
  retry(): void {
    for (const [imageId, { state }] of this.#leaving) {
      if (state === "stuck") this.#leaving.set(imageId, { state: "due" });
    }
    this.#sweep();
  }

  /** Removes what may go, once its containers are gone. In the background; a failure is logged. */
  #sweep(): void {
    for (const [imageId, { state }] of this.#leaving) {
      if (state === "going") continue;
      if (this.#isKept(imageId)) this.#leaving.delete(imageId);
      else if (state === "due" && !this.#needed.has(imageId)) this.#leave(imageId);
    }
  }

  async #leave(imageId: string): Promise<void> {
    const going: Leaving = { state: "going" };
    this.#leaving.set(imageId, going);
    await this.#parts.launcher.untilGone((revision) => revision.imageId === imageId);
    this.#lastRemoval = this.#lastRemoval.then(async () => {
      if (this.#leaving.get(imageId) !== going) return; // somebody has needed it meanwhile
      if (this.#isKept(imageId)) {
        this.#leaving.delete(imageId);
        return;
      }
      const removal = this.#remove(imageId);
      this.#removals.set(imageId, removal);
      await removal;
      this.#removals.delete(imageId);
    });
  }

  /** Removes an image now, if the engine lets it go; never rejects. */
  async #remove(imageId: string): Promise<void> {
    this.#leaving.set(imageId, { state: "stuck" });
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

  #isKept(imageId: string): boolean {
    return this.#parts.kept().has(imageId);
  }
}
