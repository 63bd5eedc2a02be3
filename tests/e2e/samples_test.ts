import { assert, assertEquals, assertMatch } from "@std/assert";
import { docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

const SAMPLES = { golang: "Go", python: "Python", java: "Java", nodejs: "Node.js", rust: "Rust" };

Deno.test({
  name: "each sample image starts cold, answers for its hostname, and is stopped without being killed",
  ignore: noDocker,
}, async (t) => {
  await using program = await Program.start();
  for (const [label, language] of Object.entries(SAMPLES)) {
    await t.step(label, async () => {
      const cold = await program.get(label);
      assertEquals([cold.status, cold.text.trim().split("\n").length], [200, 1]);
      assert(cold.text.includes(language) && cold.text.includes(`${label}.localhost`), cold.text);
      assertMatch(cold.headers.get("server-timing") ?? "", /^cless-start;dur=\d+;desc="cold"$/);
      const warm = await program.get(label);
      assertEquals([warm.text, warm.headers.get("server-timing")], [cold.text, null]);
      const [name] = await program.containers(label);
      await docker("stop", "--time=10", name!);
      const { exitCode } = await program.logged("instance ended", { instance: name });
      assertEquals(exitCode, 0);
    });
  }
  assertEquals(await program.end(), 0);
  assertEquals(await program.containers(), []);
});

Deno.test(
  { name: "a sample image runs as somebody who is not root, with the limits of cless", ignore: noDocker },
  async () => {
    await using program = await Program.start();
    await program.get("golang");
    const [name] = await program.containers("golang");
    const [container] = JSON.parse(await docker("inspect", name!));
    assertMatch(container.Config.User, /^[1-9]\d*/);
    assertEquals(container.HostConfig.SecurityOpt, ["no-new-privileges"]);
    assert(container.HostConfig.PidsLimit > 0);
    assertEquals(container.HostConfig.LogConfig.Type, "local");
    assertEquals(container.HostConfig.PortBindings ?? {}, {});
  },
);
