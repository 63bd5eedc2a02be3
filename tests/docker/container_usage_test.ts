import { assert, assertEquals } from "@std/assert";
import { ContainerMemory, processorTime } from "../../src/docker/container_usage.ts";
import type { ListedContainer } from "../../src/docker/engine_api.ts";
import { Rig } from "../support/container_rig.ts";
import { noDocker } from "../support/docker.ts";
import { noRun } from "../support/permissions.ts";

const MIB = 1024 ** 2;

/** A container that the kernel of this machine knows nothing about. */
function container(id: string, state: ListedContainer["state"]): ListedContainer {
  const labels = { owner: "a1", service: "golang", revision: "golang-00001", imageId: "sha256:1" };
  return { id, engineId: `id-of-${id}`, state, ...labels, upFor: 0, address: "10.9.0.2", origin: "" };
}

/** An engine with these containers, that tells this about their memory. */
function engineWith(containers: ListedContainer[], memory: Record<string, number> = {}) {
  const asked: (readonly string[])[] = [];
  const api = {
    containers: () => Promise.resolve(containers),
    memory: (ids: readonly string[]) => {
      asked.push(ids);
      return Promise.resolve(new Map(Object.entries(memory)));
    },
  };
  return { asked, memory: new ContainerMemory(api, "a1") };
}

Deno.test({
  name: "if the kernel has no figures, the engine is asked about running and paused containers",
  ignore: noRun,
}, async () => {
  const states = { one: "running", two: "paused", ended: "ended", made: "created" } as const;
  const containers = Object.entries(states).map(([id, state]) => container(id, state));
  const { asked, memory } = engineWith(containers, { "id-of-one": 7 * MIB, "id-of-other": MIB });
  assertEquals(await memory.read(), new Map([["one", { bytes: 7 * MIB }]]));
  assertEquals(asked, [["id-of-one", "id-of-two"]]);
});

Deno.test({ name: "without figures of kernel and engine, no memory is known", ignore: noRun }, async () => {
  const { memory } = engineWith([container("one", "running")]);
  assertEquals([await memory.read(), await memory.read()], [new Map(), new Map()]);
  const { asked, memory: ofNone } = engineWith([container("ended", "ended")]);
  assertEquals([await ofNone.read(), asked], [new Map(), []]);
});

Deno.test({
  name: "the memory of running and paused containers is measured, and grows with their use",
  ignore: noDocker,
}, async () => {
  await using rig = await Rig.start();
  const small = await rig.run({ command: ["sleep", "600"] });
  const script = "x=$(head -c 40000000 /dev/zero | tr '\\0' x); echo ready; sleep 600; :";
  const large = await rig.run({ command: ["sh", "-c", script] });
  for await (const { text } of rig.launcher.outputs.read(large, { follow: true })) if (text === "ready") break;
  await rig.launcher.pause(large);
  for (let times = 0; times < 2; times++) {
    const memory = await rig.launcher.memory();
    assertEquals([...memory.keys()].sort(), [small, large].sort());
    const [{ bytes, swapBytes }, { bytes: largeBytes }] = [memory.get(small)!, memory.get(large)!];
    assert(bytes > 0 && bytes < 16 * MIB, `${bytes}`);
    assert(largeBytes > 32 * MIB, `${largeBytes}`);
    assertEquals(swapBytes, 0);
  }
});

Deno.test({ name: "if the kernel tells no processor time, the engine is asked", ignore: noRun }, async () => {
  for (const time of [7, undefined]) {
    const asked: string[] = [];
    const api = {
      processorTime: (engineId: string) => {
        asked.push(engineId);
        return Promise.resolve(time);
      },
    };
    assertEquals([await processorTime(api, "unknown"), asked], [time, ["unknown"]]);
  }
});

for (const way of ["command", "socket"] as const) {
  Deno.test({
    name:
      `a launcher by the ${way} tells how much processor time a container has used, which stands still while it sleeps`,
    ignore: noDocker,
  }, async () => {
    await using rig = await Rig.start(way);
    const idle = await rig.run({ command: ["sleep", "600"] });
    const busy = await rig.run({ command: ["sh", "-c", "while read -r _; do :; done < /dev/zero"] });
    const used = (id: string) => rig.launcher.processorTime(id);
    let before = await used(idle);
    for (let now = await used(idle); now !== before; now = await used(idle)) before = now; // it still starts
    const [first, second] = [await used(busy), await used(busy)];
    assert(0 < first! && first! < second!, `${first} ${second}`);
    assertEquals(await used(idle), before);
    assertEquals(await used("nobody"), undefined);
  });
}
