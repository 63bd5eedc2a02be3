import { assertEquals } from "@std/assert";
import { NO_PROGRESS, progressAfter, waitingText } from "../../../src/admin/dashboard/ui/parts/deploy_progress.js";
import * as cli from "../../../src/cli/progress.ts";

Deno.test("a deploy tells what it does, each thing once, and what renews itself apart", () => {
  const events = [
    { type: "revision.pulling", data: { image: "shop:1", done: 0, total: 0 } },
    { type: "revision.pulling", data: { image: "shop:1", done: 3, total: 7 } },
    { type: "revision.starting", data: { revision: "shop-00002" } },
    { type: "revision.warning", data: { warning: "it writes as root" } },
    { type: "instance.starting", data: {} },
    { type: "revision.ready", data: { revision: "shop-00002", ms: 311.6 } },
  ];
  const states = [];
  let progress = NO_PROGRESS;
  for (const event of events) states.push(progress = progressAfter(progress, event));
  assertEquals(states[1], { lines: ["pulling shop:1"], live: "3 of 7 layers" });
  assertEquals(progress.lines, [
    "pulling shop:1",
    "starting shop-00002",
    "warning: it writes as root",
    "shop-00002 is ready after 312 ms",
  ]);
});

Deno.test("what is waited for is said as the command line says it, and ends with the next step", () => {
  const since = "2026-11-30T12:00:00.000Z";
  for (const at of ["2026-11-30T12:00:12.400Z", "2026-11-30T12:02:05.000Z", "2026-11-30T11:59:59.000Z"]) {
    for (const more of [{}, { output: "loading" }]) {
      const waiting = { text: "nothing listens on port 8080 of shop-00002 yet", since, ...more };
      assertEquals(waitingText({ ...waiting, at }), cli.waitingText(waiting, Date.parse(at)));
    }
  }
  const waits = progressAfter(NO_PROGRESS, { type: "service.waiting", data: { at: since, since, text: "the pull" } });
  assertEquals(waits, { lines: [], live: "0s: the pull" });
  assertEquals(progressAfter(waits, { type: "revision.starting", data: { revision: "a" } }).live, "");
});
