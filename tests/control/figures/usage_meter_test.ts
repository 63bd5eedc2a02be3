import { assertEquals } from "@std/assert";
import { Costs } from "../../../src/control/figures/costs.ts";
import { UsageMeter } from "../../../src/control/figures/usage_meter.ts";
import type { Usage } from "../../../src/pool/launcher.ts";
import { newKit, newRevision, started } from "../../support/kit.ts";

/** A pool whose instances are measured, what the engine says of each of them, and how often it was asked. */
function newScene() {
  const engine = { asked: 0, usage: { bytes: 100 } as Usage, answers: Promise.resolve() };
  const kit = newKit({ observer: { changed: (instance) => meter.changed(instance) } });
  const { clock, fleet } = kit;
  const launcher = {
    async usage() {
      engine.asked++;
      await engine.answers;
      return new Map(fleet.instances().map(({ id }) => [id, engine.usage]));
    },
  };
  const meter = new UsageMeter({ clock, fleet, launcher, costs: new Costs(() => clock.now()) });
  const pool = kit.newPool({ ...newRevision(), pauseAfterMs: 10_000 });
  return { clock, engine, kit, meter, pool };
}

Deno.test("many changes in a row measure only once in five seconds", async () => {
  const { clock, engine, kit, meter, pool } = newScene();
  meter.start();
  const { lease } = await started(kit, pool);
  await clock.advance(5000);
  engine.asked = 0;
  for (let n = 0; n < 10; n++) meter.changed(lease.instance);
  assertEquals(engine.asked, 0); // ready: nothing to measure early
  lease.release();
  await clock.advance(10_000);
  for (let n = 0; n < 10; n++) meter.changed(lease.instance);
  await clock.advance(4999);
  assertEquals([lease.instance.state, engine.asked], ["paused", 1]);
  await clock.advance(1);
  assertEquals(engine.asked, 2);
  meter.stop();
});

Deno.test("all who look get what is used now, by one measurement a second", async () => {
  const { clock, engine, kit, meter, pool } = newScene();
  meter.start();
  const { lease } = await started(kit, pool);
  await clock.advance(1000);
  engine.usage = { bytes: 7, swapBytes: 3, processorNs: 5e8 };
  engine.asked = 0;
  const [costs, usages, again] = await Promise.all([meter.costs(["app", "other"]), meter.usages(), meter.usages()]);
  const { cpuSeconds, memoryBytes, swapBytes } = costs.get("app")!;
  assertEquals([costs.size, memoryBytes, swapBytes, cpuSeconds], [1, 7, 3, 0.5]);
  assertEquals([...usages], [[lease.instance.id, engine.usage]]);
  await clock.advance(999);
  assertEquals([await meter.usages(), engine.asked], [again, 1]);
  await clock.advance(1);
  await meter.usages();
  assertEquals(engine.asked, 2);
  lease.release();
  meter.stop();
});

Deno.test("an instance that has become ready since the last measurement is measured for the one who looks", async () => {
  const { clock, engine, kit, meter, pool } = newScene();
  meter.start();
  await clock.advance(100);
  await meter.costs([]);
  engine.asked = 0;
  const { lease } = await started(kit, pool);
  assertEquals((await meter.costs(["app"])).get("app")?.memoryBytes, 100);
  await meter.costs(["app"]);
  assertEquals(engine.asked, 1);
  lease.release();
  meter.stop();
});

Deno.test("while the engine is slow or refuses, those who look get the last measurement after a second", async () => {
  const { clock, engine, kit, meter, pool } = newScene();
  meter.start();
  const { lease } = await started(kit, pool);
  const read = async () => (await meter.usages()).get(lease.instance.id)?.bytes;
  assertEquals(await read(), 100);
  engine.usage = { bytes: 200 };
  engine.answers = Promise.reject(new Error("busy"));
  engine.answers.catch(() => {});
  await clock.advance(1000);
  assertEquals(await read(), 100);
  engine.answers = new Promise(() => {});
  await clock.advance(1000);
  assertEquals(await clock.until(read()), 100);
  lease.release();
  meter.stop();
});

Deno.test("what sleeps and has not changed is measured no more, and nothing is after the end", async () => {
  const { clock, engine, kit, meter, pool } = newScene();
  meter.start();
  const { lease } = await started(kit, pool);
  await meter.keepUp();
  await meter.keepUp();
  assertEquals(engine.asked, 2); // it is awake
  lease.release();
  await clock.advance(20_000);
  await meter.keepUp(); // it was paused
  engine.asked = 0;
  await meter.keepUp();
  assertEquals([lease.instance.state, engine.asked], ["paused", 0]);
  meter.stop();
  await meter.usages();
  meter.changed(lease.instance);
  await clock.advance(10_000);
  assertEquals(engine.asked, 0);
});

Deno.test("those who look see the memory of instances on other machines too, and who measures costs does not", async () => {
  const { clock, engine, kit, meter: own, pool } = newScene();
  own.start();
  const { lease } = await started(kit, pool);
  engine.usage = { bytes: 7, swapBytes: 3 };
  await clock.advance(1000);
  const elsewhere = new Map([["elsewhere", { bytes: 5, swapBytes: 1 }], ["unknown", { bytes: 1 }]]);
  const instances = () => [...kit.fleet.instances(), { ...lease.instance, id: "elsewhere", revision: pool.revision }];
  const costs = new Costs(() => clock.now());
  const meter = new UsageMeter({
    ...{ clock, costs, fleet: { instances: instances as typeof kit.fleet.instances } },
    launcher: { usage: () => Promise.resolve(new Map([[lease.instance.id, engine.usage]])) },
    others: { read: () => Promise.resolve(elsewhere) },
  });
  meter.start();
  costs.changed({ id: lease.instance.id, revision: pool.revision, state: "starting" });
  const { memoryBytes, swapBytes } = (await meter.costs(["app"])).get("app")!;
  assertEquals([memoryBytes, swapBytes, costs.of("app")!.memoryBytes], [12, 4, 7]);
  assertEquals([...(await meter.allUsages()).keys()].sort(), [lease.instance.id, "elsewhere", "unknown"].sort());
  assertEquals([...(await meter.usages()).keys()], [lease.instance.id]);
  meter.stop();
  lease.release();
  own.stop();
});
