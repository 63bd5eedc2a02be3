import type { RevisionRecord } from "../control/records.ts";

/** What of a revision tells which image goes with it. */
export type WithImage = Pick<RevisionRecord, "imageId" | "pulled">;

/** Which images the revisions that are kept have: an answer must not take a look at all of them. */
export class ImageUse {
  /** How many revisions have each. */
  readonly #all = new Map<string, number>();
  readonly #pulled = new Map<string, number>();

  /** Takes note of revisions that are kept from now on. */
  add(revisions: Iterable<WithImage>): void {
    for (const { imageId, pulled } of revisions) {
      count(this.#all, imageId, 1);
      if (pulled) count(this.#pulled, imageId, 1);
    }
  }

  /** Takes note of revisions that are not kept any more. */
  delete(revisions: Iterable<WithImage>): void {
    for (const { imageId, pulled } of revisions) {
      count(this.#all, imageId, -1);
      if (pulled) count(this.#pulled, imageId, -1);
    }
  }

  /** Whether a revision has an image. */
  has(imageId: string): boolean {
    return this.#all.has(imageId);
  }

  /** Whether a revision has an image that cless has pulled for it. */
  hasPulled(imageId: string): boolean {
    return this.#pulled.has(imageId);
  }
}

function count(counts: Map<string, number>, imageId: string, by: 1 | -1): void {
  const next = (counts.get(imageId) ?? 0) + by;
  if (next > 0) counts.set(imageId, next);
  else counts.delete(imageId);
}
