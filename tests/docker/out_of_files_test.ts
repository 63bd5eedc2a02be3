import { assertEquals } from "@std/assert";
import { Child } from "../support/child.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet, noRead, noRun, noWrite } from "../support/permissions.ts";

const PROGRAM = new URL("../support/out_of_files.ts", import.meta.url);

Deno.test({
  name: "without a free file descriptor the engine is asked with those in reserve, and else counts as away",
  ignore: noNet || noRead || noRun || noWrite || Deno.build.os === "windows",
  async fn() {
    await using engine = await FakeEngine.start();
    engine.on("GET /version", 200, { Version: "26.1.5" });
    await using child = Child.withDescriptors(256, PROGRAM);
    await child.write(`${engine.path}\n`);
    const said = await child.until("stdout", /socket (.*)\ncommand (.*)\nsocket (.*)\ncommand (.*)\nprobe (.*)\n/);
    assertEquals(said.slice(1), ["26.1.5", "done", "away", "away", "unsure"]);
    await child.closeInput();
    assertEquals(await child.ended(), 0);
  },
});
