import { assertEquals } from "@std/assert";
import { gapBucketOf, gapEndOf, IdleGaps } from "../../../src/control/figures/idle_gaps.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { never, newKit, newRevision } from "../../support/kit.ts";

const DAY_MS = 86_400_000;

/** Counts gaps. Wall-clock time begins in the middle of day 20000. */
function newCounted() {
  const clock = new FakeClock();
  const wall = { offset: 20_000 * DAY_MS + DAY_MS / 2 - clock.now() };
  const gaps = new IdleGaps({ clock, now: () => clock.now() + wall.offset });
  const lengths = () => gaps.pending.gaps.map(({ day, bucket, count, seconds }) => [day, bucket, count, seconds]);
  return { clock, gaps, lengths, wall };
}

Deno.test("a gap lasts from the end of the last request of a service until the next one comes", async () => {
  const { clock, gaps, lengths } = newCounted();
  const app = gaps.of("app");
  app.came(); // since when there was none before is not known
  app.came();
  app.left(clock.now());
  await clock.advance(5000);
  app.left(clock.now());
  await clock.advance(60_000);
  app.came();
  assertEquals(lengths(), [[20_000, 24, 1, 60]]);
  app.left(clock.now());
  await clock.advance(62_000);
  app.came();
  assertEquals(lengths(), [[20_000, 24, 2, 122]]);
  gaps.clean();
  assertEquals(gaps.pending, { gaps: [], idle: [] });
});

Deno.test("short gaps are not counted, and a gap belongs to the day on which it ends", async () => {
  const { clock, gaps, lengths } = newCounted();
  const app = gaps.of("app");
  for (const ms of [999, 1000, DAY_MS, 365 * DAY_MS]) {
    app.came();
    app.left(clock.now());
    await clock.advance(ms);
  }
  app.came();
  assertEquals(lengths(), [[20_000, 0, 1, 1], [20_001, 66, 1, 86_400], [20_366, 92, 1, 31_536_000]]);
  for (const [ms, bucket] of [[1000, 0], [1001, 1], [60_000, 24], [95 * DAY_MS, 92], [900 * DAY_MS, 92]] as const) {
    assertEquals(gapBucketOf(ms), bucket);
    if (bucket < 92) assertEquals([gapEndOf(bucket) >= ms / 1000, gapEndOf(bucket - 1) < ms / 1000], [true, true]);
  }
});

Deno.test("what is new is told until it is stored, and nothing is told while nothing happens", async () => {
  const { clock, gaps } = newCounted();
  const app = gaps.of("app");
  gaps.of("other"); // has had no request
  assertEquals(gaps.pending.idle, []);
  app.came();
  const since = 20_000 * DAY_MS + DAY_MS / 2;
  assertEquals(gaps.pending.idle, [{ service: "app", since, idleSince: undefined }]);
  await clock.advance(500);
  app.left(clock.now());
  assertEquals(gaps.pending.idle, [{ service: "app", since, idleSince: since + 500 }]);
  gaps.clean();
  await clock.advance(60_000);
  assertEquals(gaps.pending, { gaps: [], idle: [] });
  assertEquals(gaps.idle("app"), { since, idleMs: 60_000 });
  assertEquals(gaps.idle("none"), undefined);
});

Deno.test("a gap goes on across a restart, unless a request was in flight or the clock was set back", async () => {
  const { clock, gaps, lengths, wall } = newCounted();
  const now = clock.now() + wall.offset;
  gaps.load([
    { service: "idle", since: now - DAY_MS, idleSince: now - 90_000 },
    { service: "busy", since: now - DAY_MS, idleSince: undefined },
    { service: "later", since: now - DAY_MS, idleSince: now + 1 },
  ]);
  await clock.advance(30_000);
  for (const service of ["idle", "busy", "later"]) gaps.of(service).came();
  assertEquals(lengths(), [[20_000, 28, 1, 120]]);
  assertEquals(gaps.idle("busy"), { since: now - DAY_MS, idleMs: 0 });
});

Deno.test("what is stored is taken up by a service whose pool was made before, unless a request has come", async () => {
  const { clock, gaps, lengths, wall } = newCounted();
  const now = clock.now() + wall.offset;
  const [early, late] = [gaps.of("early"), gaps.of("late")];
  early.came();
  early.left(clock.now());
  gaps.load(["early", "late"].map((service) => ({ service, since: now - DAY_MS, idleSince: now - 30_000 })));
  await clock.advance(30_000);
  early.came();
  late.came();
  assertEquals(lengths(), [[20_000, 20, 1, 30], [20_000, 24, 1, 60]]);
  assertEquals(gaps.idle("early")?.since, now - DAY_MS);
});

Deno.test("of a deleted service nothing is kept, also not of its last requests", async () => {
  const { clock, gaps } = newCounted();
  const app = gaps.of("app");
  app.came();
  app.left(clock.now());
  await clock.advance(5000);
  app.came();
  gaps.forget("app");
  app.left(clock.now());
  await clock.advance(5000);
  app.came();
  assertEquals(gaps.pending, { gaps: [], idle: [] });
  assertEquals(gaps.idle("app"), undefined);
});

Deno.test("while nothing can be stored, only the last counts are retained", async () => {
  const { clock, gaps } = newCounted();
  for (let n = 0; n < 10_100; n++) {
    const visits = gaps.of(`app-${n}`);
    visits.came();
    visits.left(clock.now());
  }
  await clock.advance(1000);
  for (let n = 0; n < 10_100; n++) gaps.of(`app-${n}`).came();
  const { gaps: counts } = gaps.pending;
  assertEquals([counts.length, counts[0]?.service], [10_000, "app-100"]);
});

/** A pool whose gaps are counted. */
function newPool(revision: Partial<ReturnType<typeof newRevision>> = {}) {
  const kit = newKit();
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const gaps = new IdleGaps({ clock: kit.clock, now: () => kit.clock.now() });
  const pool = kit.newPool({ ...newRevision(), ...revision }, gaps.of("app"));
  return { kit, gaps, pool, seconds: () => gaps.pending.gaps.map(({ seconds }) => seconds) };
}

Deno.test("a gap ends when a request comes, and not when the instance that it waits for is ready", async () => {
  const { kit, pool, seconds } = newPool({ stopAfterMs: 10_000 });
  (await pool.hold(never())).lease.release();
  await kit.clock.advance(20_000);
  delete kit.launcher.on.launch;
  const held = pool.hold(never());
  const launch = await kit.launcher.nextLaunch();
  await kit.clock.advance(3000);
  launch.succeed("http://10.0.0.2");
  const { lease } = await held;
  await kit.clock.advance(4000);
  lease.release();
  assertEquals(seconds(), [20]);
  await kit.clock.advance(5000);
  pool.claim()!.release();
  assertEquals(seconds(), [20, 5]);
});

Deno.test("a request that waits in vain ends a gap, and the next one begins", async () => {
  const { kit, pool, seconds } = newPool({ stopAfterMs: 10_000 });
  (await pool.hold(never())).lease.release();
  await kit.clock.advance(20_000);
  kit.launcher.on.launch = () => Promise.reject(new Error("no"));
  await pool.hold(never()).catch(() => {});
  await kit.clock.advance(7000);
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  (await pool.hold(never())).lease.release();
  assertEquals(seconds(), [20, 7]);
});

Deno.test("robots that keep nothing awake, operators and deploys end no gap", async () => {
  const { kit, pool, seconds } = newPool({ pauseAfterMs: 15_000 });
  await pool.tryStart(never()); // by a deploy
  (await pool.hold(never())).lease.release();
  await kit.clock.advance(5000);
  pool.claim(true)!.release();
  await kit.clock.advance(5000);
  assertEquals(pool.touch(), true);
  await kit.clock.advance(20_000);
  assertEquals(pool.touch(), false); // it is paused
  await pool.tryStart(never(), () => ({ kind: "operator", name: "ci" }));
  await kit.clock.advance(5000);
  pool.claim()!.release();
  assertEquals(seconds(), [35]);
});

Deno.test("a session of an operator ends no gap, and a request that ends during one begins a gap", async () => {
  const { kit, pool, seconds } = newPool();
  const { lease } = await pool.hold(never());
  const session = await pool.enter(never(), { kind: "operator", name: "ci" });
  await kit.clock.advance(5000);
  lease.release();
  await kit.clock.advance(3000);
  session.release();
  await kit.clock.advance(4000);
  pool.claim()!.release();
  assertEquals(seconds(), [7]);
});
