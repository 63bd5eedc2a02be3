import { assertEquals } from "@std/assert";
import { SpellLog } from "../../../src/control/figures/spell_log.ts";

const HOUR_MS = 3_600_000;
/** The begin of an hour. */
const BEGIN = 500_000 * HOUR_MS;

function newSpells() {
  /** By how much the wall clock was set back. */
  const time = { now: BEGIN, setBack: 0 };
  const spells = new SpellLog({ now: () => time.now }, () => time.now - time.setBack);
  const told = () => spells.pending.map(({ at, service, state }) => [at - BEGIN, service, state]);
  const times = () =>
    spells.times.map(({ at, hibernated, paused, ready, starting }) => [
      at - 500_000,
      ...[ready, starting, paused, hibernated],
    ]);
  return { spells, time, times, told };
}

Deno.test("each change of a state is recorded with its time, and the time before it goes to its hours", () => {
  const { spells, time, times, told } = newSpells();
  time.now += 1000;
  spells.changed("app", { state: "starting" });
  time.now += 200;
  spells.changed("app", { state: "ready" });
  time.now += HOUR_MS;
  spells.changed("app", { state: "paused" });
  spells.changed("web", { state: "failing", failure: "exit code 1", failingSince: BEGIN });
  time.now += 10;
  spells.changed("app", { state: "asleep" });
  assertEquals(told(), [
    [1000, "app", "starting"],
    [1200, "app", "ready"],
    [HOUR_MS + 1200, "app", "paused"],
    [HOUR_MS + 1210, "app", "asleep"],
    [HOUR_MS + 1200, "web", "failing"],
  ]);
  assertEquals(spells.pending.at(-1)?.failure, "exit code 1");
  assertEquals(times(), [[0, HOUR_MS - 1200, 200, 0, 0], [1, 1200, 0, 10, 0]]);
  spells.clean();
  spells.charge("all");
  assertEquals([told(), times()], [[], []]);
});

Deno.test("what is no change makes no spell", () => {
  const { spells, told } = newSpells();
  spells.changed("app", { state: "asleep" });
  spells.changed("app", { state: "failing", failure: "a", failingSince: 1 });
  spells.changed("app", { state: "failing", failure: "a", failingSince: 2 });
  assertEquals(told().length, 1);
});

Deno.test("no time is charged twice, and what sleeps is charged only when all is", () => {
  const { spells, time, times } = newSpells();
  spells.changed("app", { state: "ready" });
  spells.changed("web", { state: "paused" });
  for (let n = 0; n < 3; n++) {
    time.now += 1000;
    spells.charge("awake");
  }
  assertEquals(times(), [[0, 3000, 0, 0, 0]]);
  assertEquals(spells.timesOf("web").map(({ paused }) => paused), [3000]);
  spells.charge("all");
  spells.charge("all");
  assertEquals(times(), [[0, 3000, 0, 0, 0], [0, 0, 0, 3000, 0]]);
  assertEquals(spells.timesOf("web").reduce((sum, { paused }) => sum + paused, 0), 3000);
});

Deno.test("a service that flaps makes a limited number of spells, with the last one and the longest among them", () => {
  const { spells, time, told } = newSpells();
  const long: number[] = [];
  for (let n = 0; n < 10_000; n++) {
    spells.changed("app", { state: n % 2 === 0 ? "ready" : "paused" });
    if (n % 500 === 0) long.push(time.now - BEGIN);
    time.now += n % 500 === 0 ? 50_000 : 100;
  }
  const all = told();
  assertEquals(all.length < 400, true, `${all.length}`);
  assertEquals(all.at(-1)![2], "paused");
  const stateAt = (ms: number) => all.findLast(([at]) => Number(at) <= ms)?.[2];
  assertEquals(new Set(long.map((at) => stateAt(at + 25_000))), new Set(["ready"]));
});

Deno.test("a service that is deleted leaves nothing", () => {
  const { spells, time, times, told } = newSpells();
  spells.changed("app", { state: "ready" });
  time.now += 1000;
  spells.charge("all");
  spells.forget("app");
  time.now += 1000;
  spells.charge("all");
  assertEquals([told(), times(), spells.current, spells.timesOf("app")], [[], [], [], []]);
});

Deno.test("a successor goes on with the run and the states, and charges the time since the last write", () => {
  const { spells, time, times, told } = newSpells();
  const last = [
    { service: "app", at: BEGIN - 9000, state: "paused", failure: undefined },
    { service: "web", at: BEGIN - 9000, state: "asleep", failure: undefined },
    { service: "old", at: BEGIN - 99_000, state: "ready", failure: undefined },
  ] as const;
  spells.resume({ since: BEGIN - 10_000, until: BEGIN - 500 }, last);
  assertEquals(spells.current, [["app", { state: "paused" }]]);
  time.now += 1000;
  assertEquals(spells.run, { since: BEGIN - 10_000, until: BEGIN + 1000 });
  spells.charge("all");
  assertEquals([told(), times()], [[], [[-1, 0, 0, 500, 0], [0, 0, 0, 1000, 0]]]);
});

Deno.test("after the clock is set back, times go on to be charged, and a new run begins with what services do", () => {
  const { spells, time, times, told } = newSpells();
  time.now += HOUR_MS;
  spells.changed("app", { state: "ready" });
  time.now += 60_000;
  time.setBack = HOUR_MS / 2;
  time.now += 60_000;
  assertEquals(spells.timesOf("app").reduce((sum, { ready }) => sum + ready, 0), 120_000);
  spells.charge("awake");
  const again = HOUR_MS / 2 + 120_000;
  assertEquals([told(), spells.isRunNew], [[[again, "app", "ready"]], true]);
  assertEquals(spells.run, { since: BEGIN + again, until: BEGIN + again });
  time.now += 1000;
  spells.changed("app", { state: "paused" });
  assertEquals(times(), [[0, 121_000, 0, 0, 0]]);
  assertEquals(told(), [[again, "app", "ready"], [again + 1000, "app", "paused"]]);
  spells.clean();
  time.setBack += 500;
  spells.charge("all");
  assertEquals([told(), spells.isRunNew], [[], false], "so little is no other time");
});

Deno.test("times are whole milliseconds, also if the clock counts in parts of them", () => {
  const clock = { now: 0.25 };
  const spells = new SpellLog({ now: () => clock.now }, () => BEGIN + Math.floor(clock.now));
  spells.changed("app", { state: "ready" });
  clock.now += 1000.7;
  spells.charge("all");
  assertEquals(spells.times.map(({ ready }) => ready), [1000]);
  clock.now += 999.4;
  spells.charge("all");
  assertEquals(spells.times.map(({ ready }) => ready), [2000], "no part is lost");
});
