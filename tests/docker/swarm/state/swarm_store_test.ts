import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ClessError, OperatorError } from "../../../../src/base/errors.ts";
import type { DeployRecord, TokenRecord } from "../../../../src/control/records.ts";
import { DomainTakenError, StaleError, StoreUnavailable } from "../../../../src/control/store.ts";
import { EngineError } from "../../../../src/docker/engine_error.ts";
import { VolumeRecords } from "../../../../src/docker/swarm/volume_records.ts";
import { changeAfter, creationOf, entryOf, revisionOf } from "../../../sqlite/kit.ts";
import { SqliteStore } from "../../../../src/sqlite/store.ts";
import { until } from "../../../support/until.ts";
import { deployAfter, HinderedApi, OWNER, secretOf, sharedIn, swarmTest, untilThere, type World } from "./kit.ts";

const HOUR = 3_600_000;

const DEPLOY: DeployRecord = {
  ...{ service: "golang", revision: "golang-00001", image: "golang:1", by: "ci", startedAt: 5, durationMs: 7 },
  ...{ outcome: "failed", reason: "no answer", output: ["one", "two"] },
};
const TOKEN: TokenRecord = { name: "ci", scope: "deploy", hash: Uint8Array.of(1, 255), expiresAt: 99, createdAt: 1 };

swarmTest(
  "a change is in the Swarm and in the replica when its promise resolves, and soon on other nodes",
  async (world) => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    const creation = creationOf("golang", { domains: ["a.example.org"] });
    await a.store.change(creation);
    assertEquals([a.store.service("golang"), a.store.revisions("golang")], [creation.service, [creation.addRevision!]]);
    assertEquals(a.store.history("golang", 9), [creation.history]);
    await untilThere(b.replica, "golang", 1);
    const deploy = { ...deployAfter(creation), removeRevisions: ["golang-00001"] };
    await b.store.change(deploy);
    await untilThere(a.replica, "golang", 2);
    assertEquals(a.store.revisions("golang"), [deploy.addRevision!]);
    await until(() => a.store.history("golang", 9).length === 2);
    assertEquals(sharedIn(a.replica), sharedIn(b.replica));
    const names = [...world.swarm.configs.keys()].filter((name) => name.includes("-revision-"));
    assertEquals(names, [`cless-${OWNER}-revision-golang-00002`]);
  },
);

swarmTest("a node that comes later, or was away, gets everything at its start", async (world) => {
  const a = await world.open("a");
  const creations = Array.from({ length: 25 }, (_, number) => creationOf(`app${number}`));
  for (const creation of creations) await a.store.change(creation);
  await a.store.addDeploy({ ...DEPLOY, service: "never" });
  await a.store.addSecret(secretOf("key", 1));
  await a.store.addToken(TOKEN);
  const b = await world.open("b", { deaf: true });
  assertEquals(sharedIn(b.replica), sharedIn(a.replica));
  b.store[Symbol.dispose]();
  await a.store.change(deployAfter(creations[0]!));
  await a.store.delete("app1", 1, entryOf("app1", 9, "delete"));
  await a.store.deleteToken("ci");
  const again = await world.open("b", { deaf: true });
  assertEquals(sharedIn(again.replica), sharedIn(a.replica));
  assertEquals([again.store.service("app1"), again.store.history("app1", 9).length], [undefined, 2]);
});

swarmTest(
  "volumes of services from before the Swarm are on record, so that nobody begins with empty ones",
  async (world) => {
    await Deno.mkdir(world.folderOf("a"));
    const replica = SqliteStore.open(world.folderOf("a"));
    const volumes = ["data", "logs"].map((source) => ({ source, path: `/${source}`, readOnly: false }));
    await replica.change({ ...creationOf("golang"), addRevision: revisionOf("golang", 1, { volumes }) });
    await world.open("a", { replica });
    const records = new VolumeRecords(world.swarm.api("a"), OWNER);
    assertEquals([...await records.all()].map(([source, { nodeId }]) => [source, nodeId]), [["data", ""], [
      "logs",
      "",
    ]]);
    await records.write("data", { nodeId: "b", hostname: "", engineId: "", former: [] }, await records.read("data"));
    await world.open("b");
    assertEquals((await records.read("data"))!.nodeId, "b");
  },
);

swarmTest("of two changes at the same time one wins, and the other one is stale and leaves nothing", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const creation = creationOf("golang");
  await a.store.change(creation);
  await untilThere(b.replica, "golang", 1);
  const [one, other] = [deployAfter(creation), deployAfter(creation)];
  const second = { ...other, addRevision: revisionOf("golang", 3) };
  const results = await Promise.allSettled([a.store.change(one), b.store.change(second)]);
  assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const refused = results.find((result) => result.status === "rejected")!;
  assert(refused.reason instanceof StaleError, String(refused.reason));
  await untilThere(a.replica, "golang", 2);
  await untilThere(b.replica, "golang", 2);
  assertEquals(a.store.revisions("golang"), b.store.revisions("golang"));
  const names = [...world.swarm.configs.keys()].filter((name) => name.includes("-revision-"));
  assertEquals(names.length, 2);
  for (const store of [a.store, b.store]) {
    await assertRejects(() => store.change(creation), StaleError, "golang is there already");
    await assertRejects(() => store.delete("golang", 1, entryOf("golang", 9)), StaleError, "it is at 2, and not at 1");
    const name = store.revisions("golang").at(-1)!.name;
    const again = { ...deployAfter(one), addRevision: { ...revisionOf("golang", 9), name } };
    await assertRejects(() => store.change(again), StaleError, `there is a revision ${name} already`);
    await assertRejects(() => store.delete("none", 1, entryOf("none", 9)), StaleError, "is not there any more");
  }
});

swarmTest("a change that another one only comes between, such as the end of a deploy, is made", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const creation = creationOf("golang");
  await a.store.change(creation);
  let isFirst = true;
  a.api.before = async (call) => {
    if (call !== "setConfigLabels" || !isFirst) return;
    isFirst = false;
    await b.store.addDeploy(DEPLOY);
  };
  await a.store.change(changeAfter(creation));
  assertEquals([a.store.service("golang")?.generation, a.store.deploys("golang", 9)], [2, [DEPLOY]]);
  await untilThere(b.replica, "golang", 2);
  await until(() => b.store.history("golang", 9).length === 2);
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
});

swarmTest(
  "two services that take a domain on two nodes at once: one gets it, and the other is told who has it",
  async (world) => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    const domains = ["www.example.org"];
    const results = await Promise.allSettled([
      a.store.change(creationOf("one", { domains })),
      b.store.change(creationOf("two", { domains })),
    ]);
    const winner = results[0]!.status === "fulfilled" ? "one" : "two";
    const [refused] = results.filter((result) => result.status === "rejected");
    assert(refused!.reason instanceof DomainTakenError);
    assertEquals(refused!.reason.message, `www.example.org belongs to the service ${winner}`);
    await until(() => b.store.domainOwner("www.example.org") === winner);
    await until(() => a.store.domainOwner("www.example.org") === winner);
    const twice = creationOf("three", { domains: ["x.org", "x.org"] });
    await assertRejects(() => a.store.change(twice), DomainTakenError);
  },
);

swarmTest("a domain that a service gives up can be taken at once, and taken back", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const domains = ["www.example.org"];
  const one = creationOf("one", { domains });
  const two = creationOf("two");
  await a.store.change(one);
  await a.store.change(two);
  await untilThere(b.replica, "two", 1);
  const refusedTwo = changeAfter(two, { domains });
  await assertRejects(() => b.store.change(refusedTwo), DomainTakenError, "belongs to the service one");
  const without = changeAfter(one, { domains: [] });
  await a.store.change(without);
  await b.store.change(refusedTwo);
  await assertRejects(() => a.store.change(changeAfter(without, { domains })), DomainTakenError, "the service two");
  await b.store.delete("two", 2, entryOf("two", 9, "delete"));
  await a.store.change(changeAfter(without, { domains }));
  await until(() => b.store.domainOwner("www.example.org") === "one");
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
});

swarmTest("a domain stays free if the service that has claimed it is never stored", async (world) => {
  const a = await world.open("a", { api: new HinderedApi(world.swarm.api("a")) });
  const b = await world.open("b");
  const domains = ["www.example.org"];
  // It was killed.
  a.api.before = (call, about) =>
    call === "createConfig" && about.includes("-service-") ? new Promise(() => {}) : undefined;
  a.store.change(creationOf("one", { domains }));
  await until(() => [...world.swarm.configs.keys()].some((name) => name.includes("-domain-")));
  a.store[Symbol.dispose]();
  const two = creationOf("two", { domains });
  await assertRejects(() => b.store.change(two), DomainTakenError, "the service one");
  world.time.now += 61_000;
  await b.store.change(two);
  assertEquals(b.store.domainOwner("www.example.org"), "two");
});

swarmTest("domains that follow each other out of order lead to the service that has them in the end", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const domains = ["www.example.org"];
  const one = creationOf("one", { domains });
  await a.store.change(one);
  await untilThere(b.replica, "one", 1);
  b.api.loses = () => true;
  await a.store.change(changeAfter(one, { domains: [] }));
  await a.store.change(creationOf("two", { domains }));
  (await b.store.foreign("two"))!.take(); // the other service still has it here
  assertEquals(b.store.domainOwner("www.example.org"), "two");
  (await b.store.foreign("one"))!.take();
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
});

swarmTest("a deleted service leaves its history and the numbers that were used", async (world) => {
  const a = await world.open("a");
  assertEquals(await a.store.reserveNumber("golang", 1), 1);
  await a.store.change(creationOf("golang"));
  await a.store.addDeploy(DEPLOY);
  await a.store.delete("golang", 1, entryOf("golang", 9, "delete"));
  assertEquals([a.store.service("golang"), a.store.deploys("golang", 9)], [undefined, []]);
  assertEquals(a.store.history("golang", 9).map(({ action }) => action), ["deploy", "delete"]);
  assertEquals(await a.store.reserveNumber("golang", 1), 2);
  assertEquals([...world.swarm.configs.keys()].filter((name) => name.includes("-revision-")), []);
});

swarmTest("a number is reserved for one process only", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const numbers = await Promise.all([a, b, a, b].map(({ store }) => store.reserveNumber("golang", 1)));
  assertEquals(numbers.sort(), [1, 2, 3, 4]);
  assertEquals(await b.store.reserveNumber("golang", 9), 9);
});

swarmTest(
  "a service that was made anew has its own revisions, although they have the names of others",
  async (world) => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    const creation = creationOf("golang");
    await a.store.change(creation);
    await untilThere(b.replica, "golang", 1);
    b.api.loses = () => true;
    await a.store.delete("golang", 1, entryOf("golang", 9, "delete"));
    const again = creationOf("golang", { createdAt: 1_800_000_000_000 });
    const other = { ...again, addRevision: { ...again.addRevision!, imageId: "sha256:other" } };
    await a.store.change(other);
    (await b.store.foreign("golang"))!.take();
    assertEquals(b.store.revisions("golang"), [other.addRevision]);
  },
);

swarmTest(
  "values of secrets that are set on two nodes at once get different versions, also after they were deleted",
  async (world) => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    const results = await Promise.allSettled([a, b].map(({ store }) => store.addSecret(secretOf("Key", 1))));
    assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    for (const { store } of [a, b]) await until(() => store.nextSecretVersion("Key") === 2);
    await b.store.addSecret(secretOf("Key", 2));
    assertEquals(b.store.secret("Key", 2), secretOf("Key", 2));
    assertEquals([await a.store.deleteSecret("Key"), await a.store.deleteSecret("Key")], [true, false]);
    await until(() => b.store.secretVersions().length === 0);
    assertEquals(b.store.nextSecretVersion("Key"), 4);
    await assertRejects(() => b.store.addSecret(secretOf("Key", 1)), StaleError);
    await b.store.addSecret(secretOf("Key", 4));
    await until(() => a.store.secret("Key", 4) !== undefined);
    assertEquals([1, 2, 3].map((version) => a.store.secret("Key", version)), [undefined, undefined, undefined]);
    assertEquals(sharedIn(a.replica), sharedIn(b.replica));
  },
);

swarmTest("a token is issued once, whichever node is asked, and is revoked on all", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const issued = await Promise.all([a, b].map(({ store }) => store.addToken(TOKEN)));
  assertEquals(issued.sort(), [false, true]);
  await until(() => [a, b].every(({ store }) => store.tokens().length === 1));
  assertEquals(a.store.tokens(), [TOKEN]);
  assertEquals(await a.store.addToken({ ...TOKEN, name: "CI" }), true); // Swarm's names are the same in both cases
  assertEquals([await b.store.deleteToken("ci"), await b.store.deleteToken("ci")], [true, false]);
  await until(() => a.store.tokens().length === 1);
  await until(() => b.store.tokens().length === 1);
  assertEquals(a.store.tokens().map(({ name }) => name), ["CI"]);
  assert(b.told.some((change) => "tokens" in change));
});

swarmTest("while the Swarm has no leader, changes are refused with what to do, and reads go on", async (world) => {
  const a = await world.open("a");
  const creation = creationOf("golang");
  await a.store.change(creation);
  world.swarm.isAway = true;
  const refusals = [
    () => a.store.change(changeAfter(creation)),
    () => a.store.delete("golang", 1, entryOf("golang", 9)),
    () => a.store.addDeploy(DEPLOY),
    () => a.store.addSecret(secretOf("key", 1)),
    () => a.store.addToken(TOKEN),
    () => a.store.foreign("golang"),
  ];
  for (const refusal of refusals) {
    await assertRejects(refusal, StoreUnavailable, "when more than half of its managers reach each other");
  }
  assertEquals([a.store.service("golang"), a.store.tokens()], [creation.service, []]);
  world.swarm.isAway = false;
  await a.store.change(changeAfter(creation));
});

swarmTest("a node that starts without the Swarm has what it had, and follows when the Swarm is back", async (world) => {
  const a = await world.open("a");
  const creation = creationOf("golang");
  await a.store.change(creation);
  a.store[Symbol.dispose]();
  const b = await world.open("b");
  await b.store.change(changeAfter(creation));
  world.swarm.isAway = true;
  const again = await world.open("a");
  assertEquals(again.store.service("golang")?.generation, 1);
  world.swarm.isAway = false;
  await world.clock.advance(2000);
  await untilThere(again.replica, "golang", 2);
});

swarmTest("after a gap in the events, everything is compared", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  b.api.loses = () => true;
  await a.store.change(creationOf("golang"));
  await a.store.addToken(TOKEN);
  assertEquals([b.store.service("golang"), b.told], [undefined, []]);
  b.api.loses = () => false;
  world.swarm.breakEvents();
  await world.clock.advance(2000);
  await untilThere(b.replica, "golang", 1);
  assertEquals(b.store.tokens(), [TOKEN]);
});

swarmTest("while the Swarm tells events, and answers nothing else, no stream of them is left open", async (world) => {
  const a = await world.open("a");
  assertEquals(world.swarm.followers, 1);
  a.api.before = (call) => {
    if (call === "configs") throw new EngineError("away", "the swarm does not have a leader");
  };
  world.swarm.breakEvents();
  await world.clock.advance(60_000);
  assertEquals(world.swarm.followers, 0);
  a.api.before = () => {};
  await world.clock.advance(2000);
  await until(() => world.swarm.followers === 1);
});

swarmTest("what no event has told is found when old history is removed", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  b.api.loses = () => true;
  await a.store.change(creationOf("golang"));
  await a.store.addToken(TOKEN);
  await b.store.forgetHistory(0);
  await untilThere(b.replica, "golang", 1);
  assertEquals(b.store.tokens(), [TOKEN]);
});

swarmTest("a service of which nothing is left is also forgotten by a node that was away meanwhile", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  await a.store.change(creationOf("golang"));
  await a.store.delete("golang", 1, entryOf("golang", 9, "delete"));
  await until(() => b.store.history("golang", 9).length === 2);
  b.store[Symbol.dispose]();
  for (let hour = 0; hour < 2; hour++) {
    await a.store.forgetHistory(Infinity);
    world.clock.stall(HOUR);
  }
  const again = await world.open("b");
  assertEquals([again.store.history("golang", 9), again.replica.known()], [[], []]);
});

swarmTest(
  "a secret is deleted as soon as that is known, also if whoever has deleted it was killed then",
  async (world) => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    for (const version of [1, 2]) await a.store.addSecret(secretOf("key", version));
    await until(() => b.store.nextSecretVersion("key") === 3);
    a.api.before = (call) => call === "removeConfig" ? new Promise(() => {}) : undefined;
    a.store.deleteSecret("key");
    await until(() => b.store.secretVersions().length === 0);
    a.store[Symbol.dispose]();
    assertEquals([b.store.secret("key", 1), b.store.secret("key", 2)], [undefined, undefined]);
    await b.store.addSecret(secretOf("key", 4));
    for (let hour = 0; hour < 2; hour++) {
      await b.store.forgetHistory(0);
      world.clock.stall(HOUR);
    }
    assertEquals([...world.swarm.configs.keys()].filter((name) => name.includes("-secret-")), [
      `cless-${OWNER}-secret-key-4`,
    ]);
    assertEquals(b.store.secret("key", 4), secretOf("key", 4));
  },
);

swarmTest(
  "what a change that was killed has left is removed, but not before it has been there for an hour",
  async (world) => {
    const a = await world.open("a");
    const b = await world.open("b");
    const creation = creationOf("golang");
    await b.store.change(creation);
    await untilThere(a.replica, "golang", 1);
    a.api.before = (call) => call === "setConfigLabels" ? new Promise(() => {}) : undefined;
    a.store.change(deployAfter(creation));
    const orphan = `cless-${OWNER}-revision-golang-00002`;
    await until(() => world.swarm.configs.has(orphan));
    a.store[Symbol.dispose]();
    assertEquals(b.store.service("golang"), creation.service);
    await b.store.forgetHistory(0);
    world.clock.stall(HOUR - 1);
    await b.store.forgetHistory(0);
    assert(world.swarm.configs.has(orphan));
    world.clock.stall(1);
    await b.store.forgetHistory(0);
    assert(!world.swarm.configs.has(orphan));
    // The number can be used all the same.
    await b.store.change(deployAfter(creation));
    assertEquals(b.store.revisions("golang").map(({ name }) => name), ["golang-00001", "golang-00002"]);
  },
);

swarmTest("a deploy takes the place of what a killed one has left under the same name", async (world) => {
  const a = await world.open("a");
  const creation = creationOf("golang");
  await a.store.change(creation);
  const deploy = deployAfter(creation);
  await world.swarm.api("a").createConfig(`cless-${OWNER}-revision-golang-00002`, {
    "cless.kind": "revision",
  }, new TextEncoder().encode("{}"));
  await a.store.change(deploy);
  const b = await world.open("b");
  assertEquals(b.store.revisions("golang"), [creation.addRevision!, deploy.addRevision!]);
});

swarmTest("old history is forgotten on all nodes, and a service of which nothing is left with it", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  await a.store.change({ ...creationOf("old"), history: entryOf("old", 10) });
  await a.store.delete("old", 1, entryOf("old", 20, "delete"));
  await a.store.change({ ...creationOf("kept"), history: entryOf("kept", 10) });
  await a.store.forgetHistory(20);
  assertEquals(a.store.history("old", 9).map(({ at }) => at), [20]);
  await a.store.forgetHistory(21);
  assertEquals(["old", "kept"].map((name) => a.store.history(name, 9)), [[], []]);
  world.clock.stall(HOUR);
  await a.store.forgetHistory(21);
  assertEquals([...world.swarm.configs.keys()].filter((name) => name.includes("-service-")), [
    `cless-${OWNER}-service-kept`,
  ]);
  await untilThere(b.replica, "kept", 1);
  await until(() => b.store.history("kept", 9).length + b.store.history("old", 9).length === 0);
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
  const again = creationOf("old");
  await b.store.change(again);
  await untilThere(a.replica, "old", 1);
});

swarmTest("a change that does not fit into a Swarm is refused before anything is written", async (world) => {
  const a = await world.open("a");
  const creation = creationOf("golang");
  await a.store.change(creation);
  const before = sharedIn(a.replica);
  world.swarm.changes.length = 0;
  const env = { FILLER: "x".repeat(1_000_000) };
  const large = { ...deployAfter(creation), addRevision: revisionOf("golang", 2, { env }) };
  const refusal = await assertRejects(() => a.store.change(large), ClessError);
  assertEquals(refusal.code, "too_large");
  const maintenance = "é".repeat(600_000);
  await assertRejects(() => a.store.change(changeAfter(creation, { maintenance, domains: ["x.org"] })), ClessError);
  assertEquals([world.swarm.changes, sharedIn(a.replica)], [[], before]);
});

swarmTest("history and deploys are bounded, and the newest ones stay", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  let last = creationOf("golang");
  await a.store.change(last);
  for (let number = 0; number < 60; number++) {
    last = changeAfter(last);
    await a.store.change({ ...last, history: { ...last.history, after: "x".repeat(1000) } });
    await a.store.addDeploy({ ...DEPLOY, startedAt: number, output: [`first ${number}`, "x".repeat(1900)] });
  }
  const history = a.store.history("golang", 999);
  assert(history.length > 20 && history.length < 40, `${history.length}`);
  assertEquals(history[0]!.at, last.history.at);
  const deploys = a.store.deploys("golang", 999);
  assert(deploys.length > 5 && deploys.length < 20, `${deploys.length}`);
  assertEquals([deploys[0]!.startedAt, deploys[0]!.output[0]], [59, "first 59"]);
  await untilThere(b.replica, "golang", 61);
  await until(() => b.store.deploys("golang", 1)[0]?.startedAt === 59);
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
  const { labels } = world.swarm.configs.get(`cless-${OWNER}-service-golang`)!;
  assert(JSON.stringify(labels).length < 100_000);
  await a.store.deleteDeploys("golang");
  assertEquals(a.store.deploys("golang", 9), []);
});

swarmTest("what a machine alone had is what all nodes have once it is the first one", async (world) => {
  await Deno.mkdir(world.folderOf("a"), { recursive: true });
  const creation = creationOf("golang", { domains: ["a.example.org"] });
  {
    using alone = SqliteStore.open(world.folderOf("a"));
    await alone.change(creation);
    await alone.change(deployAfter(creation));
    await alone.addSecret(secretOf("key", 1));
    await alone.addSecret(secretOf("key", 2));
    await alone.addToken(TOKEN);
    await alone.addDeploy(DEPLOY);
  }
  const a = await world.open("a");
  const b = await world.open("b");
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
  assertEquals([b.store.service("golang")?.generation, b.store.revisions("golang").length], [2, 2]);
  assertEquals([b.store.secret("key", 1), b.store.tokens()], [secretOf("key", 1), [TOKEN]]);
  await assertRejects(() => b.store.change(creationOf("web", { domains: ["a.example.org"] })), DomainTakenError);
});

/** Changes what a node has while its cless runs without the Swarm. */
async function apart(world: World, node: string, change: (alone: SqliteStore) => Promise<unknown>): Promise<void> {
  await Deno.mkdir(world.folderOf(node), { recursive: true });
  using alone = SqliteStore.open(world.folderOf(node));
  alone.goApart();
  await change(alone);
}

/** Makes sure that a node does not start, and has what it had. @param named What the message names. */
async function assertRefused(world: World, node: string, named: string): Promise<void> {
  const bytes = sharedAt(world, node);
  const { message } = await assertRejects(() => world.open(node), OperatorError);
  assertStringIncludes(message, `which has not got it: ${named}; start cless without --engine swarm`);
  assertEquals(sharedAt(world, node), bytes);
}

/** What a node that is stopped has. */
function sharedAt(world: World, node: string): unknown {
  using replica = SqliteStore.open(world.folderOf(node));
  return sharedIn(replica);
}

swarmTest("a start that ends before everything stands has given the Swarm nothing", async (world) => {
  await apart(world, "a", (alone) => alone.change(creationOf("one")));
  const failed = await world.open("a", { isShy: true });
  assertEquals([failed.store.service("one")?.generation, world.swarm.configs.size], [1, 0]);
  failed.store[Symbol.dispose]();
  await until(() => world.swarm.followers === 0);
  await apart(world, "a", async (alone) => {
    await alone.change(deployAfter(creationOf("one")));
    await alone.change(creationOf("two"));
  });
  const a = await world.open("a");
  const b = await world.open("b");
  assertEquals([b.store.service("one")?.generation, b.store.service("two")?.generation], [2, 1]);
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
});

swarmTest("what was changed here without the Swarm is never lost: the start is refused", async (world) => {
  const [one, two] = [creationOf("one"), creationOf("two")];
  const a = await world.open("a");
  await a.store.change(one);
  a.store[Symbol.dispose]();
  await apart(world, "a", async (alone) => {
    await alone.change(deployAfter(one));
    await alone.change(two);
    await alone.addSecret(secretOf("key", 1));
    await alone.addToken(TOKEN);
  });
  await assertRefused(world, "a", "secret key, service one, service two, token ci");
  await assertRefused(world, "a", "secret key, service one, service two, token ci"); // as often as it is tried
  // As the message says.
  await apart(world, "a", async (alone) => {
    await alone.delete("one", 2, entryOf("one", 9, "delete"));
    await alone.delete("two", 1, entryOf("two", 9, "delete"));
    await alone.deleteSecret("key");
    await alone.deleteToken("ci");
  });
  const again = await world.open("a");
  assertEquals([again.store.service("one"), again.store.service("two")], [one.service, undefined]);
  await again.store.change(deployAfter(one));
  again.store[Symbol.dispose]();
  assertEquals((await world.open("a")).store.service("one")?.generation, 2);
});

swarmTest("what was never in any Swarm is not lost to one that others have", async (world) => {
  const a = await world.open("a");
  await a.store.change(creationOf("golang"));
  await apart(world, "c", (alone) => alone.change(creationOf("other")));
  await assertRefused(world, "c", "service other");
});

swarmTest("what others changed and deleted while this node ran without the Swarm is taken over", async (world) => {
  const [one, two, three] = [creationOf("one"), creationOf("two"), creationOf("three")];
  const a = await world.open("a");
  for (const creation of [one, two, three]) await a.store.change(creation);
  await a.store.addToken(TOKEN);
  const b = await world.open("b");
  b.store[Symbol.dispose]();
  await apart(world, "b", (alone) => alone.delete("three", 1, entryOf("three", 9, "delete"))); // the Swarm keeps it
  await a.store.change(deployAfter(one));
  await a.store.delete("two", 1, entryOf("two", 9, "delete"));
  await a.store.deleteToken("ci");
  const again = await world.open("b");
  assertEquals([again.store.service("one")?.generation, again.store.service("two")], [2, undefined]);
  assertEquals(again.store.service("three"), three.service);
  assertEquals(sharedIn(again.replica), sharedIn(a.replica));
});

swarmTest("a Swarm that was made anew by one node loses nothing that another one has", async (world) => {
  const [one, two] = [creationOf("one"), creationOf("two")];
  const a = await world.open("a");
  await a.store.change(one);
  const b = await world.open("b");
  a.store[Symbol.dispose]();
  await b.store.change(two);
  b.store[Symbol.dispose]();
  const api = world.swarm.api("a");
  for (const { id } of world.swarm.configs.values()) await api.removeConfig(id);
  const anew = await world.open("a"); // which has not got what was made last
  await anew.store.change(deployAfter(one));
  await assertRefused(world, "b", "service two");
  await apart(world, "b", (alone) => alone.delete("two", 1, entryOf("two", 9, "delete")));
  const again = await world.open("b");
  assertEquals(sharedIn(again.replica), sharedIn(anew.replica));
});

swarmTest("what was changed without a Swarm that does not answer at the start stays when it answers", async (world) => {
  const one = creationOf("one");
  const a = await world.open("a");
  await a.store.change(one);
  a.store[Symbol.dispose]();
  await apart(world, "a", (alone) => alone.change(deployAfter(one)));
  world.swarm.isAway = true;
  const again = await world.open("a");
  world.swarm.isAway = false;
  await world.clock.advance(5000);
  await assertRejects(() => again.store.deleteSecret("key"), StoreUnavailable, "service one");
  await assertRejects(() => again.store.change(creationOf("two")), StoreUnavailable, "service one");
  await assertRejects(() => again.store.forgetHistory(0), Error, "service one");
  assertEquals(again.store.service("one")?.generation, 2);
});

swarmTest("what is changed in the Swarm while the replica cannot be written is in it later", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  const creation = creationOf("golang");
  await a.store.change(creation);
  await untilThere(b.replica, "golang", 1);
  b.replica.seal(); // a successor takes over
  const next = changeAfter(creation);
  await b.store.change(next);
  await b.store.addToken(TOKEN);
  await a.store.addSecret(secretOf("key", 1));
  await untilThere(a.replica, "golang", 2);
  assertEquals([b.store.service("golang")?.generation, b.store.tokens()], [1, []]);
  b.replica.unseal(); // the successor has failed
  await world.clock.advance(5000);
  await untilThere(b.replica, "golang", 2);
  await until(() => b.store.secretVersions().length === 1);
  assertEquals(sharedIn(a.replica), sharedIn(b.replica));
});

swarmTest("a successor has what was changed while it took over, by its predecessor and by others", async (world) => {
  const [old, b] = [await world.open("a"), await world.open("b")];
  const creation = creationOf("golang");
  await old.store.change(creation);
  await untilThere(b.replica, "golang", 1);
  // A change is under way when the database is sealed.
  const reached = Promise.withResolvers<void>();
  const sealed = Promise.withResolvers<void>();
  old.api.before = (call) => {
    if (call === "setConfigLabels") reached.resolve();
    return call === "setConfigLabels" ? sealed.promise : undefined;
  };
  const deploy = deployAfter(creation);
  const changed = old.store.change(deploy);
  await reached.promise;
  old.replica.seal();
  const successor = await world.open("a", { replica: SqliteStore.openNext(world.folderOf("a")) });
  assertEquals(successor.store.service("golang")?.generation, 1);
  sealed.resolve();
  await changed;
  await untilThere(successor.replica, "golang", 2);
  await b.store.addToken(TOKEN);
  await until(() => successor.store.tokens().length === 1);
  successor.replica.install();
  await successor.store.change(changeAfter(deploy));
  successor.replica.confirm();
  old.store[Symbol.dispose]();
  await untilThere(b.replica, "golang", 3);
  await until(() => b.store.history("golang", 9).length === 3);
  assertEquals(sharedIn(successor.replica), sharedIn(b.replica));
});

swarmTest("configs of others in the same Swarm are left alone", async (world) => {
  const api = world.swarm.api("a");
  await api.createConfig("nginx", { "cless.kind": "service" }, Uint8Array.of(1));
  await api.createConfig("cless-ffffffff-service-golang", {
    "cless.kind": "service",
    "cless.list": "ffffffff service",
    "cless.name": "golang",
  }, Uint8Array.of(1));
  const a = await world.open("a");
  assertEquals(a.store.service("golang"), undefined);
  await a.store.change(creationOf("golang"));
  await a.store.delete("golang", 1, entryOf("golang", 9));
  await a.store.forgetHistory(Infinity);
  world.clock.stall(HOUR);
  await a.store.forgetHistory(Infinity);
  assertEquals([...world.swarm.configs.keys()], [
    "nginx",
    "cless-ffffffff-service-golang",
    `cless-${OWNER}-store-format`,
  ]);
});

swarmTest("no timer runs while nothing changes and the Swarm answers", async (world) => {
  const a = await world.open("a");
  await a.store.change(creationOf("golang"));
  await until(() => world.clock.timers === 0);
  a.store[Symbol.dispose]();
  assertEquals(world.clock.timers, 0);
});

swarmTest("services named after the other shared records are followed like all others", async (world) => {
  const [a, b] = [await world.open("a"), await world.open("b")];
  for (const name of ["tokens", "secrets"]) {
    await a.store.change(creationOf(name));
    await untilThere(b.replica, name, 1);
  }
});
