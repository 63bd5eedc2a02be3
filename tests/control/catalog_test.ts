import { OPEN, UNLIMITED } from "../../src/model/access.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { Catalog } from "../../src/control/catalog.ts";
import { ServiceStatuses } from "../../src/control/service_status.ts";
import { EVERYBODY_WAKES } from "../../src/model/service.ts";
import { canonicalTemplate } from "../../src/model/template.ts";
import { LATEST } from "../../src/model/traffic.ts";
import { latestPool } from "../../src/routing/convention.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import { ClessError } from "../../src/base/errors.ts";
import { conventionService, never, newRevision } from "../support/kit.ts";
import { AT_ONCE, input, newScene } from "../deploy/deployer_kit.ts";

/** A scene with a catalog, and with a service that was found by its image. */
function newCatalog() {
  const scene = newScene();
  const { declared, kit, services } = scene;
  const found = (name: string, imageId = "sha256:0123456789abcdef") => {
    const service = conventionService(name, kit.newPool(newRevision(imageId, name)));
    services.put(service);
    return service;
  };
  return {
    ...scene,
    found,
    catalog: new Catalog(declared, services, new ServiceStatuses(services, { has: () => false })),
  };
}

Deno.test("declared services and those that were found are listed together by name", async () => {
  const { catalog, declared, deployer, found } = newCatalog();
  assertEquals([[...catalog.after("")], catalog.size], [[], 0]);
  found("bare");
  await deployer.deploy("app", input("one", { service: { domains: ["a.example"], revisionHistory: 3 } }), {
    ...AT_ONCE,
    declaredBy: "cless.yaml",
  });
  const service = declared.service("app")!;
  assertEquals(catalog.get("app"), {
    name: "app",
    domains: ["a.example"],
    latestRevision: "app-00001",
    previousTraffic: [],
    traffic: [{ revision: LATEST, percent: 100 }],
    generation: 1,
    convention: false,
    revisionHistory: 3,
    wake: EVERYBODY_WAKES,
    loading: "hold",
    access: OPEN,
    limits: UNLIMITED,
    maintenance: "",
    declaredBy: "cless.yaml",
    createdAt: service.createdAt,
    updatedAt: service.updatedAt,
  });
  assertEquals([...catalog.after("")].map(({ name, convention }) => [name, convention]), [["app", false], [
    "bare",
    true,
  ]]);
  assertEquals(catalog.size, 2);
});

Deno.test("a service that was found has one revision, and no generation", () => {
  const { catalog, found, kit, services } = newCatalog();
  const bare = found("bare");
  const { createdAt, updatedAt, ...view } = catalog.get("bare")!;
  assertEquals([createdAt, updatedAt], [bare.found!.createdAt.getTime(), bare.found!.updatedAt.getTime()]);
  assertEquals(view, {
    name: "bare",
    domains: [],
    latestRevision: "bare-0123456789ab",
    previousTraffic: [],
    traffic: [{ revision: LATEST, percent: 100 }],
    generation: undefined,
    convention: true,
    revisionHistory: undefined,
    wake: undefined,
    loading: undefined,
    access: undefined,
    limits: undefined,
    maintenance: undefined,
    declaredBy: undefined,
  });
  const [revision, ...others] = catalog.revisions("bare")!;
  assertEquals([revision!.name, revision!.percent, revision!.latest, others], ["bare-0123456789ab", 100, true, []]);
  assertEquals(revision!.template, canonicalTemplate({ image: "bare-docker", pullPolicy: "never" }));
  services.put(conventionService("bare", bare.main(), kit.newPool(newRevision("sha256:fedcba9876543210", "bare"))));
  assertEquals(catalog.get("bare")!.latestRevision, "bare-fedcba987654");
});

Deno.test("revisions are listed newest first, each with its share and its tag", async () => {
  const { catalog, deployer } = newCatalog();
  await deployer.deploy("app", input("one", { env: { KEY: "value" } }), AT_ONCE);
  await deployer.deploy("app", input("two", { traffic: 25, tag: "next" }), AT_ONCE);
  await deployer.deploy("app", input("three", { traffic: 0 }), AT_ONCE);
  assertEquals(catalog.revisions("app")!.map(({ name, percent, tag, latest }) => [name, percent, tag, latest]), [
    ["app-00003", 0, undefined, true],
    ["app-00002", 25, "next", false],
    ["app-00001", 75, undefined, false],
  ]);
  const [first] = catalog.revisions("app")!.slice(-1);
  assertEquals([first!.imageId, first!.template.env], ["sha256:one", { KEY: "value" }]);
});

Deno.test("the revisions that are served are those with a share or a tag, of declared services and of others", async () => {
  const { catalog, deployer, found, kit, services } = newCatalog();
  const old = found("bare").main();
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("two", { traffic: 0, tag: "next" }), AT_ONCE);
  await deployer.deploy("app", input("three", { traffic: 0 }), AT_ONCE);
  const served = () => Array.from(catalog.served(), ({ name, service }) => `${service} ${name}`).sort();
  assertEquals(served(), ["app app-00001", "app app-00002", "bare bare-0123456789ab"]);
  services.put(conventionService("bare", old, kit.newPool(newRevision("sha256:fedcba9876543210", "bare"))));
  assertEquals(served().slice(2), ["bare bare-0123456789ab", "bare bare-fedcba987654"]);
  services.delete("bare");
  assertEquals(served().length, 2);
});

Deno.test("a failing revision shows the reason, the app's output and how long requests are refused", async () => {
  const { catalog, deployer, found, kit, publisher } = newCatalog();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const pools = [publisher.poolOf("app", "app-00001")!, latestPool(found("bare"))];
  kit.launcher.written = "no config\r\nbye\n";
  for (const pool of pools) {
    const { name, service } = pool.revision;
    const last = () => catalog.revisions(service)!.find((revision) => revision.name === name)!.failure;
    assertEquals(last(), undefined);
    for (let n = 1; n <= 3; n++) {
      const held = assertRejects(() => pool.hold(never()), ClessError);
      (await kit.launcher.nextLaunch()).fail(new Error("exec format error"));
      await held;
      await kit.executor.settled();
    }
    const { at, ...failure } = last()!;
    const output = ["no config", "bye"];
    assertEquals(failure, { reason: "exec format error", output, count: 3, retryInMs: 500 });
    assertEquals(at, pool.failure!.at.getTime());
    await kit.clock.advance(500);
    assertEquals(last()!.retryInMs, 0);
  }
});

Deno.test("a service's status follows the states of its instances", async () => {
  const { catalog, deployer, kit, services } = newCatalog();
  const state = () => catalog.status("app").state;
  assertEquals(state(), "asleep", "it is not there");
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(state(), "asleep");
  const pool = services.get("app")!.main();
  pool.wake();
  assertEquals(state(), "starting");
  (await kit.launcher.nextLaunch()).succeed("http://one");
  await pool.settled();
  assertEquals(state(), "ready");
  await kit.launcher.pause(kit.fleet.instances()[0]!.id);
  assertEquals(state(), "paused");
  await deployer.deploy("app", input("two", { traffic: 10 }), AT_ONCE);
  assertEquals(state(), "paused", "also where another revision has a part of the requests");
});

Deno.test("a service fails if no instance could answer and a revision that gets requests has failed", async () => {
  const { catalog, deployer, found, kit, publisher } = newCatalog();
  const failIn = async (pool: InstancePool, reason: string) => {
    const held = assertRejects(() => pool.hold(never()), ClessError);
    (await kit.launcher.nextLaunch()).fail(new Error(reason));
    await held;
    await kit.executor.settled();
  };
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("two", { traffic: 0, tag: "next" }), AT_ONCE);
  await failIn(publisher.poolOf("app", "app-00002")!, "only its tag leads to it");
  assertEquals(catalog.status("app"), { state: "asleep" });
  const pool = publisher.poolOf("app", "app-00001")!;
  await failIn(pool, "exec format error");
  assertEquals(catalog.status("app"), {
    state: "failing",
    failure: "exec format error",
    failingSince: pool.failure!.at.getTime(),
  });
  const served = pool.hold(never()).then(({ lease }) => lease.release());
  const launch = await kit.launcher.nextLaunch();
  assertEquals(catalog.status("app").state, "failing", "one that tries again still fails");
  launch.succeed("http://one");
  await served;
  assertEquals(catalog.status("app"), { state: "ready" });
  await kit.launcher.pause(kit.fleet.instances()[0]!.id);
  assertEquals(catalog.status("app"), { state: "paused" }, "the next request is answered");
  await failIn(latestPool(found("bare")), "no such program");
  const { failure, state } = catalog.status("bare");
  assertEquals([state, failure], ["failing", "no such program"]);
  assertEquals(Array.from(catalog.statuses(), ({ service, state }) => [service, state]), [
    ["app", "paused"],
    ["bare", "failing"],
  ]);
});

Deno.test("a service that does not exist is not listed, and a declared one is listed once", async () => {
  const { catalog, deployer, found } = newCatalog();
  assertEquals([catalog.get("app"), catalog.revisions("app")], [undefined, undefined]);
  found("app");
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals([...catalog.after("")].map(({ name, convention }) => [name, convention]), [["app", false]]);
  assertEquals(catalog.size, 1);
  await deployer.delete("app", { by: "ci" });
  assertEquals([[...catalog.after("")], catalog.revisions("app")], [[], undefined]);
});

Deno.test("a secret is in use by revisions, and by the sign-in of services", async () => {
  const { catalog, deployer, store } = newCatalog();
  for (const name of ["key", "idp"]) {
    await store.addSecret({ name, version: 1, createdAt: 0, sealed: new Uint8Array() });
  }
  const oidc = { issuer: "https://idp.example.org", clientId: "cless", clientSecret: "secret:idp", allow: [] };
  await deployer.deploy("app", input("one", { service: { access: { ...OPEN, oidc } } }), AT_ONCE);
  await deployer.deploy("web", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  assertEquals(catalog.userOf("key"), { revision: "web-00001" });
  assertEquals(catalog.userOf("idp"), { signInOf: "app" });
  assertEquals(catalog.userOf("id"), undefined);
});
