import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { HoldQueue } from "../../src/pool/hold_queue.ts";
import { settle } from "../support/fake_clock.ts";
import { never } from "../support/kit.ts";

Deno.test("waiting requests are served in the order of arrival", async () => {
  const queue = new HoldQueue<number>(10);
  const waiting = [queue.wait(never()), queue.wait(never()), queue.wait(never())];
  const values = [1, 2];
  queue.serve(() => values.shift());
  assertEquals(await Promise.all(waiting.slice(0, 2)), [1, 2]);
  assertEquals(queue.size, 1);
  queue.serve(() => 3);
  assertEquals(await waiting[2], 3);
});

Deno.test("a full queue refuses at once, with a hint when to try again", async () => {
  const queue = new HoldQueue<number>(1);
  queue.wait(never());
  const error = await assertRejects(() => queue.wait(never()), ClessError);
  assertEquals([error.code, error.retryAfterS], ["overloaded", 1]);
});

Deno.test("a request that gives up leaves the queue at once, and the others keep their places", async () => {
  const queue = new HoldQueue<number>(2);
  const impatient = new AbortController();
  const first = queue.wait(impatient.signal);
  const second = queue.wait(never());
  impatient.abort(new Error("gone"));
  await assertRejects(() => first, Error, "gone");
  assertEquals(queue.size, 1);
  const third = queue.wait(never());
  const values = [2, 3];
  queue.serve(() => values.shift());
  assertEquals(await Promise.all([second, third]), [2, 3]);
});

Deno.test("a request that has given up does not join the queue", async () => {
  const queue = new HoldQueue<number>(2);
  await assertRejects(() => queue.wait(AbortSignal.abort(new Error("gone"))), Error, "gone");
  assertEquals(queue.size, 0);
});

Deno.test("a failure reaches all waiting requests and no later one", async () => {
  const queue = new HoldQueue<number>(5);
  const waiting = [queue.wait(never()), queue.wait(never())];
  queue.fail(new Error("no"));
  for (const one of waiting) await assertRejects(() => one, Error, "no");
  const later = queue.wait(never());
  queue.serve(() => 1);
  assertEquals(await later, 1);
});

Deno.test("waiting until the queue is empty works each time that it has filled, and for several callers at once", async () => {
  const queue = new HoldQueue<number>(5);
  for (let n = 0; n < 2; n++) {
    queue.wait(never());
    let isEmpty = false;
    const emptied = queue.emptied().then(() => isEmpty = true);
    await settle();
    assertEquals(isEmpty, false);
    queue.serve(() => n);
    await emptied;
  }
  await queue.emptied();
  queue.wait(never()).catch(() => {});
  const both = [queue.emptied(), queue.emptied()];
  queue.fail(new Error("no"));
  await Promise.all(both);
});

Deno.test("the first is who has waited the longest of those that still wait", async () => {
  const queue = new HoldQueue<number>(5);
  assertEquals(queue.first, undefined);
  const impatient = new AbortController();
  const [one, two] = [() => ({ kind: "deploy" }) as const, () => ({ kind: "unknown" }) as const];
  const left = queue.wait(impatient.signal, one);
  const stays = queue.wait(never(), two);
  assertEquals(queue.first, one);
  impatient.abort(new Error("gone"));
  await assertRejects(() => left, Error, "gone");
  assertEquals(queue.first, two);
  queue.serve(() => 1);
  assertEquals([await stays, queue.first], [1, undefined]);
});
