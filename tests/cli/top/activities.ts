import type { ActivityJson } from "../../../src/admin/operations/activity.ts";

/** A service that sleeps, but for what is given. */
export function newActivity(service: string, given: Partial<ActivityJson> = {}): ActivityJson {
  return {
    service,
    state: "asleep",
    requestsPerSecond: 0,
    errorsPerSecond: 0,
    inFlight: 0,
    waiting: 0,
    instances: {},
    memoryBytes: 0,
    swapBytes: 0,
    awakeBytes: 0,
    wakes: { cold: 0, resume: 0, hibernated: 0 },
    perMinute: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...given,
  };
}

/** When the services below are looked at, ms since 1970. */
export const NOW = Date.parse("2027-01-31T12:00:00Z");

/** A service that is used. */
export const BLOG = newActivity("blog", {
  state: "ready",
  requestsPerSecond: 3.21,
  errorsPerSecond: 0.2,
  p50Ms: 3.7,
  p99Ms: 412,
  inFlight: 2,
  waiting: 1,
  instances: { ready: 1 },
  memoryBytes: 80 * 2 ** 20,
  awakeBytes: 80 * 2 ** 20,
  wakes: { cold: 1, resume: 12, hibernated: 2 },
  perMinute: [0, 4, 8, 20, 12, 3, 0, 0, 9, 14],
});

/** A service that fails. */
export const SHOP = newActivity("shop", {
  state: "failing",
  failure: "it ended with\x1b[31m code 1; look at KEY",
  failingSince: "2027-01-31T11:56:50Z",
});

/** Services in several states. */
export const SERVICES: readonly ActivityJson[] = [
  newActivity("api", { state: "paused", memoryBytes: 2 ** 22, swapBytes: 2 ** 25, awakeBytes: 2 ** 26 }),
  BLOG,
  newActivity("docs"),
  SHOP,
  newActivity("wiki", { state: "hibernated", swapBytes: 2 ** 25, awakeBytes: 2 ** 25 }),
];
