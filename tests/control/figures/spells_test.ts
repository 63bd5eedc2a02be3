import { assertEquals } from "@std/assert";
import type { RunRecord, SpellRecord } from "../../../src/control/figures/records.ts";
import { type Spell, spellsSince, thinned, timesIn } from "../../../src/control/figures/spells.ts";

/** A spell as it is stored. */
function record(at: number, state: SpellRecord["state"], failure?: string): SpellRecord {
  return { service: "app", at, state, failure };
}

/** A timeline in short. */
function told(records: readonly SpellRecord[], runs: readonly RunRecord[], from: number): unknown[] {
  return spellsSince(records, runs, from).map(({ failure, from, state }) =>
    failure === undefined ? [from, state] : [from, state, failure]
  );
}

const ALWAYS: RunRecord[] = [{ since: 0, until: 1000 }];

Deno.test("a timeline begins with what the service did at that time", () => {
  const records = [record(10, "starting"), record(20, "ready"), record(30, "paused")];
  assertEquals(told(records, ALWAYS, 25), [[25, "ready"], [30, "paused"]]);
  assertEquals(told(records, ALWAYS, 20), [[20, "ready"], [30, "paused"]]);
  assertEquals(told(records, ALWAYS, 5), [[5, "asleep"], [10, "starting"], [20, "ready"], [30, "paused"]]);
  assertEquals(told([], ALWAYS, 5), [[5, "asleep"]]);
});

Deno.test("between two runs of cless nothing is known, and each run begins with a service that sleeps", () => {
  const runs = [{ since: 100, until: 200 }, { since: 300, until: 350 }, { since: 360, until: 400 }];
  const records = [record(110, "ready"), record(310, "paused"), record(315, "asleep")];
  const all = [[50, "unknown"], [100, "asleep"], [110, "ready"], [200, "unknown"], [300, "asleep"], [310, "paused"]];
  const end = [[315, "asleep"], [350, "unknown"], [360, "asleep"]];
  assertEquals(told(records, runs, 50), [...all, ...end]);
  assertEquals(told(records, runs, 250), [[250, "unknown"], [300, "asleep"], [310, "paused"], ...end]);
  assertEquals(told(records, runs, 390), [[390, "asleep"]]);
});

Deno.test("what is no change or lasts no time is left out, and another reason of failing is a change", () => {
  const records = [
    ...[record(10, "failing", "a"), record(15, "failing", "a"), record(20, "failing", "b"), record(30, "starting")],
    ...[record(30, "ready"), record(40, "ready")],
  ];
  const all = [[5, "asleep"], [10, "failing", "a"], [20, "failing", "b"], [30, "ready"]];
  assertEquals(told(records, ALWAYS, 5), all);
});

function spell(from: number, state: Spell["state"]): Spell {
  return { from, state };
}

Deno.test("of too many spells the shortest are left out, and equal ones that meet become one", () => {
  const spells = [spell(0, "paused"), spell(100, "starting"), spell(101, "ready"), spell(150, "paused")];
  assertEquals(thinned(spells, 4), spells);
  assertEquals(thinned(spells, 3), [spell(0, "paused"), spell(101, "ready"), spell(150, "paused")]);
  const flapping = Array.from({ length: 999 }, (_, n) => spell(n * 10 + n % 2, n % 2 === 0 ? "ready" : "paused"));
  const few = thinned([...flapping, spell(10_000, "asleep"), spell(99_999, "ready")], 10);
  assertEquals([few.at(-1), few.at(-2)], [spell(99_999, "ready"), spell(10_000, "asleep")]);
  assertEquals([few[0], few.length <= 10], [spell(0, "ready"), true]);
});

Deno.test("the times in states are cut where a period ends, and only those that use the machine count", () => {
  const spells = [spell(50, "ready"), spell(130, "failing"), spell(140, "paused"), spell(360, "deploying")];
  const none = { ready: 0, starting: 0, paused: 0, hibernated: 0 };
  assertEquals(timesIn("app", spells, 100, 999), [
    { service: "app", at: 0, ...none, ready: 50 },
    { service: "app", at: 1, ...none, ready: 30, paused: 60 },
    { service: "app", at: 2, ...none, paused: 100 },
    { service: "app", at: 3, ...none, paused: 60 },
  ]);
  assertEquals(timesIn("app", [spell(50, "hibernated")], 100, 70), [{
    service: "app",
    at: 0,
    ...none,
    hibernated: 20,
  }]);
  assertEquals(timesIn("app", [spell(50, "hibernated")], 100, 40), []); // the clock was set back
});
