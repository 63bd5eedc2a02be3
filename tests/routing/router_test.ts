import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { Router } from "../../src/routing/router.ts";
import { Service } from "../../src/routing/service.ts";
import { hostOf, never, newFront, newKit, newRevision } from "../support/kit.ts";

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

Deno.test("whether a service fails is told of every hostname that leads to it, and makes no service and no pool", async () => {
  const kit = newKit();
  const { services, images, router } = newFront(kit);
  const isFailing = (label: string) => router.isFailing(hostOf(label));
  images.build("found-docker", "sha256:0123456789abcdef");
  assertEquals([isFailing("found"), services.get("found"), images.asked], [false, undefined, 0]);
  for (const label of ["none", "next--app", "admin", "Found"]) {
    assertEquals(assertThrows(() => isFailing(label), ClessError).code, "unknown_host", label);
  }
  const [good, bad] = [kit.newPool(), kit.newPool(newRevision("sha256:fedcba9876543210"))];
  const shares = [{ pool: good, percent: 100 }, { pool: bad, percent: 0, tag: "next" }];
  services.put(new Service("app", { shares, domains: ["shop.example.org"] }));
  kit.launcher.on.launch = () => Promise.reject(new Error("exited with code 1"));
  await assertRejects(() => bad.hold(never()), ClessError);
  assertEquals([isFailing("app"), isFailing("next--app")], [false, true]); // the tag has no share
  await assertRejects(() => good.hold(never()), ClessError);
  assertEquals([isFailing("app"), router.isFailing({ name: "shop.example.org", label: "shop" })], [true, true]);
  images.remove("found-docker");
  assertEquals(assertThrows(() => isFailing("found"), ClessError).code, "unknown_host");
});

Deno.test("a service fails until an instance is ready, and that of its other revision counts too", async () => {
  const kit = newKit();
  const { services, router } = newFront(kit);
  const [old, next] = [kit.newPool(), kit.newPool(newRevision("sha256:fedcba9876543210"))];
  services.put(new Service("app", { shares: [{ pool: old, percent: 50 }, { pool: next, percent: 50 }] }));
  const isFailing = () => router.isFailing(hostOf("app"));
  kit.launcher.on.launch = () => Promise.reject(new Error("exited with code 1"));
  await assertRejects(() => next.hold(never()), ClessError);
  assertEquals(isFailing(), true);
  kit.launcher.on.launch = () => ({ origin: "http://one" });
  (await old.hold(never())).lease.release();
  assertEquals(isFailing(), false);
  await old.sleep(0);
  assertEquals(isFailing(), true);
  (await next.hold(never())).lease.release();
  assertEquals(isFailing(), false);
});
