/** What an instance is doing. */
export type InstanceState = "starting" | "ready" | "paused" | "hibernated" | "draining" | "stopped" | "failed";

const NEXT: Record<InstanceState, readonly InstanceState[]> = {
  starting: ["ready", "paused", "failed", "stopped"],
  ready: ["paused", "draining", "stopped"],
  paused: ["ready", "hibernated", "draining", "stopped"],
  hibernated: ["ready", "paused", "draining", "stopped"],
  draining: ["stopped"],
  stopped: [],
  failed: [],
};

/** Whether an instance's processes are frozen. With `hibernated`, its memory is on disk too. */
export function isAsleep(state: InstanceState): state is "paused" | "hibernated" {
  return state === "paused" || state === "hibernated";
}

/** Whether an instance is ending, or has ended. */
export function isEnding(state: InstanceState): boolean {
  return state === "draining" || state === "stopped" || state === "failed";
}

/** Whether an instance may change from one state to another. */
export function mayBecome(from: InstanceState, to: InstanceState): boolean {
  return NEXT[from].includes(to);
}
