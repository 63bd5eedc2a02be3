import { assertEquals, assertRejects } from "@std/assert";
import { Conflict, NotFound } from "../../src/control/deploy_error.ts";
import { LATEST, TrafficError } from "../../src/model/traffic.ts";
import { AT_ONCE, input, newScene, type Scene, type SceneOptions } from "./deployer_kit.ts";
import { loaded } from "../support/loaded.ts";

const BY = { by: "ci" };

/** A service with a revision for each of the images; the last one has all traffic. */
async function withRevisions(images: string[], options: SceneOptions = {}): Promise<Scene> {
  const scene = newScene(options);
  for (const image of images) await scene.deployer.deploy("app", input(image), AT_ONCE);
  scene.retired.length = 0;
  return scene;
}

/** The names of the kept revisions. */
function kept({ store }: Scene): string[] {
  return loaded(store).revisions.map(({ name }) => name);
}

Deno.test("a canary shares the traffic, and both pools stay until one has everything", async () => {
  const scene = await withRevisions(["one"]);
  const { deployer, publisher, retired, splitOf } = scene;
  const old = publisher.poolOf("app", "app-00001");
  await deployer.deploy("app", input("two", { traffic: 10 }), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00001": 90, "app-00002": 10 });
  assertEquals(publisher.poolOf("app", "app-00001"), old);
  const canary = publisher.poolOf("app", "app-00002");
  await deployer.deploy("app", input("two", { traffic: 50 }), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00001": 50, "app-00002": 50 });
  assertEquals(retired, []);
  await deployer.deploy("app", input("two", { traffic: 100 }), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  assertEquals(publisher.poolOf("app", "app-00002"), canary);
  assertEquals(retired, ["app-00001"]);
});

Deno.test("a revision without traffic has no pool unless it has a tag", async () => {
  const { deployer, publisher, retired, splitOf } = await withRevisions(["one"]);
  await deployer.deploy("app", input("two", { traffic: 0, minInstances: 1 }), AT_ONCE);
  assertEquals(retired, ["app-00002"]);
  await deployer.deploy("app", input("three", { traffic: 0, tag: "next" }), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
  assertEquals(splitOf("next--app.localhost"), { "app-00003": 100 });
  assertEquals(publisher.madePools("app").length, 2);
  await deployer.deploy("app", input("four", { traffic: 0, tag: "next" }), AT_ONCE);
  assertEquals(splitOf("next--app.localhost"), { "app-00004": 100 });
  assertEquals(retired, ["app-00002", "app-00003"]);
});

Deno.test("a tag is given to the latest revision without a change of the shares", async () => {
  const { deployer, splitOf } = await withRevisions(["one", "two"]);
  const { service, hasNewRevision } = await deployer.deploy("app", input("two", { tag: "live" }), AT_ONCE);
  assertEquals(hasNewRevision, false);
  assertEquals(service.traffic, [{ revision: LATEST, percent: 100 }, {
    revision: "app-00002",
    percent: 0,
    tag: "live",
  }]);
  assertEquals(service.previousTraffic, [{ revision: "app-00001", percent: 100 }]);
  const renamed = (await deployer.deploy("app", input("two", { tag: "new" }), AT_ONCE)).service;
  assertEquals(renamed.traffic, [{ revision: LATEST, percent: 100 }, {
    revision: "app-00002",
    percent: 0,
    tag: "new",
  }]);
  assertEquals(splitOf("live--app.localhost"), undefined);
  assertEquals(splitOf("new--app.localhost"), { "app-00002": 100 });
});

Deno.test("a latest revision that is deployed again with a new percent alone keeps its tag", async () => {
  const { deployer, splitOf } = await withRevisions(["one"]);
  await deployer.deploy("app", input("two", { traffic: 10, tag: "next" }), AT_ONCE);
  const { service, hasNewRevision } = await deployer.deploy("app", input("two", { traffic: 40 }), AT_ONCE);
  assertEquals(hasNewRevision, false);
  assertEquals(service.traffic, [
    { revision: "app-00001", percent: 60 },
    { revision: "app-00002", percent: 40, tag: "next" },
  ]);
  assertEquals(splitOf("next--app.localhost"), { "app-00002": 100 });
  const all = (await deployer.deploy("app", input("two", { traffic: 100 }), AT_ONCE)).service;
  assertEquals(all.traffic.find(({ tag }) => tag === "next")?.revision, "app-00002");
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
});

Deno.test("a deploy with a whole split sets it", async () => {
  const { deployer, splitOf } = await withRevisions(["one"]);
  const targets = [{ revision: "app-00001", percent: 70 }, { revision: LATEST, percent: 30, tag: "next" }];
  const { service } = await deployer.deploy("app", input("two", { targets }), AT_ONCE);
  assertEquals(service.traffic, targets);
  assertEquals(splitOf("app.localhost"), { "app-00001": 70, "app-00002": 30 });
  assertEquals((await deployer.deploy("app", input("two", { targets }), AT_ONCE)).service, service);
});

Deno.test("setting the traffic replaces the split, and a revision without traffic gets a pool again", async () => {
  const { declared, deployer, retired, splitOf, store } = await withRevisions(["one", "two"]);
  const targets = [{ revision: "app-00001", percent: 60 }, { revision: LATEST, percent: 40 }];
  const service = await deployer.setTraffic("app", targets, { by: "alice", ifMatch: 2 });
  assertEquals([service.generation, service.traffic], [3, targets]);
  assertEquals(service.previousTraffic, [{ revision: "app-00002", percent: 100 }]);
  assertEquals(splitOf("app.localhost"), { "app-00001": 60, "app-00002": 40 });
  assertEquals(store.history("app", 1).map(({ action, by }) => [action, by]), [["traffic", "alice"]]);
  assertEquals(await deployer.setTraffic("app", targets, BY), service);
  await deployer.setTraffic("app", [{ revision: LATEST, percent: 100 }, { revision: "app-00001", percent: 0 }], BY);
  assertEquals(declared.get("app")!.service.traffic, [{ revision: LATEST, percent: 100 }]);
  assertEquals(retired, ["app-00001"]);
});

Deno.test("an invalid split changes nothing", async () => {
  const { declared, deployer } = await withRevisions(["one"]);
  const before = declared.get("app");
  const wrong = [
    [{ revision: "app-00001", percent: 99 }],
    [{ revision: "app-00002", percent: 100 }],
    [{ revision: LATEST, percent: 100, tag: "a" }, { revision: "app-00001", percent: 0, tag: "b" }],
  ];
  for (const targets of wrong) await assertRejects(() => deployer.setTraffic("app", targets, BY), TrafficError);
  assertEquals(declared.get("app"), before);
});

Deno.test("a rollback goes back to the split before, and a second one undoes the first", async () => {
  const { deployer, retired, splitOf, store } = await withRevisions(["one"]);
  await assertRejects(() => deployer.rollback("app", BY), Conflict);
  await deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  await deployer.rollback("app", BY);
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
  await deployer.rollback("app", BY);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  assertEquals(retired, ["app-00002", "app-00001"]);
  assertEquals(store.history("app", 9).map(({ action }) => action), ["rollback", "rollback", "deploy", "deploy"]);
  await deployer.deploy("app", input("three"), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00003": 100 });
});

Deno.test("a dry run of a split or a rollback says what would be, is refused as the change is, and changes nothing", async () => {
  const { declared, deployer, retired, splitOf, store } = await withRevisions(["one", "two"]);
  const before = declared.get("app");
  const dryRun = { ...BY, dryRun: true };
  const split = [{ revision: "app-00001", percent: 40 }, { revision: LATEST, percent: 60 }];
  const planned = await deployer.setTraffic("app", split, dryRun);
  assertEquals([planned.traffic, planned.generation], [split, before?.service.generation]);
  const { traffic } = await deployer.rollback("app", dryRun);
  assertEquals(traffic, [{ revision: "app-00001", percent: 100 }]);
  await assertRejects(() => deployer.setTraffic("app", split.slice(1), dryRun), TrafficError);
  assertEquals([declared.get("app"), splitOf("app.localhost"), retired], [before, { "app-00002": 100 }, []]);
  assertEquals(store.history("app", 9).map(({ action }) => action), ["deploy", "deploy"]);
});

Deno.test("after a rollback the same deploy as before leaves the traffic where it is", async () => {
  const { deployer, splitOf } = await withRevisions(["one", "two"]);
  await deployer.rollback("app", BY);
  const { hasNewRevision, revision } = await deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals([hasNewRevision, revision.name], [false, "app-00002"]);
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
});

Deno.test("a rollback leaves tags where they are", async () => {
  const { deployer, splitOf } = await withRevisions(["one"]);
  await deployer.deploy("app", input("two", { tag: "next" }), AT_ONCE);
  const service = await deployer.rollback("app", BY);
  assertEquals(service.traffic, [
    { revision: "app-00001", percent: 100 },
    { revision: "app-00002", percent: 0, tag: "next" },
  ]);
  assertEquals(splitOf("next--app.localhost"), { "app-00002": 100 });
});

Deno.test("a deploy removes the revisions beyond the history, but none that is needed", async () => {
  const scene = await withRevisions(["one", "two", "three"]);
  const { deployer } = scene;
  await deployer.setTraffic("app", [
    { revision: LATEST, percent: 100 },
    { revision: "app-00001", percent: 0, tag: "first" },
  ], BY);
  await deployer.deploy("app", input("four", { service: { revisionHistory: 1 } }), AT_ONCE);
  assertEquals(kept(scene), ["app-00001", "app-00003", "app-00004"]);
  await deployer.rollback("app", BY);
  await deployer.deploy("app", input("five", { traffic: 0, service: { revisionHistory: 0 } }), AT_ONCE);
  // The first has a tag, the third traffic, the fourth had it before, and the fifth is the latest.
  assertEquals(kept(scene), ["app-00001", "app-00003", "app-00004", "app-00005"]);
  await deployer.deploy("app", input("six"), AT_ONCE);
  assertEquals(kept(scene), ["app-00001", "app-00003", "app-00006"]);
  assertEquals(scene.declared.get("app")!.revisions, loaded(scene.store).revisions);
});

Deno.test("twenty revisions are kept beside those with traffic", async () => {
  const scene = await withRevisions(Array.from({ length: 25 }, (_, at) => `image-${at}`));
  assertEquals(kept(scene).length, 21);
  assertEquals(kept(scene)[0], "app-00005");
});

Deno.test("a revision is deleted, unless it has traffic or a tag or is the latest", async () => {
  const scene = await withRevisions(["one", "two", "three"]);
  const { deployer, store } = scene;
  await deployer.deploy("app", input("four", { traffic: 0 }), AT_ONCE);
  await deployer.setTraffic("app", [
    { revision: "app-00003", percent: 100 },
    { revision: "app-00002", percent: 0, tag: "second" },
  ], BY);
  for (const revision of ["app-00002", "app-00003", "app-00004"]) {
    await assertRejects(() => deployer.deleteRevision("app", revision, BY), Conflict, revision);
  }
  await assertRejects(() => deployer.deleteRevision("app", "app-00009", BY), NotFound);
  await deployer.deleteRevision("app", "app-00001", BY);
  assertEquals(kept(scene), ["app-00002", "app-00003", "app-00004"]);
  assertEquals(store.history("app", 1)[0]!.action, "delete-revision");
});

Deno.test("there is no rollback to a revision that was deleted", async () => {
  const { declared, deployer } = await withRevisions(["one", "two"]);
  await deployer.deleteRevision("app", "app-00001", BY);
  assertEquals(declared.get("app")!.service.previousTraffic, []);
  await assertRejects(() => deployer.rollback("app", BY), Conflict);
});
