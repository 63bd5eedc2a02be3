import type { Revision } from "../model/revision.ts";
import { createArgs, environmentOf, type Placement } from "./run_args.ts";

/** The containers that were made and not started, and what each was made from. */
export class CreatedContainers {
  readonly #made = new Map<string, { readonly placement: Placement; readonly text: string }>();

  /** Notes one that was made. */
  add(revision: Revision, placement: Placement): void {
    this.#made.set(placement.id, { placement, text: textOf(revision, placement) });
  }

  /**
   * Takes one out: from now on it is none of these.
   *
   * @returns Where it is, and whether starting it is the same as making one from this revision, with the variables that
   * it has now; `undefined` where there is none.
   */
  take(id: string, revision: Revision): { readonly placement: Placement; readonly fits: boolean } | undefined {
    const made = this.#made.get(id);
    if (made === undefined) return undefined;
    this.#made.delete(id);
    return { placement: made.placement, fits: made.text === textOf(revision, made.placement) };
  }

  /** Notes that one is gone. */
  delete(id: string): void {
    this.#made.delete(id);
  }
}

/** The same for two containers exactly where the engine would be told the same. */
function textOf(revision: Revision, placement: Placement): string {
  return JSON.stringify([createArgs(revision, placement), environmentOf(revision)]);
}
