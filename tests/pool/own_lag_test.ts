import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { NotReady } from "../../src/pool/probe.ts";
import { never, newKit, newRevision, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** A kit whose apps answer once the test says so, and whose lag is what the test says. */
function newLagging() {
  const lag = {
    late: false,
    watchers: 0,
    watch: () => (lag.watchers++, () => void lag.watchers--),
    wasLate: () => lag.late,
  };
  const app = Promise.withResolvers<void>();
  const kit = newKit({
    lag,
    untilReady: (_url, _clock, signal) =>
      Promise.race([app.promise, untilAborted(signal)]).catch((reason) => {
        throw new NotReady("silent", reason);
      }),
  });
  return { kit, lag, app, pool: kit.newPool({ ...newRevision(), startTimeoutMs: 10_000 }) };
}

Deno.test("an app that is being started gets more time if cless itself is late", async () => {
  const { app, kit, lag, pool } = newLagging();
  lag.late = true;
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await kit.clock.advance(19_000);
  app.resolve();
  (await held).lease.release();
  assertEquals([pool.failure, lag.watchers], [undefined, 0]);
});

Deno.test("a start that takes too long while cless itself is late is no failure of the app", async () => {
  const { kit, lag, pool } = newLagging();
  lag.late = true;
  for (let n = 0; n < 4; n++) {
    const held = assertRejects(() => pool.hold(never()), ClessError);
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    await kit.clock.advance(20_000); // as long again, and not longer
    assertEquals((await held).code, "start_timeout");
  }
  assertEquals([pool.failure, pool.backoffMs, lag.watchers], [undefined, 0, 0]);
});

Deno.test("a start that takes too long counts once cless is on time again", async () => {
  const { kit, lag, pool } = newLagging();
  lag.late = true;
  const held = assertRejects(() => pool.hold(never()), ClessError);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await kit.clock.advance(11_000);
  lag.late = false;
  await kit.clock.advance(4000);
  assertEquals([(await held).code, pool.failure?.count], ["start_timeout", 1]);
});

Deno.test("a container that ends before its app is ready has failed, however late cless is", async () => {
  const { kit, lag, pool } = newLagging();
  lag.late = true;
  const held = assertRejects(() => pool.hold(never()), ClessError);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await kit.clock.advance(10);
  kit.launcher.end("one", 1);
  assertEquals([(await held).code, pool.failure?.count], ["start_failed", 1]);
});
