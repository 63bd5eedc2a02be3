import { assertEquals } from "@std/assert";
import { quantileOf } from "../../../src/control/figures/histogram.ts";
import { periodsOf, summed } from "../../../src/control/figures/periods.ts";

const NONE = { ready: 0, starting: 0, paused: 0, hibernated: 0 };

Deno.test("an hour has the requests, wakes and times of all its minutes, by service", () => {
  const requests = [
    { service: "app", minute: 59, requests: 3, errors: 1, latencies: [[-2, 2], [9, 1]] as const },
    { service: "app", minute: 60, requests: 1, errors: 0, latencies: [[9, 1]] as const },
    { service: "app", minute: 119, requests: 2, errors: 2, latencies: [[9, 1], [40, 1]] as const },
    { service: "web", minute: 60, requests: 7, errors: 0, latencies: [[0, 7]] as const },
  ];
  const wakes = [
    { service: "app", minute: 61, how: "cold", count: 1 },
    { service: "app", minute: 62, how: "cold", count: 2 },
    { service: "app", minute: 62, how: "resume", count: 4 },
  ] as const;
  const stateTimes = [{ service: "app", at: 1, ...NONE, ready: 5 }, { service: "app", at: 1, ...NONE, ready: 6 }];
  const noWakes = { cold: 0, resume: 0, hibernated: 0 };
  assertEquals(periodsOf({ requests, wakes, stateTimes }, 60), [
    { service: "app", at: 0, requests: 3, errors: 1, latencies: [[-2, 2], [9, 1]], wakes: noWakes, times: NONE },
    {
      ...{ service: "app", at: 1, requests: 3, errors: 2, latencies: [[9, 2], [40, 1]] },
      ...{ wakes: { cold: 3, resume: 4, hibernated: 0 }, times: { ...NONE, ready: 11 } },
    },
    { service: "web", at: 1, requests: 7, errors: 0, latencies: [[0, 7]], wakes: noWakes, times: NONE },
  ]);
});

Deno.test("the quantiles of an hour are those of its requests, and not of its minutes", () => {
  const slow = { service: "app", minute: 0, requests: 1, errors: 0, latencies: [[40, 1]] as const };
  const fast = { service: "app", minute: 1, requests: 199, errors: 0, latencies: [[8, 199]] as const };
  const [hour] = periodsOf({ requests: [slow, fast] }, 60);
  assertEquals([quantileOf(hour!.latencies, 0.5), quantileOf(hour!.latencies, 0.99)], [3.67, 3.67]);
  assertEquals(quantileOf(hour!.latencies, 1), 939);
});

Deno.test("sums of sums are the same whatever came first", () => {
  const [a] = periodsOf({ requests: [{ service: "app", minute: 1, requests: 1, errors: 1, latencies: [[3, 1]] }] }, 60);
  const [b] = periodsOf({ wakes: [{ service: "app", minute: 5, how: "hibernated", count: 1 }] }, 60);
  const [c] = periodsOf({ stateTimes: [{ service: "app", at: 0, ...NONE, paused: 4 }] }, 60);
  assertEquals(summed([a!, b!, c!]), summed([...summed([c!, b!]), a!]));
});
