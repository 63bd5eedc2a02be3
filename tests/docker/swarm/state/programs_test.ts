import { assert, assertEquals, assertRejects } from "@std/assert";
import { Tokens } from "../../../../src/control/access/tokens.ts";
import { Conflict, NotFound } from "../../../../src/control/deploy_error.ts";
import { Secrets } from "../../../../src/control/secrets/secrets.ts";
import { DomainTakenError, StaleError } from "../../../../src/control/store.ts";
import type { ForeignChange } from "../../../../src/docker/swarm/state/follower.ts";
import { LATEST } from "../../../../src/model/traffic.ts";
import { AT_ONCE, input, newScene, type Scene, type SceneOptions, WAITING } from "../../../deploy/deployer_kit.ts";
import { settle } from "../../../support/fake_clock.ts";
import { until } from "../../../support/until.ts";
import { type NodeStore, sharedIn, swarmTest, type World } from "./kit.ts";

const BY = { by: "ci" };

/** A node's parts of the program that change services and routes. */
interface Program extends NodeStore {
  readonly scene: Scene;
  readonly tokens: Tokens;
}

/** Starts the parts in the order in which the program does, and connects them as it does. */
async function start(world: World, node: string, options: SceneOptions = {}): Promise<Program> {
  const opened = await world.open(node, { deaf: true });
  const { store } = opened;
  const scene = newScene({ store, ...options });
  const tokens = new Tokens(store, "0123456789abcdef".repeat(4));
  scene.deployer.load();
  store.onForeignChange((change: ForeignChange) => {
    if ("service" in change) scene.deployer.refresh(change.service);
    else if ("tokens" in change) tokens.refresh();
  });
  return { ...opened, scene, tokens };
}

/** Waits until a hostname leads to these revisions. */
async function untilSplit({ scene }: Program, host: string, split: Record<string, number> | undefined): Promise<void> {
  await until(() => JSON.stringify(scene.splitOf(host)) === JSON.stringify(split));
}

swarmTest(
  "a deploy on one node is served on the others, and so are traffic, domains and the end of a service",
  async (world) => {
    const [a, b] = [await start(world, "a"), await start(world, "b")];
    await a.scene.deployer.deploy("app", input("one", { service: { domains: ["www.example.org"] } }), AT_ONCE);
    await untilSplit(b, "app.localhost", { "app-00001": 100 });
    assertEquals(b.scene.splitOf("www.example.org"), { "app-00001": 100 });
    await b.scene.deployer.deploy("app", input("two"), AT_ONCE);
    await untilSplit(a, "app.localhost", { "app-00002": 100 });
    const half = [{ revision: "app-00001", percent: 50 }, { revision: LATEST, percent: 50 }];
    await a.scene.deployer.setTraffic("app", half, BY);
    await untilSplit(b, "app.localhost", { "app-00001": 50, "app-00002": 50 });
    await b.scene.deployer.rollback("app", BY);
    await untilSplit(a, "app.localhost", { "app-00002": 100 });
    await a.scene.deployer.deleteRevision("app", "app-00001", BY);
    await until(() => b.scene.declared.get("app")?.revisions.length === 1);
    await b.scene.deployer.delete("app", BY);
    await untilSplit(a, "app.localhost", undefined);
    assertEquals([a.scene.declared.has("app"), a.scene.declared.size], [false, 0]);
    assertEquals(a.scene.splitOf("www.example.org"), undefined);
    assertEquals((await a.scene.deployer.deploy("app", input("three"), AT_ONCE)).revision.name, "app-00003");
  },
);

swarmTest("a node tells the changes of others as its own, each once", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  const { deployer } = a.scene;
  await deployer.deploy("app", input("one", { service: { revisionHistory: 0 } }), AT_ONCE);
  await untilSplit(b, "app.localhost", { "app-00001": 100 });
  await deployer.deploy("app", input("two"), AT_ONCE);
  await untilSplit(b, "app.localhost", { "app-00002": 100 });
  await deployer.setTraffic("app", [{ revision: "app-00001", percent: 100 }], BY);
  await untilSplit(b, "app.localhost", { "app-00001": 100 });
  await deployer.delete("app", BY);
  await until(() => !b.scene.declared.has("app"));
  const told = ({ scene }: Program) => scene.events.map(([type]) => type).filter((type) => !type.endsWith(".pulling"));
  assertEquals(told(b), told(a));
});

swarmTest(
  "a revision's pools stay while others change its service, and are retired when it has no traffic",
  async (world) => {
    const [a, b] = [await start(world, "a"), await start(world, "b")];
    await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
    await untilSplit(b, "app.localhost", { "app-00001": 100 });
    const pool = b.scene.publisher.poolOf("app", "app-00001");
    await a.scene.deployer.deploy("app", input("two", { traffic: 50 }), AT_ONCE);
    await untilSplit(b, "app.localhost", { "app-00001": 50, "app-00002": 50 });
    assertEquals([b.scene.publisher.poolOf("app", "app-00001") === pool, b.scene.retired], [true, []]);
    await a.scene.deployer.setTraffic("app", [{ revision: LATEST, percent: 100 }], BY);
    await untilSplit(b, "app.localhost", { "app-00002": 100 });
    assertEquals(b.scene.retired, ["app-00001"]);
  },
);

swarmTest("of two deploys at once none is lost: the second one builds on the first", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
  await untilSplit(b, "app.localhost", { "app-00001": 100 });
  const both = [a, b].map(({ scene }, at) => scene.deployer.deploy("app", input(`new ${at}`), WAITING));
  await until(() => [a, b].every(({ scene }) => scene.trials.length === 1));
  const names = [a, b].map(({ scene }) => scene.trials[0]!.pool.revision.name);
  assertEquals(names.toSorted(), ["app-00002", "app-00003"]); // never two revisions of one name
  for (const { scene } of [b, a]) scene.trials[0]!.succeed();
  const deployed = await Promise.all(both);
  assertEquals(deployed.map(({ service }) => service.generation).sort(), [2, 3]);
  const last = deployed.find(({ service }) => service.generation === 3)!;
  for (const program of [a, b]) await untilSplit(program, "app.localhost", { [last.revision.name]: 100 });
  assertEquals([last.service.lastNumber, a.scene.declared.get("app")!.revisions.length], [3, 3]);
  await until(() => a.store.deploys("app", 9).length === 3 && b.store.deploys("app", 9).length === 3);
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
  const next = await b.scene.deployer.deploy("app", input("next"), AT_ONCE);
  assertEquals(next.revision.name, "app-00004");
});

swarmTest(
  "a deploy of what another node has deployed meanwhile changes nothing, and leaves no instance",
  async (world) => {
    const [a, b] = [await start(world, "a"), await start(world, "b")];
    await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
    await untilSplit(b, "app.localhost", { "app-00001": 100 });
    const slow = b.scene.deployer.deploy("app", input("two"), WAITING);
    await until(() => b.scene.trials.length === 1);
    await a.scene.deployer.deploy("app", input("two"), AT_ONCE);
    b.scene.trials[0]!.succeed();
    const { isChanged, revision } = await slow;
    assertEquals([isChanged, revision.imageId], [false, "sha256:two"]);
    const tried = b.scene.trials[0]!.pool.revision.name;
    assert(tried !== revision.name);
    assert(b.scene.retired.includes(tried));
  },
);

swarmTest(
  "a deploy that was to change only settings makes a revision, and tries it, if another node has deployed meanwhile",
  async (world) => {
    const [a, b] = [await start(world, "a"), await start(world, "b")];
    await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
    await untilSplit(b, "app.localhost", { "app-00001": 100 });
    b.api.loses = () => true;
    await a.scene.deployer.deploy("app", input("two"), AT_ONCE);
    const deployed = b.scene.deployer.deploy("app", input("one", { service: { maintenance: "Soon" } }), WAITING);
    await until(() => b.scene.trials.length === 1);
    b.scene.trials[0]!.succeed();
    const { hasNewRevision, revision, service } = await deployed;
    assertEquals([hasNewRevision, revision.name, service.maintenance], [true, "app-00003", "Soon"]);
    await untilSplit(a, "app.localhost", { "app-00003": 100 });
  },
);

swarmTest("changes that ask for a generation get that one or are stale, whichever node is asked", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
  await a.scene.deployer.deploy("app", input("two"), AT_ONCE);
  b.api.loses = () => true;
  await until(() => b.scene.declared.has("app"));
  const traffic = (
    percent: number,
  ) => [{ revision: "app-00001", percent }, { revision: LATEST, percent: 100 - percent }];
  await a.scene.deployer.setTraffic("app", traffic(10), BY);
  // This node has not heard of generation 3.
  const changed = await b.scene.deployer.setTraffic("app", traffic(20), { ...BY, ifMatch: 3 });
  assertEquals(changed.generation, 4);
  const late = { ...BY, ifMatch: 3 };
  await assertRejects(() => a.scene.deployer.setTraffic("app", traffic(30), late), StaleError, "at 4, and not at 3");
  await assertRejects(() => a.scene.deployer.delete("app", late), StaleError);
  await assertRejects(() => a.scene.deployer.deploy("app", input("x"), { ...AT_ONCE, ifMatch: 3 }), StaleError);
  await a.scene.deployer.deploy("app", input("three"), { ...AT_ONCE, ifMatch: 4 });
  await b.scene.deployer.deploy("app", input("four"), { ...AT_ONCE, ifMatch: 5 });
  await b.scene.deployer.delete("app", { ...BY, ifMatch: 6 });
});

swarmTest("changes without a generation apply to what other nodes have made of a service meanwhile", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  b.api.loses = () => true;
  await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
  // This node has not heard of the service.
  const changed = await b.scene.deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals([changed.isNewService, changed.revision.name], [false, "app-00002"]);
  await b.scene.deployer.rollback("app", BY);
  await until(() => a.scene.declared.service("app")?.generation === 3);
  assertEquals(a.scene.splitOf("app.localhost"), { "app-00001": 100 });
  await a.scene.deployer.delete("app", BY);
  await assertRejects(() => b.scene.deployer.rollback("app", BY), NotFound);
  assertEquals(b.scene.splitOf("app.localhost"), undefined);
  await a.scene.deployer.deploy("web", input("one"), AT_ONCE);
  await b.scene.deployer.delete("web", BY);
  await until(() => !a.scene.declared.has("web"));
});

swarmTest("a service that another node deletes during a deploy stays deleted", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
  await untilSplit(b, "app.localhost", { "app-00001": 100 });
  const deployed = b.scene.deployer.deploy("app", input("two"), WAITING);
  deployed.catch(() => {});
  await until(() => b.scene.trials.length === 1);
  await a.scene.deployer.delete("app", BY);
  await until(() => b.scene.trials[0]!.signal.aborted);
  b.scene.trials[0]!.fail(new Error("stopped"));
  await assertRejects(() => deployed, Conflict, "was deleted while it was being deployed");
  assertEquals([a.scene.declared.has("app"), b.scene.declared.has("app")], [false, false]);
});

swarmTest("one domain for two services on two nodes at once leads to one of them on both", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  const domains = { service: { domains: ["www.example.org"] } };
  const results = await Promise.allSettled([
    a.scene.deployer.deploy("one", input("one", domains), AT_ONCE),
    b.scene.deployer.deploy("two", input("two", domains), AT_ONCE),
  ]);
  const isFirst = results[0]!.status === "fulfilled";
  const [refused] = results.filter((result) => result.status === "rejected");
  assert(refused?.reason instanceof DomainTakenError, String(refused?.reason));
  for (const program of [a, b]) {
    await untilSplit(program, "www.example.org", { [isFirst ? "one-00001" : "two-00001"]: 100 });
  }
});

swarmTest(
  "a domain that moves to another service leads there on all nodes, in whatever order they learn of it",
  async (world) => {
    const [a, b] = [await start(world, "a"), await start(world, "b")];
    const domains = ["www.example.org"];
    await a.scene.deployer.deploy("one", input("one", { service: { domains } }), AT_ONCE);
    await untilSplit(b, "www.example.org", { "one-00001": 100 });
    b.api.loses = () => true;
    await a.scene.deployer.deploy("one", input("one", { service: { domains: [] } }), AT_ONCE);
    await a.scene.deployer.deploy("two", input("two", { service: { domains } }), AT_ONCE);
    await b.scene.deployer.refresh("two");
    assertEquals(b.scene.splitOf("www.example.org"), { "two-00001": 100 });
    await b.scene.deployer.refresh("one");
    assertEquals(b.scene.splitOf("www.example.org"), { "two-00001": 100 });
    assertEquals(b.scene.splitOf("one.localhost"), { "one-00001": 100 });
  },
);

swarmTest("a revision with a secret that has just been set works on the other nodes", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  const key = { folder: world.folderOf("key"), text: new Uint8Array(32).fill(7).toBase64() };
  const [ofA, ofB] = [await Secrets.open(a.store, key), await Secrets.open(b.store, key)];
  b.api.before = (call, about) => call === "configs" && about.endsWith("secret") ? settle() : undefined;
  await ofA.set("key", "first");
  await a.scene.deployer.deploy("app", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  await untilSplit(b, "app.localhost", { "app-00001": 100 });
  assertEquals(await ofB.value("key"), "first");
  const pool = b.scene.publisher.poolOf("app", "app-00001")!;
  assertEquals(await b.scene.env.of(pool.revision), { KEY: "key 1" });
  const versions = await Promise.all([ofA.set("key", "second"), ofB.set("key", "third")]);
  assertEquals(versions.map(({ version }) => version).sort(), [2, 3]);
});

swarmTest("a token of one node is valid on the others until it is revoked on any", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  const text = await a.tokens.issue("ci", "deploy");
  await until(async () => await b.tokens.check(text) !== undefined);
  await assertRejects(() => b.tokens.issue("ci", "read"), Conflict, "there is a token ci already");
  assert(await b.tokens.revoke("ci"));
  assertEquals(await b.tokens.check(text), undefined);
  await until(async () => await a.tokens.check(text) === undefined);
  const both = await Promise.allSettled([a.tokens.issue("x", "read"), b.tokens.issue("x", "read")]);
  assertEquals(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

swarmTest("a service that cannot be taken over now is taken over later", async (world) => {
  const [a, b] = [await start(world, "a"), await start(world, "b")];
  await a.scene.deployer.deploy("app", input("one"), AT_ONCE);
  await untilSplit(b, "app.localhost", { "app-00001": 100 });
  let isBroken = true;
  b.api.before = (call, about) =>
    isBroken && call === "config" && about.includes("-revision-") ? Promise.reject(new Error("broken")) : undefined;
  await a.scene.deployer.deploy("app", input("two"), AT_ONCE);
  await until(() => world.clock.timers > 0);
  assertEquals(b.scene.splitOf("app.localhost"), { "app-00001": 100 });
  isBroken = false;
  await world.clock.advance(2000);
  await untilSplit(b, "app.localhost", { "app-00002": 100 });
});

swarmTest(
  "a process that is killed at any call of a change loses nothing that was told, and the next one goes on",
  async (world) => {
    const b = await start(world, "b");
    await b.scene.deployer.deploy("app", input("zero", { service: { domains: ["www.example.org"] } }), AT_ONCE);
    for (let call = 1;; call++) {
      const a = await start(world, "a");
      const before = a.scene.declared.service("app")!;
      let calls = 0;
      // From this call on, nothing of this process reaches the Swarm.
      a.api.before = () => ++calls > call ? new Promise(() => {}) : undefined;
      const change = a.scene.deployer.deploy(
        "app",
        input(`try ${call}`, { service: { domains: [`${call}.org`] } }),
        AT_ONCE,
      );
      let isDone = false;
      change.then(() => isDone = true);
      await until(() => isDone || calls > call);
      for (let turn = 0; turn < 5; turn++) await settle(); // what needs no more calls ends
      a.store[Symbol.dispose]();
      world.time.now += 61_000; // a claim that was not settled does not count any more
      const again = await start(world, "a");
      const after = again.scene.declared.service("app")!;
      if (after.generation === before.generation) assertEquals(after, before);
      else assertEquals(after.generation, before.generation + 1);
      if (isDone) assertEquals(after.domains, [`${call}.org`]);
      const revisions = again.scene.declared.get("app")!.revisions.map(({ name }) => name);
      assert(revisions.includes(after.latestRevision));
      assertEquals(again.scene.splitOf("app.localhost"), { [after.latestRevision]: 100 });
      await untilSplit(b, "app.localhost", { [after.latestRevision]: 100 });
      again.store[Symbol.dispose]();
      if (isDone) break;
      assert(call < 40);
    }
    await b.scene.deployer.deploy("web", input("one", { service: { domains: ["www.example.org"] } }), AT_ONCE);
  },
);

swarmTest("the Swarm has neither the value of a secret nor the text of a token", async (world) => {
  const a = await start(world, "a");
  const key = { folder: world.folderOf("key"), text: new Uint8Array(32).fill(7).toBase64() };
  const secrets = await Secrets.open(a.store, key);
  await secrets.set("key", "hidden");
  await a.scene.deployer.deploy("app", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  const text = await a.tokens.issue("ci", "admin");
  const stored = [...world.swarm.configs.values()].map(({ data, labels, name }) =>
    [name, new TextDecoder("latin1").decode(data), JSON.stringify(labels)].join()
  );
  assertEquals(stored.length > 4, true);
  for (const one of stored) for (const value of ["hidden", key.text, text]) assert(!one.includes(value), one);
  assertEquals(await secrets.value("key"), "hidden");
});
