import { assertEquals } from "@std/assert";
import { ColdStarts } from "../../src/pool/cold_starts.ts";
import { newKit, started } from "../support/kit.ts";

function usualOf(...ms: number[]): number | undefined {
  const starts = new ColdStarts();
  for (const one of ms) starts.add(one);
  return starts.usual;
}

Deno.test("what is usual is the median of the last nine", () => {
  assertEquals(usualOf(), undefined);
  assertEquals(usualOf(500), 500);
  assertEquals(usualOf(500, 700), 600);
  assertEquals(usualOf(900, 100, 200), 200);
  assertEquals(usualOf(...Array(20).fill(9000), ...Array(9).fill(100)), 100);
  assertEquals(usualOf(...Array(9).fill(9000), ...Array(4).fill(100)), 9000);
});

Deno.test("a pool knows how long its starts take", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  assertEquals(pool.coldStarts.usual, undefined);
  const held = started(kit, pool);
  await held;
  assertEquals([pool.coldStarts.usual, pool.ready], [0, true]);
});
