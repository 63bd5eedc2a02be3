import { assert, assertEquals, assertRejects } from "@std/assert";
import { NotFound, RevisionFailed } from "../../src/control/deploy_error.ts";
import { DomainTakenError, StaleError, StoreUnavailable } from "../../src/control/store.ts";
import { TrafficError } from "../../src/model/traffic.ts";
import { ClessError } from "../../src/base/errors.ts";
import { parseHostname } from "../../src/model/host.ts";
import { settle } from "../support/fake_clock.ts";
import { AT_ONCE, input, newScene, seen, WAITING } from "./deployer_kit.ts";
import { loaded } from "../support/loaded.ts";

Deno.test("the first deploy makes a service whose revision gets all traffic", async () => {
  const { deployer, store, splitOf } = newScene();
  const domains = ["www.example.org"];
  const { service, revision, hasNewRevision } = await deployer.deploy(
    "app",
    input("one", { service: { domains } }),
    AT_ONCE,
  );
  assert(hasNewRevision);
  assertEquals(revision.name, "app-00001");
  assertEquals(service.generation, 1);
  assertEquals(service.revisionHistory, 20);
  assertEquals(service.previousTraffic, []);
  assertEquals(loaded(store), { services: [service], revisions: [revision] });
  for (const host of ["app.localhost", "www.example.org"]) assertEquals(splitOf(host), { "app-00001": 100 });
});

Deno.test("the same deploy again changes nothing, whatever it asks for in terms of traffic", async () => {
  for (const wish of [{}, { traffic: 100 }, { traffic: 30 }, { tag: "next" }, { traffic: 0, tag: "next" }]) {
    for (const before of [[], ["one"], ["one", "two"]]) {
      const scene = newScene();
      for (const image of before) await scene.deployer.deploy("app", input(image, { traffic: 40 }), AT_ONCE);
      const first = await scene.deployer.deploy("app", input("new", wish), AT_ONCE);
      const then = seen(scene, "app");
      const second = await scene.deployer.deploy("app", input("new", wish), WAITING);
      assertEquals(second, { ...first, isChanged: false, hasNewRevision: false, isNewService: false });
      assertEquals(first.isNewService, before.length === 0);
      assertEquals(seen(scene, "app"), then, JSON.stringify([wish, before]));
    }
  }
});

Deno.test("a template, an image or a secret that has changed makes a new revision", async () => {
  const scene = newScene();
  const { deployer, images, store } = scene;
  await store.addSecret({ name: "key", version: 1, createdAt: 0, sealed: new Uint8Array() });
  const asked = input("shop", { secretEnv: { KEY: "key" }, env: { B: "1", A: "2" } });
  await deployer.deploy("app", asked, AT_ONCE);
  images.set("shop", "rebuilt");
  assert((await deployer.deploy("app", asked, AT_ONCE)).hasNewRevision);
  await store.addSecret({ name: "key", version: 2, createdAt: 0, sealed: new Uint8Array() });
  const { revision } = await deployer.deploy("app", asked, AT_ONCE);
  assertEquals(revision.secretVersions, { key: 2 });
  const pool = scene.publisher.poolOf("app", revision.name)!;
  assertEquals(pool.revision.env, { A: "2", B: "1" });
  assertEquals(await scene.env.of(pool.revision), { A: "2", B: "1", KEY: "key 2" });
  const reordered = input("shop", { secretEnv: { KEY: "key" }, env: { A: "2", B: "1" } });
  assert(!(await deployer.deploy("app", reordered, AT_ONCE)).hasNewRevision);
  const other = input("shop", { secretEnv: { KEY: "key" }, env: { A: "2", B: "1" }, stopAfter: Infinity });
  assertEquals((await deployer.deploy("app", other, AT_ONCE)).revision.name, "app-00004");
});

Deno.test("history names the changed fields and contains no values of variables", async () => {
  const { deployer, store } = newScene();
  await deployer.deploy("app", input("shop", { env: { KEY: "hunter1" } }), AT_ONCE);
  const changed = input("store", { env: { KEY: "hunter2" }, memory: 1024 });
  await deployer.deploy("app", changed, { by: "alice", wait: false });
  const [entry] = store.history("app", 10);
  assertEquals([entry!.action, entry!.by], ["deploy", "alice"]);
  assertEquals((entry!.after as { changed: string[] }).changed.sort(), ["env", "image", "imageId", "memory"]);
  assert(!JSON.stringify(store.history("app", 10)).includes("hunter"));
});

Deno.test("fields of the service change without a new revision", async () => {
  const { deployer, splitOf, retired } = newScene();
  await deployer.deploy("app", input("one", { service: { domains: ["a.example"] } }), AT_ONCE);
  const changed = input("one", { service: { domains: ["b.example"], revisionHistory: 3 } });
  const { service, hasNewRevision } = await deployer.deploy("app", changed, AT_ONCE);
  assert(!hasNewRevision);
  assertEquals([service.domains, service.revisionHistory, service.generation], [["b.example"], 3, 2]);
  assertEquals(splitOf("a.example"), undefined);
  assertEquals(splitOf("b.example"), { "app-00001": 100 });
  assertEquals(retired, []);
});

Deno.test("how a service wakes changes at once, without a new revision, and stays through later changes", async () => {
  const { deployer, services, retired } = newScene();
  const route = (host: string) => services.find(parseHostname(host)!);
  await deployer.deploy("app", input("one", { tag: "old" }), AT_ONCE);
  assertEquals([route("app.localhost")!.waking, route("old--app.localhost")!.waking], [undefined, undefined]);
  const wake = { except: { userAgents: ["Bot"], paths: [] } };
  await deployer.deploy("app", input("one", { service: { wake } }), AT_ONCE);
  for (const host of ["app.localhost", "old--app.localhost"]) {
    assertEquals(route(host)!.waking!.page, false);
    assertEquals(route(host)!.waking!.rules!.mayWake("A robot", "/"), false);
  }
  await deployer.deploy("app", input("one", { service: { loading: "page" } }), AT_ONCE);
  const { service } = await deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals([service.wake, service.loading], [wake, "page"]);
  assertEquals([route("app.localhost")!.waking!.page, route("app.localhost")!.waking!.rules !== undefined], [
    true,
    true,
  ]);
  assertEquals(retired, []);
  const back = { wake: { except: { userAgents: [], paths: [] } }, loading: "hold" } as const;
  await deployer.deploy("app", input("two", { service: back }), AT_ONCE);
  assertEquals(route("app.localhost")!.waking, undefined);
  const unchanged = await deployer.deploy("app", input("two", { service: back }), AT_ONCE);
  assertEquals(unchanged.service.generation, 5);
});

Deno.test("requests go to the old revision until the new one is ready, and then only to the new one", async () => {
  const { deployer, splitOf, trials, retired, store } = newScene();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const deployed = deployer.deploy("app", input("two"), WAITING);
  await settle();
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
  store.onChange = () => assertEquals([splitOf("app.localhost"), retired], [{ "app-00001": 100 }, []]);
  trials[0]!.succeed();
  const { service, revision } = await deployed;
  assertEquals(service.updatedAt, revision.createdAt);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  assertEquals(retired, ["app-00001"]);
});

Deno.test("the instance that was tried serves the requests", async () => {
  const { deployer, kit, publisher } = newScene({
    tryStart: "real",
  });
  const deployed = deployer.deploy("app", input("one"), WAITING);
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
  await deployed;
  assert(publisher.poolOf("app", "app-00001")!.live);
  const failed = deployer.deploy("app", input("two"), WAITING);
  (await kit.launcher.nextLaunch()).fail(new Error("no such network"));
  const error = await assertRejects(() => failed, RevisionFailed);
  assertEquals(error.message, "the revision app-00002 did not become ready: no such network");
});

Deno.test("a revision that does not become ready changes nothing", async () => {
  const scene = newScene();
  const { deployer, trials, retired, splitOf } = scene;
  await deployer.deploy("app", input("one"), AT_ONCE);
  const before = seen(scene, "app");
  const failing = deployer.deploy("app", input("two", { service: { domains: ["a.example"] } }), WAITING);
  await settle();
  trials[0]!.fail(new ClessError("start_failed", "for the public", { detail: "exited with code 3" }));
  const error = await assertRejects(() => failing, RevisionFailed);
  assertEquals(error.message, "the revision app-00002 did not become ready: exited with code 3");
  assertEquals(error.reason, "exited with code 3");
  assertEquals(seen(scene, "app"), before);
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
  assertEquals(splitOf("a.example"), undefined);
  assertEquals(retired, ["app-00002"]);
});

Deno.test("a first revision that does not become ready leaves no service", async () => {
  const scene = newScene();
  const failing = scene.deployer.deploy("app", input("one"), WAITING);
  await settle();
  scene.trials[0]!.fail(new Error("no"));
  await assertRejects(() => failing, RevisionFailed);
  assertEquals(seen(scene, "app"), { kept: { services: [], revisions: [] }, history: [[]], declared: [], pools: [[]] });
  assertEquals(scene.retired, ["app-00001"]);
});

Deno.test("a failing store changes nothing", async () => {
  const scene = newScene();
  const { deployer, store, retired, splitOf } = scene;
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("two"), AT_ONCE);
  splitOf("app.localhost"); // somebody has needed it
  const before = seen(scene, "app");
  retired.length = 0;
  const full = () => assertRejects(() => changes.shift()!(), StoreUnavailable, "full");
  const changes: (() => Promise<unknown>)[] = [
    () => deployer.deploy("app", input("three", { minInstances: 1 }), AT_ONCE),
    () => deployer.deploy("app", input("two", { tag: "next" }), AT_ONCE),
    () => deployer.setTraffic("app", [{ revision: "app-00001", percent: 100 }], { by: "ci" }),
    () => deployer.rollback("app", { by: "ci" }),
    () => deployer.deleteRevision("app", "app-00001", { by: "ci" }),
    () => deployer.delete("app", { by: "ci" }),
  ];
  while (changes.length > 0) {
    store.failure = new StoreUnavailable("the disk is full");
    await full();
    assertEquals(seen(scene, "app"), before);
    assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  }
  assertEquals(retired, ["app-00003"]);
});

Deno.test("a domain of another service is refused, and nothing changes", async () => {
  const scene = newScene();
  const { deployer, retired } = scene;
  await deployer.deploy("app", input("one", { service: { domains: ["a.example"] } }), AT_ONCE);
  const before = seen(scene, "app", "other");
  const taking = () => deployer.deploy("other", input("two", { service: { domains: ["a.example"] } }), WAITING);
  const error = await assertRejects(taking, DomainTakenError);
  assertEquals(error.message, "a.example belongs to the service app");
  assertEquals(seen(scene, "app", "other"), before);
  assertEquals([retired, scene.trials], [[], []]);
});

Deno.test("a missing image, secret or traffic target is refused before anything is tried", async () => {
  const refused = new Error("no such image");
  const scene = newScene({
    images: {
      resolve: (name) => name === "none" ? Promise.reject(refused) : Promise.resolve({ imageId: name, pulled: true }),
    },
  });
  const { deployer, trials } = scene;
  await deployer.deploy("app", input("one"), AT_ONCE);
  const before = seen(scene, "app");
  assertEquals(await assertRejects(() => deployer.deploy("app", input("none"), WAITING)), refused);
  const secret = await assertRejects(
    () => deployer.deploy("app", input("two", { secretEnv: { KEY: "key" } }), WAITING),
    Error,
  );
  assertEquals(secret.message, "there is no secret key");
  const targets = [{ revision: "app-00009", percent: 100 }];
  await assertRejects(() => deployer.deploy("app", input("two", { targets }), WAITING), TrafficError);
  assertEquals(seen(scene, "app"), before);
  assertEquals(trials.length, 0);
});

Deno.test("of two deploys at once the second sees what the first has done", async () => {
  const { deployer, trials, splitOf } = newScene();
  const results = [input("one"), input("two"), input("two")].map((asked) => deployer.deploy("app", asked, WAITING));
  await settle();
  assertEquals(trials.length, 1);
  trials[0]!.succeed();
  await settle();
  assertEquals(splitOf("app.localhost"), { "app-00001": 100 });
  trials[1]!.succeed();
  const names = (await Promise.all(results)).map(({ revision, hasNewRevision }) => [revision.name, hasNewRevision]);
  assertEquals(names, [["app-00001", true], ["app-00002", true], ["app-00002", false]]);
  assertEquals(trials.length, 2);
});

Deno.test("a deploy that has failed does not hold up the next, and its number is never used again", async () => {
  const { deployer, trials } = newScene();
  const first = assertRejects(() => deployer.deploy("app", input("one"), WAITING), RevisionFailed);
  const second = deployer.deploy("app", input("two"), WAITING);
  await settle();
  trials[0]!.fail(new Error("no"));
  await first;
  await settle();
  trials[1]!.succeed();
  assertEquals((await second).revision.name, "app-00002");
});

Deno.test("services do not wait for each other", async () => {
  const { deployer, trials } = newScene();
  const slow = deployer.deploy("slow", input("one"), WAITING);
  await settle();
  assertEquals((await deployer.deploy("fast", input("one"), AT_ONCE)).revision.name, "fast-00001");
  trials[0]!.succeed();
  await slow;
});

Deno.test("every change with another generation than the service's is stale", async () => {
  const scene = newScene();
  const { deployer } = scene;
  const stale = { by: "ci", ifMatch: 1 };
  await assertRejects(() => deployer.deploy("app", input("one"), { ...AT_ONCE, ifMatch: 1 }), StaleError, "not there");
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("two"), { ...AT_ONCE, ifMatch: 1 });
  const before = seen(scene, "app");
  await assertRejects(
    () => deployer.deploy("app", input("three"), { ...AT_ONCE, ifMatch: 1 }),
    StaleError,
    "it is at 2",
  );
  await assertRejects(() => deployer.setTraffic("app", [], stale), StaleError);
  await assertRejects(() => deployer.rollback("app", stale), StaleError);
  await assertRejects(() => deployer.deleteRevision("app", "app-00001", stale), StaleError);
  await assertRejects(() => deployer.delete("app", stale), StaleError);
  assertEquals(seen(scene, "app"), before);
});

Deno.test("a service that does not exist is not found", async () => {
  const { deployer } = newScene();
  await assertRejects(() => deployer.setTraffic("app", [], { by: "ci" }), NotFound, "there is no service app");
  await assertRejects(() => deployer.rollback("app", { by: "ci" }), NotFound);
  await assertRejects(() => deployer.delete("app", { by: "ci" }), NotFound);
  await assertRejects(() => deployer.deleteRevision("app", "app-00001", { by: "ci" }), NotFound);
});

Deno.test("a deploy that is called off changes nothing, whether it runs or waits", async () => {
  const scene = newScene();
  const { deployer, trials, retired } = scene;
  const given = new AbortController();
  const during = deployer.deploy("app", input("one"), { ...WAITING, signal: given.signal });
  const queued = deployer.deploy("app", input("one"), { ...WAITING, signal: given.signal });
  await settle();
  given.abort(new Error("given up"));
  assertEquals(trials[0]!.signal.aborted, true);
  trials[0]!.fail(new Error("stopped"));
  for (const deploy of [during, queued]) await assertRejects(() => deploy, Error, "given up");
  assertEquals([...scene.declared.after("")], []);
  assertEquals(retired, ["app-00001"]);
});
