import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, noDocker } from "../support/docker.ts";
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

Deno.test({ name: "where memory is short, paused instances are stopped early", ignore: noDocker }, async () => {
  const flags = ["--pause-after", "200ms", "--memory-budget", "5m"];
  await using program = await Program.start({ flags });
  await program.get("python");
  const [instance] = await program.api("/v1/instances");
  assert(Number(instance!.memoryBytes) > 5 * MIB, `${instance!.memoryBytes}`);
  const line = await program.logged("paused instance is stopped for its memory");
  assertEquals([line.service, line.instance], ["python", instance!.id]);
  assert(Number(line.bytes) > 5 * MIB, `${line.bytes}`);
  assertEquals((await program.get("python")).status, 200);
});
