import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { EngineAway } from "./launcher.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

/**
 * Does something that needs the engine, and does it again where the engine is away, until it answers.
 *
 * @param signal Ends the patience: then the last error stands.
 * @param away Is told each time that it was away.
 */
export async function whenEngineAnswers<T>(
  attempt: (again: boolean) => Promise<T>,
  { clock, signal, away }: { clock: Clock; signal: AbortSignal; away?: (error: EngineAway) => void },
): Promise<T> {
  for (let wait = FIRST_PAUSE_MS, again = false;; wait = Math.min(LONGEST_PAUSE_MS, wait * 2), again = true) {
    try {
      return await attempt(again);
    } catch (error) {
      if (!(error instanceof EngineAway) || signal.aborted) throw error;
      away?.(error);
      await delay(clock, wait, signal);
      if (signal.aborted) throw error;
    }
  }
}
