import { assertEquals } from "@std/assert";
import { docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** Resolves when the only instance is in a state. */
async function untilState(program: Program, state: string): Promise<void> {
  await until(async () => (await program.api("/v1/instances"))[0]?.state === state);
}

Deno.test(
  { name: "an instance that somebody unpauses serves at once, as one that was never paused", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    await program.get("golang");
    const [name] = await program.containers("golang");
    for (let n = 0; n < 2; n++) {
      await docker("pause", name!);
      await untilState(program, "paused");
      await docker("unpause", name!);
      await untilState(program, "ready");
      const { headers, status } = await program.get("golang");
      assertEquals([status, headers.get("server-timing")], [200, null]);
    }
    assertEquals(await program.containers("golang"), [name]);
  },
);

Deno.test(
  { name: "what was paused in its time and somebody unpauses is paused in its time again", ignore: noDocker },
  async () => {
    await using program = await Program.start({ flags: ["--pause-after", "1s", "--freezer", "docker"] });
    await program.get("golang");
    const [name] = await program.containers("golang");
    const untilPaused = () =>
      until(async () => await docker("inspect", "--format={{.State.Status}}", name!) === "paused");
    await untilPaused(); // cless calls it paused when it begins to pause it
    await docker("unpause", name!);
    await untilPaused();
    assertEquals((await program.get("golang")).status, 200);
  },
);

Deno.test(
  { name: "an instance whose limits somebody changes serves on, running and paused", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    await program.get("golang");
    const [name] = await program.containers("golang");
    await docker("update", "--memory=100m", "--memory-swap=100m", "--cpus=0.5", name!);
    assertEquals((await program.get("golang")).headers.get("server-timing"), null);
    await docker("pause", name!);
    await docker("update", "--memory=90m", "--memory-swap=90m", name!);
    assertEquals((await program.get("golang")).status, 200);
    assertEquals(await program.containers("golang"), [name]);
    assertEquals(await docker("inspect", "--format={{.HostConfig.Memory}}", name!), String(90 * 1024 ** 2));
  },
);
