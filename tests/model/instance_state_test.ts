import { assertEquals } from "@std/assert";
import { type InstanceState, mayBecome } from "../../src/model/instance_state.ts";

const STATES: readonly InstanceState[] = ["starting", "ready", "paused", "hibernated", "draining", "stopped", "failed"];

/** The states that an instance may change to, by its state; `1` is yes, in the order of {@linkcode STATES}. */
const TABLE: Record<InstanceState, string> = {
  starting: "0 1 1 0 0 1 1",
  ready: "0 0 1 0 1 1 0",
  paused: "0 1 0 1 1 1 0",
  hibernated: "0 1 1 0 1 1 0",
  draining: "0 0 0 0 0 1 0",
  stopped: "0 0 0 0 0 0 0",
  failed: "0 0 0 0 0 0 0",
};

Deno.test("an instance may change between these states and no others", () => {
  for (const from of STATES) {
    assertEquals(STATES.map((to) => mayBecome(from, to) ? 1 : 0).join(" "), TABLE[from], from);
  }
});
