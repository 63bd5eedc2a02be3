import { delay } from "../../src/base/async.ts";
import type { Clock } from "../../src/base/clock.ts";
import { EngineAway } from "../../src/pool/launcher.ts";

/** How an engine takes the next orders. */
export interface Mood {
  /** How long an order takes, ms. */
  readonly delay: number;
  /** What comes of it: also an order that was carried out may be reported as failed. */
  readonly outcome: "done" | "refused" | "done but reported as failed" | "away";
  /** How much longer a pause takes, ms. */
  readonly hang?: number;
  /** How much longer it takes to move memory to disk, ms. */
  readonly reclaim?: number;
}

/** That of an engine that does at once what it is told. */
export const GOOD: Mood = { delay: 0, outcome: "done" };

/** Takes an order in some mood. @param act What it does before it says that it has not. */
export async function obey({ delay: ms, outcome }: Mood, clock: Clock, act: () => void): Promise<void> {
  if (ms > 0) await delay(clock, ms);
  if (outcome === "away") throw new EngineAway("the engine is away");
  if (outcome === "refused") throw new Error("the engine refuses");
  if (outcome === "done") return;
  act();
  throw new Error("the engine has done it, and says that it has not");
}
