import { assertEquals } from "@std/assert";
import { RunningDeploys } from "../../src/control/running_deploys.ts";
import { ServiceWaits } from "../../src/control/service_waits.ts";
import { Instance } from "../../src/pool/instance.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { newRevision } from "../support/kit.ts";

/** Lines that a test writes, read until the signal is aborted. */
class Output {
  readonly reads: string[] = [];
  #write: (text: string) => void = () => {};
  isOpen = false;

  write(text: string): void {
    this.#write(text);
  }

  async *read(id: string, { signal, tail }: { readonly tail: number; readonly signal: AbortSignal }) {
    this.reads.push(`${id} tail ${tail}`);
    this.isOpen = true;
    const lines: string[] = [];
    let news = Promise.withResolvers<void>();
    this.#write = (text) => (lines.push(text), news.resolve());
    signal.addEventListener("abort", () => news.resolve());
    while (!signal.aborted) {
      for (const text of lines.splice(0)) yield { text };
      await news.promise;
      news = Promise.withResolvers();
    }
    this.isOpen = false;
  }
}

function newWaits(output: { read: Output["read"] } = new Output()) {
  const instances: Instance[] = [];
  const told: unknown[][] = [];
  const deploys = new RunningDeploys();
  const time = { now: Date.now() };
  const lookUps = { count: 0 };
  const waits = new ServiceWaits({
    deploys,
    fleet: { instances: () => instances.filter(({ gone }) => !gone.aborted) },
    events: { tell: (...event) => void told.push(event) },
    outputs: output,
    images: {
      exposedPorts: () => {
        lookUps.count++;
        return Promise.resolve([3000]);
      },
    },
    now: () => time.now,
  });
  const add = () => {
    const instance = new Instance("app-a1b2", newRevision(), new FakeClock());
    instances.push(instance);
    return instance;
  };
  return { add, deploys, lookUps, time, told, waits };
}

Deno.test("what services wait for is told of those that deploy or start, and of no others", () => {
  const { add, deploys, told, waits } = newWaits();
  waits.tell();
  assertEquals(told, []);
  const instance = add();
  using deploy = deploys.begin({ service: "web", image: "web:1", by: "ci", startedAt: 5000 });
  deploy.pull = { done: 1, total: 3 };
  waits.tell();
  const [first, second, ...more] = told.splice(0).map((
    [type, service, data],
  ) => [type, service, { ...data as object }]);
  const pull = { for: "pull", text: "pulling web:1: 1 of 3 layers", image: "web:1", done: 1, total: 3 };
  assertEquals(first, ["service.waiting", "web", { ...pull, since: "1970-01-01T00:00:05.000Z" }]);
  assertEquals([second?.[1], (second?.[2] as { for: string }).for, more], ["app", "container", []]);
  instance.become("ready");
  deploy[Symbol.dispose]();
  waits.tell();
  assertEquals([told, waits.of("web"), waits.of("app")], [[], undefined, undefined]);
});

Deno.test("the output of an app that is slow to start is followed once, and its last line is told", async () => {
  const output = new Output();
  const { add, time, told, waits } = newWaits(output);
  const lastLine = () => (told.splice(0).at(-1)?.[2] as { output?: string }).output;
  const instance = add();
  instance.origin = "http://172.18.0.2:8080";
  waits.tell();
  assertEquals(output.reads, []); // most apps are ready before anybody could read it
  time.now = instance.startedAt.getTime() + 2000;
  for (let ticks = 0; ticks < 3; ticks++) waits.tell();
  await settle();
  assertEquals([output.reads, lastLine()], [["app-a1b2 tail 1"], undefined]);
  output.write("migrating table 3  ");
  output.write("");
  await settle();
  waits.tell();
  assertEquals([lastLine(), waits.of("app")?.output], ["migrating table 3", "migrating table 3"]);
  instance.become("ready");
  await settle();
  assertEquals([output.isOpen, waits.of("app")], [false, undefined]);
});

Deno.test("an app whose output cannot be read is waited for without it, and is not asked again", async () => {
  let reads = 0;
  const { add, time, told, waits } = newWaits({
    // deno-lint-ignore require-yield
    async *read() {
      reads++;
      await Promise.resolve();
      throw new Error("the engine does not answer");
    },
  });
  const instance = add();
  instance.origin = "http://172.18.0.2:8080";
  time.now = instance.startedAt.getTime() + 2000;
  for (let ticks = 0; ticks < 3; ticks++) {
    waits.tell();
    await settle();
  }
  assertEquals([reads, told.length], [1, 3]);
});

Deno.test("the ports that the image of a slow app exposes are looked up once", async () => {
  const { add, lookUps, time, told, waits } = newWaits();
  const instance = add();
  instance.origin = "http://172.18.0.2:8080";
  instance.probed = "refused";
  waits.tell();
  assertEquals(lookUps.count, 0);
  time.now = instance.startedAt.getTime() + 2000;
  for (let ticks = 0; ticks < 3; ticks++) {
    waits.tell();
    await settle();
  }
  assertEquals(lookUps.count, 1);
  const { text } = told.at(-1)![2] as { text: string };
  assertEquals(
    [text, waits.of("app")?.text],
    Array(2).fill("nothing listens on port 8080 yet; the image exposes 3000"),
  );
  instance.become("ready");
  await settle();
});
