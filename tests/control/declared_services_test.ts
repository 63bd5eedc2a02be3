import { assertEquals, assertRejects } from "@std/assert";
import {
  type DeclaredService,
  DeclaredServices,
  inTraffic,
  prunable,
  reachable,
  revisionName,
} from "../../src/control/declared_services.ts";
import type { RevisionRecord, ServiceRecord } from "../../src/control/records.ts";
import { DomainTakenError } from "../../src/control/store.ts";
import { FakeStore } from "../support/fake_store.ts";
import { AT_ONCE, input, newScene } from "../deploy/deployer_kit.ts";

/** The declared services of a store, as after a start. */
function declaredOf(store: FakeStore): DeclaredServices {
  const declared = new DeclaredServices(store);
  store.load(({ name }, marks) => declared.set(name, marks, undefined));
  return declared;
}

Deno.test("services are found by name, and listed by name from any name on, in pages of the store", async () => {
  const scene = newScene();
  const { deployer, store } = scene;
  const names = Array.from({ length: 250 }, (_, number) => `app-${String(number * 7919 % 250).padStart(3, "0")}`);
  for (const name of names) await deployer.deploy(name, input("one"), AT_ONCE);
  const sorted = names.toSorted();
  for (const declared of [scene.declared, declaredOf(store)]) {
    assertEquals([declared.size, Array.from(declared.after(""), ({ name }) => name)], [250, sorted]);
    assertEquals(Array.from(declared.after("app-099"), ({ name }) => name), sorted.slice(100));
    assertEquals(Array.from(declared.after("app-0995"), ({ name }) => name), sorted.slice(100));
    assertEquals([...declared.after("app-249")], []);
    assertEquals(["app-000", "app-249", "app-0995", ""].map((name) => declared.has(name)), [true, true, false, false]);
  }
  await deployer.delete("app-100", { by: "ci" });
  assertEquals([scene.declared.has("app-100"), scene.declared.get("app-100"), scene.declared.size], [
    false,
    undefined,
    249,
  ]);
});

Deno.test("the services that need attention before their first request are known", async () => {
  const { declared, deployer, store } = newScene();
  await store.addSecret({ name: "key", version: 1, createdAt: 0, sealed: new Uint8Array() });
  await deployer.deploy("plain", input("one"), AT_ONCE);
  await deployer.deploy("kept", input("one", { minInstances: 1 }), AT_ONCE);
  await deployer.deploy("secret", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  const volumes = [{ source: "data", path: "/data", readOnly: false }];
  await deployer.deploy("stateful", input("one", { volumes }), AT_ONCE);
  const needingPreparation = (declared: Pick<DeclaredServices, "needingPreparation">) =>
    declared.needingPreparation().map(({ service }) => service.name);
  assertEquals(needingPreparation(declared).sort(), ["kept", "secret", "stateful"]);
  assertEquals(needingPreparation(declaredOf(store)), ["kept", "secret", "stateful"]);
  await deployer.delete("secret", { by: "ci" });
  assertEquals(needingPreparation(declared).sort(), ["kept", "stateful"]);
});

Deno.test("an image is in use as long as a revision has it, and pulled as long as it was pulled for one of them", () => {
  const declared = declaredOf(new FakeStore());
  const use = () => [declared.hasImage("one"), declared.hasPulledImage("one"), declared.pulledImages()];
  const stateOf = (name: string, pulled: boolean) =>
    ({
      service: { name },
      revisions: [{ name: `${name}-00001`, imageId: "one", pulled }],
    }) as unknown as DeclaredService;
  const put = (name: string, pulled: boolean) =>
    declared.set(name, [{ name: `${name}-00001`, imageId: "one", pulled, needsNoPreparation: true }], undefined);
  assertEquals(use(), [false, false, []]);
  put("mine", false);
  assertEquals(use(), [true, false, []]);
  put("theirs", true);
  assertEquals(use(), [true, true, ["one"]]);
  declared.delete(stateOf("theirs", true));
  assertEquals(use(), [true, false, []]);
  declared.delete(stateOf("mine", false));
  assertEquals(use(), [false, false, []]);
});

Deno.test("a domain belongs to its service until the service gives it up or is deleted", async () => {
  const { deployer } = newScene();
  const take = (name: string, ...domains: string[]) =>
    deployer.deploy(name, input("one", { service: { domains } }), AT_ONCE);
  await take("app", "a.example", "b.example");
  await assertRejects(() => take("web", "b.example"), DomainTakenError, "b.example belongs to the service app");
  await take("app", "a.example");
  await take("web", "b.example");
  await deployer.delete("app", { by: "ci" });
  await take("web", "a.example", "b.example");
});

Deno.test("a service needs preparation as long as one of its revisions does", () => {
  const declared = declaredOf(new FakeStore());
  const marks = (...needsNoPreparation: boolean[]) =>
    needsNoPreparation.map((needsNoPreparation, n) => ({
      ...{ name: `app-0000${n}`, imageId: `${n}`, pulled: false, needsNoPreparation },
    }));
  const before = (revisions: unknown) => ({ service: { name: "app" }, revisions }) as unknown as DeclaredService;
  declared.set("app", marks(true, false), undefined);
  assertEquals([declared.needsPreparation("app"), declared.size], [true, 1]);
  declared.set("app", marks(true), before(marks(true, false)));
  assertEquals([declared.needsPreparation("app"), declared.size], [false, 1]);
  assertEquals([declared.hasImage("0"), declared.hasImage("1")], [true, false]);
  declared.set("app", marks(false), before(marks(true)));
  declared.delete(before(marks(false)));
  assertEquals([declared.needsPreparation("app"), declared.size, declared.hasImage("0")], [false, 0, false]);
});

Deno.test("the revisions in the traffic, those that get requests, and those to remove are told apart", () => {
  const service = {
    traffic: [
      { revision: "app-00002", percent: 100 },
      { revision: "app-00003", percent: 0, tag: "next" },
      { revision: "app-00004", percent: 0 },
    ],
    previousTraffic: [{ revision: "app-00001", percent: 100 }],
    latestRevision: "app-00009",
    revisionHistory: 2,
  } as unknown as ServiceRecord;
  assertEquals([...inTraffic(service)], ["app-00002", "app-00003", "app-00004"]);
  assertEquals([...reachable(service)], ["app-00002", "app-00003"]);
  const revisions = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => ({ name: revisionName("app", n) })) as RevisionRecord[];
  // Of the idle ones, two are kept, the latest is one of them, and the first can be rolled back to.
  assertEquals(prunable(service, revisions), ["app-00005", "app-00006", "app-00007"]);
  assertEquals(prunable({ ...service, revisionHistory: 9 }, revisions), []);
});
