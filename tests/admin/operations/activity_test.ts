import { assertEquals } from "@std/assert";
import type { ServiceActivity } from "../../../src/control/figures/activity.ts";
import type { Period } from "../../../src/control/figures/records.ts";
import { type Admin, good, newAdmin, problemOf } from "../kit.ts";

const QUIET: ServiceActivity = {
  ...{ service: "web", state: "asleep", requestsPerSecond: 0, errorsPerSecond: 0, p50Ms: undefined, p99Ms: undefined },
  ...{ inFlight: 0, waiting: 0, instances: {}, memoryBytes: 0, swapBytes: 0, awakeBytes: 0 },
  ...{ wakes: { cold: 0, resume: 0, hibernated: 0 }, perMinute: [0, 0] },
};

Deno.test("a token that may only read sees how busy the services are", async () => {
  const { activity, ask, asked, tokens } = await newAdmin();
  activity.push(QUIET, {
    ...QUIET,
    ...{ service: "shop", state: "failing", failure: "exit code 1", failingSince: 1_700_000_000_000 },
    ...{ requestsPerSecond: 1.5, p50Ms: 3.67, p99Ms: 11, instances: { starting: 1 }, perMinute: [1, 2] },
  });
  const [web, shop] = await good(ask("GET", "/v1/activity?minutes=2", { token: tokens.read }));
  const { p50Ms: _, p99Ms: __, ...shown } = QUIET;
  assertEquals(web, shown);
  assertEquals([shop.failingSince, shop.failure], ["2023-11-14T22:13:20.000Z", "exit code 1"]);
  assertEquals([shop.p50Ms, shop.p99Ms, shop.perMinute], [3.67, 11, [1, 2]]);
  assertEquals(asked, ["activity of 2 minutes"]);
});

const PERIOD: Period = {
  ...{ service: "web", at: 29_400_000, requests: 4, errors: 1, latencies: [[8, 3], [40, 1]] },
  ...{
    wakes: { cold: 1, resume: 0, hibernated: 0 },
    times: { ready: 59_500, starting: 250, paused: 0, hibernated: 0 },
  },
};

Deno.test("the points of a service have the begin of their minute or hour, and quantiles if there were requests", async () => {
  const { ask, asked, past, tokens } = await furnished();
  past.periods.push(PERIOD, { ...PERIOD, at: PERIOD.at + 1, requests: 0, errors: 0, latencies: [] });
  const { from, points, step, to } = await good(ask("GET", "/v1/services/web/activity", { token: tokens.read }));
  assertEquals([step, Date.parse(to) - Date.parse(from) < 86_400_000], ["minute", true]);
  const seconds = { ready: 59.5, starting: 0.25, paused: 0, hibernated: 0 };
  const point = { at: "2025-11-24T16:00:00.000Z", requests: 4, errors: 1, p50Ms: 3.67, p99Ms: 939, seconds };
  assertEquals(points[0], { ...point, wakes: PERIOD.wakes });
  assertEquals(points[1], { at: "2025-11-24T16:01:00.000Z", requests: 0, errors: 0, seconds, wakes: PERIOD.wakes });
  past.periods.splice(0, 2, { ...PERIOD, at: 490_000 });
  const hours = await good(ask("GET", "/v1/services/web/activity?step=hour&minutes=90"));
  assertEquals([hours.step, hours.points[0].at], ["hour", "2025-11-24T16:00:00.000Z"]);
  assertEquals(asked, ["1440 minutes of web", "2 hours of web"]);
});

Deno.test("without a range, points are those of a day or, by hour, of a week; the longest range is 90 days", async () => {
  const { ask, asked } = await furnished();
  for (const query of ["minutes=5", "minutes=129600", "step=hour", "step=hour&minutes=129600"]) {
    await good(ask("GET", `/v1/services/web/activity?${query}`));
  }
  assertEquals(asked, ["5 minutes of web", "1440 minutes of web", "168 hours of web", "2160 hours of web"]);
  for (const query of ["minutes=0", "minutes=129601", "step=day"]) {
    await problemOf(await ask("GET", `/v1/services/web/activity?${query}`), 400, "invalid");
  }
  await problemOf(await ask("GET", "/v1/services/shop/activity"), 404, "not_found");
});

Deno.test("timelines have spells, deploys and wakes, each with its time", async () => {
  const { ask, asked, past, tokens } = await newAdmin();
  past.timelines.push({
    service: "web",
    from: 1_700_000_000_000,
    spells: [
      { state: "unknown", from: 1_700_000_000_000 },
      { state: "failing", from: 1_700_000_001_000, failure: "exit code 1" },
    ],
    deploys: [{ service: "web", startedAt: 1_700_000_000_000, outcome: "failed", revision: undefined, by: "ci" }],
    wakes: [{
      ...{ service: "web", revision: "web-00001", instance: "one", at: 1_700_000_000_000, how: "cold", ms: 2.5 },
      by: { kind: "request", path: "/" },
    }],
  });
  const at = "2023-11-14T22:13:20.000Z";
  assertEquals(await good(ask("GET", "/v1/timelines?hours=3&service=web", { token: tokens.read })), [{
    service: "web",
    from: at,
    spells: [
      { state: "unknown", from: at },
      { state: "failing", from: "2023-11-14T22:13:21.000Z", failure: "exit code 1" },
    ],
    deploys: [{ at, outcome: "failed", by: "ci" }],
    wakes: [{ at, revision: "web-00001", how: "cold", ms: 2.5, by: { kind: "request", path: "/" } }],
  }]);
  await good(ask("GET", "/v1/timelines"));
  assertEquals(asked, ["3 hours of web", "24 hours of all"]);
});

/** An API with a service. */
async function furnished(): Promise<Admin> {
  const admin = await newAdmin();
  await good(admin.ask("PUT", "/v1/services/web", { body: { image: "web:1" } }), 201);
  return admin;
}

Deno.test("activity is told for ten minutes unless the request says another number, up to an hour", async () => {
  const { ask, asked } = await newAdmin();
  await good(ask("GET", "/v1/activity"));
  await good(ask("GET", "/v1/activity?minutes=60"));
  assertEquals(asked, ["activity of 10 minutes", "activity of 60 minutes"]);
  for (const wrong of ["0", "61", "x"]) {
    await problemOf(await ask("GET", `/v1/activity?minutes=${wrong}`), 400, "invalid");
  }
});
