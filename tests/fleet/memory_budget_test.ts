import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { InstanceState } from "../../src/model/instance_state.ts";
import { MemoryBudget, overBudget, type Resident } from "../../src/fleet/memory_budget.ts";
import { type Kit, newKit, newRevision, started } from "../support/kit.ts";

const resident = (id: string, idleSince: number, state: InstanceState = "paused", inFlight = 0): Resident => ({
  id,
  idleSince,
  state,
  inFlight,
});

/** The ids of those that have to go. */
function chosen(residents: readonly Resident[], used: Record<string, number>, budget: number): string[] {
  return overBudget(residents, new Map(Object.entries(used)), budget).map(({ id }) => id);
}

Deno.test("within the budget no instance is chosen", () => {
  const paused = [resident("one", 1), resident("two", 2)];
  assertEquals(chosen(paused, { one: 5, two: 5 }, 10), []);
  assertEquals(chosen([], {}, 0), []);
});

Deno.test("beyond the budget, the longest idle paused instances are chosen, and no more than needed", () => {
  const paused = [resident("new", 3), resident("old", 1), resident("middle", 2)];
  assertEquals(chosen(paused, { new: 5, old: 5, middle: 5 }, 14), ["old"]);
  assertEquals(chosen(paused, { new: 5, old: 5, middle: 5 }, 6), ["old", "middle"]);
  assertEquals(chosen(paused, { new: 5, old: 5, middle: 5 }, 0), ["old", "middle", "new"]);
});

Deno.test("running instances and those in use count, and stay", () => {
  const residents = [
    resident("ready", 1, "ready"),
    resident("used", 2, "paused", 1),
    resident("starting", 3, "starting"),
  ];
  assertEquals(chosen(residents, { ready: 50, used: 50, starting: 50, stranger: 50 }, 10), []);
  assertEquals(chosen([...residents, resident("old", 4)], { ready: 50, old: 1 }, 10), ["old"]);
});

Deno.test("an instance whose end would free nothing stays", () => {
  assertEquals(chosen([resident("empty", 1), resident("unknown", 2), resident("full", 3)], { empty: 0, full: 9 }, 5), [
    "full",
  ]);
});

Deno.test("after any choice the rest is within the budget, or no instance is left to choose", () => {
  const anyone = fc.record({
    state: fc.constantFrom<InstanceState>("starting", "ready", "paused", "draining"),
    inFlight: fc.nat(2),
    idleSince: fc.nat(1000),
    bytes: fc.nat(100),
  });
  fc.assert(fc.property(fc.array(anyone), fc.nat(1000), (all, budget) => {
    const residents = all.map((one, n) => ({ ...one, id: `${n}` }));
    const used = new Map(residents.map(({ id, bytes }) => [id, bytes]));
    const gone = overBudget(residents, used, budget);
    assert(gone.every(({ state, inFlight }) => state === "paused" && inFlight === 0));
    const left = residents.filter((one) => !gone.includes(one));
    const sum = (those: typeof residents) => those.reduce((bytes, one) => bytes + one.bytes, 0);
    const free = left.filter(({ state, inFlight, bytes }) => state === "paused" && inFlight === 0 && bytes > 0);
    assert(sum(left) <= budget || free.length === 0);
    const last = gone.at(-1);
    if (last === undefined) return;
    assert(sum([...left, last]) > budget, "one too many");
    assert(free.every(({ idleSince }) => idleSince >= last.idleSince), "not the oldest");
  }));
});

/** Instances of services of their own, in the order in which they were used last, and their budget. */
async function paused(kit: Kit, budget: number, names: readonly string[]) {
  const { clock, fleet, launcher } = kit;
  for (const [n, name] of names.entries()) {
    const pool = kit.newPool(newRevision(`sha256:${n}`, name));
    (await started(kit, pool, `http://10.0.0.${n}:80`)).lease.release();
    await clock.advance(10);
  }
  for (const { id } of fleet.instances()) await launcher.pause(id);
  return new MemoryBudget(launcher, fleet, clock, budget);
}

Deno.test("when memory is short, paused instances are stopped before their time", async () => {
  const kit = newKit();
  const memory = await paused(kit, 10, ["a", "b", "c"]);
  let asked = 0;
  kit.launcher.memory = () => {
    asked++;
    return Promise.resolve(new Map([...kit.launcher.containers.keys()].map((id) => [id, 4])));
  };
  memory.start();
  await kit.clock.advance(500);
  assertEquals([kit.launcher.called("remove"), asked], [["one"], 1]);
  assertEquals(kit.fleet.instances().map(({ id }) => id), ["two", "three"]);
  await kit.clock.advance(2000);
  assertEquals(asked, 2); // whether that was enough
  await kit.clock.advance(4500);
  assertEquals(asked, 2); // the engine is not asked at each tick
  await kit.clock.advance(1000);
  assertEquals([kit.launcher.called("remove"), asked], [["one"], 3]);
  const { timers } = kit.clock;
  memory.stop();
  assertEquals(kit.clock.timers, timers - 1);
});

Deno.test("while less than half of the budget is used, memory is measured less often", async () => {
  const kit = newKit();
  const memory = await paused(kit, 9, ["a"]);
  let asked = 0;
  kit.launcher.memory = () => Promise.resolve(new Map([["one", asked++ === 0 ? 4 : 5]]));
  memory.start();
  await kit.clock.advance(30_000);
  assertEquals(asked, 1);
  await kit.clock.advance(1000);
  assertEquals(asked, 2);
  await kit.clock.advance(6000);
  assertEquals(asked, 3);
  memory.stop();
});

Deno.test("memory is measured again soon after instances were resumed or started, once for all of them", async () => {
  const kit = newKit();
  const memory = await paused(kit, 100, ["a", "b", "c"]);
  const asked: number[] = [];
  kit.launcher.memory = () => {
    asked.push(kit.clock.now());
    return Promise.resolve(new Map([["one", 1], ["two", asked.length > 1 ? 200 : 1]]));
  };
  memory.start();
  await kit.clock.advance(10_000);
  const calm = asked.length;
  const resumed = kit.clock.now();
  const leases = await Promise.all(
    kit.fleet.paused().slice(1).map(async ({ pool }) => (await pool.hold(new AbortController().signal)).lease),
  );
  await kit.clock.advance(500);
  await started(kit, kit.newPool(newRevision("sha256:4", "d")), "http://10.0.0.4:80");
  await kit.clock.advance(1500);
  assertEquals([asked.length, asked.at(-1)! - resumed], [calm + 1, 2000]);
  assertEquals(kit.launcher.called("remove"), ["one"]); // two and three are in use
  for (const lease of leases) lease.release();
  memory.stop();
});

Deno.test("while nothing is paused, and without a budget, memory is not measured", async () => {
  for (const [budget, isPaused] of [[Infinity, true], [1, false]] as const) {
    const kit = newKit();
    const memory = await paused(kit, budget, ["a"]);
    if (!isPaused) await kit.launcher.resume("one");
    kit.launcher.memory = () => Promise.reject(new Error("was asked"));
    memory.start();
    await kit.clock.advance(20_000);
    assertEquals(kit.launcher.called("remove"), []);
    memory.stop();
  }
});

Deno.test("a failed measurement is repeated later, and only one runs at a time", async () => {
  const kit = newKit();
  const memory = await paused(kit, 1, ["a"]);
  const answers = [Promise.withResolvers<Map<string, number>>(), Promise.withResolvers<Map<string, number>>()];
  let asked = 0;
  kit.launcher.memory = () => answers[asked++]!.promise;
  memory.start();
  await kit.clock.advance(30_000);
  assertEquals(asked, 1);
  answers[0]!.reject(new Error("busy"));
  await kit.clock.advance(5500);
  assertEquals(asked, 2);
  answers[1]!.resolve(new Map([["one", 2]]));
  await kit.clock.advance(1);
  assertEquals(kit.launcher.called("remove"), ["one"]);
  memory.stop();
});

Deno.test("an instance that is being resumed for a request stays", async () => {
  const kit = newKit();
  const memory = await paused(kit, 1, ["a"]);
  const { pool } = kit.fleet.paused()[0]!;
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  kit.launcher.used = new Map([["one", 2]]);
  const held = pool.hold(new AbortController().signal);
  memory.start();
  await kit.clock.advance(1000);
  assertEquals(kit.launcher.called("remove"), []);
  resumed.resolve();
  assertEquals((await held).how, "resume");
  memory.stop();
});

Deno.test("an instance that could not be stopped counts again", async () => {
  const kit = newKit();
  const memory = await paused(kit, 10, ["a", "b"]);
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  kit.launcher.used = new Map([["one", 6], ["two", 6]]);
  const held = kit.fleet.paused()[0]!.pool.hold(new AbortController().signal);
  memory.start();
  await kit.clock.advance(1000); // it is chosen, and stays for the request
  resumed.resolve();
  assertEquals((await held).lease.instance.id, "one");
  await kit.clock.advance(10_000);
  assertEquals(kit.launcher.called("remove"), ["two"]);
  memory.stop();
});

Deno.test("while the removal of an instance takes long, no other one is stopped in its place", async () => {
  const kit = newKit();
  const memory = await paused(kit, 10, ["a", "b", "c"]);
  const removed = Promise.withResolvers<void>();
  kit.launcher.on.remove = () => removed.promise;
  kit.launcher.memory = () => Promise.resolve(new Map([...kit.launcher.containers.keys()].map((id) => [id, 4])));
  memory.start();
  await kit.clock.advance(10_000);
  assertEquals(kit.launcher.called("remove"), ["one"]);
  removed.resolve();
  await kit.clock.advance(10_000);
  assertEquals(kit.launcher.called("remove"), ["one"]);
  memory.stop();
});

Deno.test("an instance that ended during the measurement does not count", async () => {
  const kit = newKit();
  const memory = await paused(kit, 10, ["a", "b", "c"]);
  const removed = Promise.withResolvers<void>();
  kit.launcher.on.remove = () => removed.promise;
  const measured = Promise.withResolvers<void>();
  let asked = 0;
  kit.launcher.memory = async () => {
    const used = new Map([...kit.launcher.containers.keys()].map((id) => [id, 4]));
    if (++asked > 1) await measured.promise;
    return used;
  };
  memory.start();
  await kit.clock.advance(10_000);
  assertEquals([kit.launcher.called("remove"), asked], [["one"], 2]);
  removed.resolve();
  await kit.clock.advance(1);
  assertEquals(kit.fleet.instances().map(({ id }) => id), ["two", "three"]);
  measured.resolve(); // with the memory of the one that has gone meanwhile: 12 bytes, of which 8 are still there
  await kit.clock.advance(500);
  assertEquals(kit.launcher.called("remove"), ["one"]);
  memory.stop();
});
