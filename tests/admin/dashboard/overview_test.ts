import { assertEquals } from "@std/assert";
import * as overview from "../../../src/admin/dashboard/ui/model/overview.js";
import type { Activity } from "../../../src/admin/dashboard/ui/model/overview.js";
import type { Timeline } from "../../../src/admin/dashboard/ui/model/timeline.js";

const NOW = Date.parse("2026-11-30T12:00:00Z");
const MB = 2 ** 20;

function activity(service: string, state = "asleep", more: Partial<Activity> = {}): Activity {
  return {
    ...{ service, state, requestsPerSecond: 0, errorsPerSecond: 0, inFlight: 0, waiting: 0, instances: {} },
    ...{
      memoryBytes: 0,
      swapBytes: 0,
      awakeBytes: 0,
      wakes: { cold: 0, resume: 0, hibernated: 0 },
      perMinute: [0, 0, 0],
    },
    ...more,
  };
}

function timeline(service: string, more: Partial<Timeline> = {}): Timeline {
  return { service, from: ago(24 * 60), spells: [], deploys: [], wakes: [], ...more };
}

function ago(minutes: number): string {
  return new Date(NOW - minutes * 60_000).toISOString();
}

Deno.test("the first line counts the services, those that are awake, and the memory that is not used", () => {
  const all = [activity("a", "ready"), activity("b", "starting"), activity("c", "paused"), activity("d")];
  assertEquals(overview.headline(all, 5.1 * 2 ** 30), ["4 services", "2 awake", "5.1 GiB not used"]);
  assertEquals(overview.headline([activity("a")], 0), ["1 service", "0 awake"]);
});

Deno.test("not used is what a service takes while it is awake, without what it takes now", () => {
  const activities = [
    activity("sleeper", "hibernated", { awakeBytes: 100 * MB, memoryBytes: 2 * MB }),
    activity("busy", "ready", { awakeBytes: 60 * MB, memoryBytes: 80 * MB }),
    activity("never"),
  ];
  assertEquals(overview.unusedBytes(activities), 98 * MB);
});

Deno.test("what fails needs attention, and a last deploy that did not work, but not one that was followed by another", () => {
  const failing = activity("shop", "failing", {
    failure: "it ended with code 1; look at its logs",
    failingSince: ago(130),
  });
  const deploy = (outcome: string, minutes: number) => ({ at: ago(minutes), outcome, revision: "x-00002", by: "ci" });
  const timelines = [
    timeline("blog", { deploys: [deploy("deployed", 90), deploy("failed", 60)] }),
    timeline("wiki", { deploys: [deploy("failed", 90), deploy("deployed", 60)] }),
  ];
  assertEquals(overview.attention([failing, activity("blog")], timelines, NOW), [
    { service: "shop", what: "failing for 2h", detail: "it ended with code 1", section: "" },
    { service: "blog", what: "deploy failed", detail: "x-00002 by ci, 1h ago", section: "history" },
  ]);
});

Deno.test("the filter looks at names and states, and each order has the names as its second rule", () => {
  const all = [
    activity("wiki", "ready", { memoryBytes: 5, requestsPerSecond: 1 }),
    activity("blog", "asleep", { perMinute: [0, 3, 0] }),
    activity("shop", "failing", { memoryBytes: 9 }),
    activity("auth", "asleep"),
  ];
  const wakes = [{ at: ago(5), revision: "", how: "cold", ms: 1, by: { kind: "unknown" } }] as Timeline["wakes"];
  const timelines = new Map([["auth", timeline("auth", { wakes })]]);
  const names = (filter: string, sort: string) =>
    overview.arranged(all, filter, sort, timelines).map(({ service }) => service).join(" ");
  assertEquals(names("", "name"), "auth blog shop wiki");
  assertEquals(names("", "state"), "shop wiki auth blog");
  assertEquals(names("", "requests"), "wiki blog auth shop");
  assertEquals(names("", "memory"), "shop wiki auth blog");
  assertEquals(names("", "wake"), "auth blog shop wiki");
  assertEquals(names("", "toString"), "auth blog shop wiki");
  assertEquals(names(" OG ", "name"), "blog");
  assertEquals(names("asl", "name"), "auth blog");
});

Deno.test("a busy service shows its rate, a quiet one when it was used", () => {
  const text = (one: Activity, line?: Timeline) => overview.requestsText(one, line, NOW);
  assertEquals(text(activity("a", "ready", { requestsPerSecond: 4.2 })), "4.2/s");
  assertEquals(text(activity("a", "ready", { perMinute: [0, 0, 2] })), "now");
  assertEquals(text(activity("a", "paused", { perMinute: [2, 0, 0] })), "2m ago");
  const spells = [{ state: "ready", from: ago(200) }, { state: "paused", from: ago(180) }];
  assertEquals(text(activity("a"), timeline("a", { spells })), "3h ago");
  assertEquals(text(activity("a")), "–");
});

Deno.test("a change of state replaces the failure", () => {
  const failing = activity("a", "failing", { failure: "it ended", failingSince: ago(1) });
  const others = [activity("b")];
  assertEquals(overview.withState([failing, ...others], { service: "a", state: "ready" }), [
    ...[activity("a", "ready"), ...others],
  ]);
  assertEquals(
    overview.withState([activity("a")], { service: "a", state: "failing", failure: "it ended", failingSince: ago(1) }),
    [failing],
  );
});
