import { assert, assertEquals } from "@std/assert";
import { noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

Deno.test({
  name: "deploys that come or are on their way while cless stops leave no container behind",
  ignore: noDocker,
}, async () => {
  await using program = await Program.start();
  const deploy = (number: number) =>
    program.send("PUT", `/v1/services/late-${number}`, { image: "golang-docker" })
      .then(({ status, json }) => `${status} ${json?.code ?? ""}`.trim(), () => "not connected");
  const under = Array.from({ length: 3 }, (_, number) => deploy(number));
  await until(async () => (await program.api("/v1/instances")).length > 0);
  program.signal("SIGTERM");
  await program.logged("stopping");
  const late = Array.from({ length: 10 }, (_, number) => deploy(number + 3));
  const outcomes = await Promise.all([...under, ...late]);
  assertEquals(await program.exit(), 0);
  for (const outcome of outcomes) {
    assert(["201", "503 draining", "not connected"].includes(outcome), outcome);
  }
  assertEquals(await program.containers(), []);
});
