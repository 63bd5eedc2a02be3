import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { ServiceLogLine } from "../../src/logs/instance_output.ts";
import { type ServiceLogOptions, ServiceLogs } from "../../src/logs/service_logs.ts";
import { makeIdentity } from "../../src/peers/identity.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import { PeerLogs } from "../../src/peers/peer_logs.ts";
import { FakeOutputs } from "../logs/fake_outputs.ts";
import { netTest } from "../support/permissions.ts";
import { until } from "../support/until.ts";
import { TestPeer } from "./kit.ts";

const identity = await makeIdentity();

/** The logs of a peer, read over a connection. */
async function withPeer(
  test: (rig: {
    outputs: FakeOutputs;
    logs: PeerLogs;
    lost: string[];
    read(options?: Partial<ServiceLogOptions>, nodeId?: string): AsyncGenerator<ServiceLogLine, void, void>;
  }) => Promise<void>,
): Promise<void> {
  const outputs = new FakeOutputs();
  const lost: string[] = [];
  const logsOf = (nodeId: string, outputs: FakeOutputs, client: PeerClient) =>
    new PeerLogs({
      ...{ nodeId, client, own: new ServiceLogs(outputs) },
      members: { live: ["a", "b"], lost },
      nodes: () => Promise.resolve([{ id: "b", hostname: "second" }]),
    });
  const addresses = new Map();
  using client = new PeerClient(identity, addresses, systemClock);
  await using peer = new TestPeer(identity, { streams: logsOf("b", outputs, client).streams });
  addresses.set("b", peer.endpoint);
  const logs = logsOf("a", new FakeOutputs(), client);
  const read = (options: Partial<ServiceLogOptions> = {}, nodeId = "b") =>
    logs.read(nodeId, "app", { follow: false, signal: new AbortController().signal, ...options });
  await test({ outputs, logs, lost, read });
}

netTest("the lines of a peer come as its own machine has them", () =>
  withPeer(async ({ outputs, read }) => {
    outputs.add("one", [[1, "first"], [2, "!second, with \n in it"]]);
    outputs.add("two", [[3, "third"]], { revision: "app-00002" });
    const lines = await Array.fromAsync(read());
    assertEquals(
      lines,
      await Array.fromAsync(new ServiceLogs(outputs).read("app", { follow: false, signal: never() })),
    );
    assertEquals((await Array.fromAsync(read({ revision: "app-00002" }))).map(({ text }) => text), ["third"]);
    assertEquals((await Array.fromAsync(read({ tail: 1 }))).length, 2);
  }));

netTest(
  "a peer is followed until nobody reads any more, which leaves nothing there",
  () =>
    withPeer(async ({ outputs, read }) => {
      outputs.add("one", [[1, "first"]]);
      const lines = read({ follow: true });
      assertEquals((await lines.next()).value?.text, "first");
      outputs.write("one", 2, "second");
      assertEquals((await lines.next()).value?.text, "second");
      await lines.return();
      await until(() => outputs.readers === 0 && outputs.watchers.size === 0);
      const controller = new AbortController();
      const others = read({ follow: true, signal: controller.signal });
      assertEquals((await others.next()).value?.text, "first");
      controller.abort();
      await others.return();
      await until(() => outputs.readers === 0 && outputs.watchers.size === 0);
    }),
);

netTest(
  "a peer whose output cannot be read, or that has gone, says so",
  () =>
    withPeer(async ({ logs, lost, outputs, read }) => {
      assertEquals(logs.machines, ["b"]);
      outputs.add("one", []);
      outputs.fail("one", new Error("no luck"));
      await assertRejects(() => Array.fromAsync(read()), Error);
      lost.push("c");
      assertEquals(logs.machines, ["b", "c"]);
      await assertRejects(() => Array.fromAsync(read({}, "c")), PeerAway, "nothing is heard of its cless");
      assertEquals([await logs.nameOf("b"), await logs.nameOf("c")], ["second", "c"]);
    }),
);

function never(): AbortSignal {
  return new AbortController().signal;
}
