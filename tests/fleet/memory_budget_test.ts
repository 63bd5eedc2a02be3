import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type InstanceState, isAsleep } from "../../src/model/instance_state.ts";
import type { Usage } from "../../src/pool/launcher.ts";
import { MemoryBudget, relieve, type Resident, SHIM_BYTES } from "../../src/fleet/memory_budget.ts";
import { type Kit, newKit, newRevision, started } from "../support/kit.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const resident = (id: string, idleSince: number, state: InstanceState = "paused", inFlight = 0): Resident => ({
  id,
  idleSince,
  state,
  inFlight,
});

/** The ids of those that have to go if nothing can hibernate. `used` and `budget` are in GiB. */
function stopped(residents: readonly Resident[], used: Record<string, number>, budget: number): string[] {
  const { hibernate, stop } = relief(residents, used, { memory: budget }, false);
  assertEquals(hibernate, []);
  return stop;
}

/** The ids of those that have to make room. All sizes are in GiB; with a list, its second number is the swap in use. */
function relief(
  residents: readonly Resident[],
  used: Record<string, number | readonly [number, number]>,
  { memory, swap = 100 }: { readonly memory: number; readonly swap?: number },
  canHibernate = true,
): { hibernate: string[]; stop: string[] } {
  const all = new Map(
    Object.entries(used).map(([id, size]) => {
      const [ram, swap] = typeof size === "number" ? [size, 0] : size;
      return [id, { bytes: ram * GIB, swapBytes: swap * GIB }];
    }),
  );
  const { hibernate, stop } = relieve(
    residents,
    all,
    { memoryBytes: (memory + 0.5) * GIB, swapBytes: swap * GIB },
    () => canHibernate,
  );
  return { hibernate: hibernate.map(({ id }) => id), stop: stop.map(({ id }) => id) };
}

Deno.test("within the budget no instance is chosen", () => {
  const paused = [resident("one", 1), resident("two", 2)];
  assertEquals(stopped(paused, { one: 5, two: 5 }, 10), []);
  assertEquals(stopped([], {}, 0), []);
  assertEquals(relief(paused, { one: 5, two: 5 }, { memory: 10 }), { hibernate: [], stop: [] });
});

Deno.test("beyond the budget, the longest idle sleeping instances are stopped, and no more than needed", () => {
  const paused = [resident("new", 3), resident("old", 1), resident("middle", 2, "hibernated")];
  assertEquals(stopped(paused, { new: 5, old: 5, middle: 5 }, 14), ["old"]);
  assertEquals(stopped(paused, { new: 5, old: 5, middle: 5 }, 6), ["old", "middle"]);
  assertEquals(stopped(paused, { new: 5, old: 5, middle: 5 }, 0), ["old", "middle", "new"]);
});

Deno.test("beyond the budget, the longest idle paused instances hibernate, and none is stopped", () => {
  const residents = [resident("new", 3), resident("old", 1), resident("middle", 2), resident("disk", 0, "hibernated")];
  const used = { new: 5, old: 5, middle: 5, disk: [0, 5] } as const;
  assertEquals(relief(residents, used, { memory: 14 }), { hibernate: ["old"], stop: [] });
  assertEquals(relief(residents, used, { memory: 6 }), { hibernate: ["old", "middle"], stop: [] });
});

Deno.test("an instance whose memory does not fit into the swap is stopped, and a smaller one hibernates", () => {
  const residents = [resident("large", 1), resident("small", 2)];
  assertEquals(relief(residents, { large: 9, small: 2 }, { memory: 1, swap: 3 }), {
    hibernate: ["small"],
    stop: ["large"],
  });
});

Deno.test("beyond the budget for swap, the longest hibernated instances are stopped", () => {
  const residents = [resident("old", 1, "hibernated"), resident("paused", 2), resident("new", 3, "hibernated")];
  const used = { old: [0, 4], paused: [1, 0], new: [0, 4] } as const;
  assertEquals(relief(residents, used, { memory: 9, swap: 8 }), { hibernate: [], stop: [] });
  assertEquals(relief(residents, used, { memory: 9, swap: 7 }), { hibernate: [], stop: ["old"] });
  assertEquals(relief(residents, used, { memory: 9, swap: 1 }), { hibernate: [], stop: ["old", "new"] });
});

Deno.test("the engine's process for each container counts", () => {
  const residents = Array.from({ length: 200 }, (_, n) => resident(`${n}`, n, "hibernated"));
  const used = Object.fromEntries(residents.map(({ id }) => [id, [0, 0.001] as const]));
  assertEquals(relief(residents, used, { memory: 1 }).stop.length > 0, false);
  assertEquals(relief(residents, used, { memory: 0 }).stop.length > 0, true);
});

Deno.test("running instances and those in use count, and stay", () => {
  const residents = [
    resident("ready", 1, "ready"),
    resident("used", 2, "paused", 1),
    resident("starting", 3, "starting"),
  ];
  assertEquals(stopped(residents, { ready: 50, used: 50, starting: 50, stranger: 50 }, 10), []);
  assertEquals(relief(residents, { ready: 50, used: 50, starting: 50 }, { memory: 10 }), { hibernate: [], stop: [] });
  assertEquals(stopped([...residents, resident("old", 4)], { ready: 50, old: 1 }, 10), ["old"]);
});

Deno.test("an instance of which nothing is known stays, and an empty one does not hibernate", () => {
  const residents = [resident("empty", 1), resident("unknown", 2), resident("full", 3)];
  assertEquals(relief(residents, { empty: 0, full: 9 }, { memory: 5 }), { hibernate: ["full"], stop: [] });
});

Deno.test("after any choice the rest is within the budgets, or no instance is left to choose", () => {
  const anyone = fc.record({
    state: fc.constantFrom<InstanceState>("starting", "ready", "paused", "hibernated", "draining"),
    inFlight: fc.nat(2),
    idleSince: fc.nat(1000),
    bytes: fc.nat(100).map((mib) => mib * MIB),
    swapBytes: fc.nat(100).map((mib) => mib * MIB),
  });
  const run = (all: Omit<Resident & Usage, "id">[], memory: number, swap: number, canHibernate: boolean) => {
    const residents = all.map((one, n) => ({ ...one, id: `${n}` }));
    const used = new Map(residents.map(({ bytes, id, swapBytes = 0 }) => [id, { bytes, swapBytes }]));
    const limits = { memoryBytes: memory * MIB, swapBytes: swap * MIB };
    const { hibernate, stop } = relieve(residents, used, limits, () => canHibernate);
    assert([...hibernate, ...stop].every(({ state, inFlight }) => isAsleep(state) && inFlight === 0));
    assert(hibernate.every((one) => one.state === "paused" && canHibernate && !stop.includes(one)));
    const left = residents.filter((one) => !stop.includes(one));
    const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
    const ram = sum(left.map((one) => (hibernate.includes(one) ? 0 : one.bytes) + SHIM_BYTES));
    const swapped = sum(left.map((one) => (one.swapBytes ?? 0) + (hibernate.includes(one) ? one.bytes : 0)));
    const free = left.filter((one) => isAsleep(one.state) && one.inFlight === 0 && !hibernate.includes(one));
    assert(ram <= limits.memoryBytes || free.length === 0, "too much memory");
    assert(swapped <= limits.swapBytes || free.every(({ swapBytes }) => swapBytes === 0), "too much swap");
  };
  fc.assert(fc.property(fc.array(anyone), fc.nat(2000), fc.nat(1000), fc.boolean(), run));
});

/** Sizes in GiB as a launcher reports them. */
function gib(sizes: readonly (readonly [id: string, size: number])[]): Map<string, Usage> {
  return new Map(sizes.map(([id, size]) => [id, { bytes: size * GIB }]));
}

/** Instances of services of their own, in the order in which they were used last, and their budget. */
async function paused(kit: Kit, budget: number, names: readonly string[]) {
  const { clock, fleet, launcher } = kit;
  for (const [n, name] of names.entries()) {
    const pool = kit.newPool(newRevision(`sha256:${n}`, name));
    (await started(kit, pool, `http://10.0.0.${n}:80`)).lease.release();
    await clock.advance(10);
  }
  for (const { id } of fleet.instances()) await launcher.pause(id);
  launcher.canHibernate = false;
  return new MemoryBudget(launcher, fleet, clock, (budget + 0.5) * GIB);
}

Deno.test("when memory is short, paused instances are stopped before their time", async () => {
  const kit = newKit();
  const memory = await paused(kit, 10, ["a", "b", "c"]);
  let asked = 0;
  kit.launcher.usage = () => {
    asked++;
    return Promise.resolve(gib([...kit.launcher.containers.keys()].map((id) => [id, 4])));
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
  kit.launcher.usage = () => Promise.resolve(gib([["one", asked++ === 0 ? 4 : 5]]));
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
  kit.launcher.usage = () => {
    asked.push(kit.clock.now());
    return Promise.resolve(gib([["one", 1], ["two", asked.length > 1 ? 200 : 1]]));
  };
  memory.start();
  await kit.clock.advance(10_000);
  const calm = asked.length;
  const resumed = kit.clock.now();
  const leases = await Promise.all(
    kit.fleet.asleep().slice(1).map(async ({ pool }) => (await pool.hold(new AbortController().signal)).lease),
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
    kit.launcher.usage = () => Promise.reject(new Error("was asked"));
    memory.start();
    await kit.clock.advance(20_000);
    assertEquals(kit.launcher.called("remove"), []);
    memory.stop();
  }
});

Deno.test("a failed measurement is repeated later, and only one runs at a time", async () => {
  const kit = newKit();
  const memory = await paused(kit, 1, ["a"]);
  const answers = [
    Promise.withResolvers<ReadonlyMap<string, Usage>>(),
    Promise.withResolvers<ReadonlyMap<string, Usage>>(),
  ];
  let asked = 0;
  kit.launcher.usage = () => answers[asked++]!.promise;
  memory.start();
  await kit.clock.advance(30_000);
  assertEquals(asked, 1);
  answers[0]!.reject(new Error("busy"));
  await kit.clock.advance(5500);
  assertEquals(asked, 2);
  answers[1]!.resolve(gib([["one", 2]]));
  await kit.clock.advance(1);
  assertEquals(kit.launcher.called("remove"), ["one"]);
  memory.stop();
});

Deno.test("an instance that is being resumed for a request stays", async () => {
  const kit = newKit();
  const memory = await paused(kit, 1, ["a"]);
  const { pool } = kit.fleet.asleep()[0]!;
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  kit.launcher.used = gib([["one", 2]]);
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
  kit.launcher.used = gib([["one", 6], ["two", 6]]);
  const held = kit.fleet.asleep()[0]!.pool.hold(new AbortController().signal);
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
  kit.launcher.usage = () => Promise.resolve(gib([...kit.launcher.containers.keys()].map((id) => [id, 4])));
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
  kit.launcher.usage = async () => {
    const used = gib([...kit.launcher.containers.keys()].map((id) => [id, 4]));
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

/** A pool whose instance hibernates after a second; its memory is `GIB`. */
async function hibernated(kit: Kit) {
  const limits = {
    pauseAfterMs: 1000,
    hibernateAfterMs: 1000,
    stopAfterMs: 3_600_000,
    stopHibernatedAfterMs: 3_600_000,
  };
  const pool = kit.newPool({ ...newRevision(), ...limits });
  const { lease } = await started(kit, pool);
  lease.release();
  await kit.clock.advance(1000);
  assertEquals(lease.instance.state, "hibernated");
  return lease.instance;
}

Deno.test("an instance whose memory has come back from the swap is paused again, and hibernates later", async () => {
  const kit = newKit();
  kit.launcher.swapTotalBytes = 100 * GIB;
  const instance = await hibernated(kit);
  const memory = new MemoryBudget(kit.launcher, kit.fleet, kit.clock, 100 * GIB);
  kit.launcher.used = new Map([["one", { bytes: 0, swapBytes: GIB }]]);
  memory.start();
  await kit.clock.advance(2000);
  assertEquals(instance.state, "hibernated");
  kit.launcher.used = new Map([["one", { bytes: GIB, swapBytes: 0 }]]);
  kit.launcher.canHibernate = false; // the swap was taken away
  await kit.clock.advance(60_000);
  assertEquals(instance.state, "paused");
  kit.launcher.canHibernate = true;
  kit.launcher.on.hibernate = () => void (kit.launcher.used = new Map([["one", { bytes: 0, swapBytes: GIB }]]));
  await kit.clock.advance(16_000);
  assertEquals(instance.state, "hibernated");
  memory.stop();
});

Deno.test("while nothing can be moved to swap, no instance is stopped for its swap", async () => {
  const kit = newKit();
  const instance = await hibernated(kit);
  kit.launcher.used = new Map([["one", { bytes: 0, swapBytes: 5 * GIB }]]);
  kit.launcher.swapTotalBytes = 10 * GIB;
  const memory = new MemoryBudget(kit.launcher, kit.fleet, kit.clock, GIB);
  memory.start();
  await kit.clock.advance(2000);
  kit.launcher.canHibernate = false;
  kit.launcher.swapTotalBytes = GIB; // it is being taken away
  await kit.clock.advance(60_000);
  assertEquals(instance.state, "hibernated");
  memory.stop();
});

Deno.test("where the swap is full, the budget for it holds all the same", async () => {
  const kit = newKit();
  const instance = await hibernated(kit);
  kit.launcher.used = new Map([["one", { bytes: 0, swapBytes: 6 * GIB }]]);
  Object.assign(kit.launcher, { swapTotalBytes: 10 * GIB, canHibernate: false });
  const memory = new MemoryBudget(kit.launcher, kit.fleet, kit.clock, GIB);
  memory.start();
  await kit.clock.advance(2000);
  await kit.executor.settled();
  assertEquals(instance.state, "stopped");
  memory.stop();
});

Deno.test("without a figure of its swap, a hibernated instance stays so", async () => {
  const kit = newKit();
  const instance = await hibernated(kit);
  kit.launcher.used = gib([["one", 1]]);
  const memory = new MemoryBudget(kit.launcher, kit.fleet, kit.clock, 100 * GIB);
  memory.start();
  await kit.clock.advance(60_000);
  assertEquals(instance.state, "hibernated");
  memory.stop();
});

Deno.test("a service that never hibernates is stopped where memory is short", async () => {
  const kit = newKit();
  const memory = await paused(kit, 10, ["a", "b"]);
  kit.launcher.canHibernate = true;
  kit.launcher.swapTotalBytes = 100 * GIB;
  kit.launcher.used = gib([["one", 6], ["two", 6]]);
  memory.start();
  await kit.clock.advance(1000);
  assertEquals([kit.launcher.called("hibernate"), kit.launcher.called("remove")], [[], ["one"]]);
  memory.stop();
});

Deno.test("where memory is short, a paused instance hibernates, and is stopped if it cannot", async () => {
  const kit = newKit();
  for (const [n, name] of ["a", "b"].entries()) {
    const limits = { pauseAfterMs: 10, hibernateAfterMs: 3_000_000, stopAfterMs: 3_600_000 };
    const pool = kit.newPool({ ...newRevision(`sha256:${n}`, name), ...limits });
    (await started(kit, pool, `http://10.0.0.${n}:80`)).lease.release();
    await kit.clock.advance(200);
  }
  kit.launcher.swapTotalBytes = 100 * GIB;
  kit.launcher.usage = () => Promise.resolve(gib([...kit.launcher.containers.keys()].map((id) => [id, 6])));
  kit.launcher.on.hibernate = () => Promise.reject(new Error("no"));
  kit.launcher.calls.splice(0);
  const memory = new MemoryBudget(kit.launcher, kit.fleet, kit.clock, 10 * GIB);
  memory.start();
  await kit.clock.advance(1000);
  assertEquals([kit.launcher.called("hibernate"), kit.launcher.called("remove")], [["one"], []]);
  await kit.clock.advance(10_000);
  assertEquals([kit.launcher.called("hibernate"), kit.launcher.called("remove").length], [["one", "two"], 1]);
  memory.stop();
});
