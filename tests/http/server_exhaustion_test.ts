import { assertEquals } from "@std/assert";
import { Child } from "../support/child.ts";
import { noNet, noRun } from "../support/permissions.ts";
import { RawClient, requestText } from "../support/raw_client.ts";

const PROGRAM = new URL("../support/serve_until_closed.ts", import.meta.url);
const ignore = noNet || noRun || Deno.build.os === "windows";

/** Starts the program with 256 file descriptors, and opens 400 connections to it. */
async function exhaust(): Promise<{ child: Child; port: number; established: RawClient; crowd: RawClient[] }> {
  const child = Child.withDescriptors(256, PROGRAM);
  const port = Number((await child.until("stdout", /^(\d+)\n/))[1]);
  const established = await RawClient.connect(port);
  await established.ask(requestText());
  const crowd: RawClient[] = [];
  while (crowd.length < 400) {
    // Connections wait in the kernel's queue until the server accepts them; if it does not listen, they are refused.
    const client = await RawClient.connect(port).catch(() => undefined);
    if (client === undefined) break;
    crowd.push(client);
  }
  await child.until("stderr", /cannot accept connections/);
  return { child, port, established, crowd };
}

Deno.test({
  name:
    "a server that runs out of file descriptors serves its open connections, and accepts new ones when there is room",
  ignore,
  async fn() {
    const { child, port, established, crowd } = await exhaust();
    await using _ = child;
    using client = established;
    assertEquals((await client.ask(requestText())).text, "ok");
    for (const one of crowd) one[Symbol.dispose]();
    await child.until("stderr", /accepting connections again/);
    for (let answered = false; !answered;) {
      // The connections from the queue may use up the descriptors again.
      answered = await RawClient.connect(port).then(async (fresh) => {
        using late = fresh;
        return (await late.ask(requestText())).text === "ok";
      }).catch(() => false);
      if (!answered) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals((await client.ask(requestText())).text, "ok");
    client[Symbol.dispose]();
    await child.closeInput();
    assertEquals(await child.ended(), 0);
  },
});

Deno.test({
  name: "a server that is shut down while it is out of file descriptors does not listen again",
  ignore,
  async fn() {
    const { child, established, crowd } = await exhaust();
    await using _ = child;
    await child.closeInput();
    established[Symbol.dispose]();
    for (const one of crowd) one[Symbol.dispose]();
    assertEquals(await child.ended(), 0);
  },
});
