import { assertEquals, assertThrows } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import type { InstanceState } from "../../src/model/instance_state.ts";
import { backgroundBackoffMs, NO_FAILURES } from "../../src/pool/start_backoff.ts";
import { type Member, type PoolEvent, type PoolState, reduce } from "../../src/pool/state.ts";
import { memberOf, NOW, stateOf } from "../support/pool_state.ts";

const PHASES = ["starting", "ready", "paused", "draining", "stopped", "failed"] as const;
const MISHAP = { reason: "no", at: new Date(0), chance: 0.5 };
const ERROR = new ClessError("start_failed", "no");
const FAILED_ONCE = { ...NO_FAILURES, count: 1, until: NOW + 500, lastAt: NOW };

function startFailed(blame: "app" | "engine" | "somebody" | "nobody", id = "one"): PoolEvent {
  return { type: "start failed", id, error: ERROR, blame, mishap: MISHAP };
}

/** An instance of a pool after something has happened to it. */
function after(event: PoolEvent, changes: Parameters<typeof memberOf>[1]): Member | undefined {
  return reduce(stateOf({ members: [memberOf("one", changes)] }), event, NOW).members[0];
}

// What an instance becomes, by what it is: `-` is no change, `gone` that the pool forgets it, `!` that this is a bug.
const TABLE: [event: PoolEvent, becomes: Record<(typeof PHASES)[number], InstanceState | "-" | "gone" | "!">][] = [
  [{ type: "pausing", id: "one" }, row("paused", "paused", "-", "!", "!", "!")],
  [{ type: "draining", id: "one", by: NOW }, row("stopped", "draining", "draining", "-", "-", "-")],
  [{ type: "ready", id: "one" }, row("ready", "-", "-", "-", "-", "-")],
  [{ type: "resumed", id: "one", attempt: 0 }, row("-", "-", "ready", "-", "-", "-")],
  [{ type: "resumed", id: "one", attempt: 1 }, row("-", "-", "-", "-", "-", "-")],
  [{ type: "answers", id: "one", attempt: 0 }, row("-", "-", "ready", "-", "-", "-")],
  [{ type: "resume failed", id: "one", attempt: 0, error: ERROR }, row("-", "-", "draining", "-", "-", "-")],
  [{ type: "resume failed", id: "one", attempt: 1, error: ERROR }, row("-", "-", "-", "-", "-", "-")],
  [{ type: "paused", id: "one" }, row("-", "paused", "-", "-", "-", "-")],
  [{ type: "pause failed", id: "one", runs: true }, row("-", "-", "ready", "-", "-", "-")],
  [{ type: "pause failed", id: "one", runs: false }, row("-", "-", "-", "-", "-", "-")],
  [startFailed("app"), row("gone", "gone", "gone", "gone", "gone", "gone")],
  [{ type: "gone", id: "one" }, row("gone", "gone", "gone", "gone", "gone", "gone")],
  [{ type: "engine paused", id: "one" }, row("-", "paused", "-", "-", "-", "-")],
  [{ type: "engine resumed", id: "one" }, row("-", "-", "ready", "-", "-", "-")],
  [
    { type: "engine ended", id: "one", byHand: false, mishap: MISHAP },
    row("failed", "stopped", "stopped", "stopped", "-", "-"),
  ],
  [{ type: "unhealthy", id: "one", byApp: true, mishap: MISHAP }, row("-", "draining", "-", "-", "-", "-")],
  [{ type: "hung", id: "one", mishap: MISHAP }, row("-", "draining", "-", "-", "-", "-")],
  [{ type: "engine paused", id: "another" }, row("-", "-", "-", "-", "-", "-")],
];

function row(...cells: (InstanceState | "-" | "gone" | "!")[]) {
  return Object.fromEntries(PHASES.map((phase, n) => [phase, cells[n]!])) as (typeof TABLE)[number][1];
}

for (const [event, becomes] of TABLE) {
  Deno.test(`an instance takes the legal step, if any: ${JSON.stringify(event)}`, () => {
    for (const phase of PHASES) {
      const expected = becomes[phase];
      if (expected === "!") assertThrows(() => after(event, { phase }), Error, "Cannot make a");
      else assertEquals(after(event, { phase })?.phase ?? "gone", expected === "-" ? phase : expected, phase);
    }
  });
}

Deno.test("an action is noted at once, so that it does not begin twice", () => {
  const ordered = (type: "resuming" | "pausing" | "probing" | "stopping", changes: Partial<Member>) =>
    after({ type, id: "one" }, changes);
  assertEquals(
    ordered("resuming", { phase: "paused" }),
    memberOf("one", { phase: "paused", coming: true, attempt: 1 }),
  );
  assertEquals(ordered("pausing", {}), memberOf("one", { phase: "paused", pausing: true }));
  assertEquals(ordered("probing", { probeAt: NOW }), memberOf("one", { probeAt: Infinity }));
  assertEquals(ordered("stopping", { phase: "draining" }), memberOf("one", { phase: "draining", stopping: true }));
  const launched = reduce(
    stateOf({ backoff: FAILED_ONCE }),
    { type: "launched", id: "one", use: memberOf("").use },
    NOW,
  );
  const [{ coming, countBefore, phase }] = launched.members as [Member];
  assertEquals([phase, coming, countBefore], ["starting", true, 1]);
});

Deno.test("an adopted container joins in its phase, and never counts as a start that is likely to fail", () => {
  for (const phase of ["starting", "paused"] as const) {
    const { members } = reduce(stateOf(), { type: "found", id: "one", use: memberOf("").use, phase }, NOW);
    assertEquals(members.map((member) => [member.phase, member.coming, member.countBefore]), [
      [phase, phase === "starting", Infinity],
    ]);
  }
});

Deno.test("an instance that becomes ready is due for its first liveness probe one period later", () => {
  const liveness = { path: "/health", every: 2000 };
  const starting = memberOf("one", { phase: "starting", coming: true, readySince: undefined });
  const before = stateOf({ revision: { liveness }, members: [starting], woken: true, excused: true });
  const state = reduce(before, { type: "ready", id: "one" }, NOW);
  assertEquals(state.members, [memberOf("one", { probeAt: NOW + 2000 })]);
  assertEquals([state.woken, state.excused], [false, false]);
  const later = reduce(reduce(state, { type: "probing", id: "one" }, NOW), { type: "well", id: "one" }, NOW + 50);
  assertEquals(later.members[0]?.probeAt, NOW + 2050);
  assertEquals(after({ type: "well", id: "one" }, {})?.probeAt, Infinity);
});

Deno.test("a resume that the engine reports during a pause is ignored", () => {
  assertEquals(after({ type: "engine resumed", id: "one" }, { phase: "paused", pausing: true })?.phase, "paused");
});

Deno.test("the outcome of a resume is ignored once the engine has reported the resume", () => {
  const before = stateOf({ members: [memberOf("one", { phase: "paused", coming: true, attempt: 1 })] });
  const resumed = reduce(before, { type: "engine resumed", id: "one" }, NOW);
  const paused = reduce(resumed, { type: "engine paused", id: "one" }, NOW);
  assertEquals(reduce(paused, { type: "resumed", id: "one", attempt: 1 }, NOW).members[0]?.phase, "paused");
});

Deno.test("after a pause that failed or hung, the next one waits for a while", () => {
  const pauseAt = NOW + 5000;
  const paused = { phase: "paused", pausing: true } as const;
  assertEquals(after({ type: "pause failed", id: "one", runs: true }, paused), memberOf("one", { pauseAt }));
  assertEquals(
    after({ type: "answers", id: "one", attempt: 0 }, { ...paused, coming: true }),
    memberOf("one", { pausing: true, pauseAt }),
  );
});

Deno.test("an instance that answered during its pause is paused after all when the pause completes", () => {
  assertEquals(after({ type: "paused", id: "one" }, { pausing: true }), memberOf("one", { phase: "paused" }));
});

Deno.test("an instance that cannot be resumed is killed without waiting for its requests", () => {
  const failed = (changes: Partial<Member>) =>
    after({ type: "resume failed", id: "one", attempt: 1, error: undefined }, { coming: true, attempt: 1, ...changes });
  const killed = { attempt: 1, phase: "draining", drainBy: NOW, running: false } as const;
  assertEquals(failed({ phase: "paused" }), memberOf("one", killed));
  assertEquals(failed({ ...killed, running: true }), memberOf("one", { ...killed, running: true }));
});

Deno.test("a drain can be shortened, but not prolonged", () => {
  const by = (time: number) =>
    after({ type: "draining", id: "one", by: time }, { phase: "draining", drainBy: NOW })?.drainBy;
  assertEquals([by(NOW - 1), by(NOW + 1)], [NOW - 1, NOW]);
  assertEquals(after({ type: "draining", id: "one", by: NOW }, { phase: "paused" })?.running, false);
});

Deno.test("starts that began together and fail count once, and the last one fails the waiting requests", () => {
  const starting = { phase: "starting", coming: true, countBefore: 0 } as const;
  const both = stateOf({ members: [memberOf("one", starting), memberOf("two", starting)] });
  const first = reduce(both, startFailed("app", "one"), NOW);
  const second = reduce(first, startFailed("app", "two"), NOW);
  assertEquals([first.backoff.count, first.startError, second.backoff.count, second.startError], [
    1,
    undefined,
    1,
    ERROR,
  ]);
  assertEquals(reduce(second, { type: "asked" }, NOW).startError, undefined);
});

Deno.test("the blame for a failed start decides whether it counts and fails the waiting requests", () => {
  const outcome = (
    blame: Parameters<typeof startFailed>[0],
    changes: Partial<PoolState> = {},
    member: Partial<Member> = {},
  ) => {
    const starting = memberOf("one", { phase: "starting", coming: true, ...member });
    const { backoff, excused, startError } = reduce(
      stateOf({ members: [starting], ...changes }),
      startFailed(blame),
      NOW,
    );
    return [backoff.count, startError?.code, excused];
  };
  assertEquals(outcome("app"), [1, "start_failed", false]);
  assertEquals(outcome("app", {}, { phase: "failed" }), [1, "start_failed", false]);
  assertEquals(outcome("app", {}, { phase: "stopped" }), [0, undefined, false]); // it was called off
  assertEquals(outcome("app", { suspensions: 1 }), [1, undefined, false]);
  assertEquals(outcome("engine"), [0, "start_failed", false]);
  assertEquals(outcome("nobody"), [0, undefined, false]);
  assertEquals(outcome("somebody"), [0, undefined, true]);
  assertEquals(outcome("somebody", { excused: true }), [1, "start_failed", false]);
});

Deno.test("a failed resume fails the waiting requests only if nothing else serves them", () => {
  const paused = memberOf("one", { phase: "paused", coming: true });
  const error = (changes: Partial<PoolState>) => {
    const event: PoolEvent = { type: "resume failed", id: "one", attempt: 0, error: ERROR };
    return reduce(stateOf({ members: [paused], ...changes }), event, NOW).startError;
  };
  assertEquals(error({}), ERROR);
  assertEquals([error({ suspensions: 1 }), error({ retired: true })], [undefined, undefined]);
  assertEquals(error({ members: [paused, memberOf("two")] }), undefined);
  assertEquals(error({ members: [paused, memberOf("two", { phase: "starting", coming: true })] }), undefined);
});

Deno.test("a wake is dropped by a back-off, a sleep, a suspension and a retirement", () => {
  const coming = memberOf("one", { phase: "paused", coming: true });
  const woken = (event: PoolEvent, changes: Partial<PoolState> = {}) =>
    reduce(stateOf({ members: [coming], woken: true, ...changes }), event, NOW).woken;
  const resumeFailed: PoolEvent = { type: "resume failed", id: "one", attempt: 0, error: undefined };
  assertEquals([woken(resumeFailed), woken(resumeFailed, { backoff: FAILED_ONCE })], [true, false]);
  const ended = (byHand: boolean): PoolEvent => ({ type: "engine ended", id: "one", byHand, mishap: MISHAP });
  assertEquals([woken(ended(true)), woken(ended(false))], [true, false]);
  assertEquals([woken({ type: "fell asleep" }), woken({ type: "suspended" }), woken({ type: "retired" })], [
    false,
    false,
    false,
  ]);
});

Deno.test("a wake takes effect if nothing serves and something may be started", () => {
  const woken = (changes: Partial<PoolState>) => reduce(stateOf(changes), { type: "woken" }, NOW).woken;
  assertEquals([woken({}), woken({ members: [memberOf("one")] })], [true, false]);
  assertEquals([woken({ retired: true }), woken({ suspensions: 1 }), woken({ backoff: FAILED_ONCE })], [
    false,
    false,
    false,
  ]);
  assertEquals(woken({ backoff: FAILED_ONCE, members: [memberOf("one", { phase: "paused" })] }), true);
});

Deno.test("a pool that sleeps does so until a request or an operator wakes it", () => {
  const asleep = reduce(stateOf(), { type: "fell asleep" }, NOW);
  assertEquals(asleep.asleep, true);
  assertEquals((["released", "asked", "woken"] as const).map((type) => reduce(asleep, { type }, NOW).asleep), [
    true,
    false,
    false,
  ]);
});

Deno.test("suspensions are counted, and a pool retires for good", () => {
  const twice = (["suspended", "suspended", "unsuspended"] as const).reduce(
    (state, type) => reduce(state, { type }, NOW),
    stateOf(),
  );
  assertEquals([twice.suspensions, reduce(twice, { type: "retired" }, NOW).retired], [1, true]);
  assertEquals(reduce(stateOf(), { type: "kept", kept: true }, NOW).kept, true);
  assertEquals(reduce(stateOf(), { type: "unsuspended" }, NOW).suspensions, 0);
});

Deno.test("an app that ends or is given up soon after it was ready has failed, unless that may come from outside", () => {
  const count = (event: PoolEvent, ageMs: number | undefined) => {
    const readySince = ageMs === undefined ? undefined : NOW - ageMs;
    return reduce(stateOf({ members: [memberOf("one", { readySince })] }), event, NOW).backoff.count;
  };
  const ended = (byHand: boolean): PoolEvent => ({ type: "engine ended", id: "one", byHand, mishap: MISHAP });
  const unhealthy = (byApp: boolean): PoolEvent => ({ type: "unhealthy", id: "one", byApp, mishap: MISHAP });
  assertEquals([count(ended(false), 0), count(ended(true), 0), count(ended(false), 60_000)], [1, 0, 0]);
  assertEquals([count(unhealthy(true), 0), count(unhealthy(false), 0)], [1, 0]);
  assertEquals(count({ type: "hung", id: "one", mishap: MISHAP }, 0), 1);
});

Deno.test("an adopted paused instance is no failure if it ends: nobody knows for how long it has been ready", () => {
  const members = [memberOf("one", { phase: "paused", readySince: undefined })];
  const event: PoolEvent = { type: "engine ended", id: "one", byHand: false, mishap: MISHAP };
  const { backoff, members: [member] } = reduce(stateOf({ members }), event, NOW);
  assertEquals([backoff, member?.phase], [NO_FAILURES, "stopped"]);
});

Deno.test("an unreachable instance that turns out to have ended by itself is a failure, and one that was killed is not", () => {
  const backoff = (...events: PoolEvent[]) =>
    events.reduce((state, event) => reduce(state, event, NOW), stateOf({ members: [memberOf("one")] })).backoff;
  const ended = (byHand: boolean): PoolEvent => ({ type: "engine ended", id: "one", byHand, mishap: MISHAP });
  const unreachable: PoolEvent = { type: "unhealthy", id: "one", byApp: false, mishap: MISHAP };
  const drained: PoolEvent = { type: "draining", id: "one", by: NOW };
  assertEquals([backoff(unreachable, ended(false)).count, backoff(unreachable, ended(true))], [1, NO_FAILURES]);
  assertEquals(backoff(drained, ended(false)), NO_FAILURES);
  assertEquals(backoff({ ...unreachable, byApp: true }, ended(false)).count, 1); // counted once
});

Deno.test("a resume that completes while the instance drains leaves its app able to end by itself", () => {
  for (const type of ["resumed", "answers", "engine resumed"] as const) {
    const changes = { phase: "draining", running: false, coming: true, use: { inFlight: 1 } } as const;
    assertEquals(after({ type, id: "one", attempt: 0 }, changes)?.running, true, type);
  }
});

Deno.test("an instance that hangs waits for none of its requests", () => {
  const { drainBy, hung } = after({ type: "hung", id: "one", mishap: MISHAP }, { use: { inFlight: 9 } })!;
  assertEquals([drainBy, hung], [NOW, true]);
  const state = stateOf({ members: [memberOf("one", { phase: "draining", drainBy: NOW + 9 })] });
  const { backoff, members: [draining] } = reduce(state, { type: "hung", id: "one", mishap: MISHAP }, NOW);
  assertEquals([draining?.drainBy, draining?.hung, backoff], [NOW, true, NO_FAILURES]); // it was judged before
});

Deno.test("a healthy instance that became ready after the failures resets their count", () => {
  const look = (readySince: number | undefined, lastAt: number) => {
    const backoff = { ...FAILED_ONCE, lastAt };
    const state = reduce(
      stateOf({ backoff, members: [memberOf("one", { readySince })] }),
      { type: "looked", peak: 0 },
      NOW,
    );
    return [state.backoff.count, backgroundBackoffMs(state.backoff, NOW)];
  };
  assertEquals(look(NOW - 60_000, NOW - 60_000), [0, 0]);
  assertEquals(look(NOW - 59_999, NOW - 60_000), [1, 500]);
  assertEquals(look(NOW - 60_000, NOW - 59_999), [1, 500]);
  assertEquals(look(undefined, NOW - 60_000), [1, 500]);
});

Deno.test("an instance that has served is no failure when it ends, and resets the count of failures if it became ready after them", () => {
  const lost = (lastAt: number, hasServed: boolean, event: PoolEvent) => {
    const members = [memberOf("one", { readySince: NOW - 1000, use: { hasServed } })];
    const failure = { reason: "no", output: "", at: new Date(0), since: new Date(0), count: 2 };
    const backoff = { ...NO_FAILURES, count: 2, ends: 2, until: NOW + 500, endsUntil: NOW + 500, lastAt, failure };
    const after = reduce(stateOf({ members, backoff }), event, NOW).backoff;
    return [after.count, after.ends, backgroundBackoffMs(after, NOW), after.failure?.count];
  };
  const ended = (byHand: boolean): PoolEvent => ({ type: "engine ended", id: "one", byHand, mishap: MISHAP });
  const events: PoolEvent[] = [
    ended(true),
    ended(false),
    { type: "unhealthy", id: "one", byApp: true, mishap: MISHAP },
    { type: "hung", id: "one", mishap: MISHAP },
    { type: "gone", id: "one" },
  ];
  for (const event of events) {
    assertEquals(lost(NOW - 1000, true, event), [0, 0, 0, 2], event.type); // operators can still read why it failed
    assertEquals(lost(NOW - 999, true, event).slice(0, 2), [2, 2], event.type);
  }
  assertEquals(lost(NOW - 1000, false, ended(false)).slice(0, 2), [3, 3]);
});

Deno.test("a failed start is the first in a row if an instance has served since the previous failure", () => {
  const members = [memberOf("one", { phase: "starting" }), memberOf("two", { use: { hasServed: true } })];
  const counts = [NOW, NOW + 1].map((lastAt) => {
    const backoff = { ...NO_FAILURES, count: 2, lastAt };
    return reduce(stateOf({ members, backoff }), startFailed("app"), NOW).backoff.count;
  });
  assertEquals(counts, [1, 2]); // the start began before the second failure, and so counts only once
});

Deno.test("the demand is observed while there may be too many instances, and forgotten afterwards", () => {
  const wide = stateOf({ members: [memberOf("one"), memberOf("two")] });
  const watched = reduce(wide, { type: "looked", peak: 2 }, NOW);
  assertEquals(watched.window, [{ at: NOW, peak: 2 }]);
  const narrow = { ...watched, members: [memberOf("one")] };
  assertEquals(reduce(narrow, { type: "looked", peak: 1 }, NOW).window, []);
  assertEquals(reduce(stateOf(), { type: "looked", peak: 1 }, NOW).window, []);
  const drained = reduce(watched, { type: "draining", id: "one", by: NOW, isSurplus: true }, NOW);
  assertEquals([drained.shrunkAt, drained.members[0]?.phase], [NOW, "draining"]);
});
