import { assert, assertEquals } from "@std/assert";
import { AT_ONCE, input, newScene, seen } from "./deployer_kit.ts";

Deno.test("a service that is deleted is unknown, its pools are retired, and its name's numbers go on", async () => {
  const { deployer, retired, services, splitOf, store } = newScene();
  const asked = input("one", { service: { domains: ["a.example"] }, tag: "next" });
  await deployer.deploy("app", asked, AT_ONCE);
  await deployer.deploy("app", input("two"), AT_ONCE);
  await deployer.delete("app", { by: "ci", ifMatch: 2 });
  for (const host of ["app.localhost", "a.example", "next--app.localhost"]) {
    assertEquals(splitOf(host), undefined, host);
  }
  assertEquals([deployer.get("app"), services.list()], [undefined, []]);
  assertEquals(store.load(), { services: [], revisions: [] });
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
  await second.deployer.load();
  assertEquals(seen(second, "app", "web"), seen(first, "app", "web"));
  for (const host of ["app.localhost", "a.example", "next--app.localhost", "web.localhost"]) {
    assertEquals(second.splitOf(host), first.splitOf(host), host);
  }
  assertEquals(second.publisher.poolOf("web", "web-00001")!.revision.stopAfter, Infinity);
  assert(!(await second.deployer.deploy("web", input("three", { stopAfter: Infinity }), AT_ONCE)).created);
  const { revision } = await second.deployer.deploy("app", input("four"), AT_ONCE);
  assertEquals(revision.name, "app-00003");
});

Deno.test("a service that cannot be published at the start does not keep the others from it, and can be mended", async () => {
  const first = newScene();
  first.store.addSecret("key", new Uint8Array(), 0);
  await first.deployer.deploy("app", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  await first.deployer.deploy("web", input("two"), AT_ONCE);
  first.store.deleteSecret("key");
  const { deployer, splitOf } = newScene({ store: first.store });
  await deployer.load();
  assertEquals([splitOf("app.localhost"), splitOf("web.localhost")], [undefined, { "web-00001": 100 }]);
  assertEquals(deployer.list().length, 2);
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
});
