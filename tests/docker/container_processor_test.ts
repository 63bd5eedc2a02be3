import { assert, assertEquals } from "@std/assert";
import { processorTime } from "../../src/docker/container_processor.ts";
import { Rig } from "../support/container_rig.ts";
import { noDocker } from "../support/docker.ts";
import { noRun } from "../support/permissions.ts";

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
