import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { Executor } from "./executor.ts";
import type { Instance } from "./instance.ts";
import { askWithin } from "./probe.ts";

/** How often an app that has answered nothing for a while is asked, and how long each answer may take: 10 s in all. */
const QUESTIONS = 3;
const ANSWER_MS = 3000;
const PAUSE_MS = 500;
/** How many questions may be asked again because their outcome is unsure. */
const MOST_UNSURE = 3;

/**
 * Whether an app hangs: it answers no question and no request, and its container uses no processor time meanwhile. An
 * app that computes is only busy. If the processor time is unknown, the app counts as busy. The outcome means nothing
 * if something has happened to the container meanwhile.
 */
export async function isHung(
  instance: Instance,
  executor: Pick<Executor, "asking" | "processorTime">,
  clock: Clock,
  questions = QUESTIONS,
): Promise<boolean> {
  const { answers, changes, origin, revision: { readinessPath } } = instance;
  const isSame = () => instance.changes === changes && instance.answers === answers;
  const before = await executor.processorTime(instance);
  if (before === undefined) return false;
  for (let asked = 0, unsure = 0; asked < questions;) {
    if (asked + unsure > 0) await delay(clock, PAUSE_MS, instance.gone);
    if (!isSame()) return false;
    const probed = await askWithin(executor.asking.ask, origin + readinessPath, clock, ANSWER_MS);
    if (probed === "silent") asked++;
    else if (probed !== "unsure" || ++unsure > MOST_UNSURE) return false;
  }
  return await executor.processorTime(instance) === before && isSame();
}
