import { assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import type { Waker } from "../../src/model/waker.ts";
import { settle } from "../support/fake_clock.ts";
import { never, newKit, newRevision } from "../support/kit.ts";

/** A pool whose wakes are noted: from what, and for whom. */
function newNoted(revision: Partial<Revision> = {}) {
  const woken: [how: string, by: Waker][] = [];
  const kit = newKit({ observer: { woken: (_, how, __, by) => void woken.push([how, by]) } });
  kit.launcher.on.launch = ({ id }) => ({ origin: `http://${id}` });
  const pool = kit.newPool({ ...newRevision(), pauseAfterMs: 10_000, ...revision });
  return { kit, pool, woken };
}

const CI: Waker = { kind: "operator", name: "ci" };
const DEPLOY: Waker = { kind: "deploy" };
const REQUEST: Waker = { kind: "request", path: "/" };

Deno.test("an instance wakes for who has waited the longest, and nobody else is asked who they are", async () => {
  const { kit, pool, woken } = newNoted();
  const first = pool.hold(never(), () => REQUEST);
  const second = pool.hold(never(), () => {
    throw new Error("asked");
  });
  (await first).lease.release();
  (await second).lease.release();
  assertEquals(woken, [["cold", REQUEST]]);
  await kit.clock.advance(10_000);
  await pool.tryStart(never(), () => CI);
  assertEquals(woken.slice(1), [["resume", CI]]);
});

Deno.test("a start goes on for who asked for it, also if they leave", async () => {
  const { kit, pool, woken } = newNoted();
  delete kit.launcher.on.launch;
  const left = new AbortController();
  const held = pool.hold(left.signal, () => DEPLOY);
  const launch = await kit.launcher.nextLaunch();
  left.abort(new Error("gone"));
  await held.catch(() => {});
  launch.succeed("http://10.0.0.2:8080");
  await pool.settled();
  assertEquals(woken, [["cold", DEPLOY]]);
});

Deno.test("instances of a minimum wake for nobody, and an instance beyond it for the request that waits", async () => {
  const { kit, pool, woken } = newNoted({ minInstances: 1, maxInstances: 2, concurrency: 1 });
  pool.keep(true);
  await settle();
  assertEquals(woken, [["cold", { kind: "minimum" }]]);
  const grants = await Promise.all([1, 2].map(() => pool.hold(never(), () => REQUEST)));
  assertEquals(woken.slice(1), [["cold", REQUEST]]);
  for (const { lease } of grants) lease.release();
  await kit.clock.advance(10_000);
});

Deno.test("for whom an instance wakes is unknown if a request did not say, or somebody paused it while it had one", async () => {
  const { kit, pool, woken } = newNoted();
  const { lease } = await pool.hold(never());
  kit.launcher.pause(lease.instance.id);
  await settle();
  lease.release();
  assertEquals(woken, [["cold", { kind: "unknown" }], ["resume", { kind: "unknown" }]]);
});
