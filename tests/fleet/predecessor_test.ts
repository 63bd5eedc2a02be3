import { assertEquals } from "@std/assert";
import { type InstanceUse, Predecessor, usesOf } from "../../src/fleet/predecessor.ts";
import { newKit, started } from "../support/kit.ts";

const USE: InstanceUse = { id: "one", revision: "r", state: "ready", placed: true, inFlight: 0, inUse: 0 };

Deno.test("the leases of the process before count as use of the instance, until it reports their end or ends", async () => {
  const kit = newKit();
  const { lease } = await started(kit, kit.newPool());
  const { instance } = lease;
  lease.release();
  const predecessor = new Predecessor(kit.fleet);
  const counts = () => [instance.inFlight, instance.inUse];
  predecessor.report([{ ...USE, id: instance.id, inFlight: 3, inUse: 2 }]);
  assertEquals(counts(), [3, 2]);
  predecessor.report([{ ...USE, id: instance.id, inFlight: 1, inUse: 0 }]);
  assertEquals(counts(), [1, 0]);
  predecessor.report([{ ...USE, id: instance.id }]);
  assertEquals(counts(), [0, 0]);
  predecessor.report([{ ...USE, id: instance.id, inFlight: 2, inUse: 2 }]);
  const own = instance.claim();
  predecessor.report([]);
  assertEquals(counts(), [1, 1]);
  own.release();
  predecessor.report([{ ...USE, id: instance.id, inFlight: 3, inUse: 2 }]); // it uses the instance again
  assertEquals(counts(), [3, 2]);
  predecessor.end();
  assertEquals([...counts(), predecessor.alive], [0, 0, false]);
});

Deno.test("leases that are reported before the container is adopted count once it is", async () => {
  const kit = newKit();
  const predecessor = new Predecessor(kit.fleet);
  predecessor.report([{ ...USE, inFlight: 1, inUse: 1 }]);
  const { lease: { instance, release } } = await started(kit, kit.newPool());
  release();
  assertEquals(instance.id, "one");
  predecessor.apply();
  assertEquals(instance.inUse, 1);
});

Deno.test("what a process uses is told as it is", async () => {
  const kit = newKit();
  const { lease } = await started(kit, kit.newPool());
  lease.instance.claim(true);
  assertEquals(usesOf(kit.fleet), [
    { id: "one", revision: lease.instance.revision.name, state: "ready", placed: true, inFlight: 2, inUse: 1 },
  ]);
});

Deno.test("an instance that the process before stops or makes is known as such while that process lives", () => {
  const predecessor = new Predecessor(newKit().fleet);
  assertEquals([predecessor.alive, predecessor.isEnding("one")], [false, false]);
  predecessor.report([
    { ...USE, state: "draining" },
    { ...USE, id: "two", revision: "s", state: "starting", placed: false },
    { ...USE, id: "three", revision: "t", state: "starting" },
    { ...USE, id: "four", revision: "u", state: "draining", placed: false },
  ]);
  assertEquals([predecessor.isEnding("one"), predecessor.isEnding("two"), predecessor.isEnding("x")], [
    ...[true, false, false],
  ]);
  assertEquals(["r", "s", "t", "u"].map((revision) => predecessor.isStarting(revision)), [false, true, false, false]);
  predecessor.end();
  assertEquals([predecessor.isEnding("one"), predecessor.isStarting("s")], [false, false]);
});
