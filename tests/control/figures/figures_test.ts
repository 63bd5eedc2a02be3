import { assertEquals } from "@std/assert";
import { Costs } from "../../../src/control/figures/costs.ts";
import { Figures } from "../../../src/control/figures/figures.ts";
import { IdleGaps } from "../../../src/control/figures/idle_gaps.ts";
import { LastHour } from "../../../src/control/figures/last_hour.ts";
import { Past } from "../../../src/control/figures/past.ts";
import { RequestCounts } from "../../../src/control/figures/request_counts.ts";
import { SpellLog } from "../../../src/control/figures/spell_log.ts";
import { WakeLog } from "../../../src/control/figures/wake_log.ts";
import { UsageMeter } from "../../../src/control/figures/usage_meter.ts";
import { WakeCounts } from "../../../src/control/figures/wake_counts.ts";
import type { Usage } from "../../../src/pool/launcher.ts";
import { catalogOf } from "./catalog.ts";
import { FakeStore } from "../../support/fake_store.ts";
import { newKit, newRevision, started } from "../../support/kit.ts";

const MINUTE_MS = 60_000;

/** A pool whose figures are measured and stored, and how often each was done. */
function newScene(store = new FakeStore()) {
  const done = { measured: 0, stored: 0 };
  let usage: Usage = { bytes: 100, swapBytes: 0, processorNs: 1e9 };
  const kit = newKit({
    observer: {
      changed: (instance) => meter.changed(instance),
      woken: (instance, how, ms, by) => {
        wakes.woken(instance.revision, how, ms);
        wakeLog.woken(instance, how, ms, by);
      },
    },
  });
  const { clock, fleet } = kit;
  const now = () => clock.now();
  const all = () => new Map(fleet.instances().map(({ id }) => [id, usage]));
  const launcher = {
    usage: () => {
      done.measured++;
      return Promise.resolve(all());
    },
  };
  const wakes = new WakeCounts(now);
  const wakeLog = new WakeLog(now);
  const gaps = new IdleGaps({ clock, now });
  const noting = {
    trimFigures: (...ages: Parameters<FakeStore["trimFigures"]>) => store.trimFigures(...ages),
    runs: () => store.runs(),
    spells: (since: number) => store.spells(since),
    costs: () => store.costs(),
    idle: () => store.idle(),
    addFigures(...figures: Parameters<FakeStore["addFigures"]>) {
      store.addFigures(...figures);
      done.stored++;
    },
  };
  const costs = new Costs(now);
  const requests = new RequestCounts(now, new Map([["app", true]]));
  const lastHour = new LastHour({ now, store, requests, wakes });
  const spells = new SpellLog(clock, now);
  const statusWatch = { resume: () => {} };
  const parts = { costs, wakes, wakeLog, gaps, requests, lastHour, spells, statusWatch };
  const meter = new UsageMeter({ clock, launcher, fleet, costs });
  const figures = new Figures({ clock, now, meter, store: noting, ...parts });
  const past = new Past({ now, catalog: catalogOf({ app: 0 }), store, requests, wakes, wakeLog, spells });
  const use = (next: Usage) => usage = next;
  const pool = kit.newPool({ ...newRevision(), pauseAfterMs: 10_000, stopAfterMs: 10 * MINUTE_MS });
  return { clock, done, figures, kit, lastHour, meter, past, pool, requests, store, use };
}

Deno.test("while something is awake, it is measured and stored each minute; what sleeps costs nothing", async () => {
  const { clock, done, figures, kit, pool, store } = newScene();
  figures.load();
  figures.start();
  const { lease } = await started(kit, pool);
  await clock.advance(3 * MINUTE_MS);
  assertEquals([done.measured, done.stored], [4, 3]);
  lease.release();
  await clock.advance(MINUTE_MS); // it is paused, measured once more, and stored
  Object.assign(done, { measured: 0, stored: 0 });
  await clock.advance(5 * MINUTE_MS);
  assertEquals([lease.instance.state, done], ["paused", { measured: 0, stored: 0 }]);
  await clock.advance(6 * MINUTE_MS);
  await kit.executor.settled();
  assertEquals([lease.instance.state, store.costs()[0]!.readings], ["stopped", {}]);
  Object.assign(done, { measured: 0, stored: 0 });
  await clock.advance(60 * MINUTE_MS);
  assertEquals(done, { measured: 0, stored: 0 });
  figures.stop();
  assertEquals(clock.timers, 0);
});

Deno.test("figures survive a restart, and wakes are forgotten after a day", async () => {
  const { clock, figures, kit, pool, store } = newScene();
  figures.start();
  const { lease } = await started(kit, pool);
  await clock.advance(MINUTE_MS);
  figures.stop();
  figures.save();
  const later = newScene(store);
  later.figures.load();
  assertEquals((await later.meter.costs(["app"])).get("app")?.since, 1000);
  assertEquals(later.past.wakes("app", 60).map(({ count }) => count), [1]);
  await later.clock.advance(25 * 60 * MINUTE_MS);
  later.kit.fleet.add(lease.instance, later.pool);
  later.figures.start();
  await later.clock.advance(MINUTE_MS);
  assertEquals([store.wakes("app", 0), kit.launcher.called("remove")], [[], []]);
  later.figures.forget("app");
  assertEquals((await later.meter.costs(["app"])).size, 0);
  later.figures.stop();
});

Deno.test("what the store refuses is stored the next time", async () => {
  const { clock, figures, kit, pool, store } = newScene();
  figures.start();
  await started(kit, pool);
  store.failure = new Error("the disk is full");
  await clock.advance(MINUTE_MS);
  assertEquals(store.costs(), []);
  store.failure = undefined;
  await clock.advance(MINUTE_MS);
  assertEquals([store.costs().length, store.wakes("app", 0).length], [1, 1]);
  figures.stop();
});

Deno.test("the requests of the last hour are told whether or not they are stored yet, and none twice", async () => {
  const { clock, figures, lastHour, requests, store } = newScene();
  figures.start();
  for (let n = 0; n < 3; n++) requests.requested("app", 200, 5);
  store.failure = new Error("the disk is full");
  await clock.advance(MINUTE_MS);
  requests.requested("app", 200, 5);
  assertEquals(lastHour.read(3)("app").perMinute, [0, 3, 1]);
  store.failure = undefined;
  await clock.advance(MINUTE_MS);
  assertEquals([lastHour.read(3)("app").perMinute, requests.pending], [[3, 1, 0], []]);
  figures.stop();
});
