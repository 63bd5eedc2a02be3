import { assertEquals, assertNotEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { NO_LAG } from "../../src/base/lag.ts";
import { DockerCommand } from "../../src/docker/command.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import type { PeerAnswer, PeerMessage } from "../../src/docker/swarm/instance_messages.ts";
import { SwarmCalls } from "../../src/docker/swarm/swarm_calls.ts";
import type { Revision } from "../../src/model/revision.ts";
import { Prober } from "../../src/pool/probe.ts";
import { newRevision } from "../support/kit.ts";
import { SharingCless } from "../support/sharing_cless.ts";
import { until } from "../support/until.ts";
import { noNodes } from "./no_nodes.ts";
import { Nodes } from "./nodes.ts";

const NO_RESERVE = { lend: () => false };

/** A cless on a real node, but on this machine: it reaches the node's engine by its socket. */
class NodeCless extends SharingCless {
  readonly number: number;
  readonly api: SocketApi;

  private constructor(number: number, api: SocketApi, ...made: ConstructorParameters<typeof SharingCless>) {
    super(...made);
    this.number = number;
    this.api = api;
  }

  /** One on each node of a Swarm. They talk to each other in memory. @param dead The nodes whose cless are gone. */
  static async startAll(nodes: Nodes, changes: Partial<Revision>, dead = new Set<number>()): Promise<NodeCless[]> {
    const all: NodeCless[] = [];
    const apis = nodes.all.map(({ engineSocket }) => new SocketApi(engineSocket));
    const infos = await Promise.all(apis.map((api) => new SwarmCalls(api.caller).info()));
    const imageId = (await apis[0]!.image("golang-docker")).id;
    const revision = { ...newRevision(imageId), imageDigest: imageId, ...changes };
    for (const [n, api] of apis.entries()) {
      const info = infos[n]!;
      const peers = {
        get live() {
          return infos.filter((_, n) => !dead.has(n + 1)).map(({ nodeId }) => nodeId).sort();
        },
        noteNodes() {},
        async ask(to: string, message: PeerMessage): Promise<PeerAnswer> {
          const peer = all.find(({ nodeId, number }) => nodeId === to && !dead.has(number));
          if (peer === undefined) throw new Error("it is gone");
          return await peer.answers.answer(message);
        },
      };
      const choice = { api, docker: new DockerCommand("docker") };
      const access = { choice, caller: api.caller, swarm: new SwarmCalls(api.caller), info, peers };
      all.push(new NodeCless(n + 1, api, access, revision, systemClock, new Prober(systemClock, NO_LAG, NO_RESERVE)));
    }
    for (const cless of all) {
      await cless.start();
      cless.reconciler.start(cless.engine);
    }
    return all;
  }

  async end(): Promise<void> {
    this.reconciler.stop();
    await this.pool.retire(0);
    await this.executor.settled();
    await this.engine.leave();
  }

  override async ask(origin: string): Promise<void> {
    const response = await fetch(origin);
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
}

/** The instances' containers on a node, by state. */
async function statesOn(nodes: Nodes, number: number): Promise<string[]> {
  const text = await nodes.node(number).docker("ps", "--all", "--format", "{{.State}}");
  return text.split("\n").filter(Boolean);
}

Deno.test({ name: "several cless share the instances of real nodes", ignore: noNodes }, async (t) => {
  await using nodes = await Nodes.start(2);
  await nodes.makeSwarm({ managers: 2, heartbeat: "1s" });
  await Promise.all(nodes.all.map((node) => node.load("golang-docker")));
  const [one, two] = await NodeCless.startAll(nodes, { pauseAfterMs: 1000, stopAfterMs: 6000 });
  const services = () => nodes.node(1).docker("service", "ls", "--format", "{{.Name}}");
  let id = "";
  try {
    await t.step("two that start an instance at once make one service, and both reach it", async () => {
      const ids = await Promise.all([one!.serve(), two!.serve()]);
      id = ids[0]!;
      assertEquals(ids, [id, id]);
      assertEquals(await services(), id);
    });
    await t.step("an instance that nobody uses is paused on its node, and Swarm leaves it alone", async () => {
      await until(() => one!.states[id] === "paused" && two!.states[id] === "paused");
      const states = async () => (await Promise.all([statesOn(nodes, 1), statesOn(nodes, 2)])).flat();
      await until(async () => (await states()).join() === "paused");
      assertEquals(await services(), id);
    });
    await t.step("a request to the other cless resumes it", async () => {
      const other = one!.engine.launcher.sharing.isOurs(id) ? two! : one!;
      assertEquals(await other.serve(), id);
      assertEquals([one!.states, two!.states], [{ [id]: "ready" }, { [id]: "ready" }]);
    });
    await t.step("an idle instance ends, and the next request starts another one of its name", async () => {
      await until(async () => Object.keys({ ...one!.states, ...two!.states }).length === 0 && await services() === "");
      assertEquals(await two!.serve(), id);
    });
    await t.step("an app that ends by itself has ended for all", async () => {
      const home = one!.engine.launcher.sharing.isOurs(id) ? one! : two!;
      const node = nodes.node(home.number);
      await node.docker("kill", await node.docker("ps", "--quiet"));
      await until(async () => Object.keys({ ...one!.states, ...two!.states }).length === 0 && await services() === "");
    });
  } finally {
    await Promise.all([one!, two!].map((cless) => cless.end()));
  }
});

Deno.test({ name: "the instances of a node that is lost are started elsewhere", ignore: noNodes }, async () => {
  await using nodes = await Nodes.start(3);
  await nodes.makeSwarm({ managers: 3, heartbeat: "1s" });
  await Promise.all(nodes.all.map((node) => node.load("golang-docker")));
  const dead = new Set<number>();
  const all = await NodeCless.startAll(nodes, { stopAfterMs: Infinity }, dead);
  const [one, , three] = all;
  try {
    for (const { hostname } of nodes.all.slice(0, 2)) {
      await nodes.node(1).docker("node", "update", "--availability", "drain", hostname);
    }
    const id = await three!.serve();
    await until(() => one!.states[id] === "ready");
    for (const { hostname } of nodes.all.slice(0, 2)) {
      await nodes.node(1).docker("node", "update", "--availability", "active", hostname);
    }
    dead.add(3);
    await nodes.node(3).kill();
    await until(() => one!.states[id] !== "ready");
    const next = await one!.serve();
    const place = await nodes.node(1).docker("service", "ps", "--format", "{{.Node}}", next);
    assertNotEquals(place, nodes.node(3).hostname);
  } finally {
    await Promise.all(all.map((cless) => cless.end()));
  }
});
