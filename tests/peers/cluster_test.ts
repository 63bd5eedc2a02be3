import { assertEquals, assertRejects } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { ImageUnavailable, NotFound } from "../../src/control/deploy_error.ts";
import { PeerCluster, type PeerClusterOptions } from "../../src/peers/cluster.ts";
import { makeIdentity } from "../../src/peers/identity.ts";
import { parseJoinToken } from "../../src/peers/join_token.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import type { PeerClient } from "../../src/peers/peer_client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeSwarm } from "../support/fake_swarm.ts";

const SHARED = {
  owner: "0a1b2c3d",
  adminToken: "t".repeat(64),
  adminTokenMadeAt: 1_700_000_000_000,
  secretKey: new Uint8Array(32).toBase64(),
  identity: await makeIdentity(),
};
const MANAGERS = [{ nodeId: "a", address: "10.0.0.1:2377" }, { nodeId: "b", address: "10.0.0.2:2377" }];
const TOKENS = { worker: "SWMTKN-1-w", manager: "SWMTKN-1-m" };

/** The cless on node a; those on b and c are its peers, and c does not answer. */
function cluster(changed: Partial<PeerClusterOptions["swarm"]> = {}) {
  const swarm = new FakeSwarm(new FakeClock(), ["c", "a", "b"]);
  swarm.setNode("b", { hostname: "host-x" }); // their names are in another order than their ids
  swarm.addNode("d", { role: "worker", isReady: false, hostname: "an-older-one" });
  const api = swarm.api("a");
  return new PeerCluster({
    nodeId: "a",
    swarm: {
      nodes: () => api.nodes(),
      invitation: () => Promise.resolve({ managers: MANAGERS, tokens: TOKENS }),
      ...changed,
    },
    members: {
      peers: ["a", "b", "c"].map((nodeId, at) => ({ nodeId, address: `10.0.0.${at + 1}:1324`, version: `1.${at}` })),
    },
    client: {
      ask: ((nodeId: string) =>
        nodeId === "b"
          ? Promise.resolve({ version: "1.1", instances: 7, memoryBytes: 70 })
          : Promise.reject(new PeerAway("it does not answer"))) as PeerClient["ask"],
    },
    status: () =>
      Promise.resolve({ version: "1.0", instances: 3, memoryBytes: 30 }),
    images: {
      send: (image, nodeIds) =>
        Promise.resolve(
          image === "none" ? undefined : nodeIds.map((nodeId) => ({
            ...{ nodeId, sent: nodeId === "b" },
            failure: nodeId === "c" ? "it does not answer" : undefined,
          })),
        ),
    },
    sharedToken: { spread: () => Promise.resolve() },
    shared: () => Promise.resolve(SHARED),
  });
}

Deno.test("the nodes are told by name, each with the cless on it and how that is", async () => {
  const nodes = await cluster().nodes();
  assertEquals(
    nodes.map(({ name, cless }) => [name, cless?.version, cless?.address, cless?.instances, cless?.memoryBytes]),
    [
      ["an-older-one", undefined, undefined, undefined, undefined],
      ["host-a", "1.0", "10.0.0.1:1324", 3, 30],
      ["host-c", "1.2", "10.0.0.3:1324", undefined, undefined],
      ["host-x", "1.1", "10.0.0.2:1324", 7, 70],
    ],
  );
  const { isLeader, isReady, role } = nodes[0]!;
  assertEquals([isLeader, isReady, role], [false, false, "worker"]);
});

Deno.test("the token to join has what is shared, the Swarm's tokens, and where cless is on managers", async () => {
  assertEquals(parseJoinToken(await cluster().joinToken()), {
    ...SHARED,
    managers: MANAGERS,
    swarm: TOKENS,
    peers: ["10.0.0.1:1324", "10.0.0.2:1324"],
  });
});

Deno.test("an image is sent to all others that have a cless, or to one, and each says what became of it", async () => {
  assertEquals(await cluster().sendImage("golang-docker"), [
    { node: "host-c", sent: false, failure: "it does not answer" },
    { node: "host-x", sent: true, failure: undefined },
  ]);
  assertEquals((await cluster().sendImage("golang-docker", "host-x")).map(({ node }) => node), ["host-x"]);
  for (const other of ["host-a", "an-older-one", "nobody"]) {
    await assertRejects(() => cluster().sendImage("golang-docker", other), NotFound, `no other machine named ${other}`);
  }
  await assertRejects(() => cluster().sendImage("none"), ImageUnavailable, "the image none is not on this machine");
});

Deno.test("managers that do not answer are the operator's matter", async () => {
  const away = () => Promise.reject(new Error("The swarm does not have a leader"));
  const without = cluster({ nodes: away, invitation: away });
  const message = "the managers of the Swarm do not answer: The swarm does not have a leader";
  await assertRejects(() => without.nodes(), OperatorError, message);
  await assertRejects(() => without.joinToken(), OperatorError, message);
});
