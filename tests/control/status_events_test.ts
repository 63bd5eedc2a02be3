import { assertEquals } from "@std/assert";
import type { ServiceStatus } from "../../src/control/service_status.ts";
import { StatusEvents } from "../../src/control/status_events.ts";
import { settle } from "../support/fake_clock.ts";

/** Status events for a number of subscribers, with the status of every service, and what was told. */
function newStatusEvents(status: ServiceStatus) {
  const told: unknown[][] = [];
  const log = { subscribers: 1, emit: (...event: unknown[]) => void told.push(event) };
  const scene = { status, reads: 0 };
  const statuses = {
    of() {
      scene.reads++;
      return scene.status;
    },
  };
  const events = new StatusEvents(log, statuses);
  const check = async (...services: string[]) => {
    for (const service of services) events.check(service);
    await settle();
    return told.splice(0).map(([type, service, data]) => [type, service, data]);
  };
  return { scene, log, events, check };
}

Deno.test("a state is told once, and again when it or the reason changes", async () => {
  const { check, scene } = newStatusEvents({ state: "ready" });
  assertEquals(await check("web"), [["service.state", "web", { state: "ready" }]]);
  assertEquals(await check("web", "web"), []);
  scene.status = { state: "failing", failure: "exit code 1", failingSince: 5000 };
  const data = { state: "failing", failure: "exit code 1", failingSince: "1970-01-01T00:00:05.000Z" };
  assertEquals(await check("web"), [["service.state", "web", data]]);
  scene.status = { ...scene.status, failure: "exit code 2" };
  assertEquals(await check("web"), [["service.state", "web", { ...data, failure: "exit code 2" }]]);
});

Deno.test("several changes at once are told as one, with their outcome", async () => {
  const { check, events, scene } = newStatusEvents({ state: "starting" });
  events.check("web");
  scene.status = { state: "ready" };
  assertEquals(await check("web"), [["service.state", "web", { state: "ready" }]]);
  assertEquals(scene.reads, 1);
});

Deno.test("while nobody subscribes, no state is looked at, and nothing is remembered", async () => {
  const { check, log, scene } = newStatusEvents({ state: "ready" });
  assertEquals((await check("web")).length, 1);
  log.subscribers = 0;
  assertEquals([await check("web"), scene.reads], [[], 1]);
  log.subscribers = 1;
  assertEquals((await check("web")).length, 1);
});

Deno.test("nothing is told of a service that was removed meanwhile", async () => {
  const { check, events } = newStatusEvents({ state: "ready" });
  events.check("web");
  events.forget("web");
  assertEquals(await check("shop"), [["service.state", "shop", { state: "ready" }]]);
});
