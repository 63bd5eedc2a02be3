import { assert, assertEquals } from "@std/assert";
import { Activator } from "../../src/routing/activator.ts";
import { Convention } from "../../src/routing/convention.ts";
import { Router } from "../../src/routing/router.ts";
import { settle } from "../support/fake_clock.ts";
import { FakeImages } from "../support/fake_images.ts";
import { hostOf, never, NEW_DEFAULTS } from "../support/kit.ts";
import { AT_ONCE, input, newScene, WAITING } from "./deployer_kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** A service that was found by its image, before a deployer. */
function newFound() {
  const scene = newScene({ tryStart: "real" });
  const { declared, kit, services } = scene;
  const images = new FakeImages();
  scene.on.retire = (pool) => pool.retire(10_000);
  const convention = new Convention({
    images,
    services,
    limits: {
      startTimeoutMs: 30_000,
      requestTimeoutMs: 10_000,
      clientTimeoutMs: 60_000,
      pauseAfterMs: Infinity,
      hibernateAfterMs: Infinity,
      stopAfterMs: 60_000,
      stopHibernatedAfterMs: 60_000,
    },
    defaults: NEW_DEFAULTS,
    older: new Set<string>(),
    pools: kit,
    declared,
  });
  images.build("app-docker", "sha256:0123456789abcdef");
  const activator = new Activator(new Router(services, convention), 100);
  const ask = () => activator.hold(hostOf("app"), activator.find(hostOf("app"))?.route(), never());
  return { ...scene, images, ask };
}

Deno.test("deploying a service that was found by its image makes it a declared one, and requests in flight finish", async () => {
  const { deployer, kit, ask } = newFound();
  const first = ask();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  const { lease } = await first;
  const deployed = deployer.deploy("app", input("one"), WAITING);
  const launch = await kit.launcher.nextLaunch();
  const during = await ask();
  assertEquals(during.lease.instance.revision.name, "app-0123456789ab");
  launch.succeed(ORIGIN);
  await deployed;
  assertEquals((await ask()).lease.instance.revision.name, "app-00001");
  assertEquals(kit.launcher.called("stop"), []);
  lease.release();
  during.lease.release();
  await settle();
  assertEquals(kit.launcher.called("stop"), ["one"]);
});

Deno.test("requests held for a service that was found are served by whichever of the two revisions starts", async () => {
  for (const works of [true, false]) {
    const { deployer, kit, ask } = newFound();
    const held = ask();
    const old = await kit.launcher.nextLaunch();
    await deployer.deploy("app", input("one"), AT_ONCE);
    const late = ask();
    (await kit.launcher.nextLaunch()).succeed(ORIGIN);
    assertEquals((await late).lease.instance.revision.name, "app-00001");
    if (works) old.succeed(ORIGIN);
    else old.fail(new Error("exited with code 3"));
    assertEquals((await held).lease.instance.revision.name, works ? "app-0123456789ab" : "app-00001");
  }
});

Deno.test("a declared service does not follow the image of its name, and after its delete the image is found again", async () => {
  const { deployer, images, kit, services, ask } = newFound();
  const first = ask();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  (await first).lease.release();
  const found = services.get("app");
  await deployer.deploy("app", input("one"), AT_ONCE);
  images.build("app-docker", "sha256:fedcba9876543210");
  const real = ask();
  const launch = await kit.launcher.nextLaunch();
  assertEquals(launch.revision.name, "app-00001");
  launch.succeed(ORIGIN);
  (await real).lease.release();
  await deployer.delete("app", { by: "ci" });
  const again = ask();
  (await kit.launcher.nextLaunch()).succeed(ORIGIN);
  assertEquals((await again).lease.instance.revision.name, "app-fedcba987654");
  assert(services.get("app") !== found);
});
