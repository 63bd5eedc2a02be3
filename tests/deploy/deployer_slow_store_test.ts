import { assert, assertEquals, assertRejects } from "@std/assert";
import { Conflict } from "../../src/control/deploy_error.ts";
import { DomainTakenError, StoreUnavailable } from "../../src/control/store.ts";
import { settle } from "../support/fake_clock.ts";
import { loaded } from "../support/loaded.ts";
import { AT_ONCE, input, newScene, type Scene, seen, WAITING } from "./deployer_kit.ts";

const BY = { by: "ci" };

/** A service with two revisions, and a store whose next changes end when the test says so. */
async function slowScene(): Promise<{ scene: Scene; end: () => void }> {
  const scene = newScene();
  for (const image of ["one", "two"]) await scene.deployer.deploy("app", input(image), AT_ONCE);
  const slow = Promise.withResolvers<void>();
  scene.store.after = slow.promise;
  const end = () => {
    scene.store.after = undefined;
    slow.resolve();
  };
  return { scene, end };
}

Deno.test("changes of one service that come while one is being stored wait for it, and build on it", async () => {
  const { scene, end } = await slowScene();
  const { deployer, splitOf } = scene;
  const first = deployer.setTraffic("app", [{ revision: "app-00001", percent: 100 }], BY);
  const second = deployer.rollback("app", BY);
  const third = deployer.deploy("app", input("three"), AT_ONCE);
  await settle();
  assertEquals([loaded(scene.store).services[0]!.generation, splitOf("app.localhost")], [3, { "app-00002": 100 }]);
  end();
  const changed = [await first, await second, (await third).service];
  assertEquals(changed.map(({ generation }) => generation), [3, 4, 5]);
  assertEquals(splitOf("app.localhost"), { "app-00003": 100 });
});

Deno.test("a service that is being stored is neither found nor routed before, and both at once after", async () => {
  const { scene, end } = await slowScene();
  const { declared, deployer, splitOf } = scene;
  const deployed = deployer.deploy("new", input("one"), AT_ONCE);
  await settle();
  assertEquals([declared.has("new"), declared.get("new"), splitOf("new.localhost")], [false, undefined, undefined]);
  const other = deployer.setTraffic("app", [{ revision: "app-00001", percent: 100 }], BY);
  end();
  await deployed;
  assertEquals([declared.has("new"), splitOf("new.localhost")], [true, { "new-00001": 100 }]);
  assertEquals((await other).generation, 3);
});

Deno.test("a service that is being deleted may be needed meanwhile by a check of other services' volumes", async () => {
  const scene = newScene();
  const { declared, deployer, store } = scene;
  await deployer.deploy(
    "app",
    input("one", { volumes: [{ source: "data", path: "/data", readOnly: false }] }),
    AT_ONCE,
  );
  const slow = Promise.withResolvers<void>();
  store.after = slow.promise;
  const deleted = deployer.delete("app", BY);
  await settle();
  assertEquals([store.service("app"), declared.has("app")], [undefined, true]);
  assertEquals(declared.needingPreparation(), []);
  const taken = deployer.deploy(
    "web",
    input("one", { volumes: [{ source: "data", path: "/data", readOnly: false }] }),
    AT_ONCE,
  );
  slow.resolve();
  await Promise.all([deleted, taken]);
  assertEquals([declared.has("app"), declared.needingPreparation().length], [false, 1]);
});

Deno.test("a deploy that comes while its service is being deleted is called off, and the next one makes it anew", async () => {
  const { scene, end } = await slowScene();
  const { declared, deployer, splitOf, trials } = scene;
  const deployed = deployer.deploy("app", input("three"), WAITING);
  deployed.catch(() => {});
  await settle();
  const deleted = deployer.delete("app", BY);
  trials[0]!.succeed();
  await settle();
  assertEquals(declared.has("app"), true);
  end();
  await assertRejects(() => deployed, Conflict, "was deleted while it was being deployed");
  await deleted;
  assertEquals([declared.has("app"), splitOf("app.localhost")], [false, undefined]);
  assertEquals((await deployer.deploy("app", input("four"), AT_ONCE)).revision.name, "app-00004");
});

Deno.test("of two services that ask for one domain at the same time, one gets it", async () => {
  const { scene, end } = await slowScene();
  const { deployer } = scene;
  const domains = { service: { domains: ["a.example"] } };
  const both = ["x", "y"].map((name) => deployer.deploy(name, input("one", domains), AT_ONCE));
  await settle();
  end();
  const [x, y] = await Promise.allSettled(both);
  assertEquals(x?.status, "fulfilled");
  assert(y?.status === "rejected" && y.reason instanceof DomainTakenError);
  assertEquals(scene.splitOf("a.example"), { "x-00001": 100 });
});

Deno.test("a change that the store refuses after a while changes nothing", async () => {
  const scene = newScene();
  const { deployer, store } = scene;
  for (const image of ["one", "two"]) await deployer.deploy("app", input(image), AT_ONCE);
  const before = seen(scene, "app");
  const refused = Promise.withResolvers<void>();
  store.before = refused.promise;
  const changes = [
    deployer.setTraffic("app", [{ revision: "app-00001", percent: 100 }], BY),
    deployer.deploy("app", input("three"), AT_ONCE),
    deployer.delete("app", BY),
  ];
  await settle();
  refused.reject(new StoreUnavailable("no space is left"));
  for (const change of changes) await assertRejects(() => change, StoreUnavailable);
  store.before = undefined;
  assertEquals(seen(scene, "app"), before);
  assertEquals(scene.splitOf("app.localhost"), { "app-00002": 100 });
});

Deno.test("a take-over waits until the change that is being stored is made", async () => {
  const { scene, end } = await slowScene();
  const { deployer, splitOf } = scene;
  const changed = deployer.setTraffic("app", [{ revision: "app-00001", percent: 100 }], BY);
  await settle();
  let isPaused = false;
  const paused = deployer.pause(new Error("another cless process is taking over")).then(() => isPaused = true);
  await settle();
  assertEquals(isPaused, false);
  end();
  await paused;
  assertEquals([splitOf("app.localhost"), (await changed).generation], [{ "app-00001": 100 }, 3]);
});
