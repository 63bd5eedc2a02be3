import { assert, assertEquals } from "@std/assert";
import { StreamBudget } from "../../src/http/stream_budget.ts";

const KB = 1024;
const MB = 1024 * KB;

Deno.test("few streams get as much as they want", () => {
  const budget = new StreamBudget(64 * MB);
  for (let stream = 0; stream < 20; stream++) {
    assertEquals(budget.share(MB, 16 * KB), MB);
    budget.change(MB);
  }
});

Deno.test("many streams together stay within the budget, and each still gets something", () => {
  const budget = new StreamBudget(64 * MB);
  for (let stream = 0; stream < 1000; stream++) {
    const bytes = budget.share(MB, 16 * KB);
    assert(bytes >= 16 * KB);
    budget.change(bytes);
  }
  assert(budget.usedBytes <= 64 * MB + 1000 * 16 * KB);
  assertEquals(budget.share(MB, 16 * KB), 16 * KB);
});

Deno.test("what is given back can be taken again, and without a limit there is always enough", () => {
  const budget = new StreamBudget(MB);
  budget.change(MB);
  assertEquals(budget.share(MB, KB), KB);
  budget.change(-MB);
  assertEquals(budget.share(MB, KB), MB / 16);
  const unlimited = new StreamBudget();
  unlimited.change(1000 * MB);
  assertEquals(unlimited.share(MB, KB), MB);
});
