import type { Revision } from "../model/revision.ts";
import type { Instance } from "./instance.ts";

/** What becomes of instances that nobody uses. */
export interface IdleSteps {
  readonly pause: readonly Instance[];
  readonly stop: readonly Instance[];
}

const NOTHING: IdleSteps = { pause: [], stop: [] };

/**
 * Says which instances have been idle for so long that they are to be paused or stopped; the longest idle first. Both times
 * count from the end of the last lease that they are kept awake for. None is paused in the middle of an answer to one of
 * the others, which would hold that up; it is stopped then, in its time.
 *
 * @param least How many instances stay as they are, whatever they do.
 * @param now In the clock's ms.
 */
export function idleSteps(
  instances: Iterable<Instance>,
  { pauseAfter, stopAfter }: Pick<Revision, "pauseAfter" | "stopAfter">,
  { least, now }: { least: number; now: number },
): IdleSteps {
  const all = [...instances];
  // Asked twice a second for every revision with an instance, and most of the time there is nothing to do.
  const soonest = ({ state }: Instance) => state === "ready" ? Math.min(pauseAfter, stopAfter) : stopAfter;
  if (!all.some((one) => isIdle(one) && now - one.idleSince >= soonest(one))) return NOTHING;
  let live = all.filter(({ state }) => state === "starting" || state === "ready" || state === "paused").length;
  let running = all.filter(({ state }) => state === "starting" || state === "ready").length;
  const pause: Instance[] = [];
  const stop: Instance[] = [];
  const idle = all.filter(isIdle)
    .sort((a, b) => a.idleSince - b.idleSince);
  for (const instance of idle) {
    const since = now - instance.idleSince;
    const isReady = instance.state === "ready";
    // Where some must stay, it is rather one that runs.
    const spare = live > least && (!isReady || running > least);
    if (!spare) continue;
    if (since >= stopAfter) {
      stop.push(instance);
      live--;
      if (isReady) running--;
    } else if (isReady && since >= pauseAfter && instance.inFlight === 0) {
      pause.push(instance);
      running--;
    }
  }
  return { pause, stop };
}

/** Whether an instance is one that could be paused or stopped, and that nobody uses. */
function isIdle({ inUse, state }: Instance): boolean {
  return inUse === 0 && (state === "ready" || state === "paused");
}
