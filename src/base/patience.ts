import { atMost, type Clock } from "./clock.ts";

/**
 * Resolves when a piece of work is done, whatever came of it, or when nothing of it has been done for some time.
 *
 * @param left How much there is still to do.
 * @param ms How long the work may stand still.
 */
export async function whileItMoves(
  work: Promise<unknown>,
  left: () => number,
  clock: Clock,
  ms: number,
): Promise<void> {
  let done = false;
  const note = () => void (done = true);
  work.then(note, note);
  for (let before = Infinity; !done && left() < before;) {
    before = left();
    await atMost(work, clock, ms);
  }
}
