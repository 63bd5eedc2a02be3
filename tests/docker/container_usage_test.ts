import { assert, assertEquals } from "@std/assert";
import { ContainerUsage, processorTime } from "../../src/docker/container_usage.ts";
import type { ListedContainer } from "../../src/docker/engine_api.ts";
import type { Usage } from "../../src/pool/launcher.ts";
import { Rig } from "../support/container_rig.ts";
import { noDocker } from "../support/docker.ts";
import { noRun } from "../support/permissions.ts";
import { until } from "../support/until.ts";

const MIB = 1024 ** 2;

/** A container that the kernel of this machine knows nothing about. */
function container(id: string, state: ListedContainer["state"]): ListedContainer {
  const labels = { owner: "a1", service: "golang", revision: "golang-00001", imageId: "sha256:1" };
  return { id, engineId: `id-of-${id}`, state, ...labels, upFor: 0, address: "10.9.0.2", origin: "" };
}

/** An engine with these containers, that tells this about their memory. */
function engineWith(containers: ListedContainer[], usage: Record<string, Usage> = {}) {
  const asked: (readonly string[])[] = [];
  const api = {
    containers: () => Promise.resolve(containers),
    usage: (ids: readonly string[]) => {
      asked.push(ids);
      return Promise.resolve(new Map(Object.entries(usage)));
    },
  };
  return { asked, usage: new ContainerUsage(api, "a1") };
}

Deno.test({
  name: "if the kernel has no figures, the engine is asked about running and paused containers",
  ignore: noRun,
}, async () => {
  const states = { one: "running", two: "paused", ended: "ended", made: "created" } as const;
  const containers = Object.entries(states).map(([id, state]) => container(id, state));
  const known = { bytes: 7 * MIB, processorNs: 5 };
  const { asked, usage } = engineWith(containers, { "id-of-one": known, "id-of-other": { bytes: MIB } });
  assertEquals(await usage.read(), new Map([["one", known]]));
  assertEquals(asked, [["id-of-one", "id-of-two"]]);
});

Deno.test({ name: "without figures of kernel and engine, no memory is known", ignore: noRun }, async () => {
  const { usage } = engineWith([container("one", "running")]);
  assertEquals([await usage.read(), await usage.read()], [new Map(), new Map()]);
  const { asked, usage: ofNone } = engineWith([container("ended", "ended")]);
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
    const usage = await rig.launcher.usage();
    assertEquals([...usage.keys()].sort(), [small, large].sort());
    const [{ bytes, swapBytes, processorNs }, { bytes: largeBytes }] = [usage.get(small)!, usage.get(large)!];
    assert(bytes > 0 && bytes < 16 * MIB, `${bytes}`);
    assert(largeBytes > 32 * MIB, `${largeBytes}`);
    assertEquals([swapBytes, processorNs], [0, await rig.launcher.processorTime(small)]);
  }
});

Deno.test({ name: "if the kernel tells no processor time, the engine is asked", ignore: noRun }, async () => {
  for (const time of [7, undefined]) {
    const asked: string[] = [];
    const api = {
      usage: ([engineId]: readonly string[]) => {
        asked.push(engineId!);
        return Promise.resolve(
          new Map([[engineId!, { bytes: 1, ...(time === undefined ? {} : { processorNs: time }) }]]),
        );
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
    assert((await used(busy))! > 0);
    // Where the machine is busy, the one may still be starting, and the other need not run between two looks.
    await until(async () => {
      const [before, growing] = [await used(idle), await used(busy)];
      await until(async () => (await used(busy))! > growing!);
      return await used(idle) === before;
    });
    assertEquals(await used("nobody"), undefined);
  });
}
