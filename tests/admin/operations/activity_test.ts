import { assertEquals } from "@std/assert";
import type { ServiceActivity } from "../../../src/control/activity.ts";
import { good, newAdmin, problemOf } from "../kit.ts";

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

Deno.test("activity is told for ten minutes unless the request says another number, up to an hour", async () => {
  const { ask, asked } = await newAdmin();
  await good(ask("GET", "/v1/activity"));
  await good(ask("GET", "/v1/activity?minutes=60"));
  assertEquals(asked, ["activity of 10 minutes", "activity of 60 minutes"]);
  for (const wrong of ["0", "61", "x"]) {
    await problemOf(await ask("GET", `/v1/activity?minutes=${wrong}`), 400, "invalid");
  }
});
