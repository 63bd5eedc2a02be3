import { assertEquals } from "@std/assert";
import { Costs } from "../../../src/control/figures/costs.ts";
import type { InstanceState } from "../../../src/model/instance_state.ts";
import type { Usage } from "../../../src/pool/launcher.ts";
import { newRevision } from "../../support/kit.ts";

/** The costs of the service `app`, at a time that the test sets, wall-clock ms. */
class Scene {
  now = 10_000;
  costs = new Costs(() => this.now);
  readonly instances = new Map<string, InstanceState>();

  get all() {
    return [...this.instances].map(([id, state]) => ({ id, state, revision: newRevision() }));
  }

  become(id: string, state: InstanceState): void {
    if (state === "stopped") this.instances.delete(id);
    else this.instances.set(id, state);
    this.costs.changed({ id, state, revision: newRevision() });
  }

  measure(usages: Record<string, Usage>): void {
    this.costs.measured(this.all, new Map(Object.entries(usages)));
  }

  /** RAM, swap, CPU seconds, byte seconds used and saved. */
  get cost() {
    const cost = this.costs.of("app")!;
    const { memoryBytes, swapBytes, cpuSeconds, usedByteSeconds, savedByteSeconds } = cost;
    return [memoryBytes, swapBytes, cpuSeconds, usedByteSeconds, savedByteSeconds];
  }
}

Deno.test("a service that has never started has no cost", () => {
  const scene = new Scene();
  assertEquals(scene.costs.of("app"), undefined);
  scene.become("one", "starting");
  assertEquals([scene.costs.of("app")?.since, scene.costs.of("app")?.awakeBytes], [10_000, 0]);
});

Deno.test("memory counts by time, and what is paused, hibernated or stopped saves what one that is awake would use", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 100, swapBytes: 0, processorNs: 2e9 } });
  assertEquals(scene.cost, [100, 0, 2, 0, 0]);
  scene.now += 10_000;
  assertEquals(scene.cost, [100, 0, 2, 1000, 0]);
  scene.become("one", "paused");
  scene.measure({ one: { bytes: 100, swapBytes: 0, processorNs: 3e9 } });
  scene.become("one", "hibernated");
  scene.measure({ one: { bytes: 5, swapBytes: 95, processorNs: 3e9 } });
  scene.now += 10_000;
  assertEquals(scene.cost, [5, 95, 3, 1050, 950]);
  scene.become("one", "stopped");
  scene.now += 10_000;
  scene.measure({});
  assertEquals(scene.cost, [0, 0, 3, 1050, 1950]);
  assertEquals(scene.costs.of("app")?.awakeBytes, 100);
});

Deno.test("an app that is still starting says nothing about the memory of one that is awake", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.measure({ one: { bytes: 3 } });
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 40 } });
  scene.become("two", "starting");
  scene.measure({ one: { bytes: 40 }, two: { bytes: 2 } });
  scene.become("one", "stopped");
  scene.become("two", "stopped");
  scene.now += 1000;
  assertEquals(scene.cost.slice(3), [0, 40]);
});

Deno.test("until it is measured, an instance counts like one that is awake, and saves nothing", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 40 } });
  scene.become("one", "stopped");
  scene.become("two", "starting");
  scene.become("two", "ready");
  scene.now += 1000;
  scene.become("two", "stopped");
  scene.measure({});
  assertEquals(scene.cost.slice(3), [40, 0]);
});

Deno.test("an instance that ends while it is measured counts once", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 40, processorNs: 5e9 } });
  scene.become("one", "stopped");
  scene.measure({ one: { bytes: 40, processorNs: 5e9 } });
  scene.now += 1000;
  assertEquals(scene.cost, [0, 0, 5, 0, 40]);
});

Deno.test("several instances use more than one that is always awake, which counts against what is saved", () => {
  const scene = new Scene();
  for (const id of ["one", "two"]) scene.become(id, "starting");
  for (const id of ["one", "two"]) scene.become(id, "ready");
  scene.measure({ one: { bytes: 30, processorNs: 1e9 }, two: { bytes: 50, processorNs: 1e9 } });
  scene.now += 1000;
  assertEquals(scene.cost, [80, 0, 2, 80, -40]);
});

Deno.test("an instance that is not measured keeps its last reading, and no processor time counts twice", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 10, processorNs: 4e9 } });
  scene.measure({});
  assertEquals(scene.cost[0], 10);
  scene.measure({ one: { bytes: 10, processorNs: 5e9 } });
  assertEquals(scene.cost[2], 5);
  scene.measure({ one: { bytes: 10, processorNs: 1e9 } }); // restarted in its place
  assertEquals(scene.cost[2], 6);
  scene.measure({ one: { bytes: 10 } });
  assertEquals(scene.cost[2], 6);
});

Deno.test("a later process goes on where the earlier one ended, whether containers were kept or not", () => {
  const scene = new Scene();
  for (const id of ["one", "two"]) {
    scene.become(id, "starting");
    scene.become(id, "ready");
  }
  scene.measure({ one: { bytes: 10, processorNs: 1e9 }, two: { bytes: 10, processorNs: 1e9 } });
  const stored = scene.costs.dirty;
  scene.costs = new Costs(() => scene.now);
  scene.costs.load(structuredClone(stored));
  assertEquals(scene.costs.dirty, []);
  scene.now += 1000;
  scene.instances.delete("two");
  scene.measure({ one: { bytes: 10, processorNs: 2e9 } });
  assertEquals([scene.cost, scene.costs.dirty.length], [[10, 0, 3, 10, 0], 1]);
});

Deno.test("what sleeps and has not changed is not stored again", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.become("one", "ready");
  const usage = { one: { bytes: 10 } };
  scene.measure(usage);
  scene.costs.clean();
  scene.measure(usage);
  assertEquals(scene.costs.dirty.length, 1);
  scene.become("one", "paused");
  scene.costs.clean();
  scene.now += 60_000;
  scene.measure(usage);
  assertEquals([scene.costs.dirty, scene.cost[3]], [[], 600]);
  scene.measure({ one: { bytes: 9 } });
  assertEquals(scene.costs.dirty.length, 1);
  scene.costs.forget("app");
  assertEquals([scene.costs.dirty, scene.costs.of("app")], [[], undefined]);
});

Deno.test("a clock that is set back charges nothing twice", () => {
  const scene = new Scene();
  scene.become("one", "starting");
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 10 } });
  scene.now -= 5000;
  scene.measure({ one: { bytes: 10 } });
  scene.now += 1000;
  assertEquals(scene.cost[3], 10);
});

Deno.test("what an instance uses while it is paused and while it hibernates is told, as it was last measured", () => {
  const scene = new Scene();
  const tiers = () => {
    const { hibernatedBytes, pausedBytes, wholeBytes } = scene.costs.ofTiers("app")!;
    return [wholeBytes, pausedBytes, hibernatedBytes];
  };
  assertEquals(scene.costs.ofTiers("app"), undefined);
  scene.become("one", "starting");
  scene.become("one", "ready");
  scene.measure({ one: { bytes: 100, swapBytes: 0 } });
  assertEquals(tiers(), [100, undefined, undefined]);
  scene.become("one", "paused");
  scene.measure({ one: { bytes: 40, swapBytes: 60 } });
  assertEquals(tiers(), [100, 40, undefined]);
  scene.become("one", "hibernated");
  scene.measure({ one: { bytes: 3, swapBytes: 97 } });
  scene.become("one", "paused");
  scene.measure({ one: { bytes: 30, swapBytes: 70 } });
  assertEquals(tiers(), [100, 30, 3]);
  assertEquals(scene.costs.dirty[0]?.hibernatedBytes, 3);
});
