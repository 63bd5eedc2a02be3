import { assertEquals, assertRejects } from "@std/assert";
import {
  inTraffic,
  prunable,
  reachable,
  revisionName,
  type ServiceState,
  ServiceStates,
} from "../../src/control/service_states.ts";
import type { RevisionRecord, ServiceRecord } from "../../src/control/records.ts";
import { DomainTakenError } from "../../src/control/store.ts";
import { FakeStore } from "../support/fake_store.ts";
import { AT_ONCE, input, newScene } from "../deploy/deployer_kit.ts";

/** The states of a store, as after a start. */
function statesOf(store: FakeStore): ServiceStates {
  const states = new ServiceStates(store);
  store.load(({ name }, marks) => states.set(name, marks, undefined));
  return states;
}

Deno.test("services are found by name, and listed by name from any name on, in pages of the store", async () => {
  const scene = newScene();
  const { deployer, store } = scene;
  const names = Array.from({ length: 250 }, (_, number) => `app-${String(number * 7919 % 250).padStart(3, "0")}`);
  for (const name of names) await deployer.deploy(name, input("one"), AT_ONCE);
  const sorted = names.toSorted();
  for (const states of [scene.states, statesOf(store)]) {
    assertEquals([states.size, Array.from(states.after(""), ({ name }) => name)], [250, sorted]);
    assertEquals(Array.from(states.after("app-099"), ({ name }) => name), sorted.slice(100));
    assertEquals(Array.from(states.after("app-0995"), ({ name }) => name), sorted.slice(100));
    assertEquals([...states.after("app-249")], []);
    assertEquals(["app-000", "app-249", "app-0995", ""].map((name) => states.has(name)), [true, true, false, false]);
  }
  await deployer.delete("app-100", { by: "ci" });
  assertEquals([scene.states.has("app-100"), scene.states.get("app-100"), scene.states.size], [false, undefined, 249]);
});

Deno.test("the services that need attention before their first request are known", async () => {
  const { deployer, states, store } = newScene();
  store.addSecret("key", new Uint8Array(), 0);
  await deployer.deploy("plain", input("one"), AT_ONCE);
  await deployer.deploy("kept", input("one", { minInstances: 1 }), AT_ONCE);
  await deployer.deploy("secret", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE);
  const volumes = [{ source: "data", path: "/data", readOnly: false }];
  await deployer.deploy("stateful", input("one", { volumes }), AT_ONCE);
  const needingPreparation = (states: Pick<ServiceStates, "needingPreparation">) =>
    states.needingPreparation().map(({ service }) => service.name);
  assertEquals(needingPreparation(states).sort(), ["kept", "secret", "stateful"]);
  assertEquals(needingPreparation(statesOf(store)), ["kept", "secret", "stateful"]);
  await deployer.delete("secret", { by: "ci" });
  assertEquals(needingPreparation(states).sort(), ["kept", "stateful"]);
});

Deno.test("an image is in use as long as a revision has it, and pulled as long as it was pulled for one of them", () => {
  const states = statesOf(new FakeStore());
  const use = () => [states.hasImage("one"), states.hasPulledImage("one"), states.pulledImages()];
  const stateOf = (name: string, pulled: boolean) =>
    ({ service: { name }, revisions: [{ name: `${name}-00001`, imageId: "one", pulled }] }) as unknown as ServiceState;
  const put = (name: string, pulled: boolean) =>
    states.set(name, [{ name: `${name}-00001`, imageId: "one", pulled, needsNoPreparation: true }], undefined);
  assertEquals(use(), [false, false, []]);
  put("mine", false);
  assertEquals(use(), [true, false, []]);
  put("theirs", true);
  assertEquals(use(), [true, true, ["one"]]);
  states.delete(stateOf("theirs", true));
  assertEquals(use(), [true, false, []]);
  states.delete(stateOf("mine", false));
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
  const states = statesOf(new FakeStore());
  const marks = (...needsNoPreparation: boolean[]) =>
    needsNoPreparation.map((needsNoPreparation, n) => ({
      ...{ name: `app-0000${n}`, imageId: `${n}`, pulled: false, needsNoPreparation },
    }));
  const before = (revisions: unknown) => ({ service: { name: "app" }, revisions }) as unknown as ServiceState;
  states.set("app", marks(true, false), undefined);
  assertEquals([states.needsPreparation("app"), states.size], [true, 1]);
  states.set("app", marks(true), before(marks(true, false)));
  assertEquals([states.needsPreparation("app"), states.size], [false, 1]);
  assertEquals([states.hasImage("0"), states.hasImage("1")], [true, false]);
  states.set("app", marks(false), before(marks(true)));
  states.delete(before(marks(false)));
  assertEquals([states.needsPreparation("app"), states.size, states.hasImage("0")], [false, 0, false]);
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
