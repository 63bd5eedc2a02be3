import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

const MIB = 1024 ** 2;

Deno.test({ name: "an app that needs more memory than it may have is told so", ignore: noDocker }, async () => {
  const greedy = `FROM python-docker\nENTRYPOINT ["python3", "-c", "x = [bytearray(1 << 20) for _ in range(500)]"]`;
  await using _image = await build("e2e-greedy-docker", greedy);
  await using program = await Program.start();
  const deployed = await program.send("PUT", "/v1/services/greedy", { image: "e2e-greedy-docker", memory: "16m" });
  assertEquals([deployed.status, deployed.json.code], [422, "revision_failed"]);
  assertMatch(deployed.json.reason, /out of memory, limit 16m/);
});

Deno.test({
  name: "an app that sets no limit may use the memory budget, and another default where one is set",
  ignore: noDocker,
}, async () => {
  const limitOf = async (service: string, program: Program) => {
    const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
    const id = await docker(
      "ps",
      "--quiet",
      `--filter=label=cless.owner=${owner}`,
      `--filter=label=cless.service=${service}`,
    );
    const [{ HostConfig: { Memory, NanoCpus, CapDrop } }] = JSON.parse(await docker("inspect", id));
    return [Memory, NanoCpus, CapDrop.map((name: string) => name.replace(/^CAP_/, ""))];
  };
  const dropped = ["AUDIT_WRITE", "MKNOD", "NET_RAW"];
  {
    await using program = await Program.start({ flags: ["--memory-budget", "300m"] });
    assertEquals((await program.get("golang")).status, 200);
    assertEquals(await limitOf("golang", program), [300 * MIB, 0, dropped]);
  }
  await using program = await Program.start({ flags: ["--default-memory", "200m", "--default-cpus", "0.5"] });
  await program.send("PUT", "/v1/services/own", { image: "golang-docker", memory: "100m" });
  assertEquals((await program.get("golang")).status, 200);
  assertEquals(await limitOf("golang", program), [200 * MIB, 500_000_000, dropped]);
  assertEquals(await limitOf("own", program), [100 * MIB, 500_000_000, dropped]);
});

Deno.test({ name: "where memory is short, paused instances are stopped early", ignore: noDocker }, async () => {
  const flags = ["--pause-after", "200ms", "--memory-budget", "5m", "--default-memory", "0"];
  await using program = await Program.start({ flags });
  await program.get("python");
  const { instance } = await program.logged("instance ready");
  const line = await program.logged("paused instance is stopped for its memory");
  assertEquals([line.service, line.instance], ["python", instance]);
  assert(Number(line.bytes) > 5 * MIB, `${line.bytes}`);
  assertEquals((await program.get("python")).status, 200);
});
