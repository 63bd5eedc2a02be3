import { assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { PEER_PORT } from "../../src/base/config.ts";
import type { Endpoint } from "../../src/model/host.ts";
import { parseJoinToken } from "../../src/peers/join_token.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import type { Node } from "./nodes.ts";

Deno.test(
  { name: "who has had a token to join is locked out by the steps that are documented", ignore: noNodes },
  async () => {
    // Where it listens at other addresses, it does not close its port to others than the machines.
    const flags = ["--peer-listen", `0.0.0.0:${PEER_PORT}`];
    await using cluster = await Cluster.start({ count: 2, flags });
    const [first, second] = cluster.nodes.all as [Node, Node];
    const seen = await first.cless("nodes", "--join-token");
    const { adminToken, identity, swarm } = parseJoinToken(seen);
    const endpoints = [first, second].map(({ address }) => ({ hostname: address, port: PEER_PORT }));
    using thief = new PeerClient(identity, new Map(), systemClock);
    const ask = (endpoint: Endpoint) => thief.askAt(endpoint, "status", null);
    const admin = async () => {
      const headers = { authorization: `Bearer ${adminToken}` };
      const { body, status } = await fetch(`http://${first.address}:1323/v1/services`, { headers });
      await body?.cancel();
      return status;
    };
    await Promise.all(endpoints.map(ask));
    assertEquals(await admin(), 200);
    assertEquals((await cluster.cless(1).send("PUT", "/v1/services/app", { image: "golang-docker" })).status, 201);

    await cluster.cless(1).end();
    await first.exec("rm", "/node/data/peer-identity");
    await cluster.restartCless(1, ["--engine", "swarm", ...flags]);
    const token = await first.cless("nodes", "--join-token");
    await cluster.cless(2).end();
    assertStringIncludes(await second.cless("join", token), "this machine is in the Swarm already");
    await cluster.restartCless(2, ["--engine", "swarm", "--manager", `${first.address}:${PEER_PORT}`, ...flags]);
    for (const role of ["worker", "manager"]) await first.docker("swarm", "join-token", "--rotate", "--quiet", role);
    await first.cless("token", "rotate");

    for (const endpoint of endpoints) await assertRejects(() => ask(endpoint), PeerAway, "invalid peer certificate");
    assertEquals(await admin(), 401);
    const now = parseJoinToken(await first.cless("nodes", "--join-token"));
    assertNotEquals(now.swarm.worker, swarm.worker);
    assertNotEquals(now.swarm.manager, swarm.manager);
    // The machines know each other as before.
    await until(async () => {
      const nodes: { cless?: { instances?: number } }[] = await cluster.cless(2).api("/v1/nodes");
      return nodes.filter(({ cless }) => cless?.instances !== undefined).length === 2;
    });
    for (const number of [1, 2]) {
      const { status, text } = await cluster.cless(number).get("app");
      assertEquals(status, 200, text);
    }
  },
);
