import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { slotsOf, turnOf, WHOLE } from "../../src/model/share.ts";

/** The shares of all processes in one instance. */
function sharesIn(turn: number, concurrency: number, of: number): number[] {
  return Array.from({ length: of }, (_, place) => slotsOf({ place, of }, turn, concurrency));
}

Deno.test("a process that is alone may use every slot", () => {
  assertEquals([slotsOf(WHOLE, 7, 1), slotsOf(WHOLE, 7, 80), slotsOf(WHOLE, 7, Infinity)], [1, 80, Infinity]);
});

Deno.test("the shares make up exactly the concurrency, and differ by one at most", () => {
  const numbers = fc.record({
    turn: fc.nat(10_000),
    of: fc.integer({ min: 1, max: 100 }),
    more: fc.nat(1000),
  });
  fc.assert(fc.property(numbers, ({ more, of, turn }) => {
    const shares = sharesIn(turn, of + more, of);
    assertEquals(shares.reduce((sum, share) => sum + share), of + more);
    assert(Math.max(...shares) - Math.min(...shares) <= 1);
  }));
});

Deno.test("the slots that are left over go round from instance to instance", () => {
  assertEquals([0, 1, 2, 3].map((turn) => sharesIn(turn, 4, 3)), [[2, 1, 1], [1, 2, 1], [1, 1, 2], [2, 1, 1]]);
  assertEquals([0, 1, 2].map((turn) => sharesIn(turn, 5, 3)), [[2, 2, 1], [1, 2, 2], [2, 1, 2]]);
});

Deno.test("with fewer slots than processes, each has one", () => {
  assertEquals([sharesIn(0, 1, 3), sharesIn(1, 2, 3)], [[1, 1, 1], [1, 1, 1]]);
  assertEquals(sharesIn(0, Infinity, 2), [Infinity, Infinity]);
});

Deno.test("the instances of a revision have their turns one after the other, and services begin at different ones", () => {
  const turns = [0, 1, 9, 10, 11].map((slot) => turnOf(`cless-a1b2c3d4-app-r1-s${slot}`));
  assertEquals(turns.map((turn) => turn - turns[0]!), [0, 1, 9, 10, 11]);
  assertNotEquals(turnOf("cless-a1b2c3d4-app-r1-s0") % 3, turnOf("cless-a1b2c3d4-apq-r1-s0") % 3);
  assertEquals([turnOf(""), turnOf("12"), turnOf("a")], [0, 12, 97]);
});
