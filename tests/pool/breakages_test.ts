import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import type { Revision } from "../../src/model/revision.ts";
import type { Breakage } from "../../src/pool/observer.ts";
import type { Probed } from "../../src/pool/probe.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision, started, untilAborted } from "../support/kit.ts";

/** A pool, and what its observer is told of things that broke. */
function observed(ask?: (url: string, signal: AbortSignal) => Promise<Probed>) {
  const told: [service: string, how: Breakage][] = [];
  const observer = { broke: ({ service }: Revision, how: Breakage) => void told.push([service, how]) };
  const kit = newKit({ observer, ...(ask === undefined ? {} : { ask }) });
  return { kit, told, pool: kit.newPool({ ...newRevision(), readinessPath: "/ready" }) };
}

for (const [how, exitCode, oom] of [["ended", 1, false], ["ended", 0, false], ["out_of_memory", 137, true]] as const) {
  for (const tier of ["ready", "paused"] as const) {
    Deno.test(`a ${tier} instance that ends by itself with exit code ${exitCode} is told of as ${how}`, async () => {
      const { kit, pool, told } = observed();
      const { lease } = await started(kit, pool);
      const { id } = lease.instance;
      lease.release();
      if (tier === "paused") await kit.launcher.pause(id);
      kit.launcher.end(id, exitCode, oom);
      await settle();
      assertEquals(told, [["app", how]]);
    });
  }
}

Deno.test("an instance that somebody kills, or that cless stops, is told of as nothing", async () => {
  const killed = observed();
  const { lease } = await started(killed.kit, killed.pool);
  killed.kit.launcher.kill(lease.instance.id);
  const stopped = observed();
  (await started(stopped.kit, stopped.pool)).lease.release();
  await stopped.kit.clock.advance(60_000);
  assertEquals(stopped.kit.launcher.called("stop"), ["one"]);
  stopped.kit.launcher.end("one", 143);
  await settle();
  assertEquals([killed.told, stopped.told], [[], []]);
});

Deno.test("a start that the engine refuses is told of once, and one that takes too long has a reason of its own", async () => {
  const { kit, pool, told } = observed();
  const refused = assertRejects(() => pool.hold(never()), ClessError);
  (await kit.launcher.nextLaunch()).fail(new Error("no such image"));
  await refused;
  const late = assertRejects(() => pool.hold(never()), ClessError);
  const launch = await kit.launcher.nextLaunch();
  await kit.clock.advance(30_000);
  await late;
  launch.succeed("http://10.0.0.2:8080");
  await kit.executor.settled();
  assertEquals(told, [["app", "start_failed"], ["app", "start_timeout"]]);
});

Deno.test("a start that nobody wants any more is told of as nothing", async () => {
  const { kit, pool, told } = observed();
  pool.wake();
  const launch = await kit.launcher.nextLaunch();
  const retired = pool.retire(0);
  launch.fail(new Error("no such image"));
  await kit.clock.until(retired);
  await kit.executor.settled();
  assertEquals(told, []);
});

Deno.test("an instance that does not answer any more, and one that hangs, are told of once", async () => {
  const closed = observed(() => Promise.resolve("closed"));
  const { lease } = await started(closed.kit, closed.pool);
  lease.release();
  lease.instance.suspect("closed");
  await closed.kit.clock.advance(600);
  assertEquals(closed.told, [["app", "unanswered"]]);

  const hanging = observed(async (_, signal) => {
    await untilAborted(signal).catch(() => {});
    return "silent";
  });
  hanging.kit.launcher.processor = new Map([["one", 7]]);
  const { lease: held } = await started(hanging.kit, hanging.pool);
  held.holder = { instanceGone: () => held.release() };
  held.instance.suspect("silent");
  held.instance.suspect("silent");
  await hanging.kit.clock.advance(10_000);
  await hanging.kit.executor.settled();
  assertEquals(hanging.told, [["app", "hung"]]);
});
