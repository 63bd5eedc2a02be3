import { assert, assertEquals } from "@std/assert";
import { gapBucketOf, IdleGaps } from "../../../src/control/figures/idle_gaps.ts";
import { type Gaps, type IdleSettings, shortestStopMs, whatIf } from "../../../src/control/figures/what_if.ts";
import { never, newKit, newRevision } from "../../support/kit.ts";
import { Random } from "../../support/random.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const BYTES = { awakeBytes: 100, pausedBytes: 40, hibernatedBytes: 3 };
const SETTINGS: IdleSettings = {
  minInstances: 0,
  pauseAfterMs: MINUTE_MS,
  hibernateAfterMs: 5 * MINUTE_MS,
  stopAfterMs: 10 * MINUTE_MS,
  stopHibernatedAfterMs: 24 * HOUR_MS,
};

function assertNear(actual: number, expected: number, tolerance: number): void {
  assert(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}, within ${tolerance}`);
}

/** One gap of a length. */
function gapOf(seconds: number): Gaps {
  return { bucket: gapBucketOf(1000 * seconds), count: 1, seconds };
}

/**
 * Lets a real pool get a request after each of these gaps, and counts its wakes and how long its instances were in each
 * state. Also counts the gaps as cless does.
 */
async function live(settings: IdleSettings, gapsMs: readonly number[], canHibernate: boolean) {
  const woken = { cold: 0, resume: 0, hibernated: 0 };
  const spent: Record<string, number> = { ready: 0, paused: 0, hibernated: 0 };
  let [state, sinceMs] = ["none", 0];
  const kit = newKit({
    observer: {
      woken: (_, how) => void woken[how]++,
      changed(instance) {
        spent[state] = (spent[state] ?? 0) + kit.clock.now() - sinceMs;
        [state, sinceMs] = [instance.state, kit.clock.now()];
      },
    },
  });
  const { clock, launcher } = kit;
  launcher.canHibernate = canHibernate;
  launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const counted = new IdleGaps({ clock, now: () => clock.now() });
  const pool = kit.newPool({ ...newRevision(), ...settings }, counted.of("app"));
  const request = async () => {
    const lease = pool.claim() ?? (await pool.hold(never())).lease;
    lease.answered(200);
    await clock.advance(200);
    lease.release();
  };
  await request();
  const before = { ...woken };
  const beganMs = clock.now();
  [state, sinceMs] = ["ready", beganMs];
  for (const key of Object.keys(spent)) spent[key] = 0;
  for (const gapMs of gapsMs) {
    await clock.advance(gapMs);
    await request();
  }
  spent[state]! += clock.now() - sinceMs;
  const bytes = spent["ready"]! * BYTES.awakeBytes + spent["paused"]! * BYTES.pausedBytes +
    spent["hibernated"]! * BYTES.hibernatedBytes;
  const seconds = (clock.now() - beganMs) / 1000;
  return {
    coldStarts: woken.cold - before.cold,
    resume: woken.resume,
    hibernated: woken.hibernated,
    gbHours: bytes / (clock.now() - beganMs) * 24 / 1e9,
    seconds,
    counted: counted.pending.gaps,
  };
}

/** Gaps of every length from a second to two days, the short ones as often as the long ones. */
function randomGaps(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => Math.round(1000 * 2 ** (random.below(17_400) / 1000)));
}

const CASES: readonly (readonly [name: string, settings: Partial<IdleSettings>])[] = [
  ["the defaults", {}],
  ["a stop that counts for hibernated instances too", { stopAfterMs: HOUR_MS, stopHibernatedAfterMs: HOUR_MS }],
  ["short times", {
    ...{ pauseAfterMs: 2000, hibernateAfterMs: 7000 },
    ...{ stopAfterMs: 20_000, stopHibernatedAfterMs: 20_000 },
  }],
  ["a hibernation as early as the pause", { hibernateAfterMs: 1000 }],
  ["no pause", { pauseAfterMs: Infinity }],
  ["no hibernation", { hibernateAfterMs: Infinity }],
  ["a stop before the pause", { pauseAfterMs: HOUR_MS }],
  ["a stop between pause and hibernation", { hibernateAfterMs: 10 * MINUTE_MS }],
  ["no stop", { stopAfterMs: Infinity, stopHibernatedAfterMs: Infinity }],
  ["nothing at all", {
    ...{ pauseAfterMs: Infinity, hibernateAfterMs: Infinity },
    ...{ stopAfterMs: Infinity, stopHibernatedAfterMs: Infinity },
  }],
];

for (const [seed, [name, changed]] of CASES.entries()) {
  for (const canHibernate of [true, false]) {
    const machine = canHibernate ? "a machine with swap" : "a machine that cannot hibernate";
    Deno.test(`what would be is what a pool does, with ${name}, on ${machine}`, async () => {
      const settings = { ...SETTINGS, ...changed };
      const gapsMs = randomGaps(new Random(seed), 400);
      const real = await live(settings, gapsMs, canHibernate);
      const options = { bytes: BYTES, canHibernate, perDays: 1 };
      const { seconds } = real;

      const exact = whatIf({ gaps: gapsMs.map((ms) => gapOf(ms / 1000)), seconds, idleS: 0 }, settings, options);
      assertEquals(exact.coldStartsPerDay, real.coldStarts);
      const { resume, hibernated } = exact.wakesPerDay;
      assertNear(resume + hibernated, real.resume + real.hibernated, 1e-6);
      // Which wakes are the first after a start depends on the order of the gaps.
      assertNear(hibernated, real.hibernated, canHibernate ? 12 : 1e-6);
      assertNear(exact.gbHoursPerDay, real.gbHours, real.gbHours * 1e-4);

      assertEquals(real.counted.reduce((sum, { count }) => sum + count, 0), gapsMs.length);
      const near = whatIf({ gaps: byBucket(real.counted), seconds, idleS: 0 }, settings, options);
      assertNear(near.coldStartsPerDay, real.coldStarts, 4);
      assertNear(near.wakesPerDay.resume + near.wakesPerDay.hibernated, resume + hibernated, 4);
      assertNear(near.gbHoursPerDay, real.gbHours, real.gbHours * 0.02);
    });
  }
}

/** The gaps of all days together. */
function byBucket(counted: readonly Gaps[]): Gaps[] {
  const groups = Map.groupBy(counted, ({ bucket }) => bucket);
  return Array.from(groups, ([bucket, all]) => ({
    bucket,
    count: all.reduce((sum, { count }) => sum + count, 0),
    seconds: all.reduce((sum, { seconds }) => sum + seconds, 0),
  }));
}

/** A day with ten gaps of each of these lengths, minutes; the rest of it the service was in use. */
function dayWith(...minutes: readonly number[]) {
  const gaps = minutes.flatMap((length) => Array.from({ length: 10 }, () => gapOf(60 * length)));
  return { gaps, seconds: 86_400, idleS: 0 };
}

const DAY = { bytes: BYTES, canHibernate: false, perDays: 1 };

Deno.test("the memory in times without a request is told apart from that in use, which no settings change", () => {
  const day = dayWith(12, 36);
  const [short, long] = [5 * MINUTE_MS, HOUR_MS].map((stopAfterMs) =>
    whatIf(day, { ...SETTINGS, stopAfterMs, stopHibernatedAfterMs: stopAfterMs }, DAY)
  );
  const inUse = (86_400 - 600 * 48) * BYTES.awakeBytes / 86_400 * 24 / 1e9;
  for (const { gbHoursPerDay, idleGbHoursPerDay } of [short!, long!]) {
    assertNear(gbHoursPerDay - idleGbHoursPerDay, inUse, 1e-12);
  }
  // Of each gap, a minute awake and up to four minutes paused.
  assertNear(short!.idleGbHoursPerDay, 20 * (60 * 100 + 240 * 40) / 86_400 * 24 / 1e9, 1e-12);
  assert(long!.idleGbHoursPerDay > short!.idleGbHoursPerDay);
});

Deno.test("the shortest time to stop after is the first with which there are few enough cold starts", () => {
  const day = dayWith(12, 36);
  const shortest = (most: number, settings = SETTINGS) => shortestStopMs(day, settings, DAY, most);
  assertEquals(shortest(20), 5 * MINUTE_MS);
  assertEquals(shortest(19), 15 * MINUTE_MS);
  assertEquals(shortest(9), 45 * MINUTE_MS);
  assertEquals(shortest(0), 45 * MINUTE_MS);
  assertEquals(shortest(5, { ...SETTINGS, minInstances: 1 }), undefined);
  assertEquals(shortestStopMs({ ...day, gaps: day.gaps.slice(0, 4) }, SETTINGS, DAY, 5), undefined);
});
