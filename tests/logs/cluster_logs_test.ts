import { assertEquals, assertThrows } from "@std/assert";
import { InvalidError } from "../../src/control/schema/invalid.ts";
import { ClusterLogs } from "../../src/logs/cluster_logs.ts";
import type { ServiceLogLine } from "../../src/logs/instance_output.ts";
import { type ServiceLogOptions, ServiceLogs } from "../../src/logs/service_logs.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeOutputs } from "./fake_outputs.ts";

const NOW = Date.parse("2026-01-02T03:04:06Z");
const never = () => new AbortController().signal;

/** The logs of this machine and of others, as a test makes them. */
class Rig {
  readonly clock = new FakeClock();
  readonly own = new FakeOutputs();
  /** The other machines; one without outputs does not answer. */
  readonly others = new Map<string, FakeOutputs | undefined>();
  /** The options with which the others were read. */
  readonly asked: Omit<ServiceLogOptions, "signal">[] = [];
  /** Aborted to break off what is being read of the others. */
  cut = new AbortController();
  readonly logs: ClusterLogs;

  constructor() {
    const { asked, clock, others, own } = this;
    // deno-lint-ignore no-this-alias
    const rig = this;
    this.logs = new ClusterLogs(
      new ServiceLogs(own, () => NOW),
      {
        get machines() {
          return [...others.keys()];
        },
        async *read(machine, service, { signal, ...options }) {
          asked.push(options);
          const outputs = others.get(machine);
          if (outputs === undefined) throw new Error("it does not answer");
          const both = AbortSignal.any([signal, rig.cut.signal]);
          yield* new ServiceLogs(outputs, () => NOW).read(service, { ...options, signal: both });
          rig.cut.signal.throwIfAborted();
        },
        nameOf: (machine) => Promise.resolve(`host-${machine}`),
      },
      clock,
      () => NOW,
    );
  }

  read(options: Partial<ServiceLogOptions> = {}): AsyncGenerator<ServiceLogLine, void, void> {
    return this.logs.read("app", { follow: false, signal: never(), ...options });
  }

  async texts(options: Partial<ServiceLogOptions> = {}): Promise<string[]> {
    return (await Array.fromAsync(this.read(options))).map(({ text }) => text);
  }
}

Deno.test("the lines of this machine come first, then those of each other one", async () => {
  const rig = new Rig();
  rig.own.add("a", [[2, "a2"]]);
  rig.others.set("2", new FakeOutputs()).set("3", new FakeOutputs());
  rig.others.get("2")!.add("b", [[1, "b1"], [3, "b3"]]);
  rig.others.get("3")!.add("c", [[1, "c1"]], { endedAt: NOW });
  assertEquals(await rig.texts({ tail: 1 }), ["a2", "b3", "c1"]);
  assertEquals(rig.asked, [{ follow: false, tail: 1 }, { follow: false, tail: 1 }]);
});

Deno.test("a machine that does not answer takes nothing from the others, and is named in a line of cless", async () => {
  const rig = new Rig();
  rig.own.add("a", [[1, "a1"]]);
  rig.others.set("2", undefined).set("3", new FakeOutputs());
  rig.others.get("3")!.add("c", [[1, "c1"]]);
  const lines = await Array.fromAsync(rig.read());
  const text = "the output of host-2 is missing: it does not answer";
  assertEquals(lines.map(({ text }) => text), ["a1", text, "c1"]);
  assertEquals(lines[1], {
    instance: "cless",
    revision: "",
    stream: "stderr",
    time: "2026-01-02T03:04:06.000000000Z",
    text,
  });
});

Deno.test("a wrong time is refused before a machine is asked", () => {
  const rig = new Rig();
  rig.others.set("2", new FakeOutputs());
  for (const follow of [false, true]) {
    assertThrows(() => rig.read({ since: "yesterday", follow }), InvalidError);
  }
  assertEquals([rig.asked, rig.clock.timers], [[], 0]);
});

Deno.test("new lines of all machines are followed, also of one that comes later", async () => {
  const rig = new Rig();
  rig.own.add("a", [[1, "a1"]]);
  rig.others.set("2", new FakeOutputs());
  const lines = rig.read({ follow: true });
  const texts: string[] = [];
  const reading = (async () => {
    for await (const { text } of lines) if (texts.push(text) === 4) return;
  })();
  await settle();
  rig.others.get("2")!.start("b");
  await settle();
  rig.others.get("2")!.write("b", 2, "b2");
  await settle();
  rig.others.set("3", new FakeOutputs());
  rig.others.get("3")!.add("c", [[1, "c1"]]);
  await rig.clock.advance(2000);
  rig.own.write("a", 4, "a4");
  await reading;
  assertEquals(texts, ["a1", "b2", "c1", "a4"]);
  assertEquals(rig.clock.timers, 0);
  for (const { readers, watchers } of [rig.own, ...rig.others.values()].map((outputs) => outputs!)) {
    assertEquals([readers, watchers.size], [0, 0]);
  }
});

Deno.test("a machine that is followed goes on where it was once it answers again, and is missed in one line", async () => {
  const rig = new Rig();
  const outputs = new FakeOutputs();
  rig.others.set("2", outputs);
  outputs.add("b", [[1, "b1"], [2, "b2"]]);
  const lines = rig.read({ follow: true, tail: 1 });
  const texts: string[] = [];
  const reading = (async () => {
    for await (const { text } of lines) if (texts.push(text) === 4) return;
  })();
  await settle();
  rig.others.set("2", undefined);
  rig.cut.abort(new Error("its machine is lost"));
  await settle();
  await rig.clock.advance(10_000);
  outputs.write("b", 3, "b3");
  rig.cut = new AbortController();
  rig.others.set("2", outputs);
  await rig.clock.advance(2000);
  outputs.write("b", 4, "b4");
  await reading;
  assertEquals(texts, ["b2", "the output of host-2 is missing: its machine is lost", "b3", "b4"]);
  assertEquals(rig.asked.at(0), { follow: true, tail: 1 });
  assertEquals(rig.asked.at(-1), { follow: true, since: "2026-01-02T03:04:04.000Z" });
  assertEquals(rig.clock.timers, 0);
});

Deno.test("a signal ends what is followed, also while a machine does not answer", async () => {
  const rig = new Rig();
  rig.others.set("2", undefined);
  const controller = new AbortController();
  const lines = rig.read({ follow: true, signal: controller.signal });
  assertEquals((await lines.next()).value?.text, "the output of host-2 is missing: it does not answer");
  const next = lines.next();
  await settle();
  controller.abort();
  assertEquals((await next).done, true);
  assertEquals([rig.clock.timers, rig.own.watchers.size], [0, 0]);
});

Deno.test("the output of other machines is not read before it is wanted", async () => {
  const rig = new Rig();
  rig.own.add("a", [[1, "a1"], [2, "a2"]]);
  rig.others.set("2", new FakeOutputs());
  const lines = rig.read();
  assertEquals((await lines.next()).value?.text, "a1");
  await settle();
  assertEquals(rig.asked, []);
  await lines.return();
});
