import { assertEquals } from "@std/assert";
import { OutOfMemory } from "../../src/docker/out_of_memory.ts";

Deno.test("what the engine has told explains the end of the container, once", () => {
  const outOfMemory = new OutOfMemory();
  outOfMemory.told("one");
  outOfMemory.told("two");
  outOfMemory.told("two");
  assertEquals([outOfMemory.explains("one", 137), outOfMemory.explains("one", 137)], [true, false]);
  assertEquals([outOfMemory.explains("two", 1), outOfMemory.explains("three", 137)], [true, false]);
});

Deno.test("an app that went on without one of its processes, and ended well, has not run out of memory", () => {
  const outOfMemory = new OutOfMemory();
  outOfMemory.told("one");
  assertEquals([outOfMemory.explains("one", 0), outOfMemory.explains("one", 1)], [false, false]);
});

Deno.test("not everything is remembered for ever", () => {
  const outOfMemory = new OutOfMemory();
  for (let n = 0; n <= 1000; n++) outOfMemory.told(`${n}`);
  assertEquals([outOfMemory.explains("0", 1), outOfMemory.explains("1000", 1)], [false, true]);
});
