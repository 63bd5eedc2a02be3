import { assert, assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import type { Probed } from "../../src/pool/probe.ts";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** A ready instance with a request, whose app and processor do what the test says. */
async function hanging(revision: Partial<Revision> = {}) {
  const asked: string[] = [];
  const app: { does: Probed | "hang" } = { does: "hang" };
  const kit = newKit({
    async ask(url, signal) {
      asked.push(url);
      if (app.does !== "hang") return app.does;
      await untilAborted(signal).catch(() => {});
      return "silent";
    },
  });
  const processor = new Map([["one", 7]]);
  kit.launcher.processor = processor;
  const pool = kit.newPool({ ...newRevision(), readinessPath: "/ready", ...revision });
  const { lease } = await started(kit, pool, ORIGIN);
  const gone: boolean[] = [];
  lease.holder = {
    instanceGone(isHung) {
      gone.push(isHung);
      lease.release();
    },
  };
  return { kit, pool, lease, instance: lease.instance, asked, app, processor, gone };
}

Deno.test("an app that answers no probe in 10 s and uses no processor time is replaced, and its requests are aborted", async () => {
  const { kit, pool, instance, asked, gone } = await hanging();
  instance.suspect("silent");
  instance.suspect("silent"); // of another request
  await kit.clock.advance(9_999);
  assertEquals([instance.state, asked, gone], ["ready", Array(3).fill(`${ORIGIN}/ready`), []]);
  await kit.clock.advance(1);
  assertEquals([gone, kit.launcher.calls.filter(({ method }) => method === "stop")], [[true], [
    { method: "stop", id: "one", graceS: 2 },
  ]]);
  assertEquals(instance.failure, "the app hung: it answered nothing, and used no processor time");
  assertEquals(pool.failure?.reason, `${instance.failure} soon after it was ready`);
  const { lease } = await started(kit, pool);
  assertEquals(lease.instance.id, "two");
  lease.release();
});

Deno.test("an app that hangs gets no more requests while its container is being stopped", async () => {
  const { kit, pool, instance } = await hanging();
  const stopped = Promise.withResolvers<void>();
  kit.launcher.on.stop = () => stopped.promise;
  instance.suspect("silent");
  await kit.clock.advance(10_000);
  assertEquals([instance.state, pool.claim()], ["draining", undefined]);
  stopped.resolve();
  await kit.executor.settled();
});

Deno.test("an app that uses processor time is busy, and stays", async () => {
  const { kit, instance, asked, processor } = await hanging();
  for (let n = 0; n < 3; n++) {
    instance.suspect("silent");
    processor.set("one", processor.get("one")! + 1);
    await kit.clock.advance(0);
    processor.set("one", processor.get("one")! + 1);
    await kit.clock.advance(10_000);
  }
  assertEquals([instance.state, asked.length], ["ready", 9]);
});

Deno.test("an app whose processor time is unknown stays", async () => {
  const { kit, instance, asked, processor } = await hanging();
  processor.clear();
  instance.suspect("silent");
  await kit.clock.advance(10_000);
  assertEquals([instance.state, asked], ["ready", []]);
});

Deno.test("an app that answers a probe, whatever it says, or takes no connections, does not hang", async () => {
  for (const does of [200, 503, "garbage", "refused", "closed"] as const) {
    const { kit, instance, asked, app } = await hanging();
    instance.suspect("silent");
    await kit.clock.advance(4_000);
    app.does = does;
    await kit.clock.advance(6_000);
    assertEquals([instance.state, asked.length], ["ready", 3], `${does}`);
  }
});

Deno.test("an app that answers a request while it is being probed stays", async () => {
  const { kit, pool, instance, lease } = await hanging();
  const other = pool.claim()!;
  instance.suspect("silent");
  await kit.clock.advance(9_000);
  other.answered(500);
  await kit.clock.advance(1_000);
  assertEquals(instance.state, "ready");
  for (const { release } of [lease, other]) release();
});

Deno.test("an app whose container is paused while it is being probed stays", async () => {
  const { kit, instance } = await hanging();
  instance.suspect("silent");
  await kit.clock.advance(5_000);
  await kit.launcher.pause("one");
  await kit.clock.advance(5_000);
  assertEquals([instance.state, kit.launcher.called("resume")], ["ready", ["one"]]);
});

Deno.test("a probe whose outcome is unsure is repeated up to three times, and then there is no verdict", async () => {
  const { kit, instance, asked, app } = await hanging();
  app.does = "unsure";
  instance.suspect("silent");
  await kit.clock.advance(60_000);
  assertEquals([instance.state, asked.length], ["ready", 4]);
  instance.suspect("silent");
  await kit.clock.advance(100);
  app.does = "hang";
  await kit.clock.advance(11_000);
  assert(instance.gone.aborted);
  assertEquals(asked.length, 4 + 1 + 3);
});

Deno.test("an instance that has ended is not checked for a hang", async () => {
  const { kit, instance, asked } = await hanging();
  instance.suspect("silent");
  kit.launcher.end("one", 1);
  instance.suspect("silent");
  await kit.clock.advance(10_000);
  assertEquals([instance.state, asked], ["stopped", []]);
});

Deno.test("an app that hangs after it has served is replaced without a back-off", async () => {
  const { kit, pool, instance, lease } = await hanging();
  lease.answered(200);
  instance.suspect("silent");
  const held = pool.hold(never());
  (await held).lease.release();
  await kit.clock.advance(10_000);
  assertEquals([instance.state, pool.failure, pool.backingOff], ["stopped", undefined, false]);
});

Deno.test("the requests of an app that fails its liveness probes and hangs are aborted soon after that; those of a busy app are not", async () => {
  for (const [computes, expected] of [[false, [true]], [true, []]] as const) {
    const { kit, instance, gone, lease } = await hanging({ liveness: { path: "/health", every: 2000 } });
    kit.launcher.processorTime = () => Promise.resolve(computes ? kit.clock.now() : 7);
    while (instance.state === "ready") await kit.clock.advance(1000);
    assertEquals([instance.state, gone], ["draining", []]);
    await kit.clock.advance(3000);
    assertEquals(gone, [...expected]);
    lease.release();
    await kit.executor.settled();
  }
});

Deno.test("an app that is drained but still answers goes on with its requests for a while", async () => {
  const { kit, instance, app, gone, lease } = await hanging();
  app.does = 503;
  for (let n = 0; n < 3; n++) instance.suspect("unreachable");
  await kit.clock.advance(9_999);
  assertEquals([instance.state, gone], ["draining", []]);
  lease.release();
});
