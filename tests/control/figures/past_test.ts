import { assert, assertEquals } from "@std/assert";
import { Costs } from "../../../src/control/figures/costs.ts";
import { Figures } from "../../../src/control/figures/figures.ts";
import { LastHour } from "../../../src/control/figures/last_hour.ts";
import { Past } from "../../../src/control/figures/past.ts";
import type { DeployRecord } from "../../../src/control/records.ts";
import { IdleGaps } from "../../../src/control/figures/idle_gaps.ts";
import { RequestCounts } from "../../../src/control/figures/request_counts.ts";
import type { ServiceStatus } from "../../../src/control/service_status.ts";
import { SpellLog } from "../../../src/control/figures/spell_log.ts";
import { StatusWatch } from "../../../src/control/status_watch.ts";
import { WakeLog } from "../../../src/control/figures/wake_log.ts";
import { WakeCounts } from "../../../src/control/figures/wake_counts.ts";
import { SqliteStore } from "../../../src/sqlite/store.ts";
import { creationOf, entryOf, folderTest } from "../../sqlite/kit.ts";
import { catalogOf } from "./catalog.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The begin of an hour. */
const BEGIN = 500_000 * HOUR;
const APP = { service: "app", name: "app-00001" };

/** What goes on while processes come and go. */
interface World {
  readonly folder: string;
  readonly clock: FakeClock;
  /** What services do; the others sleep. */
  readonly statuses: Map<string, ServiceStatus>;
  /** When services were made, by name. */
  readonly made: Record<string, number>;
  /** By how much the wall clock was set back. */
  readonly setBack: { ms: number };
}

function newWorld(folder: string): World {
  return { folder, clock: new FakeClock(0), statuses: new Map(), made: { app: 0, web: 0 }, setBack: { ms: 0 } };
}

/** A process with its store. @param store By default, that of the folder; a successor opens the copy. */
function newProcess({ clock, folder, made, setBack, statuses }: World, store = SqliteStore.open(folder)) {
  const now = () => BEGIN + clock.now() - setBack.ms;
  const names = ["app", "web"];
  const wakes = new WakeCounts(now);
  const wakeLog = new WakeLog(now);
  const requests = new RequestCounts(now, new Map(names.map((name) => [name, true])));
  const spells = new SpellLog(clock, now);
  const watch = new StatusWatch({ of: (service) => statuses.get(service) ?? { state: "asleep" } }, [spells]);
  const lastHour = new LastHour({ now, store, requests, wakes });
  const writes = { count: 0 };
  const counted = new Proxy(store, {
    get(target, name) {
      if (name === "addFigures") writes.count++;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const figures = new Figures({
    ...{ clock, now, store: counted, wakes, wakeLog, requests, spells, lastHour, statusWatch: watch },
    meter: { start() {}, stop() {}, keepUp: () => Promise.resolve() },
    costs: new Costs(now),
    gaps: new IdleGaps({ clock, now }),
  });
  const past = new Past({ now, catalog: catalogOf(made), store, requests, wakes, wakeLog, spells });
  return {
    ...{ figures, past, store, watch, writes },
    /** Begins the work of a process that runs alone. */
    begin(isSuccessor = false) {
      figures.load(isSuccessor);
      watch.lookAgain();
      figures.start();
    },
    send(count: number, status = 200, ms = 4) {
      for (let n = 0; n < count; n++) requests.requested("app", status, ms);
    },
    wake: (how: "cold" | "resume" | "hibernated") => wakes.woken(APP, how, 5),
    async become(state: ServiceStatus["state"], service = "app") {
      statuses.set(service, { state });
      watch.check(service);
      await settle();
    },
    /** Ends it in order. */
    end() {
      figures.stop();
      figures.finish();
      store[Symbol.dispose]();
    },
    /** Ends it as SIGKILL does. */
    kill() {
      figures.stop();
      store[Symbol.dispose]();
    },
    minutes: () => past.minutes("app", 24 * 60).map(({ at, requests }) => [at - BEGIN / MINUTE, requests]),
    /** The spells of the app, with seconds since the begin. */
    spells: () =>
      past.timelines(24).find(({ service }) => service === "app")!.spells.map(({ from, state }) => [
        (from - BEGIN) / SECOND,
        state,
      ]),
  };
}

folderTest("what services did is told as before by the next process", async (folder) => {
  const world = newWorld(folder);
  const first = newProcess(world);
  first.begin();
  await first.become("starting");
  await world.clock.advance(500);
  await first.become("ready");
  first.wake("cold");
  first.send(3, 200, 4);
  first.send(1, 503, 1000);
  await world.clock.advance(90 * SECOND);
  first.send(2, 200, 4);
  await first.become("paused");
  await world.clock.advance(10 * SECOND);
  const told = () => [past.minutes("app", 60), past.hours("app", 5), past.timelines(24)];
  let { past } = first;
  const before = told();
  first.end();
  world.statuses.clear();
  const second = newProcess(world);
  ({ past } = second);
  second.begin();
  const [minutes, hours, timelines] = told() as [unknown, unknown, typeof before[2]];
  assertEquals([minutes, hours], before.slice(0, 2));
  assertEquals(
    past.minutes("app", 60).map(({ at, errors, latencies, requests, times, wakes }) => [
      ...[at - BEGIN / MINUTE, requests, errors, latencies, times.ready, times.paused, wakes.cold],
    ]),
    [
      [0, 4, 1, [[8, 3], [40, 1]], 59_500, 0, 1],
      [1, 2, 0, [[8, 2]], 30_500, 10_000, 0],
    ],
  );
  assertEquals(
    past.hours("app", 5).map(({ at, errors, latencies, requests, times, wakes }) => [
      ...[at - BEGIN / HOUR, requests, errors, latencies, times.ready, times.starting, times.paused, wakes.cold],
    ]),
    [[0, 6, 1, [[8, 5], [40, 1]], 90_000, 500, 10_000, 1]],
  );
  assertEquals(timelines!.length, 2);
  assertEquals(second.spells(), [[-86_299.5, "unknown"], [0, "starting"], [0.5, "ready"], [90.5, "paused"], [
    100.5,
    "asleep",
  ]]);
  second.end();
});

folderTest("minutes in which nothing was are not written, however long services sleep", async (folder) => {
  const world = newWorld(folder);
  const one = newProcess(world);
  one.begin();
  await one.become("ready");
  one.send(1);
  await one.become("paused");
  await world.clock.advance(MINUTE);
  assertEquals(one.writes.count, 1);
  await world.clock.advance(10 * HOUR);
  assertEquals(one.writes.count, 1);
  one.send(1);
  await one.become("ready");
  await world.clock.advance(MINUTE);
  assertEquals(one.writes.count, 2);
  const paused = one.past.hours("app", 24).map(({ at, times }) => [at - BEGIN / HOUR, times.paused]);
  assertEquals(paused.length, 11);
  assertEquals(paused.slice(0, 10).every(([, ms]) => ms === HOUR), true);
  one.end();
});

folderTest("a crash costs the last minute at most, and the time until the next start is unknown", async (folder) => {
  const world = newWorld(folder);
  const first = newProcess(world);
  first.begin();
  await first.become("ready");
  for (let minute = 0; minute < 3; minute++) {
    first.send(minute + 1);
    await world.clock.advance(MINUTE);
  }
  first.send(9);
  await world.clock.advance(30 * SECOND);
  first.kill();
  world.statuses.clear();
  await world.clock.advance(HOUR);
  const second = newProcess(world);
  second.begin();
  assertEquals(second.minutes().slice(0, 3), [[0, 1], [1, 2], [2, 3]]);
  const [, ...spells] = second.spells();
  assertEquals(spells, [[0, "ready"], [180, "unknown"], [3810, "asleep"]]);
  second.end();
});

folderTest("a successor goes on in the minute under way, and loses and doubles nothing of it", async (folder) => {
  const world = newWorld(folder);
  const old = newProcess(world);
  old.begin();
  await old.become("ready");
  old.wake("cold");
  old.send(5);
  await world.clock.advance(20 * SECOND);
  old.figures.finish();
  old.store.seal();
  old.figures.stop();
  const next = newProcess(world, SqliteStore.openNext(folder));
  await world.clock.advance(SECOND);
  next.begin(true);
  next.store.install();
  old.send(4); // it still serves
  next.store.confirm();
  const counted = JSON.parse(JSON.stringify(old.figures.counted)); // as on its way through the socket
  old.kill();
  next.send(2);
  next.figures.inherit(counted);
  await world.clock.advance(20 * SECOND);
  await next.become("paused");
  next.send(1);
  assertEquals(next.minutes(), [[0, 12]]);
  assertEquals(next.spells().slice(1), [[0, "ready"], [41, "paused"]]);
  await world.clock.advance(MINUTE);
  const [hour] = next.past.hours("app", 1);
  assertEquals([hour!.requests, hour!.wakes.cold, hour!.times.ready, hour!.times.paused], [12, 1, 41_000, MINUTE]);
  next.end();
});

folderTest("a process whose successor fails stores all that it has counted meanwhile, once", async (folder) => {
  const world = newWorld(folder);
  const old = newProcess(world);
  old.begin();
  old.send(5);
  await old.become("ready");
  await world.clock.advance(20 * SECOND);
  old.figures.finish();
  old.store.seal();
  old.send(2);
  await world.clock.advance(MINUTE); // it cannot store now
  assertEquals(old.minutes(), [[0, 7], [1, 0]]);
  old.store.unseal();
  old.send(1);
  await world.clock.advance(MINUTE);
  old.end();
  const again = newProcess(world);
  again.begin();
  assertEquals(again.minutes().slice(0, 2), [[0, 7], [1, 1]]);
  assertEquals(again.past.hours("app", 1)[0]!.times.ready, 140_000);
  again.end();
});

folderTest("a service that is deleted takes with it what it did, also what is not stored yet", async (folder) => {
  const world = newWorld(folder);
  const one = newProcess(world);
  one.begin();
  await one.store.change(creationOf("app"));
  for (const service of ["app", "web"]) await one.become("ready", service);
  one.send(3);
  one.wake("cold");
  await world.clock.advance(MINUTE);
  one.send(2);
  await one.store.delete("app", 1, entryOf("app", BEGIN, "delete"));
  one.figures.forget("app");
  one.watch.forget("app");
  await world.clock.advance(MINUTE);
  assertEquals([one.minutes(), one.past.hours("app", 24)], [[], []]);
  assertEquals(one.spells().map(([, state]) => state), ["unknown", "asleep"]);
  assertEquals(one.past.timelines(24, "web")[0]!.spells.at(-1)!.state, "ready");
  one.end();
});

folderTest(
  "minutes are retained for a day and hours for 90, and what lasts longer than a day is still known",
  async (folder) => {
    const world = newWorld(folder);
    const one = newProcess(world);
    one.begin();
    await one.become("ready");
    one.send(1);
    await one.become("paused");
    for (let day = 0; day < 92; day++) {
      await world.clock.advance(DAY);
      await one.become(day % 2 === 0 ? "hibernated" : "paused", "web");
      one.send(1);
    }
    await world.clock.advance(2 * HOUR);
    one.send(1);
    await world.clock.advance(MINUTE);
    one.end();
    const again = newProcess(world);
    again.begin();
    assertEquals(again.store.minutes("app", 0).requests.length, 2);
    const hours = again.store.hours("app", 0);
    assertEquals(hours.filter(({ requests }) => requests > 0).length, 90 + 1);
    assert(hours.every(({ times }) => times.paused <= HOUR));
    assertEquals(again.spells()[0]![1], "paused");
    assertEquals(again.store.spells(0).length <= 4, true);
    again.end();
  },
);

folderTest(
  "timelines have the deploys, also of a service that never worked, and can be asked for one service",
  async (folder) => {
    const world = newWorld(folder);
    const one = newProcess(world);
    one.begin();
    const deploy: DeployRecord = {
      ...{ service: "never", revision: undefined, image: "never:1", by: "ci", startedAt: BEGIN - HOUR, durationMs: 5 },
      ...{ outcome: "failed", reason: "it ended", output: ["panic"] },
    };
    for (const startedAt of [BEGIN - 25 * HOUR, BEGIN - HOUR]) await one.store.addDeploy({ ...deploy, startedAt });
    assertEquals(one.past.timelines(24).map(({ service }) => service), ["app", "never", "web"]);
    const [never] = one.past.timelines(24, "never");
    assertEquals(never!.deploys, [{
      ...{ service: "never", revision: undefined, by: "ci", startedAt: BEGIN - HOUR, outcome: "failed" },
    }]);
    assertEquals(one.past.timelines(24, "other"), []);
    one.end();
  },
);

folderTest("the wakes of a service are told whether or not they are stored yet", async (folder) => {
  const world = newWorld(folder);
  const one = newProcess(world);
  one.begin();
  one.wake("cold");
  await world.clock.advance(MINUTE);
  one.wake("resume");
  assertEquals(one.store.wakes("app", 0).length, 1);
  assertEquals(one.past.wakes("app", 60).map(({ count, how }) => [how, count]), [["cold", 1], ["resume", 1]]);
  assertEquals(one.past.wakes("web", 60), []);
  one.end();
});

folderTest("a service has no past before it was made", async (folder) => {
  const world = newWorld(folder);
  const one = newProcess(world);
  one.begin();
  await world.clock.advance(HOUR);
  await one.become("deploying");
  await world.clock.advance(5 * SECOND);
  world.made["app"] = BEGIN + HOUR + 5 * SECOND;
  await one.become("ready");
  await world.clock.advance(5 * SECOND);
  const made = HOUR / SECOND + 5;
  assertEquals(one.spells(), [[made, "ready"]]);
  world.made["web"] = BEGIN + world.clock.now();
  assertEquals(one.past.timelines(24, "web")[0]!.spells, [{ state: "asleep", from: world.made["web"] }]);
  one.end();
  const next = newProcess(world);
  assertEquals(next.spells()[0], [made, "ready"]);
  await world.clock.advance(25 * HOUR);
  assertEquals(next.spells()[0]![0], (25 * HOUR + world.made["web"] - BEGIN - DAY) / SECOND, "the last day");
  next.end();
});

folderTest("after the clock is set back, what services do is told as before", async (folder) => {
  const world = newWorld(folder);
  const one = newProcess(world);
  one.begin();
  await world.clock.advance(HOUR);
  await one.become("ready");
  await one.become("ready", "web");
  await world.clock.advance(10 * MINUTE);
  await one.become("asleep", "web");
  await world.clock.advance(MINUTE);
  world.setBack.ms = HOUR;
  await world.clock.advance(3 * MINUTE);
  const readySeconds = () => one.past.minutes("app", 60).reduce((sum, { times }) => sum + times.ready, 0) / SECOND;
  const hours = () => one.past.hours("app", 48).reduce((sum, { times }) => sum + times.ready, 0) / SECOND;
  const before = [readySeconds(), hours()];
  await world.clock.advance(MINUTE);
  assertEquals([readySeconds(), hours()], [before[0]! + 60, before[1]! + 60]);
  assertEquals(hours(), 15 * 60);
  assertEquals(one.spells().at(-1), [12 * 60, "ready"]);
  await world.clock.advance(2 * HOUR);
  assertEquals(one.past.timelines(24, "web")[0]!.spells.at(-1)!.state, "asleep");
  assertEquals(one.past.timelines(24, "web")[0]!.spells.some(({ state }) => state === "ready"), false);
  one.end();
  const next = newProcess(world);
  next.begin();
  assertEquals(next.spells().map(([, state]) => state), ["unknown", "asleep", "ready", "asleep"]);
  next.end();
});
