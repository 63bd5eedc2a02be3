import { assertEquals } from "@std/assert";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** A pool with instances that serve one request at a time, and do not answer a probe meanwhile. */
async function newSlow(concurrency = 1) {
  const kit = newKit({ probe: (_, signal) => untilAborted(signal).then(() => true) });
  const liveness = { path: "/health", every: 5000 };
  const pool = kit.newPool({ ...newRevision(), concurrency, maxInstances: 1, liveness });
  const { lease } = await started(kit, pool, ORIGIN);
  return { kit, pool, lease };
}

Deno.test("an app that does one thing at a time may be silent while it does that, however long", async () => {
  const { kit, pool, lease } = await newSlow();
  await kit.clock.advance(60_000);
  assertEquals(lease.instance.state, "ready");
  const next = pool.hold(never());
  lease.instance.answered();
  lease.release();
  await kit.clock.advance(15_000); // the next one began before the app got round to the probe
  assertEquals([lease.instance.state, (await next).lease.instance], ["ready", lease.instance]);
  (await next).lease.release();
  await kit.clock.advance(10_000);
  assertEquals(lease.instance.state, "stopped");
});

Deno.test("an app that is silent and ends no request either is taken out, though others wait for it", async () => {
  const { kit, pool, lease } = await newSlow();
  await kit.clock.advance(30_000);
  const next = pool.hold(never());
  lease.release(); // not answered in time
  await kit.clock.advance(10_000);
  assertEquals(lease.instance.state, "draining");
  (await next).lease.release();
});

Deno.test("a silent app that could serve more than it has to is not well", async () => {
  for (const concurrency of [0, 2]) {
    const { kit, lease } = await newSlow(concurrency);
    await kit.clock.advance(10_000);
    assertEquals(lease.instance.state, "draining");
    lease.release();
  }
});

Deno.test("a busy app that says that it is not well is not", async () => {
  const kit = newKit({ probe: () => Promise.resolve(false) });
  const pool = kit.newPool({ ...newRevision(), concurrency: 1, liveness: { path: "/health", every: 5000 } });
  const { lease } = await started(kit, pool, ORIGIN);
  await kit.clock.advance(5000);
  assertEquals(lease.instance.state, "draining");
  lease.release();
});
