import { assertEquals } from "@std/assert";
import { VERSION } from "../../src/base/version.ts";
import { peerFindings } from "../../src/cli/doctor_swarm.ts";

function facts(version: string, ageMs: number): string[] {
  return peerFindings("two", { version, ageMs }).map(({ check, fact, state }) => `${state} ${check}: ${fact}`);
}

Deno.test("a peer of the same version whose clock is right is well", () => {
  for (const ageMs of [-2000, 0, 9000, 20_000]) {
    assertEquals(facts(VERSION, ageMs), ["ok peers: the cless on two answers"]);
  }
});

Deno.test("another version of a peer, and a clock that is wrong, are warnings", () => {
  assertEquals(facts("9.9.9", -60_000).slice(1), [
    `warning peers: the cless on two has the version 9.9.9, this one ${VERSION}`,
    "warning clocks: the clock of two is about 60 s ahead of this one's",
  ]);
  assertEquals(facts(VERSION, 3_600_000).slice(1), [
    "warning clocks: the clock of two is about 3600 s behind this one's",
  ]);
});
