import { assertEquals } from "@std/assert";
import { RevisionLimits } from "../../../src/control/revision_limits.ts";
import { LIMITS } from "../../deploy/deployer_kit.ts";
import { NEW_DEFAULTS } from "../../support/kit.ts";
import { good, newAdmin, problemOf } from "../kit.ts";

const IDLE_LIMITS = {
  pauseAfterMs: 60_000,
  hibernateAfterMs: 300_000,
  stopAfterMs: 600_000,
  stopHibernatedAfterMs: 86_400_000,
};
const REVISION_LIMITS = new RevisionLimits({ ...LIMITS, ...IDLE_LIMITS }, NEW_DEFAULTS, new Map());

const BYTES = { awakeBytes: 100e6, pausedBytes: 50e6, hibernatedBytes: 5e6 };
/** Two hours with a gap of ten minutes and one of an hour; the rest was busy. */
const TWO_HOURS = {
  idleness: {
    gaps: [{ bucket: 37, count: 1, seconds: 600 }, { bucket: 48, count: 1, seconds: 3600 }],
    seconds: 7200,
    idleS: 0,
  },
  days: 1 / 12,
  bytes: BYTES,
};

Deno.test("what other settings would have brought is told beside what the present ones have", async () => {
  const { ask, asked, basis, tokens } = await newAdmin({ revisionLimits: REVISION_LIMITS });
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", stopAfter: "30m" } }), 201);
  basis.now = TWO_HOURS;
  const answer = await good(
    ask("GET", "/v1/services/web/what-if?pauseAfter=30s&hibernateAfter=0&stopAfter=5m", { token: tokens.read }),
  );
  const settings = { pauseAfter: "1m", hibernateAfter: "5m", stopAfter: "30m", stopHibernatedAfter: "30m" };
  const { now, then, ...rest } = answer;
  assertEquals(rest, {
    days: 0.0833,
    canHibernate: true,
    minInstances: 0,
    gaps: [{ upToSeconds: 609, count: 1 }, { upToSeconds: 4100, count: 1 }],
    memory: BYTES,
  });
  // The hour would end with a cold start, and the wake after it would be from a hibernation.
  assertEquals({ ...now, gbHoursPerDay: 0, idleGbHoursPerDay: 0 }, {
    ...{ ...settings, coldStartsPerDay: 1, wakesPerDay: { resume: 0, hibernated: 1 } },
    ...{ gbHoursPerDay: 0, idleGbHoursPerDay: 0 },
  });
  // The busy time, and of the gaps 1 minute awake, 4 minutes paused, and 5 and 25 minutes hibernated.
  const byteS = 3000 * 100e6 + 2 * (60 * 100e6 + 240 * 50e6) + 1800 * 5e6;
  assertEquals(now.gbHoursPerDay, Number((byteS / 7200 * 24 / 1e9).toPrecision(3)));
  assertEquals(now.idleGbHoursPerDay, Number(((byteS - 3000 * 100e6) / 7200 * 24 / 1e9).toPrecision(3)));
  assertEquals({ ...then, gbHoursPerDay: 0, idleGbHoursPerDay: 0 }, {
    ...{ pauseAfter: "30s", hibernateAfter: "0", stopAfter: "5m", stopHibernatedAfter: "5m" },
    ...{ coldStartsPerDay: 2, wakesPerDay: { resume: 0, hibernated: 0 }, gbHoursPerDay: 0, idleGbHoursPerDay: 0 },
  });
  const thenByteS = 3000 * 100e6 + 2 * (30 * 100e6 + 270 * 50e6);
  assertEquals(then.gbHoursPerDay, Number((thenByteS / 7200 * 24 / 1e9).toPrecision(3)));
  assertEquals(asked, ["estimate of web from 7 days"]);
});

Deno.test("with a goal, the shortest time to stop after with few enough cold starts is told, if enough is recorded", async () => {
  const { ask, basis } = await newAdmin({ revisionLimits: REVISION_LIMITS });
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", stopAfter: "12h" } }), 201);
  const stopFor = async (count: number, query: string) => {
    const gaps = [{ bucket: 37, count, seconds: 600 * count }, { bucket: 48, count: 1, seconds: 3600 }];
    basis.now = { ...TWO_HOURS, idleness: { gaps, seconds: 86_400, idleS: 0 } };
    const { then } = await good(ask("GET", `/v1/services/web/what-if?${query}`));
    return [then.stopAfter, then.stopHibernatedAfter, then.coldStartsPerDay];
  };
  assertEquals(await stopFor(8, "maxColdStarts=9"), ["5m", "5m", 9]);
  assertEquals(await stopFor(8, "maxColdStarts=2"), ["15m", "15m", 1]);
  assertEquals(await stopFor(3, "maxColdStarts=2"), ["12h", "12h", 0]);
  await problemOf(await ask("GET", "/v1/services/web/what-if?maxColdStarts=2&stopAfter=1h"), 400, "invalid");
  await problemOf(await ask("GET", "/v1/services/web/what-if?maxColdStarts=few"), 400, "invalid");
});

Deno.test("without settings of its own, a service has those of cless serve, and a longer stop once it hibernates", async () => {
  const { ask, asked } = await newAdmin({ revisionLimits: REVISION_LIMITS });
  await good(ask("PUT", "/v1/services/blog", { body: { image: "blog:1" } }), 201);
  const { now, then, ...rest } = await good(ask("GET", "/v1/services/blog/what-if?days=30"));
  assertEquals(rest, {
    ...{ days: 0, canHibernate: true, minInstances: 0, gaps: [] },
    memory: { awakeBytes: 0, pausedBytes: 0, hibernatedBytes: 0 },
  });
  assertEquals(now, then);
  assertEquals(now, {
    ...{ pauseAfter: "1m", hibernateAfter: "5m", stopAfter: "10m", stopHibernatedAfter: "24h" },
    ...{ coldStartsPerDay: 0, wakesPerDay: { resume: 0, hibernated: 0 }, gbHoursPerDay: 0, idleGbHoursPerDay: 0 },
  });
  assertEquals(asked, ["estimate of blog from 30 days"]);
});

Deno.test("a machine that cannot hibernate says so, and a minimum of instances never sleeps", async () => {
  const { ask, basis } = await newAdmin({
    revisionLimits: REVISION_LIMITS,
    engine: { canHibernate: false, answers: () => Promise.resolve(true) },
  });
  basis.now = TWO_HOURS;
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", stopAfter: "2h" } }), 201);
  const paused = await good(ask("GET", "/v1/services/web/what-if"));
  assertEquals([paused.canHibernate, paused.now.wakesPerDay], [false, { resume: 2, hibernated: 0 }]);
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1", minInstances: 2, maxInstances: 2 } }));
  const kept = await good(ask("GET", "/v1/services/web/what-if"));
  assertEquals([kept.minInstances, kept.now.wakesPerDay], [2, { resume: 0, hibernated: 0 }]);
  assertEquals(kept.now.gbHoursPerDay, 4.8);
});

Deno.test("what is not a duration, too many days, or an unknown service is refused", async () => {
  const { ask } = await newAdmin();
  await good(ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  for (const query of ["pauseAfter=soon", "stopAfter=-1s", "hibernateAfter=", "days=0", "days=31"]) {
    await problemOf(await ask("GET", `/v1/services/web/what-if?${query}`), 400, "invalid");
  }
  await problemOf(await ask("GET", "/v1/services/none/what-if"), 404, "not_found");
});
