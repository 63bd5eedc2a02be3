import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { delay } from "../../src/base/async.ts";
import { systemClock } from "../../src/base/clock.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import type { EngineEvent } from "../../src/docker/engine_api.ts";
import { ContainerEvents, EventStream } from "../../src/docker/events.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { ACTOR, dockerTest, eventLine, type FakeDocker } from "../support/fake_docker.ts";

/** Keeps what a stream tells until a test asks for it. */
class Listener {
  readonly #told: (EngineEvent | "gap")[] = [];
  #tell = () => {};

  event(event: EngineEvent): void {
    this.#note(event);
  }

  gap(): void {
    this.#note("gap");
  }

  /** The engine's id of the container in the last event that was told. */
  engineId = "";

  /** How much there is that nobody has asked for. */
  get left(): number {
    return this.#told.length;
  }

  /** What was told next; waits for it. */
  async next(): Promise<Omit<EngineEvent, "time" | "engineId"> | "gap"> {
    while (this.#told.length === 0) await new Promise<void>((resolve) => this.#tell = resolve);
    const told = this.#told.shift()!;
    if (told === "gap") return told;
    this.engineId = told.engineId;
    const { engineId: _, time: __, ...event } = told;
    return event;
  }

  #note(what: EngineEvent | "gap"): void {
    this.#told.push(what);
    this.#tell();
  }
}

function newStream(docker: FakeDocker): EventStream {
  return new EventStream(new CommandApi(docker.command), systemClock);
}

/** A test with a stream that has been started, and is stopped afterwards. */
function streamTest(
  name: string,
  fn: (parts: { docker: FakeDocker; stream: EventStream; listener: Listener }) => Promise<void>,
): void {
  dockerTest(name, async (docker) => {
    const listener = new Listener();
    const stream = newStream(docker);
    stream.start(listener);
    await fn({ docker, stream, listener }).finally(() => stream.stop());
  });
}

const NAME = { name: "cless-golang-1" };

streamTest("containers and images are listened to, and only for what matters", async ({ docker }) => {
  using _feed = await docker.events();
  const [args] = await docker.calls("events");
  assertEquals(args!.slice(0, 2), ["events", "--format={{json .}}"]);
  assertMatch(args![2]!, /^--since=\d{10}\.\d{3}$/);
  const filters = args!.slice(3).map((arg) => arg.replace("--filter=", "")).sort();
  const actions = [
    "die",
    "kill",
    "oom",
    "pause",
    "start",
    "unpause",
    "delete",
    "import",
    "load",
    "pull",
    "tag",
    "untag",
  ];
  assertEquals(filters, [...actions.map((action) => `event=${action}`), "type=container", "type=image"].sort());
});

streamTest("events are told as they come, with their attributes", async ({ docker, listener, stream }) => {
  using feed = await docker.events();
  assertEquals(stream.live, true);
  await feed.send("container", "die", { ...NAME, exitCode: "1" });
  await feed.send("image", "tag", { name: "golang-docker:latest" });
  assertEquals(await listener.next(), { type: "container", action: "die", attributes: { ...NAME, exitCode: "1" } });
  assertEquals(listener.engineId, ACTOR);
  const tag = { type: "image", action: "tag", attributes: { name: "golang-docker:latest" } } as const;
  assertEquals(await listener.next(), tag);
});

streamTest("an event that arrives in pieces is one event", async ({ docker, listener }) => {
  using feed = await docker.events();
  const [first, second, third] = ["ä", "🦕", "x"].map((name) => eventLine("container", "start", { name }));
  const bytes = new TextEncoder().encode(first! + second + third);
  for (const at of bytes.keys()) await feed.write(bytes.subarray(at, at + 1));
  for (const name of ["ä", "🦕", "x"]) {
    assertEquals(await listener.next(), { type: "container", action: "start", attributes: { name } });
  }
});

streamTest("many events at once are told in order", async ({ docker, listener }) => {
  using feed = await docker.events();
  const count = 2000;
  const lines = Array.from({ length: count }, (_, n) => eventLine("container", "start", { name: `${n}` }));
  await feed.write(lines.join(""));
  for (let n = 0; n < count; n++) {
    assertEquals(await listener.next(), { type: "container", action: "start", attributes: { name: `${n}` } });
  }
});

streamTest("anything but an event of a container or an image is skipped", async ({ docker, listener }) => {
  using feed = await docker.events();
  await feed.write("WARNING: {x}\n\n{broken\n[]\n{}\nnull\n");
  await feed.send("network", "destroy", { name: "cless-1" });
  await feed.write('{"Type":"container"}\n{"Type":"container","Action":"pause"}\n');
  assertEquals(await listener.next(), { type: "container", action: "pause", attributes: {} });
  assertEquals(listener.left, 0);
});

streamTest(
  "a stream that breaks off is begun again, and goes on where it was",
  async ({ docker, listener, stream }) => {
    {
      using feed = await docker.events();
      await feed.send("container", "start", NAME, 1_700_000_000_123_456_789);
      await listener.next();
    }
    assertEquals(await listener.next(), "gap");
    assertEquals(stream.live, false);
    using feed = await docker.events();
    assertEquals(await listener.next(), "gap");
    assertEquals(stream.live, true);
    await feed.send("container", "die", NAME);
    assertEquals(await listener.next(), { type: "container", action: "die", attributes: NAME });
    // Rather an event twice than none: what is cut off goes back in time.
    assertEquals((await docker.calls("events"))[1]![2], "--since=1700000000.123456");
  },
);

streamTest("a stream that broke off before any event begins at the same time again", async ({ docker, listener }) => {
  (await docker.events())[Symbol.dispose]();
  await listener.next();
  using _feed = await docker.events();
  const [first, second] = await docker.calls("events");
  assertEquals(first, second);
});

Deno.test("a stream that breaks off again and again is begun less and less often, until it has held for a while", async () => {
  const clock = new FakeClock();
  const opened: number[] = [];
  let holdMs = 0;
  // deno-lint-ignore require-yield -- nothing happens while it listens
  const events = async function* (signal: AbortSignal): AsyncGenerator<EngineEvent> {
    opened.push(clock.now());
    await delay(clock, holdMs, signal);
  };
  const api = { events: (_: string, signal: AbortSignal) => Promise.resolve(events(signal)) };
  const stream = new EventStream(api, clock);
  stream.start(new Listener());
  await clock.advance(20_000);
  const waits = opened.slice(1).map((at, n) => at - opened[n]!);
  assertEquals(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  holdMs = 10_001;
  await clock.advance(5000);
  const last = opened.at(-1)!;
  await clock.advance(10_001 + 100);
  assertEquals(opened.at(-1)! - last, 10_101);
  await stream.stop();
  assertEquals(clock.timers, 0);
});

streamTest("a command that cannot be run is tried again", async ({ docker, listener }) => {
  const first = await docker.events();
  await Deno.chmod(docker.path, 0o600);
  first[Symbol.dispose]();
  for (let n = 0; n < 3; n++) assertEquals(await listener.next(), "gap");
  await Deno.chmod(docker.path, 0o700);
  using feed = await docker.events();
  await feed.send("image", "delete", {});
  while (await listener.next() === "gap");
});

streamTest("a stream that is stopped ends its command and tells nothing more", async ({ docker, listener, stream }) => {
  using feed = await docker.events();
  await stream.stop();
  await assertRejects(() => feed.write("{}\n"), Deno.errors.BrokenPipe);
  assertEquals([stream.live, listener.left], [false, 0]);
});

dockerTest("a stream through a wrapper is stopped with all that the wrapper has started", async (docker) => {
  const pipe = docker.path.replace(/docker$/, "events");
  await docker.on("events", { script: `cat '${pipe}'; echo ended` });
  const stream = newStream(docker);
  stream.start(new Listener());
  using feed = await docker.events();
  await stream.stop();
  await assertRejects(() => feed.write("{}\n"), Deno.errors.BrokenPipe);
});

streamTest("a stream that is stopped while it waits is not begun again", async ({ docker, listener, stream }) => {
  (await docker.events())[Symbol.dispose]();
  assertEquals(await listener.next(), "gap");
  await stream.stop();
  assertEquals([stream.live, listener.left, (await docker.calls("events")).length], [false, 0, 1]);
});

dockerTest("a stream that is stopped at once has ended", async (docker) => {
  const listener = new Listener();
  const stream = newStream(docker);
  stream.start(listener);
  await stream.stop();
  await stream.stop();
  assertEquals([stream.live, listener.left], [false, 0]);
});

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

Deno.test("events of pauses, resumes and ends are read", () => {
  const { events } = newEvents();
  const name = "one";
  assertEquals(events.read("pause", { name }), { id: name, what: "paused" });
  assertEquals(events.read("unpause", { name }), { id: name, what: "resumed" });
  assertEquals(events.read("die", { name, exitCode: "3" }), { id: name, what: "ended", exitCode: 3, ...BY_ITSELF });
  assertEquals(events.read("die", { name }), { id: name, what: "ended", ...BY_ITSELF });
  for (const action of ["start", "oom", "kill"]) assertEquals(events.read(action, { name }), undefined);
  assertEquals(events.read("die", {}), undefined);
});

Deno.test("a container that ends after a signal was ended by hand, whatever its exit code; without one it ended by itself", () => {
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
