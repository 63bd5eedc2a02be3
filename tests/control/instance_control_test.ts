import { assertEquals, assertRejects } from "@std/assert";
import { NotFound, RevisionFailed } from "../../src/control/deploy_error.ts";
import { InstanceControl } from "../../src/control/instance_control.ts";
import { LATEST } from "../../src/model/traffic.ts";
import { Router } from "../../src/routing/router.ts";
import { settle } from "../support/fake_clock.ts";
import { hostOf, never, newFront, newKit } from "../support/kit.ts";
import { AT_ONCE, input, newScene } from "../deploy/deployer_kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** A service with two revisions, of which the first has most of the requests. */
async function newControl() {
  const scene = newScene({ tryStart: "real" });
  const { deployer, services, kit } = scene;
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("two", { traffic: 30, tag: "next" }), AT_ONCE);
  return {
    ...scene,
    ...kit,
    control: new InstanceControl(new Router(services, undefined), services, 10_000),
  };
}

Deno.test("waking a service starts an instance of the revision with the largest share", async () => {
  const { control, launcher, deployer } = await newControl();
  const woken = control.wake("app", never(), "ci");
  const launch = await launcher.nextLaunch();
  assertEquals(launch.revision.name, "app-00001");
  launch.succeed(ORIGIN);
  await woken;
  await control.wake("app", never(), "ci");
  assertEquals(launcher.called("launch").length, 1);
  await deployer.setTraffic("app", [{ revision: LATEST, percent: 51 }, { revision: "app-00001", percent: 49 }], {
    by: "ci",
  });
  const other = control.wake("app", never(), "ci");
  const second = await launcher.nextLaunch();
  assertEquals(second.revision.name, "app-00002");
  second.succeed(ORIGIN);
  await other;
});

Deno.test("a paused instance is resumed", async () => {
  const { control, launcher } = await newControl();
  const woken = control.wake("app", never(), "ci");
  (await launcher.nextLaunch()).succeed(ORIGIN);
  await woken;
  launcher.pause("one");
  await control.wake("app", never(), "ci");
  assertEquals(launcher.called("resume"), ["one"]);
});

Deno.test("waking a service whose instances are all busy starts nothing", async () => {
  const { control, deployer, launcher, services } = await newControl();
  await deployer.deploy("app", input("three", { concurrency: 1, traffic: 100 }), AT_ONCE);
  const woken = control.wake("app", never(), "ci");
  (await launcher.nextLaunch()).succeed(ORIGIN);
  await woken;
  services.get("app")!.route().claim();
  await control.wake("app", never(), "ci");
});

Deno.test("a failed start is reported with its reason, and a start goes on if nobody waits for it any more", async () => {
  const { control, launcher } = await newControl();
  const failing = control.wake("app", never(), "ci");
  (await launcher.nextLaunch()).fail(new Error("no space left on device"));
  const error = await assertRejects(() => failing, RevisionFailed);
  assertEquals(error.message, "the revision app-00001 did not become ready: no space left on device");
  assertEquals(error.reason, "no space left on device");
  const given = new AbortController();
  const left = control.wake("app", given.signal, "ci");
  const launch = await launcher.nextLaunch();
  given.abort(new Error("given up"));
  await assertRejects(() => left, Error, "given up");
  launch.succeed(ORIGIN);
  await control.wake("app", never(), "ci");
  assertEquals(launcher.called("launch").length, 2);
});

Deno.test("a sleeping service has no instance, and the next request wakes it", async () => {
  const { control, launcher, publisher } = await newControl();
  for (const revision of ["app-00001", "app-00002"]) {
    const started = publisher.poolOf("app", revision)!.tryStart(never());
    (await launcher.nextLaunch()).succeed(ORIGIN);
    await started;
  }
  await control.sleep("app");
  assertEquals([launcher.called("stop"), launcher.containers.size], [["one", "two"], 0]);
  const woken = control.wake("app", never(), "ci");
  (await launcher.nextLaunch()).succeed(ORIGIN);
  await woken;
  await control.sleep("app");
  await control.sleep("app");
  assertEquals(launcher.containers.size, 0);
});

Deno.test("a service that nobody has declared wakes and sleeps as well", async () => {
  const kit = newKit();
  const { activator, images, router, services } = newFront(kit);
  const control = new InstanceControl(router, services, 10_000);
  images.build("app-docker", "sha256:0123456789abcdef");
  const woken = control.wake("app", never(), "ci");
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  await woken;
  const { lease } = await activator.hold(hostOf("app"), undefined, never());
  const slept = control.sleep("app");
  await settle();
  assertEquals(kit.launcher.called("stop"), []);
  lease.release();
  await slept;
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("a service that does not exist is not found", async () => {
  const { control } = await newControl();
  await assertRejects(() => control.wake("none", never(), "ci"), NotFound, "there is no service none");
  await assertRejects(() => control.sleep("none"), NotFound, "there is no service none");
});
