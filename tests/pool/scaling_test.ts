import { assert, assertEquals } from "@std/assert";
import { decide } from "../../src/pool/decide.ts";
import { type Observation, observe, stableForMs } from "../../src/pool/state.ts";
import { memberOf, NOW, stateOf } from "../support/pool_state.ts";

const TICK_MS = 500;
const START_MS = 300;
const REQUEST_MS = 200;
const STABLE_MS = 60_000;

/** A revision with so many requests, and instances that are never idle for long. */
interface Situation {
  readonly now?: number;
  readonly demand?: number;
  readonly concurrency?: number;
  readonly ready?: number;
  readonly coming?: number;
  readonly paused?: number;
  readonly minInstances?: number;
  readonly maxInstances?: number;
  readonly window?: Observation[];
}

/** How many instances are started or resumed, and how many stopped. */
function decided(
  { now = NOW, demand = 0, ready = 1, coming = 0, paused = 0, window = [], ...limits }: Situation,
): { start: number; stop: number } {
  const members = (["ready", "starting", "paused"] as const).flatMap((phase, kind) =>
    Array.from({ length: [ready, coming, paused][kind]! }, (_, n) => {
      const id = `${phase}-${n}`;
      return memberOf(id, { phase, coming: phase === "starting", use: { idleSince: Infinity } });
    })
  );
  const revision = { concurrency: 2, minInstances: 0, maxInstances: 10, stopAfterMs: STABLE_MS, ...limits };
  const { actions } = decide(stateOf({ members, revision, waiting: demand, window }), now);
  const count = (...kinds: string[]) => actions.filter((action) => kinds.includes(action.do)).length;
  return { start: count("launch", "resume"), stop: count("drain") };
}

Deno.test("as many instances are started as are missing for the present demand", () => {
  assertEquals(decided({ demand: 2 }).start, 0);
  assertEquals(decided({ demand: 3 }).start, 1);
  assertEquals(decided({ demand: 9 }).start, 4);
  assertEquals(decided({ demand: 9, coming: 3 }).start, 1);
  assertEquals(decided({ demand: 1, ready: 0 }).start, 1);
  assertEquals(decided({ demand: 1, ready: 0, coming: 1 }).start, 0);
});

Deno.test("there are never more instances than maxInstances, and paused ones count", () => {
  assertEquals(decided({ demand: 1000 }).start, 9);
  assertEquals(decided({ demand: 1000, coming: 2, paused: 3 }).start, 7);
  assertEquals(decided({ demand: 1000, ready: 12 }).start, 0);
  assertEquals(decided({ demand: 1000, ready: 10, paused: 1 }).start, 1);
});

Deno.test("at most ten instances start at the same time", () => {
  assertEquals(decided({ demand: 1000, maxInstances: 100 }).start, 10);
  assertEquals(decided({ demand: 1000, maxInstances: 100, coming: 8 }).start, 2);
  assertEquals(decided({ demand: 1000, maxInstances: 100, coming: 12 }).start, 0);
});

Deno.test("one instance without a limit of concurrency is enough for any number of requests", () => {
  assertEquals(decided({ concurrency: 0, demand: 1000 }).start, 0);
  assertEquals(decided({ concurrency: 0, demand: 1, ready: 0 }).start, 1);
});

Deno.test("one instance is stopped after a whole window in which fewer were enough", () => {
  const seen = (...peaks: number[]): Observation[] => peaks.map((peak, n) => ({ at: 40_000 + n * 30_000, peak }));
  assertEquals(decided({ ready: 5, window: seen(2, 4, 3) }).stop, 1);
  assertEquals(decided({ ready: 5, window: seen(2, 10, 3) }).stop, 0);
  assertEquals(decided({ ready: 5, window: seen(2, 4, 3).slice(1) }).stop, 0);
  assertEquals(decided({ ready: 5, window: seen(2, 4, 3), coming: 1 }).stop, 0);
  assertEquals(decided({ ready: 5, window: seen(2, 4, 3), minInstances: 5 }).stop, 0);
  assertEquals(decided({ ready: 1, window: seen(0, 0, 0) }).stop, 0);
  assertEquals(decided({ ready: 5, window: seen(2, 4, 3), demand: 10 }).stop, 0);
});

Deno.test("a window keeps the observations that it needs and no more, and is no longer than stopAfter", () => {
  let window: Observation[] = [];
  for (let at = 0; at < 10_000; at += TICK_MS) window = observe(window, { at, peak: 0 }, 2000);
  assertEquals(window.map(({ at }) => at), [7500, 8000, 8500, 9000, 9500]);
  assertEquals([stableForMs(4000), stableForMs(600_000), stableForMs(Infinity)], [4000, 60_000, 60_000]);
});

/** What came of a load. */
interface Outcome {
  /** How many instances were ready, tick by tick. */
  readonly ready: number[];
  /** The longest that a request has waited, ms. */
  readonly longestWait: number;
}

/**
 * A revision whose instances take {@linkcode START_MS} to start, under a load; each request takes {@linkcode REQUEST_MS}.
 *
 * @param arrivals How many requests come in a step of 10 ms that begins at a time, ms.
 */
function simulate(arrivals: (at: number) => number, { minutes, concurrency = 4, maxInstances = 20 }: {
  minutes: number;
  concurrency?: number;
  maxInstances?: number;
}): Outcome {
  const STEP = 10;
  let window: Observation[] = [];
  let coming: number[] = []; // when each is ready
  let instances = 0;
  let inFlight: number[] = []; // when each ends
  let queue: number[] = []; // when each came
  let peak = 0;
  let longestWait = 0;
  const ready: number[] = [];
  for (let now = 0; now < minutes * 60_000; now += STEP) {
    instances += coming.filter((at) => at <= now).length;
    coming = coming.filter((at) => at > now);
    inFlight = inFlight.filter((end) => end > now);
    for (let n = Math.round(arrivals(now)); n > 0; n--) queue.push(now);
    const room = Math.max(0, instances * concurrency - inFlight.length);
    for (const came of queue.slice(0, room)) {
      longestWait = Math.max(longestWait, now - came);
      inFlight.push(now + REQUEST_MS);
    }
    queue = queue.slice(room);
    const demand = inFlight.length + queue.length;
    peak = Math.max(peak, demand);
    const isTick = now % TICK_MS === 0;
    if (isTick) {
      window = observe(window, { at: now, peak }, STABLE_MS);
      peak = demand;
    }
    const { start, stop } = decided({
      now,
      demand,
      concurrency,
      ready: instances,
      coming: coming.length,
      window,
      maxInstances,
    });
    for (let n = 0; n < start; n++) coming.push(now + START_MS);
    if (isTick) instances -= stop;
    if (isTick) ready.push(instances);
    assert(instances + coming.length <= maxInstances, "more than there may be");
  }
  return { ready, longestWait };
}

/** So many requests a second, evenly. */
function rate(perSecond: (at: number) => number): (at: number) => number {
  let owed = 0;
  return (at) => {
    owed += perSecond(at) / 100;
    const whole = Math.floor(owed + 1e-9);
    owed -= whole;
    return whole;
  };
}

/** By how much the number of instances moves up and down in some ticks. */
function swing(ready: number[]): number {
  return Math.max(...ready) - Math.min(...ready);
}

/** How often the number of instances changes its direction. */
function turns(ready: number[]): number {
  const steps = ready.slice(1).map((count, n) => Math.sign(count - ready[n]!)).filter((step) => step !== 0);
  return steps.slice(1).filter((step, n) => step !== steps[n]).length;
}

Deno.test("a step: the number of instances grows at once, stays, and shrinks once and for all", () => {
  const { ready, longestWait } = simulate(rate((at) => at < 180_000 ? 10 : at < 420_000 ? 100 : 10), { minutes: 12 });
  assert(longestWait <= START_MS + REQUEST_MS, `${longestWait} ms`);
  assert(swing(ready.slice(20, 350)) <= 1);
  // Five are needed: 100 requests a second of 200 ms, four to each. More are needed for those that waited for the starts.
  assert(Math.max(...ready) <= 12);
  assert(ready.slice(500, 840).every((count) => count === 5), `${ready.slice(500, 840)}`);
  assertEquals(ready.at(-1), 1);
  assert(turns(ready) <= 3, `${turns(ready)} turns`); // up and down for the cold start, and for the step
});

Deno.test("a ramp: the number of instances follows by steps of one, and no request waits longer than for a start and a request", () => {
  const { ready, longestWait } = simulate(
    rate((at) => at < 300_000 ? 5 + at / 1000 : Math.max(5, 305 - (at - 300_000) / 1000)),
    { minutes: 15 },
  );
  assert(longestWait <= START_MS + REQUEST_MS, `${longestWait} ms`);
  const steps = ready.slice(2).map((count, n) => Math.abs(count - ready[n + 1]!));
  assert(Math.max(...steps) <= 1);
  assert(turns(ready) <= 1, `${turns(ready)} turns`);
  assertEquals(ready.at(-1), 1);
});

Deno.test("a spike: it is served as fast as maxInstances allows, and its instances are gone after the window", () => {
  const { ready, longestWait } = simulate(
    (at) => at === 120_000 ? 400 : at % 1000 === 0 ? 1 : 0,
    { minutes: 5, maxInstances: 10 },
  );
  // 400 requests, 40 at a time, 200 ms each, after the start.
  assert(longestWait <= START_MS + 10 * (REQUEST_MS + 10), `${longestWait} ms`);
  assertEquals([Math.max(...ready), ready.at(-1)], [10, 1]);
  assert(turns(ready) <= 1);
});

Deno.test("a sawtooth that comes again within the window keeps the instances that it needs", () => {
  const { ready, longestWait } = simulate(rate((at) => 4 * (at % 30_000) / 1000 + 5), { minutes: 10 });
  assert(longestWait <= START_MS + REQUEST_MS, `${longestWait} ms`);
  assert(swing(ready.slice(120)) <= 1, `${ready.slice(120)}`);
});

Deno.test("a sawtooth that is slower than the window is followed once up and once down in each tooth", () => {
  const { ready } = simulate(rate((at) => (at % 240_000) < 120_000 ? 100 : 5), { minutes: 16 });
  assert(turns(ready) <= 8, `${turns(ready)} turns`);
});
