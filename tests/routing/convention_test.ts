import { assertEquals } from "@std/assert";
import { Convention } from "../../src/routing/convention.ts";
import { Service } from "../../src/routing/service.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { FakeImages } from "../support/fake_images.ts";
import { settle } from "../support/fake_clock.ts";
import { never, NEW_DEFAULTS, newFront, newKit } from "../support/kit.ts";

Deno.test("an image from before has no defaults of containers, until it is rebuilt", async () => {
  const kit = newKit();
  const images = new FakeImages();
  const services = new ServiceMap({ retire: () => {} });
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
    older: new Set(["sha256:0123456789abcdef"]),
    pools: kit,
    declared: new Set<string>(),
  });
  const revision = async (name: string) => (await convention.find(name))!.pools().at(-1)!.revision;
  images.build("app-docker", "sha256:0123456789abcdef");
  images.build("new-docker", "sha256:abcdef0123456789");
  const app = await revision("app");
  assertEquals([app.memoryBytes, app.cpus, app.capabilities.drop], [undefined, undefined, []]);
  const { cpus, dropped, memoryBytes } = NEW_DEFAULTS;
  for (const name of ["new", "app"]) {
    const made = await revision(name);
    assertEquals([made.memoryBytes, made.cpus, made.capabilities.drop], [memoryBytes, cpus, dropped]);
    images.build("app-docker", "sha256:fedcba9876543210");
  }
});

Deno.test("the name of a declared service is left alone, even if the service cannot be served", async () => {
  const kit = newKit();
  const images = new FakeImages();
  const services = new ServiceMap({ retire: () => {} });
  const declared = new Set(["app"]);
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
  for (const name of ["app", "web"]) images.build(`${name}-docker`, "sha256:0123456789abcdef");
  assertEquals([await convention.find("app"), convention.adopt("app", "sha256:0123456789abcdef")], [
    undefined,
    undefined,
  ]);
  assertEquals((await convention.find("web"))?.name, "web");
  declared.clear();
  assertEquals((await convention.find("app"))?.name, "app");
});

const [OLD, NEW] = ["sha256:0000000000000000", "sha256:1111111111111111"];

/** The service `app` that was found by its image and has a ready instance, and then the image is rebuilt. */
async function rebuilt() {
  const kit = newKit();
  const front = newFront(kit);
  const { convention, images, services } = front;
  images.build("app-docker", OLD);
  const service = (await convention.find("app"))!;
  const pool = service.main();
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:80");
  (await held).lease.release();
  await kit.clock.advance(1001); // nobody has asked just now
  images.build("app-docker", NEW);
  const imagesOf = () => services.get("app")?.shares.map(({ pool, percent }) => [pool.revision.imageId, percent]);
  return { ...front, kit, pool, imagesOf, current: () => convention.current(services.get("app")!) };
}

Deno.test("a service is made only for a label that can be a name, once the list of images is up to date, and once", async () => {
  const { convention, images, services } = newFront(newKit());
  for (const name of ["app", "1st"]) images.build(`${name}-docker`, OLD);
  assertEquals([await convention.find("1st"), convention.adopt("1st", OLD)], [undefined, undefined]);
  const listed = Promise.withResolvers<void>();
  images.settling = listed.promise;
  const found = convention.find("app");
  await settle();
  assertEquals(services.get("app"), undefined);
  listed.resolve();
  const service = await found;
  assertEquals([services.get("app") === service, await convention.find("app") === service], [true, true]);
  images.build("other-docker", OLD);
  assertEquals(services.get("app") === service, true); // its own image is as before
});

Deno.test("a rebuilt image gets a revision that starts with the next request, and takes over once it is ready", async () => {
  const { current, imagesOf, kit, retired } = await rebuilt();
  assertEquals([imagesOf(), kit.launcher.called("launch")], [[[OLD, 100], [NEW, 0]], ["one"]]);
  for (let request = 0; request < 3; request++) assertEquals(current().route().revision.imageId, OLD);
  const launch = await kit.launcher.nextLaunch();
  assertEquals([kit.launcher.called("launch"), imagesOf()], [["one", "two"], [[OLD, 100], [NEW, 0]]]);
  launch.succeed("http://10.0.0.3:80");
  await settle();
  assertEquals([imagesOf(), current().route().revision.imageId], [[[NEW, 100]], NEW]);
  await Promise.all(retired);
});

Deno.test("a rebuilt image that does not start leaves the old one, and is tried again after the back-off", async () => {
  const { current, imagesOf, kit } = await rebuilt();
  for (const id of ["two", "three"]) {
    current();
    (await kit.launcher.nextLaunch()).fail(new Error("no"));
    await settle();
    current(); // too early
    await settle();
    assertEquals([imagesOf(), kit.launcher.called("launch").at(-1)], [[[OLD, 100], [NEW, 0]], id]);
    await kit.clock.advance(1500);
  }
});

Deno.test("a rebuilt image that was replaced during its start does not take over", async () => {
  const { current, imagesOf, images, kit } = await rebuilt();
  current();
  const launch = await kit.launcher.nextLaunch();
  images.build("app-docker", "sha256:2222222222222222");
  launch.succeed("http://10.0.0.3:80");
  await settle();
  assertEquals(imagesOf(), [[OLD, 100], ["sha256:2222222222222222", 0]]);
});

Deno.test("a container is adopted if it runs the present image of a service that nobody has declared", () => {
  const kit = newKit();
  const { convention, images, services } = newFront(kit);
  images.build("app-docker", OLD);
  assertEquals(convention.adopt("app", NEW), undefined);
  assertEquals(convention.adopt("app", OLD)?.revision.imageId, OLD);
  services.put(new Service("app", { shares: [{ pool: kit.newPool(), percent: 100 }] }));
  assertEquals(convention.adopt("app", OLD), undefined);
});
