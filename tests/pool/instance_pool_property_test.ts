import fc from "fast-check";
import type { Revision } from "../../src/model/revision.ts";
import { newRevision } from "../support/kit.ts";
import type { Mood } from "../support/mood.ts";
import { PoolWorld } from "../support/pool_world.ts";

type Command = fc.AsyncCommand<Record<never, never>, PoolWorld>;

/** Something that happens, with what says how. */
function command<T>(name: string, how: fc.Arbitrary<T>, run: (world: PoolWorld, how: T) => void | Promise<void>) {
  return how.map((value): Command => ({
    check: () => true,
    async run(_, world) {
      await run(world, value);
      await world.advance(0);
    },
    toString: () => `${name} ${JSON.stringify(value)}`,
  }));
}

const anyOf = fc.nat({ max: 20 });
const mood: fc.Arbitrary<Mood> = fc.record({
  delay: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom(3_000, 40_000) },
  ),
  outcome: fc.oneof(
    { weight: 6, arbitrary: fc.constant("done" as const) },
    {
      weight: 3,
      arbitrary: fc.constantFrom("refused" as const, "done but reported as failed" as const, "away" as const),
    },
  ),
});

const commands = fc.commands<Record<never, never>, PoolWorld, false>([
  command("ask", fc.integer({ min: 1, max: 4 }), (world, count) => {
    for (let n = 0; n < count; n++) world.ask();
  }),
  command("ask", fc.constant(1), (world) => world.ask()),
  command("ask quietly", fc.constant(1), (world) => world.ask(true)),
  command("cancel", anyOf, (world, n) => {
    const asked = world.pick("waiting", n);
    if (asked !== undefined) world.end(asked);
  }),
  command("finish", anyOf, (world, n) => {
    const asked = world.pick("served", n);
    if (asked !== undefined) world.end(asked);
  }),
  command("finish all", fc.constant(1), (world) => {
    for (const asked of world.requests) if (asked.state === "served") world.end(asked);
  }),
  command("time", fc.integer({ min: 1, max: 200 }), (world, ms) => world.advance(ms)),
  command("time", fc.constantFrom(1_000, 2_000, 5_000, 20_000, 70_000), (world, ms) => world.advance(ms)),
  command("engine", mood, (world, mood) => void (world.mood = mood)),
  command(
    "die",
    fc.tuple(anyOf, fc.constantFrom(0, 1, 137), fc.constantFrom("by itself", "by hand", "unseen")),
    (world, [n, exitCode, how]) => {
      const id = world.pickContainer(n, "running", "paused");
      if (id !== undefined) world.die(id, exitCode, how);
    },
  ),
  command("meddle", fc.tuple(anyOf, fc.constantFrom("paused" as const, "resumed" as const)), (world, [n, what]) => {
    const id = world.pickContainer(n, "running", "paused");
    if (id !== undefined) world.meddle(id, what);
  }),
  command("reconcile", fc.integer({ min: 0, max: 300 }), (world, ms) => world.reconcile(ms)),
  // What is likely to matter: a pause that is on its way.
  command("idle", fc.record({ delay: fc.integer({ min: 0, max: 300 }), ask: fc.boolean() }), async (world, how) => {
    for (const asked of world.requests) if (asked.state === "served") world.end(asked);
    world.mood = { delay: how.delay, outcome: "done" };
    for (let n = 0; n < 60 && !world.isPausing; n++) await world.advance(25);
    world.reconcile(how.delay / 2);
    await world.advance(how.delay / 2 + 1);
    world.mood = { delay: 0, outcome: "done" };
    if (how.ask) world.ask();
    await world.advance(how.delay);
  }),
  // And one that hangs, while somebody comes.
  command(
    "hang",
    fc.record({ hang: fc.constantFrom(2_000, 20_000, 120_000), asks: fc.nat({ max: 3 }) }),
    async (world, how) => {
      for (const asked of world.requests) if (asked.state === "served") world.end(asked);
      world.mood = { delay: 0, outcome: "done", hang: how.hang };
      for (let n = 0; n < 60 && !world.isPausing; n++) await world.advance(25);
      for (let n = 0; n < how.asks; n++) world.ask();
      await world.advance(1_500);
      world.mood = { delay: 0, outcome: "done" };
    },
  ),
  command("sleep", fc.integer({ min: 0, max: 2_000 }), (world, ms) => void world.pool.sleep(ms)),
  command("suspend", fc.integer({ min: 0, max: 2_000 }), (world, ms) => world.suspend(ms)),
  command("resume", fc.constant(1), (world) => world.resume()),
  command("wake", fc.constant(1), (world) => world.pool.wake()),
  command("traffic", fc.boolean(), (world, kept) => void (world.kept = kept)),
  command("evict", fc.constant(1), (world) => {
    for (const { instance } of world.kit.fleet.paused()) world.pool.evict(instance);
  }),
], { maxCommands: 60 });

const revision: fc.Arbitrary<Partial<Revision>> = fc.record({
  concurrency: fc.nat({ max: 3 }),
  maxInstances: fc.integer({ min: 1, max: 3 }),
  minInstances: fc.nat({ max: 1 }),
  pauseAfter: fc.constantFrom(1_000, 5_000, Infinity),
  stopAfter: fc.constantFrom(4_000, 60_000, Infinity),
});

Deno.test("in whatever order things happen, no request fails, waits for ever or overtakes by the pool's own doing", async () => {
  const { runs, seed } = { runs: 400, seed: 20261125 };
  await fc.assert(
    fc.asyncProperty(revision, commands, async (revision, commands) => {
      const world = new PoolWorld({ ...newRevision(), ...revision });
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
      await world.finish();
    }),
    { numRuns: runs, seed },
  );
});
