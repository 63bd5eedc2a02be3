import { assertEquals } from "@std/assert";
import { Convention } from "../../src/routing/convention.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { FakeImages } from "../support/fake_images.ts";
import { NEW_DEFAULTS, newKit } from "../support/kit.ts";

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
      stopAfterMs: 60_000,
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
      stopAfterMs: 60_000,
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
