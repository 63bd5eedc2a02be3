import { assert, assertEquals } from "@std/assert";
import { noDocker } from "../support/docker.ts";
import { mayMount } from "../support/mounts.ts";
import { netTest } from "../support/permissions.ts";
import { Engine, EngineLine, mayStartEngine } from "./engine.ts";

/** An engine that answers every call at once, by a line before it. */
async function withLine(work: (ask: () => Promise<string>, line: EngineLine) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const server = Deno.serve({ path: `${folder}/engine.sock`, onListen() {} }, () => new Response("pong"));
  const line = new EngineLine(`${folder}/line.sock`, `${folder}/engine.sock`);
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: line.path } });
  const ask = async () => await (await fetch("http://localhost/_ping", { client })).text();
  try {
    await work(ask, line);
  } finally {
    client.close();
    line[Symbol.dispose]();
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

netTest("a line passes calls on, and one that is slow makes each of them as late", async () => {
  await withLine(async (ask, line) => {
    assertEquals(await ask(), "pong");
    line.slow(60);
    for (let call = 0; call < 2; call++) {
      const began = performance.now();
      assertEquals(await ask(), "pong");
      assert(performance.now() - began >= 59);
    }
    line.slow(0);
    assertEquals(await ask(), "pong");
  });
});

netTest("a line that is held answers nobody until it is released, and then everybody", async () => {
  await withLine(async (ask, line) => {
    line.hold();
    let answered = 0;
    const calls = [ask(), ask()].map((call) => call.finally(() => answered++));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals(answered, 0);
    line.release();
    assertEquals(await Promise.all(calls), ["pong", "pong"]);
  });
});

if (!noDocker && mayMount && await mayStartEngine()) {
  Deno.test("an engine of one's own can be killed and started again, and leaves nothing behind", async () => {
    const folder = await Deno.makeTempDir({ prefix: "engine-" });
    const docker = async (...args: string[]) => {
      const host = `--host=unix://${folder}/own/engine.sock`;
      return (await new Deno.Command("docker", { args: [host, ...args], stdout: "null", stderr: "null" }).output())
        .success;
    };
    {
      await using engine = await Engine.start(`${folder}/own`);
      assertEquals(await docker("network", "create", "one"), true);
      await engine.kill();
      assertEquals(await docker("version"), false);
      await engine.begin();
      assertEquals(await docker("network", "rm", "one"), true);
    }
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    await Deno.remove(folder);
  });
}
