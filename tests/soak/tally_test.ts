import { assertEquals } from "@std/assert";
import { until } from "../support/until.ts";
import { type Outcome, Tally } from "./tally.ts";

const GOOD: Outcome = {
  service: "soak-0",
  method: "GET",
  began: 0,
  ended: 10,
  aborted: false,
  answering: true,
  tier: "warm",
  ms: 5,
};

/** A table's cells, without its head and what aligns it. */
function rows(table: string): string[][] {
  return table.split("\n").slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("every request of a soak is counted once, by what came of it", () => {
  const tally = new Tally();
  tally.harming("harmed")();
  const now = performance.now();
  tally.add(GOOD);
  tally.add({ ...GOOD, aborted: true, failure: "aborted" });
  tally.add({ ...GOOD, service: "harmed", method: "POST", began: now, ended: now + 1, failure: "502 null" });
  tally.add({ ...GOOD, failure: "502 null" });
  const back = tally.killing();
  const lost = { ...GOOD, began: performance.now() - 5, ended: performance.now() + 1, answering: false };
  tally.add({ ...lost, failure: "connection reset by peer" });
  tally.add({ ...lost, failure: "tcp connect error: Connection refused (os error 111)" });
  back();
  assertEquals(rows(tally.requestsTable()).map(([, count]) => count), ["6", "1", "1", "1", "0", "1", "1", "1"]);
  assertEquals(rows(tally.failuresTable()), [["GET 502 null", "1"]]);
});

Deno.test("failures of changes are told by cause, and none is told too", () => {
  const tally = new Tally();
  assertEquals([rows(tally.failuresTable()), tally.failed], [[["none", "0"]], false]);
  tally.fail("deploy: 500");
  tally.fail("deploy: 500");
  assertEquals([rows(tally.failuresTable()), tally.failed], [[["deploy: 500", "2"]], true]);
});

Deno.test("a service is quiet while none of its requests is under way", async () => {
  const tally = new Tally();
  assertEquals(tally.quietMs("soak-0"), Infinity);
  tally.begin("soak-0");
  tally.begin("soak-0");
  tally.add(GOOD);
  assertEquals([tally.quietMs("soak-0"), tally.quietMs("soak-1")], [0, Infinity]);
  tally.add(GOOD);
  await until(() => tally.quietMs("soak-0") > 0);
});

Deno.test("wakes are told by tier, beside what the engine alone takes", () => {
  const tally = new Tally();
  for (const ms of [30, 10, 20]) tally.add({ ...GOOD, tier: "cold", ms });
  assertEquals(rows(tally.wakesTable({ "bare docker run": [7] })), [
    ["warm", "0", "-", "-"],
    ["resume", "0", "-", "-"],
    ["hibernated", "0", "-", "-"],
    ["cold", "3", "20.0", "30.0"],
    ["bare docker run", "1", "7.0", "7.0"],
  ]);
});
