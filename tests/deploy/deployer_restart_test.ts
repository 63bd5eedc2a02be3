import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { markOf } from "../../src/control/records.ts";
import { StoreUnavailable } from "../../src/control/store.ts";
import { ClessError } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { never } from "../support/kit.ts";
import { AT_ONCE, input, newScene, seen } from "./deployer_kit.ts";
import { loaded } from "../support/loaded.ts";

Deno.test("a deleted service is unknown, its pools are retired, and a new one of its name continues its numbers", async () => {
  const { declared, deployer, retired, services, splitOf, store } = newScene();
  const asked = input("one", { service: { domains: ["a.example"] }, tag: "next" });
  await deployer.deploy("app", asked, AT_ONCE);
  await deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals([splitOf("app.localhost"), splitOf("next--app.localhost")], [{ "app-00002": 100 }, {
    "app-00001": 100,
  }]);
  await deployer.delete("app", { by: "ci", ifMatch: 2 });
  for (const host of ["app.localhost", "a.example", "next--app.localhost"]) {
    assertEquals(splitOf(host), undefined, host);
  }
  assertEquals([declared.get("app"), services.get("app")], [undefined, undefined]);
  assertEquals(loaded(store), { services: [], revisions: [] });
  assertEquals(retired.sort(), ["app-00001", "app-00002"]);
  assertEquals(store.history("app", 1)[0]!.action, "delete");
  const { revision, service } = await deployer.deploy("app", asked, AT_ONCE);
  assertEquals([revision.name, service.generation, service.previousTraffic], ["app-00003", 3, []]);
});

Deno.test("after a restart everything is as it was", async () => {
  const first = newScene();
  await first.deployer.deploy("app", input("one", { service: { domains: ["a.example"] } }), AT_ONCE);
  await first.deployer.deploy("app", input("two", { traffic: 25, tag: "next" }), AT_ONCE);
  await first.deployer.deploy("web", input("three", { stopAfter: Infinity }), AT_ONCE);
  const second = newScene({ store: first.store });
  second.deployer.load();
  for (const host of ["app.localhost", "a.example", "next--app.localhost", "web.localhost"]) {
    assertEquals(second.splitOf(host), first.splitOf(host), host);
  }
  assertEquals(seen(second, "app", "web"), seen(first, "app", "web"));
  assertEquals(second.publisher.poolOf("web", "web-00001")!.revision.stopAfterMs, Infinity);
  assert(!(await second.deployer.deploy("web", input("three", { stopAfter: Infinity }), AT_ONCE)).hasNewRevision);
  const { revision } = await second.deployer.deploy("app", input("four"), AT_ONCE);
  assertEquals(revision.name, "app-00003");
});

Deno.test("a service whose secret cannot be read at the start answers start_failed, and a deploy mends it", async () => {
  const first = newScene();
  await first.store.addSecret({ name: "key", version: 1, createdAt: 0, sealed: new Uint8Array() });
  await first.deployer.deploy("app", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  await first.deployer.deploy("web", input("two"), AT_ONCE);
  await first.store.deleteSecret("key");
  const { deployer, kit, publisher, splitOf } = newScene({ store: first.store });
  deployer.load();
  assertEquals([splitOf("app.localhost"), splitOf("web.localhost")], [{ "app-00001": 100 }, { "web-00001": 100 }]);
  const error = await assertRejects(() => publisher.poolOf("app", "app-00001")!.hold(never()), ClessError);
  assertEquals([error.code, error.detail], ["start_failed", "the secret key is gone"]);
  assertEquals(kit.launcher.called("launch"), []);
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
});

Deno.test("a start after a restart does not need the store for its secrets", async () => {
  const first = newScene();
  await first.store.addSecret({ name: "key", version: 1, createdAt: 0, sealed: new Uint8Array() });
  await first.deployer.deploy("app", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  const { deployer, kit, publisher, store } = newScene({ store: first.store });
  deployer.load();
  await settle();
  store.secret = () => {
    throw new StoreUnavailable("the disk is gone");
  };
  const held = publisher.poolOf("app", "app-00001")!.hold(never());
  const launch = await kit.launcher.nextLaunch();
  assertEquals(launch.revision.env, { KEY: "key 1" });
  launch.succeed("http://10.0.0.2:8080");
  (await held).lease.release();
});

Deno.test("a service that cannot be published at the start does not keep the others from it", async () => {
  const first = newScene();
  for (const name of ["app", "web"]) await first.deployer.deploy(name, input("one"), AT_ONCE);
  const { services, revisions } = loaded(first.store);
  const webs = revisions.filter(({ service }) => service === "web");
  first.store.load = (each) => {
    for (const service of services) each(service, service.name === "web" ? webs.map(markOf) : []);
  };
  const { declared, deployer, splitOf } = newScene({ store: first.store });
  deployer.load();
  assertEquals([splitOf("app.localhost"), splitOf("web.localhost")], [undefined, { "web-00001": 100 }]);
  assertEquals([...declared.after("")].length, 2);
});

Deno.test("a stored revision is read at its first request, and read again if that failed", async () => {
  const first = newScene();
  await first.deployer.deploy("app", input("one"), AT_ONCE);
  const { deployer, kit, publisher, services, store } = newScene({ store: first.store });
  deployer.load();
  const service = services.get("app")!;
  const revisions = store.revisions.bind(store);
  store.revisions = () => {
    throw new StoreUnavailable("the disk is gone");
  };
  const error = assertThrows(() => service.main(), ClessError);
  assertEquals([error.code, error.detail, publisher.madePools("app")], ["start_failed", "the disk is gone", []]);
  store.revisions = revisions;
  await kit.clock.advance(1000);
  assertEquals(service.main().revision.image, "one");
  store.revisions = () => [];
  assertStrictEquals(service.main(), publisher.poolOf("app", "app-00001")); // once is enough
});
