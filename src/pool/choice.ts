import type { Instance } from "./instance.ts";

/** From so many instances on, two that are drawn stand for all. */
const MANY = 9;

/**
 * Chooses the instance for a request: the one with the fewest requests, the first of equals, so that the others may fall
 * idle. Of many it is the better one of two that are drawn: nearly as good, at no more cost however many there are, and
 * requests at the same moment do not all go to one (Michael Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", IEEE Transactions on Parallel and Distributed Systems 12(10), 2001).
 *
 * @param limit How many requests an instance takes.
 * @param random From 0 to below 1, evenly.
 * @returns `undefined` where none has room.
 */
export function choose(ready: readonly Instance[], limit: number, random: () => number): Instance | undefined {
  if (ready.length >= MANY) {
    const first = Math.floor(random() * ready.length);
    const other = Math.floor(random() * (ready.length - 1));
    const [a, b] = [ready[first]!, ready[other < first ? other : other + 1]!];
    const better = b.inFlight < a.inFlight ? b : a;
    if (better.inFlight < limit) return better;
  }
  let best: Instance | undefined;
  for (const instance of ready) {
    if (best === undefined || instance.inFlight < best.inFlight) best = instance;
  }
  return best !== undefined && best.inFlight < limit ? best : undefined;
}
