import fc from "fast-check";
import type { Revision } from "../../src/model/revision.ts";
import { newRevision } from "./kit.ts";
import { GOOD, type Mood } from "./mood.ts";
import { PoolWorld, type WorldOptions } from "./pool_world.ts";

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

const once = fc.constant(null);
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
  command("ask", once, (world) => world.ask()),
  command("ask quietly", once, (world) => world.ask(true)),
  command("cancel", anyOf, (world, n) => {
    const asked = world.pick("waiting", n);
    if (asked !== undefined) world.end(asked);
  }),
  command("finish", anyOf, (world, n) => {
    const asked = world.pick("served", n);
    if (asked !== undefined) world.end(asked);
  }),
  command("finish all", once, (world) => world.endServed()),
  command("time", fc.integer({ min: 1, max: 200 }), (world, ms) => world.advance(ms)),
  command("time", fc.constantFrom(1_000, 2_000, 5_000, 20_000, 70_000), (world, ms) => world.advance(ms)),
  command("engine", mood, (world, mood) => void (world.mood = mood)),
  command(
    "app",
    fc.constantFrom("well" as const, "well" as const, "deaf" as const, "unwell" as const),
    (world, app) => void (world.app = app),
  ),
  command("computing", fc.boolean(), (world, computing) => void (world.computing = computing)),
  command("hung", fc.tuple(anyOf, fc.constantFrom(3_000, 11_000)), async (world, [n, ms]) => {
    world.app = "deaf";
    world.suspect(n, "silent");
    await world.advance(ms);
    world.app = "well";
  }),
  command(
    "events",
    fc.constantFrom("in order" as const, "late" as const, "doubled" as const, "lost" as const),
    (world, events) => void (world.events = events),
  ),
  command(
    "die",
    fc.tuple(anyOf, fc.constantFrom(0, 1, 137), fc.constantFrom("by itself", "by hand", "unseen")),
    (world, [n, exitCode, how]) => {
      const id = world.pickContainer(n, "running", "paused");
      if (id !== undefined) world.die(id, exitCode, how);
    },
  ),
  // At any moment while a start or a resume comes to its end, also between two microtasks.
  command(
    "interfere",
    fc.tuple(
      fc.nat({ max: 25 }),
      fc.constantFrom("die" as const, "paused" as const, "sleep" as const, "suspend" as const),
    ),
    async (world, [moments, what]) => {
      world.endServed();
      await world.advance(0);
      world.mood = { delay: 0, outcome: "done" };
      world.events = "at once";
      world.ask();
      for (let n = 0; n < moments; n++) await Promise.resolve();
      const id = world.pickContainer(0, "running", "paused");
      if (what === "sleep") world.sleep(100);
      else if (what === "suspend") world.suspend(100);
      else if (id !== undefined && what === "die") world.die(id, 1, "by itself");
      else if (id !== undefined) world.meddle(id, "paused");
      await world.advance(0);
      world.events = "in order";
    },
  ),
  command("meddle", fc.tuple(anyOf, fc.constantFrom("paused" as const, "resumed" as const)), (world, [n, what]) => {
    const id = world.pickContainer(n, "running", "paused");
    if (id !== undefined) world.meddle(id, what);
  }),
  command(
    "suspect",
    fc.tuple(anyOf, fc.constantFrom(...["unreachable", "closed", "late", "silent", "answered"] as const)),
    (world, [n, what]) => world.suspect(n, what),
  ),
  command("reconcile", fc.integer({ min: 0, max: 300 }), (world, ms) => world.reconcile(ms)),
  // What is likely to matter: a pause that is on its way.
  command("idle", fc.record({ delay: fc.integer({ min: 0, max: 300 }), ask: fc.boolean() }), async (world, how) => {
    world.endServed();
    await world.advance(0);
    world.mood = { delay: how.delay, outcome: "done" };
    for (let n = 0; n < 60 && !world.isPausing; n++) await world.advance(25);
    world.reconcile(how.delay / 2);
    await world.advance(how.delay / 2 + 1);
    world.mood = { delay: 0, outcome: "done" };
    if (how.ask) world.ask();
    await world.advance(how.delay);
  }),
  // Memory that is on its way to disk for a while, or there, when somebody comes and goes.
  command(
    "hibernate",
    fc.record({ reclaim: fc.nat({ max: 5_000 }), ask: fc.boolean(), wait: fc.nat({ max: 5_000 }), back: fc.boolean() }),
    async (world, how) => {
      world.endServed();
      await world.advance(0);
      world.mood = { delay: 0, outcome: "done", reclaim: how.reclaim };
      for (let n = 0; n < 100 && !world.isHibernating; n++) await world.advance(200);
      world.mood = GOOD;
      world.reconcile(how.wait / 2);
      if (how.ask) world.ask();
      await world.advance(0);
      world.endServed();
      await world.advance(how.wait);
      if (how.back) world.memoryBack(0);
    },
  ),
  command("swap", fc.boolean(), (world, isThere) => void (world.kit.launcher.canHibernate = isThere)),
  command("press", anyOf, (world, n) => world.press(n)),
  command("memory back", anyOf, (world, n) => world.memoryBack(n)),
  // And one that hangs, while somebody comes.
  command(
    "hang",
    fc.record({ hang: fc.constantFrom(2_000, 20_000, 120_000), asks: fc.nat({ max: 3 }) }),
    async (world, how) => {
      world.endServed();
      await world.advance(0);
      world.mood = { delay: 0, outcome: "done", hang: how.hang };
      for (let n = 0; n < 60 && !world.isPausing; n++) await world.advance(25);
      for (let n = 0; n < how.asks; n++) world.ask();
      await world.advance(1_500);
      world.mood = { delay: 0, outcome: "done" };
    },
  ),
  command("sleep", fc.integer({ min: 0, max: 2_000 }), (world, ms) => world.sleep(ms)),
  command("suspend", fc.integer({ min: 0, max: 2_000 }), (world, ms) => world.suspend(ms)),
  command("unsuspend", once, (world) => world.unsuspend()),
  command("wake", once, (world) => world.pool.wake()),
  command("traffic", fc.boolean(), (world, kept) => void (world.kept = kept)),
  command("evict", once, (world) => {
    for (const { instance } of world.kit.fleet.asleep()) world.pool.evict(instance);
  }),
  // A pool that has retired has little left to say, so that this is to come late, if at all.
  fc.oneof(
    { weight: 9, arbitrary: command("time", fc.constant(100), (world, ms) => world.advance(ms)) },
    {
      weight: 1,
      arbitrary: command("retire", fc.constantFrom(0, 1_000, 50_000), (world, ms) => void world.retire(ms)),
    },
  ),
], { maxCommands: 60 });

const revision: fc.Arbitrary<Partial<Revision>> = fc.record({
  concurrency: fc.nat({ max: 3 }),
  maxInstances: fc.integer({ min: 1, max: 3 }),
  minInstances: fc.nat({ max: 1 }),
  pauseAfterMs: fc.constantFrom(1_000, 5_000, Infinity),
  hibernateAfterMs: fc.constantFrom(0, 3_000, 10_000, Infinity),
  stopAfterMs: fc.constantFrom(4_000, 60_000, Infinity),
  stopHibernatedAfterMs: fc.constantFrom(4_000, 100_000, Infinity),
  volumes: fc.constantFrom([], [], [{ source: "data", path: "/data", readOnly: false }]),
  liveness: fc.constantFrom(undefined, undefined, { path: "/health", every: 2_000 }),
}).map(({ liveness, ...revision }) => liveness === undefined ? revision : { ...revision, liveness });

const options: fc.Arbitrary<WorldOptions> = fc.record({
  found: fc.constantFrom(undefined, undefined, "running", "paused"),
  seed: fc.nat(),
});

/**
 * Drives pools through random histories and checks after each step what must always hold.
 *
 * @param cases How many histories.
 * @param progress Is told of each history that has gone well.
 * @throws {Error} With the shortest history found in which something is wrong.
 */
export async function checkPool(
  { cases, seed, progress }: { cases: number; seed: number; progress?: () => void },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(revision, options, commands, async (revision, options, commands) => {
      const world = new PoolWorld({ ...newRevision(), ...revision }, options);
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
      await world.finish();
      progress?.();
    }),
    { numRuns: cases, seed },
  );
}
