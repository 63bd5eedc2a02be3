import { assertEquals } from "@std/assert";
import type { ServiceLogLine } from "../../src/logs/instance_output.ts";
import { type ServiceLogOptions, ServiceLogs } from "../../src/logs/service_logs.ts";
import { Rig } from "../support/container_rig.ts";
import { noDocker } from "../support/docker.ts";

/** The logs of a rig's service, and a way to read them. */
function logsOf(rig: Rig) {
  const logs = new ServiceLogs(rig.launcher.outputs);
  const signal = new AbortController().signal;
  return (options: Partial<ServiceLogOptions> = {}) => logs.read(rig.service, { follow: false, signal, ...options });
}

/** A script that writes numbered lines for a while, in turn to both of its streams. */
const COUNT = "for n in $(seq 20); do echo $n; echo $n >&2; sleep 0.01; done";

Deno.test(
  { name: "the lines of each of several instances come in order, also after its end", ignore: noDocker },
  async () => {
    await using rig = await Rig.start();
    const read = logsOf(rig);
    const ids = await Promise.all([1, 2].map(() => rig.run({ command: ["sh", "-c", COUNT] })));
    for (const id of ids) await Array.fromAsync(rig.launcher.outputs.read(id, { follow: true }));
    /** The lines of each instance, which come one instance after the other. */
    const linesOf = async (options?: Partial<ServiceLogOptions>): Promise<ServiceLogLine[][]> => {
      const lines = await Array.fromAsync(read(options));
      const ownOf = (id: string) => lines.filter(({ instance }) => instance === id);
      assertEquals(lines, [...new Set(lines.map(({ instance }) => instance))].flatMap(ownOf));
      return ids.map(ownOf);
    };
    const before = await linesOf();
    for (const own of before) {
      assertEquals(own.length, 40);
      const times = own.map(({ time }) => time!);
      assertEquals(times, times.toSorted());
      for (const stream of ["stdout", "stderr"]) {
        const numbers = own.filter((line) => line.stream === stream).map(({ text }) => Number(text));
        assertEquals(numbers, Array.from({ length: 20 }, (_, n) => n + 1));
      }
    }
    await rig.launcher.remove(ids[0]!);
    assertEquals(await linesOf(), before);
    await rig.launcher.stop(ids[1]!);
    assertEquals(await linesOf(), before);
    assertEquals(await linesOf({ tail: 5 }), before.map((own) => own.slice(-5)));
    const since = before[0]![20]!.time!;
    assertEquals(await linesOf({ since }), before.map((own) => own.filter(({ time }) => time! >= since)));
  },
);

Deno.test(
  { name: "a follower gets every line of every instance once, to the last one", ignore: noDocker },
  async () => {
    await using rig = await Rig.start();
    const read = logsOf(rig);
    const controller = new AbortController();
    const lines: ServiceLogLine[] = [];
    const quick = "seq 200; echo bye >&2";
    const following = (async () => {
      for await (const line of read({ follow: true, signal: controller.signal })) {
        lines.push(line);
        if (lines.length === 603) controller.abort();
      }
    })();
    for (let n = 0; n < 3; n++) {
      const id = await rig.run({ command: ["sh", "-c", quick] });
      await Array.fromAsync(rig.launcher.outputs.read(id, { follow: true, tail: 0 }));
      await rig.launcher.remove(id); // at once: the follower has perhaps not begun
    }
    await following;
    const instances = new Set(lines.map(({ instance }) => instance));
    assertEquals(instances.size, 3);
    for (const id of instances) {
      const own = lines.filter(({ instance, stream }) => instance === id && stream === "stdout");
      assertEquals(own.map(({ text }) => Number(text)), Array.from({ length: 200 }, (_, n) => n + 1));
    }
  },
);
