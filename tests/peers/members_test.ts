import { assertEquals, assertRejects } from "@std/assert";
import { SwarmRegistrations } from "../../src/docker/swarm/registrations.ts";
import type { Endpoint } from "../../src/model/host.ts";
import { Members, observe } from "../../src/peers/members.ts";
import type { PeerFacts } from "../../src/peers/messages.ts";
import type { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeSwarm } from "../support/fake_swarm.ts";

const OWNER = "0a1b2c3d";

/** Several cless over one Swarm in memory, who reach each other unless they have been cut off. */
class Cluster {
  readonly clock = new FakeClock();
  readonly swarm = new FakeSwarm(this.clock, ["a", "b", "c"]);
  readonly members = new Map<string, Members>();
  /** Those that answer nobody. */
  readonly deaf = new Set<string>();
  /** Those where nobody listens. */
  readonly closed = new Set<string>();

  /** Makes a cless on a node; what it hears goes to the log. */
  add(nodeId: string, log: string[] = []): { members: Members; addresses: Map<string, Endpoint> } {
    const addresses = new Map<string, Endpoint>();
    const members = new Members({
      ...{ nodeId, addresses, clock: this.clock, version: "1.0.0" },
      registrations: new SwarmRegistrations(this.swarm.api(nodeId), OWNER, () => 0),
      client: {
        forget: () => {},
        ask: ((to: string, message: "hello" | "bye", body: PeerFacts) => {
          const other = this.members.get(to);
          if (this.closed.has(to)) {
            const cause = new Deno.errors.ConnectionRefused();
            return Promise.reject(new PeerAway("it cannot be reached", { cause, isUnsent: true }));
          }
          if (other === undefined || this.deaf.has(to)) return Promise.reject(new PeerAway("it does not answer"));
          return other.handlers[message](body, new AbortController().signal);
        }) as PeerClient["ask"],
      },
    });
    members.onChange({ came: (node) => log.push(`came ${node}`), went: (node) => log.push(`went ${node}`) });
    this.members.set(nodeId, members);
    return { members, addresses };
  }

  /** Ends a cless without a word. */
  kill(nodeId: string): void {
    this.members.get(nodeId)!.leave();
    this.members.delete(nodeId);
  }
}

Deno.test("whoever comes knows all others, and they know it at once", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const b = cluster.add("b", log);
  assertEquals(b.members.live, ["b"]);
  await b.members.start("10.0.0.2:1324");
  const a = cluster.add("a");
  await a.members.start("10.0.0.1:1324");
  assertEquals(a.members.live, ["a", "b"]);
  assertEquals(b.members.live, ["a", "b"]);
  assertEquals(a.addresses.get("b"), { hostname: "10.0.0.2", port: 1324 });
  assertEquals(b.addresses.get("a"), { hostname: "10.0.0.1", port: 1324 });
  assertEquals([a.members.share.now, b.members.share.now], [{ of: 2 }, { of: 2 }]);
  assertEquals(log, ["came a"]);
  assertEquals(b.members.peers, [
    { nodeId: "a", address: "10.0.0.1:1324", version: "1.0.0" },
    { nodeId: "b", address: "10.0.0.2:1324", version: "1.0.0" },
  ]);
  a.members.leave();
  b.members.leave();
});

Deno.test("whoever only reads knows the others, registers nothing, and is known to nobody", async () => {
  const cluster = new Cluster();
  const a = cluster.add("a");
  await a.members.start("10.0.0.1:1324");
  const b = cluster.add("b");
  cluster.swarm.changes.length = 0;
  await b.members.read();
  assertEquals([b.members.live, b.members.hasStarted, a.members.live], [["a", "b"], false, ["a"]]);
  assertEquals([b.addresses.get("a"), cluster.swarm.changes], [{ hostname: "10.0.0.1", port: 1324 }, []]);
  await b.members.start("10.0.0.2:1324");
  assertEquals([b.members.hasStarted, a.members.live], [true, ["a", "b"]]);
  a.members.leave();
  b.members.leave();
});

Deno.test("whoever leaves is known to be gone at once, and leaves no registration", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const a = cluster.add("a", log);
  await a.members.start("10.0.0.1:1324");
  const b = cluster.add("b");
  await b.members.start("10.0.0.2:1324");
  await b.members.stop();
  assertEquals(a.members.live, ["a"]);
  assertEquals([...a.addresses.keys()], ["a"]); // its own
  assertEquals(a.members.share.now, { of: 1 });
  assertEquals(log, ["came b", "went b"]);
  await a.members.stop();
  assertEquals([...cluster.swarm.configs.keys()], []);
  assertEquals(cluster.clock.timers, 0);
});

Deno.test("whoever says no more is gone after three readings, and is back when it renews", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const a = cluster.add("a", log);
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324");
  cluster.kill("b");
  await cluster.clock.advance(29_000);
  assertEquals([a.members.live, a.members.lost], [["a", "b"], []]);
  await cluster.clock.advance(11_000);
  assertEquals([a.members.live, a.members.lost], [["a"], ["b"]]);
  const b = cluster.add("b");
  cluster.deaf.add("a"); // it is not told
  await b.members.start("10.0.0.2:1400");
  assertEquals(a.members.live, ["a"]);
  await cluster.clock.advance(10_000);
  assertEquals([a.members.live, a.members.lost], [["a", "b"], []]);
  assertEquals(a.addresses.get("b")?.port, 1400);
  assertEquals(log, ["came b", "went b", "came b"]);
  a.members.leave();
  b.members.leave();
});

/** Nodes as Swarm lists them. @param down Those that it does not hear. */
function nodes(...down: string[]): { id: string; isReady: boolean }[] {
  return ["a", "b"].map((id) => ({ id, isReady: !down.includes(id) }));
}

Deno.test("whoever does not answer while Swarm says that its node is down is gone at once, until it says more", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const a = cluster.add("a", log);
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324"); // no reading has its registration yet
  cluster.kill("b");
  a.members.noteNodes(nodes());
  await cluster.clock.advance(1000);
  assertEquals(a.members.live, ["a", "b"]);
  a.members.noteNodes(nodes("b"));
  await cluster.clock.advance(0);
  assertEquals([a.members.live, a.members.lost], [["a"], ["b"]]);
  await cluster.clock.advance(60_000);
  assertEquals(log, ["came b", "went b"]);
  await cluster.add("b").members.start("10.0.0.2:1324");
  assertEquals(log, ["came b", "went b", "came b"]);
  cluster.kill("b");
  a.members.leave();
});

Deno.test("whoever answers is there, though Swarm says that its node is down", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const a = cluster.add("a", log);
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324");
  a.members.noteNodes(nodes("b"));
  a.members.noteNodes(nodes("b", "a")); // itself, too
  await cluster.clock.advance(5000);
  assertEquals([a.members.live, log], [["a", "b"], ["came b"]]);
  cluster.kill("b");
  a.members.leave();
});

Deno.test("whoever was cut off from Swarm and all others is back when Swarm hears from its node, if it answers then", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const a = cluster.add("a", log);
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324");
  for (const answers of [true, false]) {
    cluster.deaf.add("b");
    a.members.noteNodes(nodes("b"));
    await cluster.clock.advance(0);
    assertEquals(a.members.live, ["a"]);
    if (answers) cluster.deaf.delete("b");
    a.members.noteNodes(nodes());
    await cluster.clock.advance(0);
    assertEquals(a.members.live, answers ? ["a", "b"] : ["a"]);
  }
  cluster.kill("b");
  a.members.leave();
});

Deno.test("whoever refuses connections for two seconds is gone, but not one that is started again meanwhile", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const a = cluster.add("a", log);
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324");
  a.members.refused("b"); // it is there again when it is asked
  await cluster.clock.advance(5000);
  assertEquals(a.members.live, ["a", "b"]);
  cluster.kill("b");
  cluster.closed.add("b");
  a.members.refused("b");
  await cluster.clock.advance(1000);
  cluster.closed.delete("b");
  await cluster.add("b").members.start("10.0.0.2:1324");
  cluster.closed.add("b"); // what was asked before says nothing of the new one
  await cluster.clock.advance(2000);
  assertEquals(a.members.live, ["a", "b"]);
  a.members.refused("b");
  await cluster.clock.advance(1999);
  assertEquals(a.members.live, ["a", "b"]);
  await cluster.clock.advance(1);
  assertEquals([a.members.live, log], [["a"], ["came b", "went b"]]);
  cluster.kill("b");
  a.members.leave();
});

Deno.test("whoever refuses connections while its machine ends is gone once Swarm says that its node is down", async () => {
  const cluster = new Cluster();
  const a = cluster.add("a");
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324");
  cluster.kill("b");
  cluster.closed.add("b");
  a.members.refused("b"); // its process ends first
  await cluster.clock.advance(1000);
  cluster.closed.delete("b"); // then its machine does
  a.members.noteNodes(nodes("b"));
  await cluster.clock.advance(1000);
  assertEquals([a.members.live, a.members.lost], [["a"], ["b"]]);
  await cluster.add("b").members.read();
  a.members.noteNodes(nodes());
  await cluster.clock.advance(0);
  assertEquals([a.members.live, a.members.lost], [["a", "b"], []]);
  a.members.leave();
});

Deno.test("whoever only says nothing is not gone before its registration has run out", async () => {
  const cluster = new Cluster();
  const a = cluster.add("a");
  await a.members.start("10.0.0.1:1324");
  await cluster.add("b").members.start("10.0.0.2:1324");
  cluster.deaf.add("b");
  a.members.refused("b");
  await cluster.clock.advance(25_000);
  assertEquals(a.members.live, ["a", "b"]);
  cluster.kill("b");
  a.members.leave();
});

Deno.test("those that renew stay, for hours, and each renewal writes one label", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const all = ["a", "b", "c"].map((nodeId) => cluster.add(nodeId, log).members);
  for (const [at, members] of all.entries()) await members.start(`10.0.0.${at + 1}:1324`);
  log.length = cluster.swarm.changes.length = 0;
  await cluster.clock.advance(3_600_000);
  assertEquals(all.map(({ live }) => live.join()), ["a,b,c", "a,b,c", "a,b,c"]);
  assertEquals(log, []);
  const counts = Map.groupBy(cluster.swarm.changes, (change) => change);
  assertEquals(
    [...counts].map(([change, { length }]) => `${length} ${change}`).sort(),
    ["a", "b", "c"].map((nodeId) => `360 label config cless-${OWNER}-node-${nodeId}`),
  );
  for (const members of all) members.leave();
});

Deno.test("while the Swarm has no leader nobody is taken for gone, however long that lasts", async () => {
  const cluster = new Cluster();
  const log: string[] = [];
  const all = ["a", "b"].map((nodeId) => cluster.add(nodeId, log).members);
  for (const [at, members] of all.entries()) await members.start(`10.0.0.${at + 1}:1324`);
  log.length = 0;
  await cluster.clock.advance(15_000);
  cluster.swarm.isAway = true;
  await cluster.clock.advance(600_000);
  cluster.swarm.isAway = false;
  await cluster.clock.advance(100_000);
  assertEquals(log, []);
  for (const members of all) members.leave();
});

Deno.test("a registration that a person has removed is made again", async () => {
  const cluster = new Cluster();
  const { members } = cluster.add("a");
  await members.start("10.0.0.1:1324");
  await cluster.swarm.api("a").removeConfig(`cless-${OWNER}-node-a`);
  await cluster.clock.advance(10_000);
  assertEquals([...cluster.swarm.configs.keys()], [`cless-${OWNER}-node-a`]);
  members.leave();
});

Deno.test("the registration of a node that is gone for good is removed by one of the others", async () => {
  const cluster = new Cluster();
  const all = ["b", "c"].map((nodeId) => cluster.add(nodeId).members);
  await cluster.add("a").members.start("10.0.0.9:1324");
  for (const [at, members] of all.entries()) await members.start(`10.0.0.${at + 1}:1324`);
  cluster.kill("a");
  await cluster.clock.advance(3_000_000);
  assertEquals(cluster.swarm.configs.has(`cless-${OWNER}-node-a`), true);
  await cluster.clock.advance(1_000_000);
  assertEquals(cluster.swarm.configs.has(`cless-${OWNER}-node-a`), false);
  assertEquals(cluster.swarm.changes.filter((change) => change.startsWith("remove")).length, 1);
  for (const members of all) members.leave();
});

Deno.test("another owner's registrations in the same Swarm are neither seen nor touched", async () => {
  const cluster = new Cluster();
  const other = new SwarmRegistrations(cluster.swarm.api("a"), "ffffffff");
  await other.put({ nodeId: "a", address: "10.0.0.1:1", version: "1" });
  const { members } = cluster.add("b");
  await members.start("10.0.0.2:1324");
  assertEquals(members.live, ["b"]);
  await members.stop();
  assertEquals((await other.list()).map(({ nodeId }) => nodeId), ["a"]);
});

Deno.test("one that cannot register does not start", async () => {
  const cluster = new Cluster();
  cluster.swarm.isAway = true;
  const { members } = cluster.add("a");
  await assertRejects(() => members.start("10.0.0.1:1324"), Error, "does not have a leader");
  assertEquals(cluster.clock.timers, 0);
});

Deno.test("a peer counts as renewed when its revision is another one, also a lower one", () => {
  const facts = { nodeId: "b", address: "10.0.0.2:1", version: "1" };
  const once = observe(new Map(), [{ ...facts, revision: 5 }], "a");
  assertEquals(once.get("b")?.sameFor, 0);
  const twice = observe(once, [{ ...facts, revision: 5 }], "a");
  assertEquals(twice.get("b")?.sameFor, 1);
  assertEquals(observe(twice, [{ ...facts, revision: 3 }], "a").get("b")?.sameFor, 0);
  assertEquals(observe(twice, [], "a").size, 0);
  assertEquals(observe(new Map(), [{ ...facts, nodeId: "a", revision: 1 }], "a").size, 0);
});
