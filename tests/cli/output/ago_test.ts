import { assertEquals } from "@std/assert";
import { age, ago, until } from "../../../src/cli/output/ago.ts";

const NOW = Date.parse("2027-01-31T12:00:00Z");

Deno.test("a time is told by how long ago it was, in its largest unit", () => {
  const cases: [seconds: number, text: string][] = [
    [-5, "now"],
    [0, "now"],
    [0.9, "now"],
    [1, "1s ago"],
    [59.9, "59s ago"],
    [60, "1m ago"],
    [3599, "59m ago"],
    [3600, "1h ago"],
    [86_399, "23h ago"],
    [86_400, "1d ago"],
    [400 * 86_400, "400d ago"],
  ];
  for (const [seconds, text] of cases) {
    assertEquals(ago(new Date(NOW - seconds * 1000).toISOString(), NOW), text);
  }
  assertEquals(age("2027-01-31T11:00:00Z", NOW), "1h");
});

Deno.test("a time to come is told by how long it takes, one that has been as ago", () => {
  assertEquals(until("2027-02-02T12:00:00Z", NOW), "in 2d");
  assertEquals(until("2027-01-31T12:00:00.001Z", NOW), "in 0s");
  assertEquals(until("2027-01-31T11:59:00Z", NOW), "1m ago");
});

Deno.test("what is no time is a hyphen", () => {
  for (const at of [undefined, "", "soon"]) assertEquals([ago(at, NOW), age(at, NOW), until(at, NOW)], ["-", "-", "-"]);
});
