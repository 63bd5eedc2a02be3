import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { Router } from "../../src/routing/router.ts";
import { Service } from "../../src/routing/service.ts";
import { hostOf, newFront, newKit } from "../support/kit.ts";

Deno.test("without the convention only declared services are found, and no image is named", async () => {
  const kit = newKit();
  const { services, images } = newFront(kit);
  services.put(new Service("app", { shares: [{ pool: kit.newPool(), percent: 100 }] }));
  images.build("web-docker", "sha256:0123456789abcdef");
  const router = new Router(services, undefined);
  assertEquals((await router.resolve(hostOf("app"))).name, "app");
  const error = await assertRejects(() => router.resolve(hostOf("web")), ClessError);
  assertEquals([error.code, error.message], ["unknown_host", "No service answers for web.localhost"]);
  assertEquals([(await router.service("app"))?.name, await router.service("web")], ["app", undefined]);
});
