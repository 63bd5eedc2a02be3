import { assert, assertEquals } from "@std/assert";
import { Activity } from "../../../src/control/figures/activity.ts";
import type { Cost } from "../../../src/control/figures/costs.ts";
import { LastHour } from "../../../src/control/figures/last_hour.ts";
import { RequestCounts } from "../../../src/control/figures/request_counts.ts";
import { ServiceStatuses } from "../../../src/control/service_status.ts";
import { WakeCounts } from "../../../src/control/figures/wake_counts.ts";
import { Service } from "../../../src/routing/service.ts";
import { FakeStore } from "../../support/fake_store.ts";
import { newFront, newKit, newRevision, started } from "../../support/kit.ts";

const COST: Cost = {
  ...{
    since: 0,
    memoryBytes: 70,
    swapBytes: 3,
    awakeBytes: 80,
    cpuSeconds: 1,
    usedByteSeconds: 1,
    savedByteSeconds: 1,
  },
};

/** A service with a pool, one that sleeps, and what is told of them. */
function newScene() {
  const kit = newKit({ observer: { woken: ({ revision }, how, ms) => wakes.woken(revision, how, ms) } });
  const { clock, fleet } = kit;
  const { activator, services } = newFront(kit);
  const now = () => clock.now();
  const wakes = new WakeCounts(now);
  const requests = new RequestCounts(now, services);
  const pool = kit.newPool({ ...newRevision(), concurrency: 1 });
  services.put(new Service("web", { shares: [{ pool: kit.newPool(), percent: 100 }] }));
  services.put(new Service("app", { shares: [{ pool, percent: 100 }] }));
  const asked: string[][] = [];
  const deploys = new Set<string>();
  const activity = new Activity({
    ...{ services, fleet, requests },
    statuses: new ServiceStatuses(services, deploys),
    statistics: { pools: () => fleet.pools().union(activator.holding()) },
    meter: {
      costs(names) {
        asked.push([...names].sort());
        return Promise.resolve(new Map([["app", COST]]));
      },
    },
    lastHour: new LastHour({ now, store: new FakeStore(), requests, wakes }),
  });
  return { activity, asked, deploys, kit, pool, requests };
}

Deno.test("a look tells of every service what it does and how busy it is, and measures once for all", async () => {
  const { activity, asked, kit, pool, requests } = newScene();
  const { lease } = await started(kit, pool);
  const waiting = pool.hold(new AbortController().signal);
  for (let n = 0; n < 20; n++) requests.requested("app", n < 5 ? 503 : 200, 4);
  const [app, web] = await activity.now(2);
  assertEquals(app, {
    ...{ service: "app", state: "ready", requestsPerSecond: 2, errorsPerSecond: 0.5, p50Ms: 3.67, p99Ms: 3.67 },
    ...{ inFlight: 1, waiting: 1, instances: { ready: 1 }, memoryBytes: 70, swapBytes: 3, awakeBytes: 80 },
    ...{ wakes: { cold: 1, resume: 0, hibernated: 0 }, perMinute: [0, 20] },
  });
  assertEquals(web, {
    ...{ service: "web", state: "asleep", requestsPerSecond: 0, errorsPerSecond: 0, p50Ms: undefined },
    ...{ p99Ms: undefined, inFlight: 0, waiting: 0, instances: {}, memoryBytes: 0, swapBytes: 0, awakeBytes: 0 },
    ...{ wakes: { cold: 0, resume: 0, hibernated: 0 }, perMinute: [0, 0] },
  });
  assertEquals(asked, [["app", "web"]]);
  lease.release();
  (await waiting).lease.release();
});

Deno.test("a look wakes nothing", async () => {
  const { activity, deploys, kit, pool } = newScene();
  deploys.add("app");
  for (let n = 0; n < 3; n++) await activity.now(60);
  const [app] = await activity.now(60);
  assertEquals([app!.state, app!.perMinute.length], ["deploying", 60]);
  assertEquals([kit.fleet.size, kit.clock.timers, pool.live], [0, 0, false]);
  assert(!pool.ready);
});
