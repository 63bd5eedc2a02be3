import { assertEquals } from "@std/assert";
import { ContainerEvents } from "../../src/docker/container_events.ts";
import { FakeClock } from "../support/fake_clock.ts";

function newEvents() {
  const clock = new FakeClock();
  const events = new ContainerEvents(clock);
  /** What is said of the end of a container. */
  const end = (name: string, exitCode = "137") => {
    const { byHand, oom } = events.read("die", { name, exitCode })!;
    return { byHand, oom };
  };
  return { clock, events, end };
}

const BY_ITSELF = { byHand: false, oom: false };
const BY_HAND = { byHand: true, oom: false };
const FOR_MEMORY = { byHand: false, oom: true };

Deno.test("what happens to a container is understood", () => {
  const { events } = newEvents();
  const name = "one";
  assertEquals(events.read("pause", { name }), { id: name, what: "paused" });
  assertEquals(events.read("unpause", { name }), { id: name, what: "resumed" });
  assertEquals(events.read("die", { name, exitCode: "3" }), { id: name, what: "ended", exitCode: 3, ...BY_ITSELF });
  assertEquals(events.read("die", { name }), { id: name, what: "ended", ...BY_ITSELF });
  for (const action of ["start", "oom", "kill"]) assertEquals(events.read(action, { name }), undefined);
  assertEquals(events.read("die", {}), undefined);
});

Deno.test("a container that somebody has sent a signal has ended by that, whatever its code; one without by itself", () => {
  for (const exitCode of ["0", "1", "137", "143"]) {
    const { events, end } = newEvents();
    events.read("kill", { name: "one", signal: "15" });
    events.read("kill", { name: "one", signal: "9" });
    assertEquals([end("two", exitCode), end("one", exitCode), end("one", exitCode)], [BY_ITSELF, BY_HAND, BY_ITSELF]);
  }
});

Deno.test("a signal that the app has survived for long does not explain its end", async () => {
  const { clock, events, end } = newEvents();
  events.read("kill", { name: "one", signal: "1" });
  events.read("kill", { name: "two", signal: "15" });
  await clock.advance(60_000);
  assertEquals(end("two"), BY_HAND);
  await clock.advance(1);
  assertEquals(end("one"), BY_ITSELF);
});

Deno.test("a container whose process the kernel has killed has run out of memory, once", () => {
  const { events, end } = newEvents();
  events.read("oom", { name: "one" });
  events.read("oom", { name: "one" });
  assertEquals([end("two"), end("one"), end("one")], [BY_ITSELF, FOR_MEMORY, BY_ITSELF]);
});

Deno.test("an app that went on without one of its processes has not run out of memory when it ends for another reason", async () => {
  const { clock, events, end } = newEvents();
  for (const exitCode of ["0", "1"]) {
    events.read("oom", { name: "one" });
    assertEquals(end("one", exitCode), BY_ITSELF);
  }
  events.read("oom", { name: "one" });
  events.read("kill", { name: "one", signal: "9" });
  assertEquals(end("one"), BY_HAND);
  events.read("oom", { name: "one" });
  await clock.advance(5001);
  assertEquals(end("one"), BY_ITSELF);
});
