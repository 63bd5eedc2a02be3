import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type EngineEvent, EventStream } from "../../src/docker/events.ts";
import { dockerTest, eventLine, type FakeDocker } from "../support/fake_docker.ts";

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

  /** How much there is that nobody has asked for. */
  get left(): number {
    return this.#told.length;
  }

  /** What was told next; waits for it. */
  async next(): Promise<EngineEvent | "gap"> {
    while (this.#told.length === 0) await new Promise<void>((resolve) => this.#tell = resolve);
    return this.#told.shift()!;
  }

  #note(what: EngineEvent | "gap"): void {
    this.#told.push(what);
    this.#tell();
  }
}

/** A test with a stream that has been started, and is stopped afterwards. */
function streamTest(
  name: string,
  fn: (parts: { docker: FakeDocker; stream: EventStream; listener: Listener }) => Promise<void>,
): void {
  dockerTest(name, async (docker) => {
    const listener = new Listener();
    const stream = new EventStream(docker.command, listener);
    stream.start();
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
  assertEquals(stream.live, true);
  using feed = await docker.events();
  await feed.send("container", "die", { ...NAME, exitCode: "1" });
  await feed.send("image", "tag", { name: "golang-docker:latest" });
  assertEquals(await listener.next(), { type: "container", action: "die", attributes: { ...NAME, exitCode: "1" } });
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

streamTest("what is no event of a container or an image is passed over", async ({ docker, listener }) => {
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

dockerTest("a stream that breaks off again and again is begun less and less often", async (docker) => {
  await docker.on("events", { code: 1 });
  const listener = new Listener();
  const stream = new EventStream(docker.command, listener);
  stream.start();
  const waits: number[] = [];
  for (let n = 0; n < 3; n++) {
    assertEquals(await listener.next(), "gap");
    const ended = performance.now();
    assertEquals(await listener.next(), "gap");
    waits.push(performance.now() - ended);
  }
  await stream.stop();
  for (const [n, wait] of waits.entries()) assert(wait > 95 * 2 ** n, waits.join(" "));
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
  const stream = new EventStream(docker.command, new Listener());
  stream.start();
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
  const stream = new EventStream(docker.command, listener);
  stream.start();
  await stream.stop();
  await stream.stop();
  assertEquals([stream.live, listener.left], [false, 0]);
});
