import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { ServiceChange } from "../../src/control/records.ts";
import { DomainTakenError, StaleError, StoreUnavailable } from "../../src/control/store.ts";
import { SocketClient } from "../../src/docker/socket_client.ts";
import type { ForeignChange } from "../../src/docker/swarm/state/follower.ts";
import { SwarmStore } from "../../src/docker/swarm/state/swarm_store.ts";
import { SwarmCalls } from "../../src/docker/swarm/swarm_calls.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { deployAfter, OWNER, secretOf, sharedIn } from "../docker/swarm/state/kit.ts";
import { changeAfter, creationOf, entryOf, revisionOf } from "../sqlite/kit.ts";
import { until } from "../support/until.ts";
import { noNodes } from "./no_nodes.ts";
import { type Node, Nodes } from "./nodes.ts";

const ignore = noNodes;
/** How long managers may take to agree on a new leader, ms. */
const ELECTION_MS = 60_000;

/** A store by a node's engine. */
interface Opened extends AsyncDisposable {
  readonly store: SwarmStore;
  readonly replica: SqliteStore;
  readonly api: SwarmCalls;
}

/** Opens the store of a node, which takes over what others change, as the program does. */
async function open(node: Node): Promise<Opened> {
  const folder = await Deno.makeTempDir({ prefix: "state-" });
  const replica = SqliteStore.open(folder);
  const client = new SocketClient(node.engineSocket);
  const api = new SwarmCalls(client);
  const store = new SwarmStore({ api, owner: OWNER, replica, clock: systemClock, now: Date.now });
  await store.start();
  await store.sow();
  store.onForeignChange((change: ForeignChange) => {
    if ("service" in change) store.foreign(change.service).then((found) => found?.take(), () => {});
  });
  return {
    ...{ store, replica, api },
    async [Symbol.asyncDispose]() {
      store[Symbol.dispose]();
      client[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Makes a change as soon as the Swarm stores something; fails if that takes too long. */
async function whenPossible(change: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + ELECTION_MS;
  for (;;) {
    try {
      await change();
      return;
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Waits until two replicas are the same. */
async function untilSame(one: Opened, other: Opened): Promise<void> {
  await until(() => JSON.stringify(sharedIn(one.replica)) === JSON.stringify(sharedIn(other.replica)));
}

Deno.test(
  { name: "nodes of a real Swarm have the same, and only one of two changes at once is made", ignore },
  async () => {
    await using nodes = await Nodes.start(2);
    await nodes.makeSwarm({ managers: 2 });
    await using one = await open(nodes.node(1));
    await using other = await open(nodes.node(2));
    const domains = ["www.example.org"];
    const creation = creationOf("golang", { domains });
    await one.store.change(creation);
    await until(() => other.store.service("golang") !== undefined);
    assertEquals(other.store.revisions("golang"), [creation.addRevision!]);

    const both = await Promise.allSettled([
      one.store.change(deployAfter(creation)),
      other.store.change({ ...deployAfter(creation), addRevision: revisionOf("golang", 3) }),
    ]);
    const refused = both.find((result) => result.status === "rejected");
    assert(refused?.reason instanceof StaleError, String(refused?.reason));
    const taken = await Promise.allSettled([
      one.store.change(creationOf("a", { domains: ["new.example.org"] })),
      other.store.change(creationOf("b", { domains: ["new.example.org"] })),
      other.store.change(creationOf("c", { domains })),
    ]);
    assertEquals(taken.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of taken) assert(result.status === "fulfilled" || result.reason instanceof DomainTakenError);

    const numbers = await Promise.all([one, other, one].map(({ store }) => store.reserveNumber("golang", 4)));
    assertEquals(numbers.toSorted(), [4, 5, 6]);
    const token = { scope: "read", hash: Uint8Array.of(1, 2), expiresAt: undefined, createdAt: 1 } as const;
    const issued = await Promise.all([one, other].map(({ store }) => store.addToken({ ...token, name: "ci" })));
    assertEquals(issued.toSorted(), [false, true]);
    for (const name of ["CI", "ends.with.", "x".repeat(128)]) assert(await other.store.addToken({ ...token, name }));
    await one.store.addSecret(secretOf("Key", 1));
    await until(() => other.store.nextSecretVersion("Key") === 2);
    assertEquals([await other.store.deleteSecret("Key"), await other.store.deleteSecret("Key")], [true, false]);
    await one.store.delete("golang", 2, entryOf("golang", 9, "delete"));
    await untilSame(one, other);
    assertEquals(one.store.tokens().length, 4);

    // As large as it may be, and larger.
    const large = creationOf("large");
    const env = { FILLER: "x".repeat(990_000) };
    await one.store.change({ ...large, addRevision: revisionOf("large", 1, { env }) });
    const maintenance = "x".repeat(900_000);
    await one.store.change(changeAfter(large, { maintenance }));
    await until(() => other.store.service("large")?.maintenance === maintenance);
    const before = (await one.api.configs("cless.owner")).length;
    const larger = changeAfter(changeAfter(large), { maintenance: "x".repeat(1_100_000) });
    await assertRejects(() => one.store.change(larger), Error, "cannot store this of the service large");
    const after = (await one.api.configs("cless.owner")).length;
    assertEquals(after, before);
  },
);

Deno.test(
  { name: "changes survive the leader of a real Swarm, and wait for more than half of its managers", ignore },
  async () => {
    await using nodes = await Nodes.start(3);
    await nodes.makeSwarm({ managers: 3, heartbeat: "1s" });
    const [leader, second, third] = nodes.all as [Node, Node, Node];
    await using one = await open(second);
    await using other = await open(third);
    let last: ServiceChange = creationOf("golang");
    await one.store.change(last);
    await leader.kill();
    // What is acknowledged stays, and what is not may have been made all the same.
    const next = changeAfter(last);
    try {
      await whenPossible(() => one.store.change(next));
    } catch (error) {
      assert(error instanceof StaleError && one.store.service("golang")?.generation === 2, String(error));
    }
    last = next;
    await until(() => other.store.service("golang")?.generation === 2);

    await third.kill();
    await assertRejects(() => one.store.change(changeAfter(last)), StoreUnavailable, "more than half of its managers");
    assertEquals(one.store.service("golang")?.generation, 2);
    // Alone, an engine waits for the others before it answers.
    await Promise.all([leader.restart(), third.restart()]);
    await whenPossible(() =>
      one.store.addDeploy({
        ...{ service: "golang", revision: undefined, image: "x", by: "ci", startedAt: 1, durationMs: 1 },
        ...{ outcome: "failed" as const, reason: "no", output: [] },
      })
    );
    await until(() => other.store.deploys("golang", 1).length === 1); // its engine was started anew
    await untilSame(one, other);
  },
);
