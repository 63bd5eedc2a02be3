import { assertEquals } from "@std/assert";
import { compare, Endurance } from "./audit.ts";

/** What does not fit together where one instance is in a state, and its container is frozen or not. */
function wrongs(state: string, isFrozen: boolean | undefined): string[] {
  const instance = { id: "one", service: "app", state, inFlight: 0 };
  return compare([instance], [{ id: "one", isFrozen }], () => true).map(({ what }) => what);
}

Deno.test("only what cless says to sleep may be frozen, and all of it has to be", () => {
  for (const state of ["paused", "hibernated"]) {
    assertEquals(wrongs(state, true), []);
    assertEquals(wrongs(state, false), [`not frozen, and cless says ${state}`]);
  }
  for (const state of ["starting", "ready", "draining"]) {
    assertEquals(wrongs(state, false), []);
    assertEquals(wrongs(state, true), [`frozen, and cless says ${state}`]);
  }
  for (const state of ["starting", "paused", "draining"]) assertEquals(wrongs(state, undefined), []);
});

Deno.test("a container without an instance and a lease without a request are wrong", () => {
  const instance = { id: "one", service: "app", state: "ready", inFlight: 1 };
  const what = (quiet: boolean) =>
    compare([instance], [{ id: "two", isFrozen: true }], () => quiet).map(({ id, what }) => `${id}: ${what}`);
  const unknown = ["two: a container without an instance", "two: frozen, and cless says nothing"];
  assertEquals(what(false), unknown);
  assertEquals(what(true), [...unknown, "one: a lease without a request"]);
});

Deno.test("what is wrong is told once it has lasted too long without a break, and only once", () => {
  const endurance = new Endurance();
  const wrong = { id: "one", what: "frozen", mayLastMs: 100 };
  const seen = [[0, 1], [60, 0], [90, 1], [180, 1], [191, 1], [500, 1]].map(([at, count]) =>
    endurance.look(Array(count).fill(wrong), at!)
  );
  assertEquals(seen, [[], [], [], [], ["one: frozen"], []]);
});
