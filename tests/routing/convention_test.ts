import { assertEquals } from "@std/assert";
import { Convention } from "../../src/routing/convention.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { FakeImages } from "../support/fake_images.ts";
import { newKit } from "../support/kit.ts";

Deno.test("the name of a declared service is left alone, even if the service cannot be served", async () => {
  const kit = newKit();
  const images = new FakeImages();
  const services = new ServiceMap({ retire: () => {} });
  const declared = new Set(["app"]);
  const convention = new Convention({
    images,
    services,
    limits: { startTimeoutMs: 30_000, requestTimeoutMs: 10_000, pauseAfterMs: Infinity, stopAfterMs: 60_000 },
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
