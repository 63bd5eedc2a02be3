import { assertEquals } from "@std/assert";
import { hasJobControl, type ProcessPlace } from "../../src/cli/job_control.ts";

/** Whether process 1 of these can be stopped. Each is its parent, process group and session, by its id. */
function canStop(places: Readonly<Record<number, readonly [parent: number, group: number, session: number]>>): boolean {
  const placeOf = (pid: number): ProcessPlace | undefined => {
    const place = places[pid];
    return place && { parent: place[0], group: place[1], session: place[2] };
  };
  return hasJobControl(placeOf, 1);
}

Deno.test("a program in a job of a shell can be stopped, also through programs that start it", () => {
  assertEquals(canStop({ 1: [5, 1, 5], 5: [9, 5, 5] }), true);
  assertEquals(canStop({ 1: [2, 2, 5], 2: [5, 2, 5], 5: [9, 5, 5] }), true, "such as by sudo");
});

Deno.test("a program that no shell could let go on is not stopped", () => {
  assertEquals(canStop({ 1: [9, 1, 1], 9: [8, 9, 9] }), false, "the shell of ssh has become it");
  assertEquals(canStop({ 1: [2, 2, 2], 2: [9, 2, 2], 9: [8, 9, 9] }), false, "ssh has started its shell for it");
  assertEquals(canStop({ 1: [0, 1, 1] }), false, "the first of a container");
});

Deno.test("where nothing is known of processes, a program can be stopped", () => {
  assertEquals([canStop({}), canStop({ 1: [5, 1, 5] })], [true, true]);
});
