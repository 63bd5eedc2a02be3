import { assertEquals } from "@std/assert";
import { HeldSlots } from "../../src/pool/held_slots.ts";

/** Slots of an instance with four, and who uses them. */
function newHeld() {
  const user = { requests: 0, waiting: 0, isGone: false, came: () => {} };
  return { user, held: new HeldSlots("one", 4, user) };
}

Deno.test("what the home has given counts once, however often and in whichever order it is said", () => {
  const { held } = newHeld();
  assertEquals([held.count, held.take({ ledgerId: 5, granted: 2 }, 0), held.count], [0, true, 2]);
  assertEquals([held.take({ ledgerId: 5, granted: 2 }, 0), held.take({ ledgerId: 5, granted: 1 }, 0)], [false, false]);
  assertEquals([held.take({ ledgerId: 5, granted: 3 }, 0), held.count], [true, 3]);
  assertEquals(held.counts, { key: held.key, received: 3, returned: 0 });
});

Deno.test("what an earlier home has given is void once a later one is known", () => {
  const { held } = newHeld();
  held.take({ ledgerId: 5, granted: 2, due: 1 }, 0);
  assertEquals([held.isDue, held.bind(6), held.isDue, held.count], [true, true, false, 2]);
  assertEquals([held.take({ ledgerId: 5, granted: 3 }, 0), held.count, held.ledgerId], [false, 2, 6]);
  assertEquals([held.bind(5), held.take({ ledgerId: 6, granted: 3 }, 0), held.count], [false, true, 3]);
});

Deno.test("free ones are given back as others want them, and those in use are not", () => {
  const { held, user } = newHeld();
  held.take({ ledgerId: 5, granted: 4 }, 0);
  user.requests = 3;
  assertEquals([held.giveBack(0), held.count], [false, 4]);
  assertEquals([held.giveBack(0, 2), held.count], [true, 3]);
  assertEquals([held.giveBack(0, 2), held.count], [false, 3]);
});

Deno.test("what is due is given back once it is free, but not before the turn of the waiting requests is over", () => {
  const { held, user } = newHeld();
  held.take({ ledgerId: 5, granted: 2, due: 1 }, 1000);
  user.requests = 2;
  user.waiting = 1;
  assertEquals(held.giveBack(2000), false);
  user.requests = 1;
  assertEquals([held.giveBack(1049), held.giveBack(1050), held.count, held.isDue], [false, true, 1, false]);
  held.take({ ledgerId: 5, granted: 2, due: 2 }, 2000);
  user.requests = 0;
  user.waiting = 0;
  assertEquals([held.giveBack(2000), held.count], [true, 0]);
});

Deno.test("a process that leaves gives all back, whichever home it is", () => {
  const { held, user } = newHeld();
  held.take({ ledgerId: 5, granted: 3 }, 0);
  user.requests = 1;
  held.leave();
  held.bind(6);
  assertEquals([held.giveBack(0), held.count], [true, 1]);
  held.take({ ledgerId: 6, granted: 4 }, 0);
  user.requests = 0;
  assertEquals([held.giveBack(0), held.count], [true, 0]);
});
