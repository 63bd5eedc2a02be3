import { assertEquals } from "@std/assert";
import { InstanceEvents } from "../../../src/control/events/instance_events.ts";
import { Instance } from "../../../src/pool/instance.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { newRevision } from "../../support/kit.ts";

/** The events of instances, and what they have come to. */
function newEvents() {
  const told: unknown[][] = [];
  return { told, events: new InstanceEvents({ emit: (...event) => void told.push(event) }) };
}

const REVISION = newRevision();
const AT = { service: "app", revision: "app-0123456789ab" };

Deno.test("each state of an instance is told, with the time of a cold start or the reason of an end", () => {
  const { told, events } = newEvents();
  const instance = new Instance("one", REVISION, new FakeClock());
  events.changed(instance);
  instance.coldStartMs = 120;
  instance.become("ready");
  events.changed(instance);
  instance.become("draining");
  instance.failure = "the app did not answer any more";
  events.changed(instance);
  instance.become("stopped");
  events.changed(instance);
  const of = { instance: "one", revision: AT.revision };
  assertEquals(told, [
    ["instance.starting", AT.service, of],
    ["instance.ready", AT.service, { ...of, coldStartMs: 120 }],
    ["instance.draining", AT.service, of],
    ["instance.stopped", AT.service, { ...of, reason: "the app did not answer any more" }],
  ]);
});

Deno.test("a revision that fails is told of from the third failure in a row on, with what its app wrote", () => {
  const { told, events } = newEvents();
  const failure = { reason: "it ended with code 1", output: "no config\nbye\n", at: new Date() };
  for (const count of [1, 2, 3, 4]) events.revisionFailed(REVISION, { ...failure, count });
  const data = { revision: AT.revision, reason: failure.reason, output: ["no config", "bye"] };
  assertEquals(told, [3, 4].map((count) => ["revision.failed", AT.service, { ...data, count }]));
});
