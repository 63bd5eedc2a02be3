import { assertEquals } from "@std/assert";
import { FreedMemory, releaseFreedMemory } from "../../src/base/freed_memory.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

const MB = 1024 ** 2;

/** A process with so much memory, of which `usedMb` are in use. */
function world() {
  const clock = new FakeClock();
  const process = { mb: 70, usedMb: 70, releases: 0, cpuMs: 0 };
  const memory = new FreedMemory(clock, {
    usedBytes: () => process.mb * MB,
    cpuMs: () => process.cpuMs,
    release() {
      process.releases++;
      process.mb = process.usedMb;
    },
  });
  memory.start();
  return { clock, process, memory };
}

Deno.test("what clients have needed is returned to the system within a minute after they have left", async () => {
  const { clock, process } = world();
  process.mb = process.usedMb = 300;
  await clock.advance(90_000);
  process.usedMb = 75;
  process.mb = 298;
  await clock.advance(40_000);
  assertEquals(process.mb, 75);
});

Deno.test("memory is not returned while there is little more than at first, or if nothing has changed", async () => {
  const { clock, process, memory } = world();
  process.mb = process.usedMb = 90;
  await clock.advance(600_000);
  assertEquals(process.releases, 0);
  process.mb = process.usedMb = 120;
  await clock.advance(600_000);
  assertEquals(process.releases, 1);
  memory.stop();
  assertEquals(clock.timers, 0);
});

Deno.test("memory is returned every 30 seconds at most", async () => {
  const { clock, process } = world();
  for (let seconds = 0; seconds < 300; seconds++) {
    process.mb = process.usedMb = 150 + seconds;
    await clock.advance(1000);
  }
  assertEquals(process.releases, 10);
});

Deno.test("while cless is busy, memory is returned only every five minutes", async () => {
  const { clock, process } = world();
  process.mb = 300;
  const work = async (seconds: number, ofEach: number) => {
    for (let second = 0; second < seconds; second++) {
      process.cpuMs += 1000 * ofEach;
      await clock.advance(1000);
    }
  };
  await work(299, 0.9);
  assertEquals(process.releases, 0);
  await work(10, 0.9);
  assertEquals(process.releases, 1);
  process.mb = 300;
  await work(200, 0.6);
  assertEquals(process.releases, 1);
  await work(20, 0.2);
  assertEquals(process.releases, 2);
});

Deno.test({
  name: "the allocator returns memory that is free between pieces in use",
  ignore: Deno.build.target !== "x86_64-unknown-linux-gnu" && Deno.build.target !== "aarch64-unknown-linux-gnu",
}, async () => {
  const freed: Uint8Array<ArrayBuffer>[] = [];
  const kept: Uint8Array[] = [];
  for (let count = 0; count < 3000; count++) {
    freed.push(new Uint8Array(32 * 1024).fill(1));
    kept.push(new Uint8Array(256).fill(1));
  }
  const before = Deno.memoryUsage().rss;
  for (const { buffer } of freed) buffer.transfer(0);
  await releaseFreedMemory();
  await until(() => before - Deno.memoryUsage().rss > 48 * MB);
  assertEquals(kept.length, 3000);
});

Deno.test("garbage is collected before memory is returned, though nothing else makes it so", async () => {
  const registry = new FinalizationRegistry<void>(() => collected = true);
  let collected = false;
  const promote = () => {
    let garbage: object | undefined = new Uint8Array(MB);
    registry.register(garbage);
    garbage = undefined;
  };
  promote();
  await until(async () => {
    await releaseFreedMemory();
    return collected;
  });
});
