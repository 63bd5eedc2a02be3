import { assertEquals } from "@std/assert";
import { attentionLines, summaryText } from "../../../src/cli/top/summary.ts";
import { newActivity, NOW, SERVICES } from "./activities.ts";

Deno.test("the first line says how many services there are, how many are awake, and what memory that saves", () => {
  assertEquals(summaryText(SERVICES), "5 services, 1 awake, 92.0 MiB not used");
  assertEquals(summaryText([newActivity("a", { state: "starting" })]), "1 service, 1 awake");
  assertEquals(summaryText([]), "0 services, 0 awake");
});

Deno.test("a service that uses more than one instance that is awake takes nothing from what others save", () => {
  const big = newActivity("big", { state: "ready", memoryBytes: 2 ** 30, awakeBytes: 2 ** 20 });
  assertEquals(summaryText([...SERVICES, big]), "6 services, 2 awake, 92.0 MiB not used");
});

Deno.test("what fails is told with for how long and why, but not what to do about it", () => {
  assertEquals(attentionLines(SERVICES, NOW), ["shop is failing for 3m: it ended with code 1"]);
});
