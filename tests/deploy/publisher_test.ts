import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { RevisionRecord, ServiceRecord } from "../../src/control/records.ts";
import { canonicalTemplate, type TemplateInput } from "../../src/model/template.ts";
import { LATEST, type Traffic } from "../../src/model/traffic.ts";
import { ClessError } from "../../src/base/errors.ts";
import { conventionService, newRevision, started } from "../support/kit.ts";
import { OPEN, UNLIMITED } from "../../src/model/access.ts";
import { EVERYBODY_WAKES } from "../../src/model/service.ts";
import { newScene, type Scene } from "./deployer_kit.ts";

function revision(name: string, template: Partial<TemplateInput> = {}): RevisionRecord {
  return {
    name,
    service: "app",
    template: canonicalTemplate({ image: "shop", ...template }),
    imageId: `sha256:${name}`,
    imageDigest: undefined,
    pulled: false,
    secretVersions: {},
    older: false,
    createdAt: 0,
  };
}

function service(latestRevision: string, traffic: Traffic, domains: string[] = []): ServiceRecord {
  return {
    name: "app",
    domains,
    revisionHistory: 20,
    wake: EVERYBODY_WAKES,
    loading: "hold",
    access: OPEN,
    limits: UNLIMITED,
    maintenance: "",
    traffic,
    previousTraffic: [],
    latestRevision,
    lastNumber: 2,
    generation: 1,
    declaredBy: undefined,
    createdAt: 0,
    updatedAt: 0,
  };
}

/** A scene in whose store the service has two revisions. */
function newAppScene(): Scene {
  const scene = newScene();
  scene.store.revisions = () => [revision("app-00001"), revision("app-00002")];
  return scene;
}

const ALL = [{ revision: LATEST, percent: 100 }];

Deno.test("a revision follows its template, and the settings for what the template leaves open", async () => {
  const { publisher } = newAppScene();
  const said = { port: 3000, env: { A: "b" }, requestTimeout: Infinity, memory: 1024, readiness: { path: "/up" } };
  const made = (await publisher.newPool(revision("app-00001", said))).revision;
  assertEquals([made.port, made.env, made.readinessPath, made.memoryBytes], [3000, { A: "b" }, "/up", 1024]);
  assertEquals([made.startTimeoutMs, made.requestTimeoutMs, made.stopAfterMs], [30_000, Infinity, 60_000]);
  assertEquals([made.image, made.imageId, made.cpus], ["shop", "sha256:app-00001", 2]);
});

Deno.test("a revision has the defaults of containers, but for what it says, and but for one from before", async () => {
  const { publisher } = newAppScene();
  const pool = async (template: Partial<TemplateInput>, older = false) =>
    (await publisher.newPool({ ...revision("app-00001", template), older })).revision;
  const plain = await pool({});
  assertEquals([plain.memoryBytes, plain.cpus, plain.readOnly], [2 ** 30, 2, false]);
  assertEquals(plain.capabilities, { add: [], drop: ["MKNOD", "NET_RAW"] });
  const own = await pool({
    memory: 1024,
    cpus: 1,
    readOnly: true,
    user: "1000",
    runtime: "runsc",
    capabilities: { add: ["NET_RAW"], drop: ["KILL"] },
  });
  assertEquals([own.memoryBytes, own.cpus, own.readOnly, own.user, own.runtime], [1024, 1, true, "1000", "runsc"]);
  assertEquals(own.capabilities, { add: ["NET_RAW"], drop: ["KILL", "MKNOD"] });
  const older = await pool({}, true);
  assertEquals([older.memoryBytes, older.cpus, older.capabilities], [undefined, undefined, { add: [], drop: [] }]);
});

Deno.test("a prepared publication is not visible before it is published", async () => {
  const { publisher, retired, splitOf } = newAppScene();
  const [one, two] = [revision("app-00001"), revision("app-00002")];
  publisher.publish(service("app-00001", ALL, ["a.example"]), [one]);
  const publish = await publisher.prepare(service("app-00002", ALL, ["b.example"]), [one, two]);
  assertEquals([splitOf("a.example"), splitOf("b.example"), retired], [{ "app-00001": 100 }, undefined, []]);
  publish();
  assertEquals([splitOf("a.example"), splitOf("b.example"), retired], [undefined, { "app-00002": 100 }, ["app-00001"]]);
});

Deno.test("an old pool is retired only once no request goes there", () => {
  const { on, publisher, retired, splitOf } = newAppScene();
  const revisions = [revision("app-00001"), revision("app-00002")];
  publisher.publish(service("app-00001", ALL), revisions);
  const splits: unknown[] = [];
  on.retire = () => void splits.push(splitOf("app.localhost"));
  publisher.publish(service("app-00002", ALL), revisions);
  publisher.remove("app");
  assertEquals([retired, splits], [["app-00001", "app-00002"], [{ "app-00002": 100 }, undefined]]);
});

Deno.test("a pool stays as long as its revision has a share or a tag", () => {
  const { publisher, retired } = newAppScene();
  const revisions = [revision("app-00001"), revision("app-00002")];
  publisher.publish(service("app-00001", ALL), revisions);
  const pool = publisher.poolOf("app", "app-00001");
  publisher.publish(service("app-00002", [...ALL, { revision: "app-00001", percent: 0, tag: "old" }]), revisions);
  assertStrictEquals(publisher.poolOf("app", "app-00001"), pool);
  assertEquals(retired, []);
  publisher.publish(service("app-00002", ALL), revisions);
  assertEquals(retired, ["app-00001"]);
});

Deno.test("a declared service replaces one that was found by its image", () => {
  const { kit, publisher, retired, services, splitOf } = newAppScene();
  const found = kit.newPool(newRevision("sha256:0123456789abcdef"));
  services.put(conventionService("app", found));
  publisher.publish(service("app-00001", ALL), [revision("app-00001")]);
  assertEquals([splitOf("app.localhost"), retired], [{ "app-00001": 100 }, ["app-0123456789ab"]]);
});

Deno.test("a revision with an unreadable secret, or that is missing, cannot be prepared", async () => {
  const { publisher, retired, splitOf } = newAppScene();
  publisher.publish(service("app-00001", ALL), [revision("app-00001")]);
  const secret = { ...revision("app-00002", { secretEnv: { KEY: "key" } }), secretVersions: { key: 1 } };
  await assertRejects(() => publisher.newPool(secret), Error, "the secret key is gone");
  await assertRejects(() => publisher.prepare(service("app-00002", ALL), [secret]), Error, "the secret key is gone");
  await assertRejects(() => publisher.prepare(service("app-00003", ALL), []), Error, "app has no revision app-00003");
  assertEquals([splitOf("app.localhost"), retired], [{ "app-00001": 100 }, []]);
});

Deno.test("a removed service is unknown and its pools are retired; removing it again does nothing", () => {
  const { publisher, retired, services } = newAppScene();
  const traffic = [{ revision: "app-00001", percent: 50 }, { revision: LATEST, percent: 50, tag: "next" }];
  publisher.publish(service("app-00002", traffic, ["a.example"]), [revision("app-00001"), revision("app-00002")]);
  publisher.remove("app");
  publisher.remove("app");
  assertEquals([services.get("app"), retired], [undefined, ["app-00001", "app-00002"]]);
});

Deno.test("each pool of a service that is published asleep is made once, at its first request", async () => {
  const { publisher, retired, splitOf } = newAppScene();
  const revisions = [revision("app-00001"), revision("app-00002")];
  publisher.publishAsleep(
    service("app-00001", [...ALL, { revision: "app-00002", percent: 0, tag: "next" }]),
    revisions,
  );
  const made = () => publisher.madePools("app").map(({ revision }) => revision.name);
  assertEquals(made(), []);
  assertEquals(splitOf("next--app.localhost"), { "app-00002": 100 });
  assertEquals(made(), ["app-00002"]);
  const next = publisher.poolOf("app", "app-00002");
  (await publisher.prepare(service("app-00002", ALL), revisions))();
  assertEquals([made(), retired], [["app-00002"], []]);
  assertStrictEquals(publisher.poolOf("app", "app-00002"), next);
  assertThrows(() => publisher.publishAsleep(service("app-00003", ALL), revisions), Error, "no revision app-00003");
});

Deno.test("a prepared service has pools only for revisions that need attention before their first request", async () => {
  const { publisher, splitOf } = newAppScene();
  const revisions = [revision("app-00001", { minInstances: 1 }), revision("app-00002")];
  const split = [{ revision: "app-00001", percent: 50 }, { revision: "app-00002", percent: 50 }];
  (await publisher.prepare(service("app-00002", split), revisions))();
  assertEquals(publisher.madePools("app").map(({ revision }) => revision.name), ["app-00001"]);
  assertEquals(splitOf("app.localhost"), { "app-00001": 50, "app-00002": 50 });
  assertEquals(publisher.madePools("app").map(({ revision }) => revision.name), ["app-00001", "app-00002"]);
});

Deno.test("a revision that cannot be read is read again only after a second, however many requests come", async () => {
  const { kit, publisher, services, store } = newAppScene();
  const revisions = [revision("app-00001")];
  publisher.publishAsleep(service("app-00001", ALL), revisions);
  let reads = 0;
  store.revisions = () => {
    reads++;
    throw new Error("the row is damaged");
  };
  const route = () => services.get("app")!.route();
  const refused = () => assertThrows(route, ClessError);
  for (let times = 0; times < 10; times++) assertEquals(refused().detail, "the row is damaged");
  await kit.clock.advance(999);
  refused();
  assertEquals(reads, 1);
  await kit.clock.advance(1);
  refused();
  assertEquals(reads, 2);
  store.revisions = () => revisions;
  refused();
  await kit.clock.advance(1000);
  assertEquals(route().revision.name, "app-00001");
});

Deno.test("the pools that keep instances up are known as long as the service exists", () => {
  const { publisher, services } = newScene();
  publisher.publish(service("app-00001", ALL), [revision("app-00001", { minInstances: 1 })]);
  assertEquals(services.kept(), [publisher.poolOf("app", "app-00001")]);
  publisher.publish(service("app-00002", ALL), [revision("app-00002")]);
  assertEquals(services.kept(), []);
});

Deno.test("a container is taken over by the published revision with its image, unless that has enough instances", async () => {
  const { kit, publisher } = newScene();
  publisher.publish(service("app-00001", ALL), [revision("app-00001")]);
  const { imageId } = publisher.poolOf("app", "app-00001")!.revision;
  const container = { service: "app", revision: "app-00001", imageId };
  assertEquals(publisher.adopt(container), publisher.poolOf("app", "app-00001"));
  for (const other of [{ service: "web" }, { revision: "app-00002" }, { imageId: "sha256:other" }]) {
    assertEquals(publisher.adopt({ ...container, ...other }), undefined);
  }
  (await started(kit, publisher.poolOf("app", "app-00001")!, "http://10.0.0.2:80")).lease.release();
  assertEquals(publisher.adopt(container), undefined);
});
