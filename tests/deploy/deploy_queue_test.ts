import { assertEquals, assertRejects } from "@std/assert";
import { DeployQueue, QueueByName } from "../../src/deploy/deploy_queue.ts";
import { settle } from "../support/fake_clock.ts";

/** Work that ends when it is called off. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

Deno.test("a closed queue calls off the deploys on their way and accepts no more", async () => {
  const queue = new DeployQueue();
  const ended: string[] = [];
  const deploys = ["web", "web", "shop"].map((name) =>
    queue.run(name, undefined, untilAborted).catch((error) => ended.push(`${name}: ${error.message}`))
  );
  await queue.close(new Error("stopping"));
  await Promise.all(deploys);
  assertEquals(ended.sort(), ["shop: stopping", "web: stopping", "web: stopping"]);
  await assertRejects(() => queue.run("web", undefined, () => Promise.resolve()), Error, "stopping");
});

Deno.test("a queue has a service while its deploys are running or wait", async () => {
  const queue = new DeployQueue();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const running = queue.run("web", undefined, () => first.promise);
  const waiting = queue.run("web", undefined, () => second.promise);
  assertEquals([queue.has("web"), queue.has("shop")], [true, false]);
  first.resolve();
  await running;
  assertEquals(queue.has("web"), true);
  second.reject(new Error("no"));
  await assertRejects(() => waiting, Error, "no");
  assertEquals(queue.has("web"), false);
});

Deno.test("a paused queue finishes the deploys on their way, and accepts others once it goes on", async () => {
  const queue = new DeployQueue();
  const end = Promise.withResolvers<string>();
  const running = queue.run("web", undefined, () => end.promise);
  let isPaused = false;
  const paused = queue.pause(new Error("another one takes over")).then(() => isPaused = true);
  await assertRejects(() => queue.run("web", undefined, () => Promise.resolve()), Error, "another one takes over");
  assertEquals(isPaused, false);
  end.resolve("done");
  await paused;
  assertEquals(await running, "done");
  queue.resume();
  assertEquals(await queue.run("web", undefined, () => Promise.resolve("again")), "again");
});

Deno.test("deploys of one service run one after the other, in order and also after a failure; others do not wait", async () => {
  const queue = new DeployQueue();
  const begun: string[] = [];
  const ends = ["one", "two", "three", "other"].map((what) => ({ what, ...Promise.withResolvers<string>() }));
  const [one, two, three, other] = ends.map(({ what, promise }) =>
    queue.run(what === "other" ? "shop" : "web", undefined, () => {
      begun.push(what);
      return promise;
    })
  );
  await settle();
  assertEquals(begun, ["one", "other"]);
  const failed = assertRejects(() => one!, Error, "no");
  ends[0]!.reject(new Error("no"));
  await failed;
  await settle();
  assertEquals(begun, ["one", "other", "two"]);
  for (const { resolve, what } of ends.slice(1)) resolve(what);
  assertEquals([await two, await three, await other, begun.at(-1)], ["two", "three", "other", "three"]);
});

Deno.test("work that comes while the second of its name runs waits for that one", async () => {
  const queue = new QueueByName();
  const begun: string[] = [];
  const work = (what: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = queue.run("web", () => {
      begun.push(what);
      return promise;
    });
    return { done, resolve };
  };
  const [one, two] = [work("one"), work("two")];
  one.resolve();
  await one.done;
  await settle();
  const three = work("three");
  let isSettled = false;
  const settled = queue.settled().then(() => isSettled = true);
  await settle();
  assertEquals([begun, isSettled], [["one", "two"], false]);
  two.resolve();
  await two.done;
  await settle();
  assertEquals([begun, isSettled], [["one", "two", "three"], false]);
  three.resolve();
  await settled;
});

Deno.test("a deploy that is called off before its turn never begins, and one on its way is told", async () => {
  const queue = new DeployQueue();
  const [first, second] = [new AbortController(), new AbortController()];
  const running = assertRejects(() => queue.run("web", first.signal, untilAborted), Error, "first");
  let hasBegun = false;
  const waiting = assertRejects(
    () => queue.run("web", second.signal, () => Promise.resolve(hasBegun = true)),
    Error,
    "second",
  );
  await settle();
  second.abort(new Error("second"));
  first.abort(new Error("first"));
  await Promise.all([running, waiting]);
  assertEquals(hasBegun, false);
});

Deno.test("the deploys of one service can be cancelled, and those of others go on", async () => {
  const queue = new DeployQueue();
  const end = Promise.withResolvers<string>();
  const shop = queue.run("shop", undefined, () => end.promise);
  const web = assertRejects(() => queue.run("web", undefined, untilAborted), Error, "it is deleted");
  await settle();
  await queue.cancel("web", new Error("it is deleted"));
  await web;
  assertEquals(await queue.run("web", undefined, () => Promise.resolve("again")), "again");
  end.resolve("done");
  assertEquals(await shop, "done");
});

Deno.test("a queue is settled once the work of all names has ended, whether it succeeded or not", async () => {
  const queue = new QueueByName();
  const [web, shop] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const failed = assertRejects(() => queue.run("web", () => web.promise), Error, "no");
  queue.run("shop", () => shop.promise);
  let isSettled = false;
  const settled = queue.settled().then(() => isSettled = true);
  web.reject(new Error("no"));
  await failed;
  await settle();
  assertEquals(isSettled, false);
  shop.resolve();
  await settled;
  await queue.settled();
});
