import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { Activator } from "../../src/routing/activator.ts";
import type { Grant } from "../../src/pool/pool.ts";
import type { Router } from "../../src/routing/router.ts";
import { Service } from "../../src/routing/service.ts";
import { settle } from "../support/fake_clock.ts";
import { hostOf, type Kit, never, newFront, newKit, newRevision } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";
const APP = hostOf("app");

/** Sends a request to the service, and starts its instance. */
async function woken(kit: Kit, activator: Activator): Promise<Grant> {
  const held = activator.hold(APP, undefined, never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  return await held;
}

Deno.test("a hostname without an image is unknown and starts nothing", async () => {
  const kit = newKit();
  const { activator, services } = newFront(kit);
  const error = await assertRejects(() => activator.hold(hostOf("nosuch"), undefined, never()), ClessError);
  assertEquals(error.code, "unknown_host");
  assertEquals([kit.launcher.calls.length, services.found().length], [0, 0]);
});

Deno.test("a label that cannot be a service's name is unknown, whatever images there are", async () => {
  const { activator, images } = newFront(newKit());
  for (const label of ["admin", "1st", "a--b", "a".repeat(41)]) {
    images.build(`${label}-docker`, "sha256:aaa");
    const error = await assertRejects(() => activator.hold(hostOf(label), undefined, never()), ClessError);
    assertEquals(error.code, "unknown_host");
  }
});

Deno.test("a hostname with an image becomes a service when it is first asked for", async () => {
  const kit = newKit();
  const { activator, images, services } = newFront(kit);
  images.build("app-docker", "sha256:aaaaaaaaaaaaaaaa");
  assertEquals(services.found(), []);
  const { lease, how } = await woken(kit, activator);
  assertEquals([lease.instance.revision.name, how], ["app-aaaaaaaaaaaa", "cold"]);
  assertEquals(services.found().map(({ name }) => name), ["app"]);
  assertEquals(activator.find(APP)?.route()?.claim()?.instance, lease.instance);
});

Deno.test("simultaneous requests for a label that is not known yet make one service and one start", async () => {
  const kit = newKit();
  const { activator, images, services } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  const held = Array.from({ length: 50 }, () => activator.hold(APP, undefined, never()));
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await Promise.all(held);
  assertEquals([services.found().length, kit.launcher.called("launch").length], [1, 1]);
});

Deno.test("a cold request waits until the list of images is up to date", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  const listed = Promise.withResolvers<void>();
  images.settling = listed.promise;
  const held = activator.hold(APP, undefined, never());
  await settle();
  images.build("app-docker", "sha256:bbb");
  listed.resolve();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.revision.imageId, "sha256:bbb");
});

Deno.test("a request orders the resume of a sleeping instance at once, without waiting for the list of images", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  (await woken(kit, activator)).lease.release();
  kit.launcher.pause("one");
  images.settling = new Promise(() => {}); // the engine does not answer
  const held = activator.hold(APP, activator.find(APP)?.route(), never());
  assertEquals(kit.launcher.called("resume"), ["one"]); // in the same turn: neither a promise nor a timer came between
  assertEquals((await held).how, "resume");
});

Deno.test("after a rebuild the old container answers until the new one is ready, then it drains", async () => {
  const kit = newKit();
  const { activator, images, retired } = newFront(kit);
  images.build("app-docker", "sha256:old");
  const old = (await woken(kit, activator)).lease;
  old.release();
  await kit.clock.advance(1000);

  images.build("app-docker", "sha256:new");
  assertEquals(kit.launcher.called("launch").length, 1); // nobody has asked yet
  const meanwhile = activator.find(APP)?.route()?.claim()!;
  assertEquals(meanwhile.instance, old.instance);
  const launch = await kit.launcher.nextLaunch();
  assertEquals(launch.revision.imageId, "sha256:new");
  assertEquals(activator.find(APP)?.route()?.claim()?.instance, old.instance);
  launch.succeed("http://10.0.0.3:8080");
  await settle();

  assertEquals(activator.find(APP)?.route()?.claim()?.instance.revision.imageId, "sha256:new");
  assertEquals([old.instance.state, kit.launcher.called("stop").length], ["draining", 0]);
  await kit.clock.advance(10_000); // what is in flight has that long
  await Promise.all(retired);
  assertEquals(kit.launcher.called("stop"), [old.instance.id]);
});

Deno.test("a rebuilt image that does not start leaves the old container serving, and is not tried at every request", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:old");
  await woken(kit, activator);
  images.build("app-docker", "sha256:broken");
  activator.find(APP)?.route()?.claim();
  (await kit.launcher.nextLaunch()).fail(new Error("no"));
  await settle();
  for (let i = 0; i < 100; i++) {
    assertEquals(activator.find(APP)?.route()?.claim()?.instance.revision.imageId, "sha256:old");
  }
  assertEquals(kit.launcher.called("launch").length, 2);
  await kit.clock.advance(1000);
  activator.find(APP)?.route()?.claim();
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.3:8080");
  await settle();
  assertEquals(activator.find(APP)?.route()?.claim()?.instance.revision.imageId, "sha256:broken");
});

Deno.test("the next request of a sleeping service starts its rebuilt image", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:old");
  (await woken(kit, activator)).lease.release();
  kit.launcher.end("one");
  images.build("app-docker", "sha256:new");
  const again = activator.hold(APP, undefined, never());
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await again).lease.instance.revision.imageId, "sha256:new");
});

Deno.test("requests held for an image that vanished during its start go to the image that has replaced it", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:old");
  const held = activator.hold(APP, undefined, never());
  const launch = await kit.launcher.nextLaunch();
  images.build("app-docker", "sha256:new");
  launch.fail(new Error("No such image: sha256:old"));
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.revision.imageId, "sha256:new");
});

/** Publishes a service whose requests go to two revisions in turn. */
function splitService(kit: Kit, services: ReturnType<typeof newFront>["services"]) {
  const pools = ["one", "two", "three"].map((imageId) => kit.newPool(newRevision(imageId)));
  let draws = 0;
  const random = () => draws++ % 2 === 0 ? 0 : 0.99;
  const publish = (...at: number[]) => {
    const shares = at.map((n) => ({ pool: pools[n]!, percent: 100 / at.length }));
    services.put(new Service("app", { domains: [], shares, random }));
  };
  publish(0, 1);
  return { pools, publish };
}

Deno.test("a failed start of one of two revisions is reported, and the request does not go to the other one", async () => {
  const kit = newKit();
  const { activator, services } = newFront(kit);
  splitService(kit, services);
  for (let times = 0; times < 2; times++) {
    const chosen = activator.find(APP)!.route();
    const refused = assertRejects(() => activator.hold(APP, chosen, never()), ClessError);
    const launch = await kit.launcher.nextLaunch();
    assertEquals(launch.revision, chosen.revision);
    launch.fail(new Error("no"));
    assertEquals((await refused).code, "start_failed");
  }
  assertEquals(kit.launcher.called("launch").length, 2);
});

Deno.test("requests held for a revision that has lost its share go to one that has a share, which is drawn once", async () => {
  for (const [left, expected] of [[[1], "two"], [[1, 2], "three"]] as const) {
    const kit = newKit();
    const { activator, services } = newFront(kit);
    const { publish } = splitService(kit, services);
    const held = activator.hold(APP, activator.find(APP)?.route(), never());
    const launch = await kit.launcher.nextLaunch();
    publish(...left);
    launch.fail(new Error("no"));
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    assertEquals((await held).lease.instance.revision.imageId, expected);
  }
});

Deno.test("moving a name back to the old image keeps the old container, and the start of the new one is dropped", async () => {
  const kit = newKit();
  const { activator, images, retired } = newFront(kit);
  images.build("app-docker", "sha256:old");
  await woken(kit, activator);
  images.build("app-docker", "sha256:new");
  activator.find(APP)?.route()?.claim();
  const launch = await kit.launcher.nextLaunch();
  images.build("app-docker", "sha256:old");
  launch.succeed("http://10.0.0.3:8080");
  await settle();
  await Promise.all(retired);
  assertEquals(activator.find(APP)?.route()?.claim()?.instance.id, "one");
  assertEquals([...kit.launcher.containers.keys()], ["one"]);
});

Deno.test("a rebuilt image that has taken over during its start does not hide one that was built after it", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:old");
  (await woken(kit, activator)).lease.release();
  images.build("app-docker", "sha256:new");
  const start = await kit.launcher.nextLaunch();
  kit.launcher.kill("one");
  assertEquals(activator.find(APP)?.route()?.revision.imageId, "sha256:new");
  images.build("app-docker", "sha256:newer");
  start.succeed(ORIGIN);
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await settle();
  assertEquals(activator.find(APP)?.route()?.revision.imageId, "sha256:newer");
});

Deno.test("a removed image ends its service", async () => {
  const kit = newKit();
  const { activator, images, retired, services } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  (await woken(kit, activator)).lease.release();
  images.remove("app-docker");
  assertEquals([activator.find(APP)?.route()?.claim(), services.found().length], [undefined, 0]);
  await Promise.all(retired);
  assertEquals(kit.launcher.containers.size, 0);
});

Deno.test("a request that gives up while the images are listed starts nothing", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  const listed = Promise.withResolvers<void>();
  images.settling = listed.promise;
  const client = new AbortController();
  const held = activator.hold(APP, undefined, client.signal);
  client.abort(new Error("gone"));
  listed.resolve();
  await assertRejects(() => held, Error, "gone");
  assertEquals(kit.launcher.called("launch"), []);
});

Deno.test("while the program ends, new requests are refused and waiting requests are still served", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  const held = activator.hold(APP, undefined, never());
  const launch = await kit.launcher.nextLaunch();
  activator.drain();
  assertEquals((await assertRejects(() => activator.hold(APP, undefined, never()), ClessError)).code, "draining");
  launch.succeed(ORIGIN);
  assertEquals((await held).lease.instance.id, "one");
  assertEquals(activator.find(APP)?.route()?.claim(), undefined);
});

Deno.test("waiting requests are known even if their pool has no instance", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:aaa");
  await activator.hold(APP, undefined, AbortSignal.abort()).catch(() => {});
  const pool = activator.find(APP)!.route();
  pool.suspend(0);
  const refused = assertRejects(() => activator.hold(APP, pool, never()), ClessError);
  await settle();
  assertEquals([activator.holding(), kit.fleet.pools()], [new Set([pool]), new Set()]);
  pool.refuse(new ClessError("draining", "enough"));
  await refused;
  assertEquals(activator.holding(), new Set());
});

Deno.test("a container is adopted only if it runs the current image, and only one of them", () => {
  const kit = newKit();
  const { convention, images } = newFront(kit);
  images.build("app-docker", "sha256:new");
  assertEquals(convention.adopt("app", "sha256:old"), undefined);
  assertEquals(convention.adopt("other", "sha256:new"), undefined);
  assertEquals(convention.adopt("ADMIN", "sha256:new"), undefined);
  const pool = convention.adopt("app", "sha256:new")!;
  pool.adopt({ id: "x", service: "app", revision: "r", imageId: "sha256:new", state: "paused", origin: ORIGIN });
  assertEquals(convention.adopt("app", "sha256:new"), undefined);
});

Deno.test("a container of a rebuilt image is adopted by the new revision, and the old one is not served any more", async () => {
  const kit = newKit();
  const { activator, convention, images } = newFront(kit);
  images.build("app-docker", "sha256:old");
  (await woken(kit, activator)).lease.release();
  await kit.clock.advance(1000);
  images.build("app-docker", "sha256:new");
  const pool = convention.adopt("app", "sha256:new")!;
  assertEquals(pool.revision.imageId, "sha256:new");
  pool.adopt({ id: "x", service: "app", revision: "r", imageId: "sha256:new", state: "paused", origin: ORIGIN });
  activator.find(APP)?.route()?.claim();
  await settle();
  assertEquals(kit.launcher.called("resume"), ["x"]);
  assertEquals(activator.find(APP)?.route()?.claim()?.instance.id, "x");
});

Deno.test("a hanging list of images holds requests no longer than they want to wait, and only a limited number", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.settling = new Promise(() => {});
  const client = new AbortController();
  const held = Array.from(
    { length: 100 },
    () => assertRejects(() => activator.hold(APP, undefined, client.signal), Error, "gone"),
  );
  assertEquals((await assertRejects(() => activator.hold(APP, undefined, never()), ClessError)).code, "overloaded");
  client.abort(new Error("gone"));
  await Promise.all(held);
});

Deno.test("requests for unknown hostnames take no room from others, however many there have been", async () => {
  const { activator } = newFront(newKit());
  for (let n = 0; n < 200; n++) {
    const error = await assertRejects(() => activator.hold(hostOf("nosuch"), undefined, never()), ClessError);
    assertEquals(error.code, "unknown_host");
  }
});

Deno.test("a request right before the news of a rebuilt image starts the new revision", async () => {
  const kit = newKit();
  const { activator, images } = newFront(kit);
  images.build("app-docker", "sha256:old");
  (await woken(kit, activator)).lease.release();
  await kit.clock.advance(900);
  images.build("app-docker", "sha256:new");
  assertEquals((await kit.launcher.nextLaunch()).revision.imageId, "sha256:new");
});

/** An activator whose service gets another revision with each start, all of which fail. */
function restless(kit: Kit) {
  const route = { name: "app", convention: false, pools: () => [], route: () => pool };
  let pool = kit.newPool();
  const router = { route: () => route, find: () => route, resolve: () => Promise.resolve(route) };
  const activator = new Activator(router as unknown as Router, 10);
  let starts = 0;
  const replace = () => {
    pool = kit.newPool(newRevision(`sha256:${++starts}`));
  };
  return { activator, replace, starts: () => starts, current: () => pool };
}

Deno.test("a request moves to a newer revision at most three times, and then gets the error of the last start", async () => {
  const kit = newKit();
  const { activator, replace, starts } = restless(kit);
  kit.launcher.on.launch = () => {
    replace();
    throw new Error(`start ${starts()}`);
  };
  const { code, detail } = await assertRejects(() => activator.hold(APP, undefined, never()), ClessError);
  assertEquals([code, detail, starts(), activator.holding().size], ["start_failed", "start 4", 4, 0]);
});

Deno.test("a waiting request moves on however often its revision is replaced", async () => {
  const kit = newKit();
  const { activator, current, replace } = restless(kit);
  const held = activator.hold(APP, undefined, never());
  for (let times = 0; times < 6; times++) {
    const launch = await kit.launcher.nextLaunch();
    const old = current();
    replace();
    const retired = old.retire(0);
    await kit.clock.advance(0);
    launch.fail(new Error("cancelled"));
    await retired;
  }
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await held).lease.instance.revision.imageId, "sha256:6");
});

Deno.test("a request whose start fails moves nowhere once the program ends, or its client has gone", async () => {
  for (const ends of ["the program", "the client"] as const) {
    const kit = newKit();
    const { activator, replace, starts } = restless(kit);
    const client = new AbortController();
    const held = assertRejects(() => activator.hold(APP, undefined, client.signal), Error);
    const launch = await kit.launcher.nextLaunch();
    replace();
    if (ends === "the program") activator.drain();
    else client.abort(new Error("gone"));
    launch.fail(new Error("no"));
    const error = await held;
    assertEquals(
      error instanceof ClessError ? error.code : error.message,
      ends === "the program" ? "start_failed" : "gone",
    );
    await settle();
    assertEquals([starts(), kit.launcher.called("launch").length, activator.holding().size], [1, 1, 0]);
  }
});
