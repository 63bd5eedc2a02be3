import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { knock } from "../../src/http/stop_accepting.ts";
import { openIdentity } from "../../src/peers/identity.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { Child } from "../support/child.ts";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { TestPeer } from "./kit.ts";

const PROGRAM = new URL("peer_child.ts", import.meta.url);

Deno.test({
  name: "while a process takes over from another one, no message of a peer is lost",
  ignore: noNet || noRun || noWrite || Deno.build.os !== "linux",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const identity = await openIdentity(folder);
      await using child = Child.withDescriptors(256, PROGRAM, folder);
      const port = Number((await child.until("stdout", /^(\d+)\n/))[1]);
      const endpoint = { hostname: "127.0.0.1", port };
      using client = new PeerClient(identity, new Map([["one", endpoint]]), systemClock);
      const whoAnswers = async () => (await client.ask("one", "status", null)).version;
      assertEquals(await whoAnswers(), "first");
      const long = client.ask("one", "instance", "wait", { timeoutMs: 60_000 });
      await child.until("stdout", /asked/);
      await using _second = new TestPeer(identity, {
        ...{ port, beside: true },
        handlers: { status: () => Promise.resolve({ version: "second", instances: 0, memoryBytes: 0 }) },
      });
      await child.write("stop\n");
      await child.until("stdout", /low/);
      await knock([endpoint], child.until("stdout", /stopped/).then(() => {}), systemClock);
      // The first one still works on what it was asked, but no more questions reach it.
      assertEquals(await whoAnswers(), "second");
      await child.write("release\n");
      assertEquals(await long, "released");
      await child.closeInput();
      assertEquals(await child.ended(), 0);
      assertEquals(await whoAnswers(), "second");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
