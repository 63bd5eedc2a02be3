import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Conflict, RevisionFailed } from "../../src/control/deploy_error.ts";
import { InvalidError } from "../../src/control/schema/invalid.ts";
import { StaleError, StoreUnavailable } from "../../src/control/store.ts";
import { sharedVolume } from "../../src/deploy/volumes.ts";
import { LATEST } from "../../src/model/traffic.ts";
import type { Revision } from "../../src/model/revision.ts";
import { Activator } from "../../src/routing/activator.ts";
import { Router } from "../../src/routing/router.ts";
import { settle } from "../support/fake_clock.ts";
import { hostOf, never } from "../support/kit.ts";
import { AT_ONCE, input, newScene, seen, WAITING } from "./deployer_kit.ts";

const ORIGIN = "http://10.0.0.2:8080";
const BY = { by: "ci" };

/** The template fields of a revision with these volumes. */
function using(...sources: string[]) {
  return { volumes: sources.map((source) => ({ source, path: `/in${source.replaceAll("/", "-")}`, readOnly: false })) };
}

/**
 * A scene whose engine starts at once what is not in `broken`, counts what is there at once, and takes note of every
 * moment at which two containers have one volume.
 */
function newVolumes() {
  const scene = newScene({ tryStart: "real" });
  const { kit, services, publisher } = scene;
  const running = new Map<string, Revision>();
  const together: string[] = [];
  const broken = new Set<string>();
  kit.launcher.on.launch = async ({ id, revision }) => {
    for (const [other, { volumes }] of running) {
      if (sharedVolume(revision.volumes, volumes) !== undefined) together.push(`${other} and ${id}`);
    }
    running.set(id, revision);
    await settle();
    if (broken.has(revision.image)) throw new Error("exited with code 3");
    return { origin: ORIGIN };
  };
  const end = async (id: string) => {
    await settle();
    running.delete(id);
  };
  kit.launcher.on.stop = end;
  kit.launcher.on.remove = end;
  scene.on.retire = (pool) => pool.retire(10_000);
  const activator = new Activator(new Router(services, undefined), 100);
  /** Sends a request and returns the name of the revision that served it. */
  const ask = async (label = "app") => {
    const grant = await activator.hold(hostOf(label), activator.find(hostOf(label))?.route(), never());
    const { name } = grant.lease.instance.revision;
    await settle();
    grant.lease.release();
    return name;
  };
  const names = () => [...running.values()].map(({ name }) => name);
  return { ...scene, publisher, running, together, broken, activator, ask, names };
}

Deno.test("a volume goes from the old revision to the new one, and requests wait meanwhile", async () => {
  const { deployer, activator, ask, names, together } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  assertEquals(await ask(), "app-00001");
  const open = await activator.hold(hostOf("app"), undefined, never());
  const deployed = deployer.deploy("app", input("two", using("data")), WAITING);
  await settle();
  const waiting = [ask(), ask()];
  await settle();
  assertEquals(names(), ["app-00001"]);
  open.lease.release();
  assertEquals((await deployed).revision.name, "app-00002");
  assertEquals(await Promise.all(waiting), ["app-00002", "app-00002"]);
  assertEquals([names(), together], [["app-00002"], []]);
});

Deno.test("a handover waits for requests in flight no longer than the drain timeout", async () => {
  const { deployer, kit, activator, names } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  await activator.hold(hostOf("app"), undefined, never());
  const deployed = deployer.deploy("app", input("two", using("data")), WAITING);
  await kit.clock.advance(9_999);
  assertEquals(names(), ["app-00001"]);
  await kit.clock.advance(1);
  await deployed;
  assertEquals(names(), ["app-00002"]);
});

Deno.test("if the new revision fails, the old one starts again and serves the held requests", async () => {
  const scene = newVolumes();
  const { deployer, ask, broken, names, together, store } = scene;
  await deployer.deploy("app", input("one", using("data")), WAITING);
  const before = seen(scene, "app");
  broken.add("two");
  const failing = deployer.deploy("app", input("two", using("data")), WAITING);
  failing.catch(() => {});
  await settle();
  const waiting = [ask(), ask()];
  assertEquals((await assertRejects(() => failing, RevisionFailed)).reason, "exited with code 3");
  assertEquals(await Promise.all(waiting), ["app-00001", "app-00001"]);
  assertEquals(seen(scene, "app"), before);
  store.failure = new StoreUnavailable("the disk is full");
  const unkept = deployer.deploy("app", input("three", using("data")), WAITING);
  unkept.catch(() => {});
  await settle();
  const others = [ask(), ask()];
  await assertRejects(() => unkept, StoreUnavailable);
  assertEquals(await Promise.all(others), ["app-00001", "app-00001"]);
  assertEquals([seen(scene, "app"), names(), together], [before, ["app-00001"], []]);
});

Deno.test("after a failed handover an instance that was up starts again without a request", async () => {
  const { deployer, broken, names } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  broken.add("two");
  await assertRejects(() => deployer.deploy("app", input("two", using("data")), WAITING), RevisionFailed);
  while (names()[0] !== "app-00001") await settle();
});

Deno.test("a handover that is called off gives the volume back", async () => {
  const { deployer, kit, ask, names, together } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  const { launch } = kit.launcher.on;
  const hanging = Promise.withResolvers<{ origin: string }>();
  kit.launcher.on.launch = (launched) => launched.revision.image === "two" ? hanging.promise : launch!(launched);
  const given = new AbortController();
  const failing = deployer.deploy("app", input("two", using("data")), { ...WAITING, signal: given.signal });
  failing.catch(() => {});
  while (!kit.launcher.called("launch").includes("two")) await settle();
  const waiting = ask();
  given.abort(new Error("given up"));
  await assertRejects(() => failing, Error, "given up");
  await settle();
  assertEquals(names(), []); // the engine has not said yet that the other one is not there
  await kit.clock.advance(10_000);
  hanging.resolve({ origin: ORIGIN });
  assertEquals(await waiting, "app-00001");
  assertEquals(together, []);
});

Deno.test("a change that is called off while the old revision drains is not committed, even without a trial", async () => {
  const scene = newVolumes();
  const { deployer, activator, ask, kit, names } = scene;
  await deployer.deploy("app", input("one", using("data")), WAITING);
  const before = seen(scene, "app");
  const open = await activator.hold(hostOf("app"), undefined, never());
  const given = new AbortController();
  const failing = deployer.deploy("app", input("two", using("data")), { ...AT_ONCE, signal: given.signal });
  failing.catch(() => {});
  await settle();
  given.abort(new Error("given up"));
  open.lease.release();
  await kit.clock.advance(10_000);
  await assertRejects(() => failing, Error, "given up");
  assertEquals([seen(scene, "app"), await ask(), names()], [before, "app-00001", ["app-00001"]]);
});

Deno.test("a delete calls off a handover, and waits for no start", async () => {
  const { declared, deployer, kit, names, together } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  const { launch } = kit.launcher.on;
  const hanging = Promise.withResolvers<{ origin: string }>();
  kit.launcher.on.launch = (launched) => launched.revision.image === "two" ? hanging.promise : launch!(launched);
  const failing = deployer.deploy("app", input("two", using("data")), WAITING);
  failing.catch(() => {});
  while (!kit.launcher.called("launch").includes("two")) await settle();
  await assertRejects(() => deployer.delete("app", { ...BY, ifMatch: 7 }), StaleError);
  const deleted = deployer.delete("app", BY);
  await assertRejects(() => failing, Conflict, "somebody deletes the service app");
  hanging.resolve({ origin: ORIGIN });
  await deleted;
  assertEquals([[...declared.after("")], names(), together], [[], [], []]);
});

Deno.test("a rollback and a change of traffic hand over a volume too, and give it back if they fail", async () => {
  const { deployer, ask, broken, names, together, splitOf } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  await deployer.deploy("app", input("two", using("data")), WAITING);
  await deployer.rollback("app", BY);
  assertEquals([await ask(), names()], ["app-00001", ["app-00001"]]);
  broken.add("two");
  const failing = deployer.setTraffic("app", [{ revision: LATEST, percent: 100 }], BY);
  failing.catch(() => {});
  await settle();
  const waiting = ask();
  await assertRejects(() => failing, RevisionFailed);
  assertEquals([await waiting, splitOf("app.localhost")], ["app-00001", { "app-00001": 100 }]);
  broken.clear();
  await deployer.setTraffic("app", [{ revision: LATEST, percent: 100 }], BY);
  assertEquals([await ask(), names(), together], ["app-00002", ["app-00002"], []]);
});

Deno.test("a latest revision that gets its traffic back by a deploy gets its volume back too, or nothing changes", async () => {
  const { deployer, ask, broken, names, together } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  await deployer.deploy("app", input("two", using("data")), WAITING);
  await deployer.rollback("app", BY);
  const again = input("two", { ...using("data"), targets: [{ revision: LATEST, percent: 100 }] });
  broken.add("two");
  await assertRejects(() => deployer.deploy("app", again, WAITING), RevisionFailed);
  assertEquals(await ask(), "app-00001");
  broken.clear();
  assertEquals((await deployer.deploy("app", again, WAITING)).hasNewRevision, false);
  assertEquals([names(), await ask(), together], [["app-00002"], "app-00002", []]);
});

Deno.test("without a trial, too, the old revision stops before requests go to the new one", async () => {
  const { deployer, ask, names, together } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  await deployer.deploy("app", input("two", using("data")), AT_ONCE);
  assertEquals(names(), []);
  assertEquals([await ask(), names(), together], ["app-00002", ["app-00002"], []]);
});

Deno.test("a revision that gets traffic and takes its volume from no other is not tried first", async () => {
  const { deployer, kit, broken, splitOf } = newVolumes();
  await deployer.deploy("app", input("one"), WAITING);
  await deployer.deploy("app", input("two", { ...using("data"), traffic: 0 }), AT_ONCE);
  broken.add("two");
  const launches = kit.launcher.called("launch").length;
  await deployer.setTraffic("app", [{ revision: LATEST, percent: 100 }], BY);
  assertEquals(splitOf("app.localhost"), { "app-00002": 100 });
  assertEquals(kit.launcher.called("launch").length, launches);
});

Deno.test("no two revisions of a service with one volume can be reached", async () => {
  const scene = newVolumes();
  const { deployer } = scene;
  await deployer.deploy("app", input("one", using("/srv/data")), AT_ONCE);
  const before = seen(scene, "app");
  const refused = async (wish: Parameters<typeof input>[1], options = AT_ONCE) => {
    const asked = input("two", { ...using("other", "/srv/data/a"), ...wish });
    const { message } = await assertRejects(() => deployer.deploy("app", asked, options), Conflict);
    assert(message.includes("app-00001 and app-0000") && message.includes("/srv/data"), message);
    if (!options.wait) await assertRejects(() => deployer.plan("app", asked, BY), Conflict);
    assertEquals(seen(scene, "app"), before);
  };
  await refused({ traffic: 10 });
  await refused({ traffic: 0, tag: "next" });
  await refused({ targets: [{ revision: "app-00001", percent: 50 }, { revision: LATEST, percent: 50 }] });
  await refused({ traffic: 0 }, WAITING);
  // Without traffic and without a trial it gets no instance.
  await deployer.deploy("app", input("two", { ...using("/srv/data"), traffic: 0 }), AT_ONCE);
  const split = [{ revision: "app-00001", percent: 50 }, { revision: LATEST, percent: 50 }];
  await assertRejects(() => deployer.setTraffic("app", split, BY), Conflict);
  await deployer.setTraffic("app", [{ revision: "app-00001", percent: 100, tag: "old" }], BY);
  await assertRejects(() => deployer.deploy("app", input("three", using("/srv")), WAITING), Conflict, "tags away");
});

Deno.test("a volume belongs to one service at a time", async () => {
  const scene = newVolumes();
  const { deployer, ask, names, together } = scene;
  await deployer.deploy("app", input("one", using("data", "/srv/data")), WAITING);
  for (const source of ["data", "/srv/data/a", "/srv"]) {
    const asked = () => deployer.deploy("web", input("two", using(source)), WAITING);
    const { message } = await assertRejects(asked, Conflict);
    assert(message.startsWith("web-00001 and app-00001 would both have the volume"), message);
  }
  await deployer.deploy("web", input("two", using("data2")), WAITING);
  await deployer.delete("app", BY);
  await deployer.deploy("web", input("three", using("data", "data2")), WAITING);
  assertEquals([await ask("web"), names(), together], ["web-00002", ["web-00002"], []]);
});

Deno.test("of two services that want one volume at once, one gets it", async () => {
  const { deployer, together, names } = newVolumes();
  const results = await Promise.allSettled(
    ["app", "web"].map((name) => deployer.deploy(name, input(name, using("data")), WAITING)),
  );
  const reasons = results.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
  assertEquals(reasons.length, 1);
  assert(reasons[0] instanceof Conflict, String(reasons[0]));
  assertEquals([names().length, together], [1, []]);
});

Deno.test("a handover waits for a volume of a revision that still drains", async () => {
  const { deployer, activator, kit, names, together } = newVolumes();
  await deployer.deploy("app", input("one", using("data")), WAITING);
  const open = await activator.hold(hostOf("app"), undefined, never());
  await deployer.deploy("app", input("two"), WAITING);
  assertEquals(names(), ["app-00001", "app-00002"]);
  // Its own start may take a second, but the volume takes longer.
  const taken = deployer.deploy("web", input("three", { ...using("data"), startTimeout: 1000 }), WAITING);
  await settle();
  await assertRejects(() => deployer.rollback("app", BY), Conflict, "app-00001 and web-00001");
  await kit.clock.advance(5000);
  assertEquals(names(), ["app-00001", "app-00002"]);
  open.lease.release();
  await taken;
  assertEquals([names().sort(), together], [["app-00002", "web-00001"], []]);
});

Deno.test("a host folder that may not be used is refused with its field, before the image is looked for", async () => {
  const scene = newVolumes();
  const asked = input("one", using("data", "/etc"));
  for (const options of [AT_ONCE, WAITING]) {
    const error = await assertRejects(() => scene.deployer.deploy("app", asked, options), InvalidError);
    assertEquals(error.message, "volumes.1.source: is not in one of the folders of --allow-host-path");
  }
  assertEquals([...scene.declared.after("")], []);
});

Deno.test("a deploy warns in the log and by an event if a service of another data-dir uses one of its named volumes", async () => {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void records.push(record) },
    loggers: [{ category: [], lowestLevel: "warning", sinks: ["all"] }],
  });
  try {
    const asked: string[] = [];
    const othersWithVolume = (volume: string) => {
      asked.push(volume);
      return Promise.resolve(volume === "data" ? ["shop of 0badcafe"] : []);
    };
    const { deployer, events } = newScene({ volumeUsers: { othersWithVolume } });
    await deployer.deploy("app", input("one", using("own", "data", "/srv/data/a")), AT_ONCE);
    await settle();
    assertEquals(asked, ["data", "own"]);
    assertEquals(records.map(({ rawMessage, properties }) => [rawMessage, properties]), [
      ["another cless uses the same volume", { service: "app", volume: "data", others: "shop of 0badcafe" }],
    ]);
    const warning = "another cless uses the volume data too, at the same time: shop of 0badcafe";
    assertEquals(events.filter(([type]) => type === "revision.warning"), [
      ["revision.warning", "app", { revision: "app-00001", warning }],
    ]);
  } finally {
    resetSync();
  }
});
