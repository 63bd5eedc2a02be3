/** What an instance is doing. */
export type InstanceState = "starting" | "ready" | "paused" | "draining" | "stopped" | "failed";

const NEXT: Record<InstanceState, readonly InstanceState[]> = {
  starting: ["ready", "paused", "failed", "stopped"],
  ready: ["paused", "draining", "stopped"],
  paused: ["ready", "draining", "stopped"],
  draining: ["stopped"],
  stopped: [],
  failed: [],
};

/** Whether an instance may change from one state to another. */
export function mayBecome(from: InstanceState, to: InstanceState): boolean {
  return NEXT[from].includes(to);
}
