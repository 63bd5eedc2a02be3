import { assertEquals } from "@std/assert";
import { Supervision } from "../../src/control/supervision.ts";
import { type Role, ROLES } from "../../src/control/take_over.ts";
import { newKit } from "../support/kit.ts";

const HOUR_MS = 3_600_000;

function newRig() {
  const { clock, fleet } = newKit();
  const steps: string[] = [];
  const step = (name: string) => () => void steps.push(name);
  const role: { now: Role } = { now: ROLES.owner };
  const adoption = { known: true };
  const activator = { draining: false, holding: () => new Set<never>() };
  const supervision = new Supervision({
    ...{ activator, adoption, clock, fleet, role },
    services: { kept: () => [] },
    memory: { start: step("memory"), stop: step("memory stops") },
    figures: { start: step("figures"), stop: step("figures stop") },
    reconciler: {
      start: step("reconciler"),
      stop: step("reconciler stops"),
      reconcile: () => {
        steps.push("reconcile");
        return Promise.resolve(true);
      },
    },
    engine: { listening: true },
    deployer: { tidy: () => Promise.resolve(step("tidy")()) },
  });
  return { activator, adoption, clock, role, steps, supervision };
}

Deno.test("the owner of the containers supervises them from when they are known, once, until it is told to stop", async () => {
  const { clock, steps, supervision } = newRig();
  supervision.start();
  supervision.start();
  assertEquals(steps.splice(0), ["memory", "figures", "reconciler", "reconcile"]);
  await clock.advance(2 * HOUR_MS);
  assertEquals(steps.splice(0), ["tidy", "tidy"]);
  supervision.stop();
  assertEquals([steps.splice(0), clock.timers], [["reconciler stops", "memory stops", "figures stop"], 0]);
  supervision.start();
  assertEquals(steps, ["memory", "figures", "reconciler", "reconcile"]);
  supervision.stop();
});

Deno.test("nothing is supervised while the containers are unknown, or the program ends", () => {
  const { activator, adoption, clock, steps, supervision } = newRig();
  adoption.known = false;
  supervision.start();
  adoption.known = true;
  activator.draining = true;
  supervision.start();
  assertEquals([steps, clock.timers], [[], 0]);
});

Deno.test("a process whose adoption ends during a take-over does not supervise containers that it no longer owns", () => {
  const { clock, role, steps, supervision } = newRig();
  for (const name of ["sealing", "sealed", "unsealing", "superseded", "successor"] as const) {
    role.now = ROLES[name];
    supervision.start();
  }
  assertEquals([steps, clock.timers], [[], 0]);
  role.now = ROLES.owner;
  supervision.start();
  assertEquals(steps, ["memory", "figures", "reconciler", "reconcile"]);
  supervision.stop();
});
