import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { SocketClient } from "../../src/docker/socket_client.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { SwarmRegistrations } from "../../src/docker/swarm/registrations.ts";
import { RemoteEngine, SharedEngine } from "../../src/docker/swarm/remote_engine.ts";
import { SwarmCalls } from "../../src/docker/swarm/swarm_calls.ts";
import { swarmInvitation } from "../../src/docker/swarm/swarm_join.ts";
import { type Endpoint, formatEndpoint } from "../../src/model/host.ts";
import { makeIdentity, openIdentity, type PeerIdentity } from "../../src/peers/identity.ts";
import { formatJoinToken } from "../../src/peers/join_token.ts";
import { Members } from "../../src/peers/members.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import { TestPeer } from "../peers/kit.ts";
import { noNodes } from "./no_nodes.ts";
import { type Node, Nodes } from "./nodes.ts";

const ignore = noNodes;
const OWNER = "0a1b2c3d";

/** The token to join the Swarm of a manager. */
async function tokenOf(manager: Node, identity: PeerIdentity): Promise<string> {
  using engine = new SocketClient(manager.engineSocket);
  const { managers, tokens } = await swarmInvitation(engine);
  return formatJoinToken({
    owner: OWNER,
    adminToken: "t".repeat(64),
    adminTokenMadeAt: 1_700_000_000_000,
    secretKey: new Uint8Array(32).fill(7).toBase64(),
    ...{ identity, managers, swarm: tokens },
    peers: [`${manager.address}:1324`],
  });
}

Deno.test(
  { name: "machines join a Swarm as a worker and as a manager, and one that is in another does not", ignore },
  async () => {
    await using nodes = await Nodes.start(4);
    const [first, second, third, fourth] = nodes.all as [Node, Node, Node, Node];
    await first.swarmInit();
    const identity = await makeIdentity();
    const token = await tokenOf(first, identity);

    const asWorker = await second.cless("join", token, "--advertise", second.address);
    assertStringIncludes(asWorker, "this machine has joined the Swarm as a worker");
    assertStringIncludes(asWorker, `cless serve --engine swarm --manager ${first.address}:1324`);
    const asManager = await third.cless("join", token, "--manager-node", "--advertise", third.address);
    assertStringIncludes(asManager, "this machine has joined the Swarm as a manager");
    assert(!asManager.includes("--manager "), asManager);
    const listed = await first.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}");
    assertEquals(listed.split("\n").map((line) => line.trim()).sort(), [
      "node-1 Ready Leader",
      "node-2 Ready",
      "node-3 Ready Reachable",
    ]);

    for (const node of [second, third]) {
      assertEquals((await Deno.readTextFile(`${node.dataDir}/owner`)).trim(), OWNER);
      assertEquals(await openIdentity(node.dataDir), identity);
      assertStringIncludes(await node.cless("join", token), "this machine is in the Swarm already");
    }
    await fourth.swarmInit();
    await assertRejects(() => fourth.cless("join", token), Error, "this machine is in another Swarm");
    await assertRejects(() => Deno.stat(`${fourth.dataDir}/owner`), Deno.errors.NotFound);
  },
);

/** A cless on a node, as far as peers are concerned; it listens on this machine. */
class Peer implements AsyncDisposable {
  readonly members: Members;
  readonly client: PeerClient;
  readonly #server: TestPeer;
  readonly #engine: SocketClient;

  private constructor(members: Members, client: PeerClient, server: TestPeer, engine: SocketClient) {
    this.members = members;
    this.client = client;
    this.#server = server;
    this.#engine = engine;
  }

  /** @param manager Where the cless of a manager is; only a worker needs it. */
  static async start(node: Node, identity: PeerIdentity, manager?: Endpoint): Promise<Peer> {
    const engine = new SocketClient(node.engineSocket);
    const addresses = new Map<string, Endpoint>();
    const client = new PeerClient(identity, addresses, systemClock);
    const remote = manager && new RemoteEngine({
      ask: (request, options) => client.askAt(manager, "engine", request, options),
      open: (request, signal) => client.openAt(manager, "engine-pieces", request, signal),
    });
    const { nodeId } = await new SwarmCalls(engine).info();
    const swarm = new SwarmCalls(remote ?? engine);
    const members = new Members({
      ...{ nodeId, client, addresses, clock: systemClock, version: "1.0.0" },
      registrations: new SwarmRegistrations(swarm, OWNER),
    });
    const shared = new SharedEngine(engine);
    const server = new TestPeer(identity, {
      handlers: {
        ...members.handlers,
        status: () => Promise.resolve({ version: "1.0.0", instances: node.number, memoryBytes: 0 }),
        engine: (request, signal) => shared.ask(request, signal),
      },
      streams: { "engine-pieces": (request, signal) => shared.open(request, signal) },
    });
    await members.start(formatEndpoint(server.endpoint));
    return new Peer(members, client, server, engine);
  }

  get endpoint(): Endpoint {
    return this.#server.endpoint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.members.stop();
    this.client[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
    this.#engine[Symbol.dispose]();
  }
}

Deno.test({ name: "the cless of a manager and of a worker know each other by the Swarm's store", ignore }, async () => {
  await using nodes = await Nodes.start(2);
  await nodes.makeSwarm();
  const identity = await makeIdentity();
  const [first, second] = nodes.all as [Node, Node];
  await using manager = await Peer.start(first, identity);
  const worker = await Peer.start(second, identity, manager.endpoint);
  assertEquals(manager.members.live.length, 2);
  assertEquals(worker.members.live, manager.members.live);
  for (const [from, to, number] of [[manager, worker, 2], [worker, manager, 1]] as const) {
    const [other] = from.members.peers.filter(({ address }) => address === formatEndpoint(to.endpoint));
    assertEquals((await from.client.ask(other!.nodeId, "status", null)).instances, number);
  }
  await worker[Symbol.asyncDispose]();
  assertEquals(manager.members.live.length, 1);
  assertEquals((await first.docker("config", "ls", "--format", "{{.Name}}")).split("\n"), [
    `cless-${OWNER}-node-${manager.members.live[0]}`,
  ]);
});

Deno.test({ name: "a worker uses the Swarm by a manager's cless, and is told of changes", ignore }, async () => {
  await using nodes = await Nodes.start(2);
  await nodes.makeSwarm();
  const identity = await makeIdentity();
  const [first, second] = nodes.all as [Node, Node];
  await using manager = await Peer.start(first, identity);
  using client = new PeerClient(identity, new Map(), systemClock);
  const swarm = new SwarmCalls(
    new RemoteEngine({
      ask: (request, options) => client.askAt(manager.endpoint, "engine", request, options),
      open: (request, signal) => client.openAt(manager.endpoint, "engine-pieces", request, signal),
    }),
  );
  assertEquals((await swarm.nodes()).map(({ hostname }) => hostname).sort(), [first.hostname, second.hostname]);
  const listening = new AbortController();
  const events = await swarm.events(String(Math.floor(Date.now() / 1000)), listening.signal);
  await swarm.createConfig("one", { a: "b" }, new TextEncoder().encode("x".repeat(900_000)));
  const conflict = await assertRejects(() => swarm.createConfig("one", {}, new Uint8Array([1])), EngineError);
  assertEquals(conflict.kind, "conflict");
  const config = await swarm.config("one");
  assertEquals(config.data.length, 900_000);
  await swarm.setConfigLabels(config, { a: "c" });
  const stale = await assertRejects(() => swarm.setConfigLabels(config, { a: "d" }), EngineError);
  assertEquals(stale.kind, "stale");
  await swarm.removeConfig("one");
  assertEquals((await assertRejects(() => swarm.config("one"), EngineError)).kind, "gone");
  const told: string[] = [];
  for await (const { type, action, name } of events) {
    if (name === "one") told.push(`${type} ${action}`);
    if (told.length === 3) break;
  }
  listening.abort();
  assertEquals(told, ["config create", "config update", "config remove"]);
});

Deno.test({ name: "a machine that is cut off is away after a second, though it refuses nothing", ignore }, async () => {
  await using nodes = await Nodes.start(1);
  const node = nodes.node(1);
  const endpoint = { hostname: node.address, port: 1324 };
  using client = new PeerClient(await makeIdentity(), new Map([["one", endpoint]]), systemClock);
  const refused = await assertRejects(() => client.ask("one", "status", null), PeerAway);
  assertStringIncludes(refused.message, "refused");
  await node.partition();
  const error = await assertRejects(() => client.ask("one", "status", null, { timeoutMs: 600_000 }), PeerAway);
  assertStringIncludes(error.message, `the cless at ${node.address}:1324 does not answer within 1 s`);
});
