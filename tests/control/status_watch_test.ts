import { assertEquals } from "@std/assert";
import type { ServiceStatus } from "../../src/control/service_status.ts";
import { StatusWatch } from "../../src/control/status_watch.ts";
import { settle } from "../support/fake_clock.ts";

/** A watch, with the status of every service, and what was noticed. */
function newWatch(status: ServiceStatus) {
  const noticed: unknown[][] = [];
  const scene = { status, reads: 0 };
  const statuses = {
    of() {
      scene.reads++;
      return scene.status;
    },
  };
  const watch = new StatusWatch(statuses, [{ changed: (service, status) => void noticed.push([service, status]) }]);
  const check = async (...services: string[]) => {
    for (const service of services) watch.check(service);
    await settle();
    return noticed.splice(0);
  };
  return { check, noticed, scene, watch };
}

Deno.test("a state is noticed once, and again when it, the reason or the begin of the failures changes", async () => {
  const { check, scene } = newWatch({ state: "ready" });
  assertEquals(await check("web"), [["web", { state: "ready" }]]);
  assertEquals(await check("web", "web"), []);
  for (const failure of ["exit code 1", "exit code 2"]) {
    for (const failingSince of [5000, 6000]) {
      scene.status = { state: "failing", failure, failingSince };
      assertEquals(await check("web"), [["web", scene.status]]);
    }
  }
});

Deno.test("a service that was never looked at has slept so far", async () => {
  const { check, scene } = newWatch({ state: "asleep" });
  assertEquals(await check("web"), []);
  scene.status = { state: "starting" };
  assertEquals((await check("web")).length, 1);
  scene.status = { state: "asleep" };
  assertEquals(await check("web"), [["web", { state: "asleep" }]]);
  assertEquals(await check("web"), []);
});

Deno.test("several changes at once are noticed as one, with their outcome", async () => {
  const { check, scene, watch } = newWatch({ state: "starting" });
  watch.check("web");
  scene.status = { state: "ready" };
  assertEquals(await check("web"), [["web", { state: "ready" }]]);
  assertEquals(scene.reads, 1);
});

Deno.test("nothing is noticed of a service that was removed meanwhile", async () => {
  const { check, watch } = newWatch({ state: "ready" });
  watch.check("web");
  watch.forget("web");
  assertEquals(await check("shop"), [["shop", { state: "ready" }]]);
});

Deno.test("a successor notices only what has changed since its predecessor recorded it, and once it is ready", async () => {
  const { check, noticed, scene, watch } = newWatch({ state: "starting" });
  watch.resume([["web", { state: "paused" }], ["shop", { state: "ready" }]]);
  assertEquals(await check("web", "shop", "new"), []);
  scene.status = { state: "paused" };
  watch.lookAgain();
  assertEquals(noticed.splice(0), [["shop", { state: "paused" }], ["new", { state: "paused" }]]);
  scene.status = { state: "asleep" };
  assertEquals(await check("web"), [["web", { state: "asleep" }]]);
});
