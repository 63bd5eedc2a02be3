import { assertEquals } from "@std/assert";
import { Conditions } from "../../src/base/conditions.ts";

Deno.test("a condition that holds is not waited for, and another one until a check finds that it holds", async () => {
  const conditions = new Conditions();
  const told: string[] = [];
  let count = 0;
  await conditions.until(() => count === 0);
  const one = conditions.until(() => count === 1).then(() => told.push("one"));
  const two = conditions.until(() => count === 2).then(() => told.push("two"));
  conditions.check();
  await Promise.resolve();
  assertEquals(told, []);
  count = 1;
  conditions.check();
  await one;
  assertEquals(told, ["one"]);
  count = 2;
  conditions.check();
  await two;
  assertEquals(told, ["one", "two"]);
});

Deno.test("a condition that held at a check counts as met, whatever comes after", async () => {
  const conditions = new Conditions();
  let holds = false;
  const met = conditions.until(() => holds);
  holds = true;
  conditions.check();
  holds = false;
  conditions.check();
  await met;
});
