import { assertEquals, assertRejects } from "@std/assert";
import { Conflict, RevisionFailed } from "../../src/control/deploy_error.ts";
import { DomainTakenError, StaleError } from "../../src/control/store.ts";
import { LATEST, TrafficError } from "../../src/model/traffic.ts";
import { settle } from "../support/fake_clock.ts";
import { AT_ONCE, input, newScene, type Scene, type SceneOptions, seen, WAITING } from "./deployer_kit.ts";
import { loaded } from "../support/loaded.ts";

const BY = { by: "ci" };

/** Two revisions, and a deploy of a third whose start is on trial. */
async function onTrial(wish = {}, options = {}, parts: SceneOptions = {}) {
  const scene = newScene(parts);
  for (const image of ["one", "two"]) await scene.deployer.deploy("app", input(image), AT_ONCE);
  const deployed = scene.deployer.deploy("app", input("three", wish), { ...WAITING, ...options });
  deployed.catch(() => {});
  await settle();
  scene.retired.length = 0;
  return { scene, deployed };
}

/** Checks that a failed deploy has left neither a pool nor a record of its revision. */
function leftNothing({ declared, publisher, retired }: Scene): void {
  assertEquals(retired.includes("app-00003"), true);
  assertEquals(publisher.poolOf("app", "app-00003"), undefined);
  assertEquals(declared.get("app")?.revisions.some(({ name }) => name === "app-00003") ?? false, false);
}

Deno.test("other changes do not wait for a trial, and the deploy builds on their outcome", async () => {
  const { scene, deployed } = await onTrial({ traffic: 10 });
  const { deployer, splitOf, trials } = scene;
  await deployer.rollback("app", BY);
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
  await deployer.setTraffic("app", [{ revision: "app-00001", percent: 50 }, { revision: LATEST, percent: 50 }], BY);
  assertEquals(splitOf("app.localhost"), { "app-00001": 50, "app-00002": 50 });
  trials[0]!.succeed();
  const { service, revision } = await deployed;
  assertEquals([revision.name, service.generation, service.lastNumber], ["app-00003", 5, 3]);
  assertEquals(splitOf("app.localhost"), { "app-00001": 45, "app-00002": 45, "app-00003": 10 });
  assertEquals(loaded(scene.store).services, [service]);
});

Deno.test("other changes do not wait for a pull", async () => {
  const pulled = Promise.withResolvers<{ imageId: string; pulled: boolean }>();
  const images = {
    resolve: (name: string) =>
      name === "three" ? pulled.promise : Promise.resolve({ imageId: `sha256:${name}`, pulled: false }),
  };
  const { scene, deployed } = await onTrial({}, { wait: false }, { images });
  await scene.deployer.rollback("app", BY);
  await scene.deployer.deleteRevision("app", "app-00001", BY).catch(() => {});
  pulled.resolve({ imageId: "sha256:three", pulled: true });
  assertEquals((await deployed).service.generation, 4);
  assertEquals(scene.splitOf("app.localhost"), { "app-00003": 100 });
});

Deno.test("a deploy with a generation is stale if the service changes before or during the deploy", async () => {
  const { scene, deployed } = await onTrial({}, { ifMatch: 2 });
  await scene.deployer.rollback("app", BY);
  const before = seen(scene, "app");
  scene.trials[0]!.succeed();
  await assertRejects(() => deployed, StaleError, "it is at 3, and not at 2");
  assertEquals(seen(scene, "app"), before);
  leftNothing(scene);
});

Deno.test("deleting a service calls off its deploys, including waiting ones, and leaves nothing behind", async () => {
  const { scene, deployed } = await onTrial();
  const { deployer, trials } = scene;
  const waiting = deployer.deploy("app", input("four"), WAITING);
  waiting.catch(() => {});
  const deleted = deployer.delete("app", BY);
  await settle();
  assertEquals(trials[0]!.signal.aborted, true);
  trials[0]!.fail(new Error("stopped"));
  for (const deploy of [deployed, waiting]) {
    await assertRejects(() => deploy, Conflict, "the service app was deleted while it was being deployed");
  }
  await deleted;
  leftNothing(scene);
  assertEquals([[...scene.declared.after("")], trials.length], [[], 1]);
  assertEquals((await deployer.deploy("app", input("five"), AT_ONCE)).revision.name, "app-00004");
});

Deno.test("a delete resolves when all containers are gone, and does not hold up other changes", async () => {
  const { scene, deployed } = await onTrial();
  const { deployer, on, retired, splitOf, trials } = scene;
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  const gone = Promise.withResolvers<void>();
  on.retire = () => gone.promise;
  let done = false;
  const deleted = deployer.delete("app", BY).then(() => done = true);
  trials[0]!.fail(new Error("stopped"));
  await assertRejects(() => deployed, Conflict);
  assertEquals((await deployer.deploy("app", input("new"), AT_ONCE)).service.generation, 3);
  assertEquals([done, retired], [false, ["app-00002", "app-00003"]]);
  gone.resolve();
  await deleted;
});

Deno.test("a change does not wait until the old containers are gone", async () => {
  const { scene, deployed } = await onTrial();
  scene.on.retire = () => new Promise(() => {});
  scene.trials[0]!.succeed();
  await deployed;
  await scene.deployer.rollback("app", BY);
  assertEquals(scene.splitOf("app.localhost"), { "app-00002": 100 });
});

Deno.test("a deploy is refused at its end if a domain was taken or a revision removed during its trial", async () => {
  const domains = await onTrial({ service: { domains: ["a.example"] } });
  const other = input("one", { service: { domains: ["a.example"] } });
  await domains.scene.deployer.deploy("other", other, AT_ONCE);
  domains.scene.trials[0]!.succeed();
  await assertRejects(() => domains.deployed, DomainTakenError);
  leftNothing(domains.scene);
  const targets = [{ revision: "app-00001", percent: 50 }, { revision: LATEST, percent: 50 }];
  const gone = await onTrial({ targets });
  await gone.scene.deployer.deleteRevision("app", "app-00001", BY);
  gone.scene.trials[0]!.succeed();
  await assertRejects(() => gone.deployed, TrafficError);
  leftNothing(gone.scene);
  assertEquals(gone.scene.splitOf("app.localhost"), { "app-00002": 100 });
});

Deno.test("a deploy that is called off after its trial changes nothing", async () => {
  const given = new AbortController();
  const { scene, deployed } = await onTrial({}, { signal: given.signal });
  const before = seen(scene, "app");
  scene.trials[0]!.succeed();
  given.abort(new Error("given up"));
  await assertRejects(() => deployed, Error, "given up");
  assertEquals(seen(scene, "app"), before);
  leftNothing(scene);
});

Deno.test("no two tried revisions have the same number, whatever happens in between", async () => {
  const scene = newScene();
  const { deployer, trials } = scene;
  for (let round = 0; round < 3; round++) {
    const failing = deployer.deploy("app", input("bad"), WAITING);
    await settle();
    trials.at(-1)!.fail(new Error("no"));
    await assertRejects(() => failing, RevisionFailed);
    await deployer.deploy("app", input(`good ${round}`), AT_ONCE);
    await deployer.delete("app", BY);
  }
  assertEquals(trials.map(({ pool }) => pool.revision.name), ["app-00001", "app-00003", "app-00005"]);
});

Deno.test("history older than 90 days is removed, and a failing store stops nothing", async () => {
  const { deployer, store, time } = newScene();
  await deployer.deploy("app", input("one"), AT_ONCE);
  time.now += 89 * 24 * 3_600_000;
  await deployer.deploy("app", input("two"), AT_ONCE);
  await deployer.tidy();
  assertEquals(store.history("app", 10).length, 2);
  time.now += 24 * 3_600_000;
  await deployer.tidy();
  assertEquals(store.history("app", 10).length, 1);
  store.forgetHistory = () => {
    throw new Error("the disk is full");
  };
  await deployer.tidy();
});
