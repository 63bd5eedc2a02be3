import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import type { Probed } from "../../src/pool/probe.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** A ready instance without requests, whose app does what the test says when it is probed. */
async function suspected(does: Probed | "hang", revision: Partial<Revision> = {}) {
  const asked: string[] = [];
  const app = { does };
  const kit = newKit({
    ask: (url, signal) => {
      asked.push(url);
      if (app.does !== "hang") return Promise.resolve(app.does);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve("silent")));
    },
  });
  const pool = kit.newPool({ ...newRevision(), readinessPath: "/ready", ...revision });
  const { lease } = await started(kit, pool, ORIGIN);
  lease.release();
  return { kit, pool, instance: lease.instance, asked, app };
}

for (const does of ["closed", "refused"] as const) {
  Deno.test(`an app that closes a connection, and then fails three probes (${does}), is drained`, async () => {
    const { kit, instance, asked } = await suspected(does);
    instance.suspect("closed");
    await kit.clock.advance(599);
    assertEquals([instance.state, asked], ["ready", [`${ORIGIN}/ready`, `${ORIGIN}/ready`]]);
    await kit.clock.advance(1);
    assertEquals([instance.state, kit.launcher.called("stop")], ["stopped", ["one"]]);
    assertEquals(kit.clock.timers, 0);
  });
}

Deno.test("an app that closes a connection, but answers a probe, stays, whatever it answers", async () => {
  for (const does of [200, 503, "garbage"] as const) {
    const { kit, instance, asked } = await suspected(does);
    for (let n = 0; n < 9; n++) {
      instance.suspect("closed");
      await settle();
    }
    await kit.clock.advance(10_000);
    assertEquals([instance.state, asked.length], ["ready", 9]);
  }
});

Deno.test("an app that listens again after a moment stays", async () => {
  const { kit, instance, app } = await suspected("closed");
  instance.suspect("closed");
  await kit.clock.advance(300);
  app.does = 200;
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "ready");
});

Deno.test("an app that has not answered a request in time, and then answers no probe, is drained", async () => {
  const { kit, pool, instance, asked } = await suspected("hang");
  instance.suspect("late");
  instance.suspect("late");
  await kit.clock.advance(8_999);
  assertEquals([instance.state, asked.length], ["ready", 3]);
  await kit.clock.advance(1);
  assertEquals([instance.state, instance.failure, pool.live], ["stopped", "the app did not answer any more", false]);
  assertEquals(kit.clock.timers, 0);
});

Deno.test("a slow app that answers probes stays", async () => {
  const { kit, instance } = await suspected(503);
  for (let n = 0; n < 9; n++) {
    instance.suspect("late");
    await kit.clock.advance(1000);
  }
  assertEquals(instance.state, "ready");
});

Deno.test("a probe during which the container was paused does not count against the app", async () => {
  const { kit, instance } = await suspected("hang");
  instance.suspect("late");
  await kit.clock.advance(1000);
  kit.launcher.pause("one");
  await kit.launcher.resume("one");
  await kit.clock.advance(10_000);
  assertEquals(instance.state, "ready");
});

Deno.test("an app with as many requests as it accepts is probed only after three late answers in a row", async () => {
  const { kit, pool, instance, asked } = await suspected("hang", { concurrency: 1 });
  const lease = pool.claim()!;
  for (let n = 0; n < 9; n++) {
    instance.suspect("late");
    instance.suspect("late");
    instance.answers++;
  }
  assertEquals(asked, []);
  for (let n = 0; n < 3; n++) instance.suspect("late");
  assertEquals(asked.length, 1);
  await kit.clock.advance(9000);
  assertEquals(instance.state, "draining");
  lease.release();
  await kit.executor.settled();
});

Deno.test("any answer to a probe counts as an answer, and simultaneous calls share one probe", async () => {
  for (const [does, answers] of [[200, true], [503, true], ["garbage", true], ["closed", false]] as const) {
    const { instance, asked } = await suspected(does);
    assertEquals(await Promise.all([instance.answersWithin(100), instance.answersWithin(100)]), [answers, answers]);
    assertEquals(asked, [`${ORIGIN}/ready`]);
    assertEquals([await instance.answersWithin(100), asked.length], [answers, 2]);
  }
  const { kit, instance } = await suspected("hang");
  const answers = instance.answersWithin(100);
  await kit.clock.advance(100);
  assertEquals([await answers, kit.clock.timers], [false, 1]); // the pool's own
});

Deno.test("an app whose container is paused between two probes does not get the second one", async () => {
  const { kit, instance, asked } = await suspected("closed");
  instance.suspect("closed");
  await kit.clock.advance(100);
  await kit.launcher.pause("one");
  await kit.clock.advance(10_000);
  assertEquals([asked.length, instance.state], [1, "paused"]);
});

/** A pool with instances that serve one request at a time, and do not answer a probe meanwhile. */
async function newSlow(concurrency = 1) {
  const kit = newKit({
    ask: (_, signal) => untilAborted(signal).catch(() => {}).then(() => "silent" as const),
  });
  const liveness = { path: "/health", every: 5000 };
  const pool = kit.newPool({ ...newRevision(), concurrency, maxInstances: 1, liveness });
  const { lease } = await started(kit, pool, ORIGIN);
  return { kit, pool, lease };
}

Deno.test("an app that serves one request at a time may leave probes unanswered during a request, however long it takes", async () => {
  const { kit, pool, lease } = await newSlow();
  await kit.clock.advance(60_000);
  assertEquals(lease.instance.state, "ready");
  const next = pool.hold(never());
  lease.instance.answers++;
  lease.release();
  await kit.clock.advance(15_000); // the next one began before the app got round to the probe
  assertEquals([lease.instance.state, (await next).lease.instance], ["ready", lease.instance]);
  (await next).lease.release();
  await kit.clock.advance(25_000);
  assertEquals(lease.instance.state, "stopped");
});

Deno.test("an app that answers neither probes nor requests is drained, even if other requests wait for it", async () => {
  const { kit, pool, lease } = await newSlow();
  await kit.clock.advance(30_000);
  const next = pool.hold(never());
  lease.release(); // not answered in time
  await kit.clock.advance(25_000);
  assertEquals(lease.instance.state, "draining");
  (await next).lease.release();
});

Deno.test("probes that were unanswered before a pause of the container do not count after the pause", async () => {
  const { kit, pool, lease } = await newSlow();
  await kit.clock.advance(16_000); // silent once, and being asked again
  await kit.launcher.pause("one");
  await settle();
  assertEquals([lease.instance.state, kit.launcher.called("resume")], ["ready", ["one"]]);
  lease.release(); // not answered in time
  const next = pool.claim()!;
  await kit.clock.advance(30_000);
  assertEquals(lease.instance.state, "ready");
  next.release();
});

Deno.test("an app with free slots that answers no probe is drained", async () => {
  for (const concurrency of [0, 2]) {
    const { kit, lease } = await newSlow(concurrency);
    await kit.clock.advance(21_999); // three silences of 5 s, and the pauses between them
    assertEquals(lease.instance.state, "ready");
    await kit.clock.advance(1);
    assertEquals(lease.instance.state, "draining");
    lease.release();
  }
});

Deno.test("a busy app that answers its probes with an error is drained", async () => {
  const kit = newKit({ ask: () => Promise.resolve(503) });
  const pool = kit.newPool({ ...newRevision(), concurrency: 1, liveness: { path: "/health", every: 5000 } });
  const { lease } = await started(kit, pool, ORIGIN);
  await kit.clock.advance(7000);
  assertEquals(lease.instance.state, "draining");
  lease.release();
});

Deno.test("an app that fails two probes in a row and passes the third stays", async () => {
  const does: Probed[] = [503, 503, 200, 503, 503, 200, 503, 503, 503];
  const asked: number[] = [];
  const kit = newKit({
    ask: () => {
      asked.push(kit.clock.now() - began);
      return Promise.resolve(does[asked.length - 1]!);
    },
  });
  const pool = kit.newPool({ ...newRevision(), liveness: { path: "/health", every: 5000 } });
  const began = kit.clock.now();
  const { lease } = await started(kit, pool, ORIGIN);
  await kit.clock.advance(20_999);
  assertEquals([lease.instance.state, asked], ["ready", [5000, 6000, 7000, 12_000, 13_000, 14_000, 19_000, 20_000]]);
  await kit.clock.advance(1);
  assertEquals(lease.instance.state, "draining");
  lease.release();
});

Deno.test("probes whose outcome is unsure are no evidence, however many there are", async () => {
  const kit = newKit({ ask: () => Promise.resolve("unsure") });
  const pool = kit.newPool({ ...newRevision(), liveness: { path: "/health", every: 2000 } });
  const { lease: { instance } } = await started(kit, pool, ORIGIN);
  for (let n = 0; n < 9; n++) {
    instance.suspect(n % 2 === 0 ? "closed" : "late");
    await kit.clock.advance(10_000);
  }
  assertEquals([instance.state, pool.failure], ["ready", undefined]);
});

Deno.test("connections that break while cless itself lags are no evidence", async () => {
  const lag = { late: true, watch: () => () => {}, wasLate: () => lag.late };
  const kit = newKit({ lag });
  const { lease: { instance } } = await started(kit, kit.newPool(), ORIGIN);
  for (let n = 0; n < 9; n++) instance.suspect("unreachable");
  assertEquals(instance.state, "ready");
  lag.late = false;
  for (let n = 0; n < 3; n++) instance.suspect("unreachable");
  assertEquals(instance.state, "draining");
});
