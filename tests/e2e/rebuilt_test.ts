import { assert, assertEquals } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

for (const way of ["socket", "command"]) {
  Deno.test({
    name: `a service says that its image was rebuilt, until a deploy has taken it, and lookers cost one call (${way})`,
    ignore: noDocker,
  }, async () => {
    const name = `e2e-rebuilt-${way}`;
    const dockerfile = (version: number) => `FROM golang-docker\nLABEL rebuilt=${version}`;
    await using _first = await build(`${name}:1`, dockerfile(1));
    await using program = await Program.start({ flags: ["--engine-api", way] });
    const deploy = async () => (await program.send("PUT", "/v1/services/app", { image: `${name}:1` })).json;
    const isChanged = async () => (await program.send("GET", "/v1/services/app")).json.imageChanged ?? false;
    assertEquals((await deploy()).latestRevision, "app-00001");
    assertEquals(await isChanged(), false);

    await using _second = await build(`${name}:1`, dockerfile(2));
    await until(isChanged);
    await docker("tag", "golang-docker", `${name}:other`); // another name changes nothing
    await until(isChanged);
    assertEquals((await deploy()).latestRevision, "app-00002");
    assertEquals(await isChanged(), false);

    const listings = async () => {
      const { text } = await program.send("GET", "/metrics");
      return Number(/cless_engine_calls_total\{call="imageNames",result="ok"\} (\d+)/.exec(text)?.[1]);
    };
    const before = await listings();
    for (let looks = 0; looks < 20; looks++) await isChanged();
    assert(await listings() - before < 10); // others may build images at the same time
    await docker("rmi", `${name}:other`);
  });
}
