import { assertEquals, assertRejects } from "@std/assert";
import { Turns } from "../../src/base/limiter.ts";
import { settle } from "../support/fake_clock.ts";

Deno.test("so many go on at once, and the others follow in order, also after one that fails", async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const all = ends.map(({ promise }, n) =>
    turns.take(() => {
      begun.push(n);
      return promise;
    })
  );
  await settle();
  assertEquals(begun, [0, 1]);
  const failed = assertRejects(() => all[1]!, Error, "no");
  ends[1]!.reject(new Error("no"));
  await failed;
  await settle();
  assertEquals(begun, [0, 1, 2]);
  for (const n of [0, 2, 3, 4]) ends[n]!.resolve(n);
  assertEquals(await Promise.all([all[0], all[2], all[3], all[4]]), [0, 2, 3, 4]);
  assertEquals(begun, [0, 1, 2, 3, 4]);
  assertEquals(await turns.take(() => Promise.resolve("free")), "free");
});
