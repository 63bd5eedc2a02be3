import { assertEquals } from "@std/assert";
import { StatusEvents } from "../../src/control/status_events.ts";

/** Status events for a number of subscribers, with what was told. */
function newStatusEvents() {
  const told: unknown[][] = [];
  const log = { subscribers: 1, emit: (...event: unknown[]) => void told.push(event) };
  return { told, log, events: new StatusEvents(log) };
}

Deno.test("a state is told with the reason for which a service fails, and since when", () => {
  const { events, told } = newStatusEvents();
  events.changed("web", { state: "ready" });
  events.changed("web", { state: "failing", failure: "exit code 1", failingSince: 5000 });
  const data = { state: "failing", failure: "exit code 1", failingSince: "1970-01-01T00:00:05.000Z" };
  assertEquals(told, [["service.state", "web", { state: "ready" }], ["service.state", "web", data]]);
});

Deno.test("nothing is told while nobody subscribes", () => {
  const { events, log, told } = newStatusEvents();
  log.subscribers = 0;
  events.changed("web", { state: "ready" });
  assertEquals(told, []);
});
