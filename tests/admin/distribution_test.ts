import { assertEquals } from "@std/assert";
import { Distribution } from "../../src/admin/distribution.ts";

Deno.test("a value counts up to the first bound that it does not exceed, and what exceeds all counts last", () => {
  const distribution = new Distribution([0.1, 0.5, 1]);
  for (const value of [0, 0.1, 0.25, 0.5, 1, 1.25, 60]) distribution.observe(value);
  assertEquals(distribution.counts, [2, 2, 1, 2]);
  assertEquals(distribution.sum, 63.1);
});
