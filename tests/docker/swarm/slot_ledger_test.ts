import { assertEquals } from "@std/assert";
import { SlotLedger, type SlotReport } from "../../../src/docker/swarm/slot_ledger.ts";

/** What a process says that has got and given back so many slots. */
function report(key: string, wants: number, received = 0, returned = 0, ledgerId = 7): SlotReport {
  return { key, wants, received, returned, ledgerId };
}

/** How many slots each process has got in all. */
function granted(given: Iterable<{ readonly key: string; readonly granted: number }>): Record<string, number> {
  return Object.fromEntries([...given].map(({ granted, key }) => [key, granted]));
}

Deno.test("each slot is given once, and who has the fewest gets the next one", () => {
  const ledger = new SlotLedger(7, 4);
  ledger.note("a", report("A", 3));
  assertEquals([granted(ledger.give()), ledger.free], [{ A: 3 }, 1]);
  ledger.note("a", report("A", 2, 3));
  ledger.note("b", report("B", 2));
  assertEquals([granted(ledger.give()), ledger.free], [{ B: 1 }, 0]);
  ledger.note("a", report("A", 2, 3, 1));
  assertEquals(granted(ledger.give()), { B: 2 });
});

Deno.test("who is alone gets all at once", () => {
  const ledger = new SlotLedger(7, 4);
  ledger.note("a", report("A", 1));
  assertEquals([granted(ledger.give(true)), ledger.free], [{ A: 4 }, 0]);
});

Deno.test("what is on its way to a process is not given again, and what it has given back counts whenever it is said", () => {
  const ledger = new SlotLedger(7, 2);
  ledger.note("a", report("A", 1));
  ledger.give();
  ledger.note("a", report("A", 1)); // sent before the slot came
  assertEquals([ledger.give().size, ledger.free], [0, 1]);
  ledger.note("a", report("A", 0, 1, 1));
  ledger.note("a", report("A", 0, 1, 0)); // overtaken
  assertEquals(ledger.free, 2);
});

Deno.test("others are asked for what they have idle, and for one in use if they have more, or somebody has none", () => {
  const ledger = new SlotLedger(7, 4);
  ledger.note("a", report("A", 3));
  ledger.note("b", report("B", 1));
  ledger.give();
  const callBack = () => ledger.callBack().map(({ account: { due, key }, wanted }) => [key, wanted, due]);
  assertEquals(callBack(), []);
  ledger.note("b", report("B", 2, 1));
  assertEquals(callBack(), [["A", 2, 1]]);
  assertEquals(callBack(), [["A", 2, 1]]); // one at a time
  ledger.note("a", report("A", 1, 3, 1));
  assertEquals(granted(ledger.give()), { B: 2 });
  assertEquals(callBack(), [["A", 1, 1], ["B", 1, 0]]); // each has two
  ledger.note("c", report("C", 1));
  assertEquals(callBack(), [["A", 2, 2], ["B", 2, 1]]); // whichever is free first
});

Deno.test("a process that belongs to another home's count is not counted before it belongs to this one", () => {
  const ledger = new SlotLedger(7, 4);
  assertEquals([ledger.isStrange(report("A", 1, 0, 0, 0)), ledger.isStrange(report("A", 1, 2, 1, 7))], [false, false]);
  assertEquals([ledger.isStrange(report("A", 1, 2, 1, 6)), ledger.isStrange(report("A", 1, 0, 0, 6))], [true, true]);
  ledger.note("a", report("A", 0, 2, 1));
  assertEquals([ledger.isStrange(report("A", 0, 2, 2, 6)), ledger.free], [true, 3]);
  ledger.noteReturned(report("A", 0, 2, 2, 6)); // that counts all the same
  ledger.noteReturned(report("B", 0, 2, 2, 6));
  assertEquals(ledger.free, 4);
});

Deno.test("a cless that is gone has no slots, and must be heard when it comes back; one that has ended need not", () => {
  const ledger = new SlotLedger(7, 2, ["a", "b"]);
  assertEquals(ledger.unheard(["a", "c"]), ["a"]);
  ledger.heard("a");
  ledger.note("a", report("A", 2));
  ledger.note("c", report("C", 0, 3, 2));
  assertEquals([granted(ledger.give()), ledger.free], [{ A: 1 }, 0]);
  ledger.went("a");
  assertEquals([ledger.free, ledger.unheard(["a", "c"])], [1, ["a"]]);
  ledger.ended("C");
  assertEquals([ledger.free, ledger.unheard(["a", "c"])], [2, ["a"]]);
});
