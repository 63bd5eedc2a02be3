import { assert, assertEquals } from "@std/assert";
import { choose, Slots } from "../../src/pool/slots.ts";
import { HoldQueue } from "../../src/pool/hold_queue.ts";
import { Instance } from "../../src/pool/instance.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { never, newRevision } from "../support/kit.ts";
import { Random } from "../support/random.ts";

/** Instances that have so many requests each. */
function busy(...requests: number[]): Instance[] {
  const clock = new FakeClock();
  return requests.map((count, n) => {
    const instance = new Instance(`${n}`, newRevision(), clock);
    for (let claimed = 0; claimed < count; claimed++) instance.claim();
    return instance;
  });
}

/** Instances that serve so many requests at once. */
function limited(count: number, concurrency: number): Instance[] {
  const clock = new FakeClock();
  return Array.from({ length: count }, (_, n) => new Instance(`${n}`, { ...newRevision(), concurrency }, clock));
}

/** An instance whose pool counts its slots. */
function counted(slots: Slots, concurrency: number): Instance {
  return new Instance("one", { ...newRevision(), concurrency }, new FakeClock(), {
    ...{ moved() {}, suspect() {}, isOurs: () => true, answers: () => Promise.resolve(true) },
    ...{ answeredAfterWake() {}, unansweredAfterWake() {} },
    claimed: () => slots.claimed(),
    freed: () => slots.freed(),
  });
}

function noChance(): number {
  throw new Error("nothing is left to chance");
}

Deno.test("of a few instances it is the one with the fewest requests, the first of equals", () => {
  assertEquals(choose([], () => Infinity, noChance), undefined);
  assertEquals(choose(busy(2), () => Infinity, noChance)?.id, "0");
  assertEquals(choose(busy(2, 1, 1), () => Infinity, noChance)?.id, "1");
});

Deno.test("one that has as many requests as it takes gets no more", () => {
  assertEquals(choose(busy(2, 2), () => 2, noChance), undefined);
  assertEquals(choose(busy(2, 1), () => 2, noChance)?.id, "1");
});

Deno.test("of many it is the better one of two that are drawn", () => {
  const instances = busy(9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const drawn = (...numbers: number[]) => () => numbers.shift()!;
  assertEquals(choose(instances, () => Infinity, drawn(0.05, 0.05))?.id, "1"); // the first, and the second of the others
  assertEquals(choose(instances, () => Infinity, drawn(0.95, 0.95))?.id, "9");
  assertEquals(choose(instances, () => Infinity, drawn(0.45, 0.1))?.id, "4");
});

Deno.test("where both that are drawn are full, one that is not is found all the same", () => {
  const instances = busy(1, 1, 1, 1, 1, 1, 1, 1, 1, 0);
  assertEquals(choose(instances, () => 1, () => 0)?.id, "9");
  assertEquals(choose(busy(...Array(10).fill(1)), () => 1, () => 0), undefined);
});

Deno.test("two choices share out 10,000 requests among 100 instances nearly evenly", () => {
  const random = new Random(20261125);
  const instances = busy(...Array(100).fill(0));
  for (let n = 0; n < 10_000; n++) choose(instances, () => Infinity, () => random.below(1e6) / 1e6)!.claim();
  const most = Math.max(...instances.map(({ inFlight }) => inFlight));
  assert(most <= 104, `${most} on one, 100 on average`); // by one choice it would be about 125
});

Deno.test("no request claims a free slot while another one waits for it", async () => {
  const slots = new Slots(new HoldQueue(10), noChance);
  const waiting = slots.wait(never());
  const [first, second] = limited(2, 1);
  slots.add(first!);
  slots.add(second!);
  assertEquals(slots.claim(false), undefined);
  slots.serve();
  assertEquals((await waiting).instance, first);
  assertEquals(slots.claim(false)?.instance, second);
});

Deno.test("the peak is the most requests at once, in flight and waiting, since it was last taken", async () => {
  const slots = new Slots(new HoldQueue(10), noChance);
  const instance = counted(slots, 2);
  slots.add(instance);
  const leases = [slots.claim(false)!, slots.claim(true)!];
  assertEquals(slots.takePeak(), 2);
  const client = new AbortController();
  const waiting = [slots.wait(never()), slots.wait(client.signal).catch(() => undefined)];
  client.abort(new Error("gone"));
  await waiting[1];
  assertEquals([slots.takePeak(), slots.takePeak()], [4, 3]);
  leases[0]!.release();
  slots.serve();
  leases[1]!.release();
  (await waiting[0])!.release();
  assertEquals([slots.takePeak(), slots.takePeak()], [3, 0]);
  slots.claim(false);
  assertEquals(slots.takePeak(), 1);
});

Deno.test("a request that waits and then gets a slot is one request", async () => {
  const slots = new Slots(new HoldQueue(10), noChance);
  const waiting = slots.wait(never());
  slots.add(counted(slots, 1));
  slots.serve();
  (await waiting).release();
  assertEquals([slots.takePeak(), slots.takePeak()], [1, 0]);
});

Deno.test("requests of the process before count in the peak like those of this one", () => {
  const slots = new Slots(new HoldQueue(10), noChance);
  const instance = counted(slots, 5);
  slots.add(instance);
  const earlier = [instance.claim(), instance.claim(), instance.claim(true)];
  const own = [slots.claim(false)!, slots.claim(false)!];
  assertEquals(slots.takePeak(), 5);
  for (const lease of earlier) lease.release();
  assertEquals([slots.takePeak(), slots.takePeak()], [5, 2]);
  for (const lease of own) lease.release();
  assertEquals([slots.takePeak(), slots.takePeak()], [2, 0]);
});

Deno.test("an instance that is ready no more gets no requests, and one that never was changes nothing", () => {
  const slots = new Slots(new HoldQueue(10), noChance);
  const [one, two, stranger] = limited(3, 1);
  slots.add(one!);
  slots.add(two!);
  slots.delete(stranger!);
  slots.delete(one!);
  assertEquals([slots.claim(false)?.instance, slots.claim(false)], [two, undefined]);
});
