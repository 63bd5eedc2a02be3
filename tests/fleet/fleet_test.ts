import { assertEquals } from "@std/assert";
import { Fleet } from "../../src/fleet/fleet.ts";
import type { InstanceState } from "../../src/model/instance_state.ts";
import { Instance } from "../../src/pool/instance.ts";
import type { Container, ContainerEvent } from "../../src/pool/launcher.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { newRevision } from "../support/kit.ts";

/** A pool that only notes what it is told. */
class DeafPool {
  readonly observed: string[] = [];

  observe({ id }: Instance, { what }: ContainerEvent): void {
    this.observed.push(`${id} ${what}`);
  }
}

/** A fleet with one instance in each of these states, called as the state is. */
function newFleet(...states: InstanceState[]) {
  const fleet = new Fleet();
  const pool = new DeafPool();
  const instances = states.map((state) => {
    const instance = new Instance(state, newRevision(), new FakeClock());
    if (state !== "starting") instance.become(state);
    fleet.add(instance, pool as unknown as InstancePool);
    return instance;
  });
  return { fleet, pool, instances };
}

function container(id: string, state: Container["state"]): Container {
  return { id, service: "app", revision: "app-00001", imageId: "sha256:aaa", state, origin: `http://${id}` };
}

Deno.test("a fleet knows each instance until its container is removed, and lists those that have not ended", () => {
  const { fleet, pool, instances } = newFleet("ready", "paused", "stopped");
  const [ready, paused, stopped] = instances as [Instance, Instance, Instance];
  assertEquals([fleet.size, fleet.get("stopped") === stopped, fleet.get("other")], [3, true, undefined]);
  assertEquals(fleet.instances(), [ready, paused]);
  assertEquals(fleet.asleep().map(({ instance }) => instance), [paused]);
  assertEquals(fleet.pools().size, 1);
  fleet.delete(ready);
  fleet.delete(ready);
  assertEquals([fleet.size, fleet.get("ready"), fleet.instances()], [2, undefined, [paused]]);
  assertEquals(pool.observed, []);
});

Deno.test("an event goes to the pool of its container, and one of an unknown container to nobody", () => {
  const { fleet, pool, instances } = newFleet("ready", "paused");
  for (const id of ["ready", "other", "paused"]) fleet.apply({ id, what: "ended" });
  assertEquals(pool.observed, ["ready ended", "paused ended"]);
  fleet.delete(instances[0]!);
  fleet.apply({ id: "ready", what: "ended" });
  assertEquals(pool.observed.length, 2);
});

/** What a pool is told about an instance whose container is listed in a state; `undefined` if it is not listed. */
const TABLE: [is: InstanceState, listed: Container["state"] | undefined, told: string | undefined][] = [
  ["starting", undefined, undefined],
  ["starting", "created", undefined],
  ["starting", "running", undefined],
  ["starting", "paused", undefined],
  ["starting", "ended", "ended"],
  ["ready", undefined, "ended"],
  ["ready", "created", undefined],
  ["ready", "running", undefined],
  ["ready", "paused", "paused"],
  ["ready", "ended", "ended"],
  ["paused", undefined, "ended"],
  ["paused", "running", "resumed"],
  ["paused", "paused", undefined],
  ["paused", "ended", "ended"],
  ["draining", undefined, undefined],
  ["draining", "running", undefined],
  ["draining", "paused", undefined],
  ["draining", "ended", "ended"],
  ["stopped", "ended", undefined],
];

for (const [is, listed, told] of TABLE) {
  Deno.test(`the engine's list makes up for a lost event: ${is}, and listed as ${listed ?? "gone"}`, () => {
    const { fleet, pool } = newFleet(is);
    const containers = listed === undefined ? [] : [container(is, listed)];
    assertEquals(fleet.reconcile(containers, fleet.known()), []);
    assertEquals(pool.observed, told === undefined ? [] : [`${is} ${told}`]);
  });
}

Deno.test("an instance that has changed since the list was asked for is left alone, and so is one that is new", () => {
  const { fleet, pool, instances } = newFleet("ready", "paused");
  const known = fleet.known();
  instances[0]!.changes++;
  const later = new Instance("later", newRevision(), new FakeClock());
  later.become("ready");
  fleet.add(later, pool as unknown as InstancePool);
  assertEquals(fleet.reconcile([], known), []);
  assertEquals(pool.observed, ["paused ended"]);
});

Deno.test("the containers that belong to no instance are given back, and those of ended instances are not", () => {
  const { fleet } = newFleet("ready", "stopped");
  const lost = container("lost", "running");
  assertEquals(fleet.reconcile([container("ready", "running"), lost, container("stopped", "ended")], []), [lost]);
});
