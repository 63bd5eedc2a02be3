import { assertEquals } from "@std/assert";
import { OtherUsages } from "../../../src/control/figures/other_usages.ts";
import type { Usage } from "../../../src/pool/launcher.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

/** Other machines whose answers a test gives. */
function newScene(...others: string[]) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const waiting = new Map<string, PromiseWithResolvers<ReadonlyMap<string, Usage>>>();
  const machines = {
    others,
    usages(machine: string) {
      asked.push(machine);
      waiting.set(machine, Promise.withResolvers());
      return waiting.get(machine)!.promise;
    },
  };
  const usages = new OtherUsages(machines, clock);
  const answer = (machine: string, bytes: number) =>
    waiting.get(machine)!.resolve(new Map([[`of-${machine}`, { bytes }]]));
  const refuse = (machine: string) => waiting.get(machine)!.reject(new Error("it does not answer"));
  const read = async () => Object.fromEntries([...await usages.read()].map(([id, { bytes }]) => [id, bytes]));
  return { answer, asked, clock, machines, read, refuse };
}

Deno.test("each machine is asked once a second for all who look together, and only while somebody looks", async () => {
  const { answer, asked, clock, read } = newScene("b", "c");
  const both = Promise.all([read(), read()]);
  await settle();
  answer("b", 1);
  answer("c", 2);
  const all = { "of-b": 1, "of-c": 2 };
  assertEquals([await both, asked], [[all, all], ["b", "c"]]);
  await clock.advance(999);
  assertEquals([await read(), asked.length], [all, 2]);
  await clock.advance(60_000);
  assertEquals([asked.length, clock.timers], [2, 0]);
});

Deno.test("a machine that is silent delays nobody, and its late answer is shown at the next look", async () => {
  const { answer, asked, clock, read } = newScene("b", "c");
  const first = read();
  await settle();
  answer("b", 1);
  await clock.advance(300);
  assertEquals(await first, { "of-b": 1 });
  assertEquals(await read(), { "of-b": 1 }); // without a wait
  answer("c", 2);
  await settle();
  assertEquals([await read(), asked], [{ "of-b": 1, "of-c": 2 }, ["b", "c"]]);
});

Deno.test("what a machine said is not shown for long once it does not answer any more, or has gone", async () => {
  const { answer, clock, machines, read, refuse, asked } = newScene("b");
  const first = read();
  await settle();
  answer("b", 1);
  await first;
  for (let n = 0; n < 5; n++) {
    await clock.advance(2000);
    const next = read();
    await settle();
    refuse("b");
    assertEquals(await next, { "of-b": 1 });
  }
  await clock.advance(500);
  assertEquals([await read(), asked.length], [{}, 6]); // it is not asked more often than others
  await clock.advance(1000);
  const again = read();
  await settle();
  answer("b", 3);
  assertEquals(await again, { "of-b": 3 });
  machines.others.length = 0;
  assertEquals(await read(), {});
});
