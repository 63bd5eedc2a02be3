import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { ContainerGone } from "../../src/pool/launcher.ts";
import type { Ask } from "../../src/pool/probe.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

Deno.test("after three failed connections in a row an instance is drained, and the next request gets another one", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const { instance } = lease;
  instance.suspect("unreachable");
  instance.suspect("unreachable");
  instance.answers++;
  instance.suspect("unreachable");
  instance.suspect("unreachable");
  assertEquals(instance.state, "ready");
  instance.suspect("unreachable");
  assertEquals([instance.state, pool.claim()], ["draining", undefined]);
  assertEquals((await started(kit, pool)).lease.instance.id, "two");
  assertEquals(kit.launcher.called("stop"), []); // something is in flight there
  await kit.clock.advance(10_000);
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("a request that waits for a slot on an instance that is drained gets another instance", async () => {
  const kit = newKit();
  const pool = kit.newPool({ ...newRevision(), concurrency: 1 });
  const { lease } = await started(kit, pool);
  const held = pool.hold(never());
  for (let n = 0; n < 3; n++) lease.instance.suspect("unreachable");
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "two");
});

Deno.test("a container that is paused from outside while it starts is resumed", async () => {
  const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
  const pool = kit.newPool();
  pool.wake();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await settle();
  kit.launcher.pause("one");
  assertEquals(kit.launcher.called("resume"), ["one"]);
  kit.launcher.end("one");
  await kit.executor.settled();
});

Deno.test("an instance that is paused from outside is resumed if requests are in flight, and stays paused if not", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  kit.launcher.pause("one");
  await settle();
  assertEquals([kit.launcher.called("resume"), pool.claim()], [["one"], undefined]);
  const held = pool.hold(never());
  resumed.resolve();
  assertEquals((await held).lease.instance, lease.instance);
  assertEquals(kit.launcher.called("resume"), ["one"]);
  (await held).lease.release();
  lease.release();
  kit.launcher.pause("one");
  await settle();
  assertEquals([kit.launcher.called("resume"), lease.instance.state], [["one"], "paused"]);
});

Deno.test("an instance that is paused from outside while it drains is resumed", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const retired = pool.retire(10_000);
  kit.launcher.pause("one");
  assertEquals(kit.launcher.called("resume"), ["one"]);
  lease.release();
  await retired;
});

Deno.test("a draining instance that was resumed for its requests is asked to end, and not killed", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  const { lease } = await started(kit, pool);
  const resumed = Promise.withResolvers<void>();
  kit.launcher.on.resume = () => resumed.promise;
  kit.launcher.pause("one");
  const retired = pool.retire(10_000);
  resumed.resolve();
  await settle();
  lease.release();
  await retired;
  assertEquals([kit.launcher.called("stop"), kit.launcher.called("remove")], [["one"], []]);
});

for (
  const [how, exitCode] of [["stops", 0], ["stops", 143], ["kills", 137], ["removes", 1], [
    "removes unseen",
    undefined,
  ]] as const
) {
  Deno.test(`a starting container that somebody ${how} (exit code ${exitCode}) is replaced for the waiting request, but only once`, async () => {
    const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
    const pool = kit.newPool();
    const held = assertRejects(() => pool.hold(never()), ClessError);
    for (const id of ["one", "two"]) {
      (await kit.launcher.nextLaunch()).succeed(ORIGIN);
      await settle();
      assertEquals([pool.waiting, pool.failure], [1, undefined]);
      if (exitCode === undefined) kit.launcher.emit({ id, what: "ended" });
      else kit.launcher.kill(id, exitCode);
    }
    assertEquals([(await held).code, pool.failure?.count], ["start_failed", 1]);
    await kit.executor.settled();
    assertEquals(kit.launcher.called("launch"), ["one", "two"]);
  });
}

for (const exitCode of [0, 137]) {
  Deno.test(`an app that ends by itself with exit code ${exitCode} before it is ready has failed, and its request fails at once`, async () => {
    const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
    const pool = kit.newPool();
    const held = assertRejects(() => pool.hold(never()), ClessError);
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    await settle();
    kit.launcher.end("one", exitCode);
    assertEquals([(await held).code, pool.failure?.count], ["start_failed", 1]);
  });
}

Deno.test("after a start has succeeded, the next one that is ended from outside is excused again", async () => {
  const kit = newKit();
  const pool = kit.newPool();
  for (const id of ["two", "four"]) {
    const held = pool.hold(never());
    (await kit.launcher.nextLaunch()).fail(new ContainerGone("No such container"));
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    const { instance } = (await held).lease;
    assertEquals(instance.id, id);
    kit.launcher.kill(id);
  }
  assertEquals(pool.failure, undefined);
});

Deno.test("a start that is ended from outside is not tried again if no request waits", async () => {
  const kit = newKit({ untilReady: (_url, _clock, signal) => untilAborted(signal) });
  const pool = kit.newPool();
  pool.wake();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await settle();
  kit.launcher.kill("one");
  await kit.executor.settled();
  await settle();
  assertEquals([kit.launcher.called("launch"), pool.failure, pool.live], [["one"], undefined, false]);
});

/** An app that never answers. */
const silent: Ask = async (_url, signal) => {
  await untilAborted(signal).catch(() => {});
  return "silent";
};

/** A pool whose instances are probed every 5 s. */
async function probed(ask: Ask, pauseAfterMs = 20_000) {
  const asked: string[] = [];
  const kit = newKit({
    ask: (url, signal) => {
      asked.push(url);
      return ask(url, signal);
    },
  });
  const pool = kit.newPool({ ...newRevision(), pauseAfterMs, liveness: { path: "/health", every: 5000 } });
  const { lease } = await started(kit, pool, ORIGIN);
  lease.release();
  return { kit, pool, instance: lease.instance, asked };
}

Deno.test("an instance that passes its liveness probes is probed again and again, and becomes idle all the same", async () => {
  const { kit, pool, instance, asked } = await probed(() => Promise.resolve(200));
  await kit.clock.advance(19_999);
  assertEquals([asked, instance.state], [Array(3).fill(`${ORIGIN}/health`), "ready"]);
  await kit.clock.advance(1);
  assertEquals(instance.state, "paused");
  await kit.clock.advance(30_000);
  assertEquals(asked.length, 4);
  (await pool.hold(never())).lease.release();
  await kit.clock.advance(5000);
  assertEquals(asked.length, 5);
});

Deno.test("an instance that fails its liveness probes is drained and stopped", async () => {
  for (const does of [503, "refused", "closed"] as const) {
    const { kit, pool, instance } = await probed(() => Promise.resolve(does));
    await kit.clock.advance(6999);
    assertEquals(instance.state, "ready");
    await kit.clock.advance(1);
    assertEquals([instance.state, instance.failure, pool.live], ["stopped", "the app did not answer any more", false]);
    assertEquals(kit.launcher.called("stop"), ["one"]);
  }
});

Deno.test("an instance that does not answer its liveness probes in time is stopped", async () => {
  const { kit, instance } = await probed(silent, Infinity);
  await kit.clock.advance(21_999);
  assertEquals(instance.state, "ready");
  await kit.clock.advance(1);
  assertEquals(instance.state, "stopped");
});

Deno.test("a probe whose instance was paused meanwhile has no consequence", async () => {
  const { kit, pool, instance } = await probed(silent);
  await kit.clock.advance(5000);
  kit.launcher.pause("one");
  await kit.clock.advance(5000);
  assertEquals(instance.state, "paused");
  assert(pool.live);
});

Deno.test("if a container ends at any moment around its app's first answer, at most the waiting request gets that instance, and the next one is served", async () => {
  const got = new Set<string>();
  for (let moment = 0; moment < 12; moment++) {
    const answered = Promise.withResolvers<void>();
    const kit = newKit({ untilReady: () => answered.promise });
    kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
    const pool = kit.newPool();
    const held = pool.hold(never());
    await settle();
    answered.resolve();
    for (let n = 0; n < moment; n++) await Promise.resolve();
    kit.launcher.kill("one");
    const { instance } = (await held).lease;
    got.add(`${instance.id} ${instance.state}`);
    assertEquals((await pool.hold(never())).lease.instance.state, "ready");
    await kit.executor.settled();
    assertEquals([...kit.launcher.containers.keys()], ["two"]);
  }
  assertEquals(got, new Set(["two ready", "one stopped"])); // it has ended before the request got it, and after
});
