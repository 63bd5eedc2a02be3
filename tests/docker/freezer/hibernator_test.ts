import { assertEquals, assertRejects } from "@std/assert";
import { Hibernator, type SwapSpace } from "../../../src/docker/freezer/hibernator.ts";
import type { Folders } from "../../../src/docker/freezer/cgroups.ts";
import type { Usage } from "../../../src/pool/launcher.ts";
import type { Command } from "../../../src/docker/freezer/helper.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const GIB = 1024 ** 3;

/** A machine with swap and frozen containers, whose helper moves memory until the test says that it is done. */
class FakeMachine {
  swap: SwapSpace = { totalBytes: 4 * GIB, freeBytes: 3 * GIB };
  readonly frozen = new Set(["one", "two"]);
  readonly asked: string[] = [];
  readonly #folders = new Map(
    ["one", "two"].map((id) => [id, { freezer: `/cg/freezer/${id}`, memory: `/cg/memory/${id}` }]),
  );
  isDone = true;
  startBytes = GIB;
  used: ReadonlyMap<string, Usage> = new Map();
  leftBytes = 1000;
  refusal: string | undefined;
  readonly clock = new FakeClock();
  readonly hibernator = new Hibernator(this, this, this.clock, undefined, () => this.swap);

  read(): Promise<ReadonlyMap<string, Usage>> {
    return Promise.resolve(this.used);
  }

  isStopped(id: string): boolean {
    return this.frozen.has(id);
  }

  foldersOf(id: string): Promise<Folders | undefined> {
    return Promise.resolve(this.frozen.has(id) ? this.#folders.get(id) : undefined);
  }

  ask(what: Command, { memory }: Folders): Promise<string | undefined> {
    this.asked.push(`${what} ${memory}`);
    if (this.refusal !== undefined) return Promise.resolve(this.refusal);
    if (what === "cancel") return Promise.resolve("ok");
    return Promise.resolve(
      what === "reclaim" ? `started ${this.startBytes}` : this.isDone ? `done ${this.leftBytes}` : "running",
    );
  }
}

function hibernatorTest(name: string, fn: (machine: FakeMachine, hibernator: Hibernator) => Promise<void>): void {
  Deno.test(name, async () => {
    const machine = new FakeMachine();
    machine.hibernator.start();
    await fn(machine, machine.hibernator);
    machine.hibernator.stop();
    assertEquals(machine.clock.timers, 0);
  });
}

hibernatorTest("the memory of a frozen container is moved", async (machine, hibernator) => {
  assertEquals([hibernator.problem, hibernator.swapTotalBytes], [undefined, 4 * GIB]);
  machine.isDone = false;
  const moved = hibernator.hibernate("one", machine);
  await machine.clock.advance(100);
  machine.isDone = true;
  await machine.clock.advance(20);
  await moved;
  assertEquals(machine.asked[0], "reclaim /cg/memory/one");
  assertEquals(new Set(machine.asked.slice(1)), new Set(["progress /cg/memory/one"]));
});

hibernatorTest("one container after the other is moved", async (machine, hibernator) => {
  machine.isDone = false;
  const moved = [hibernator.hibernate("one", machine), hibernator.hibernate("two", machine)];
  await machine.clock.advance(100);
  assertEquals(machine.asked.filter((command) => command.includes("two")), []);
  machine.isDone = true;
  await machine.clock.advance(100);
  await Promise.all(moved);
  assertEquals(machine.asked.filter((command) => command.startsWith("reclaim")), [
    "reclaim /cg/memory/one",
    "reclaim /cg/memory/two",
  ]);
});

hibernatorTest(
  "a thaw ends the wait at once, and one that comes before its turn does too",
  async (machine, hibernator) => {
    machine.isDone = false;
    const first = assertRejects(() => hibernator.hibernate("one", machine), Error, "woken meanwhile");
    const second = assertRejects(() => hibernator.hibernate("two", machine), Error, "not frozen");
    await settle();
    machine.frozen.clear();
    await machine.clock.advance(20);
    await Promise.all([first, second]);
  },
);

hibernatorTest("without swap, with a full one, and without a helper, nothing is moved", async (machine, hibernator) => {
  for (
    const [swap, problem] of [[{ totalBytes: 0, freeBytes: 0 }, "no swap"], [
      { totalBytes: GIB, freeBytes: 1000 },
      "full",
    ]] as const
  ) {
    machine.swap = swap;
    await assertRejects(() => hibernator.hibernate("one", machine), Error, problem);
    assertEquals([hibernator.problem?.includes(problem), machine.asked], [true, []]);
  }
  machine.swap = { totalBytes: GIB, freeBytes: GIB };
  await machine.clock.advance(10_000); // it is looked at from time to time
  assertEquals(hibernator.problem, undefined);
  const without = new Hibernator(machine, undefined, machine.clock, undefined, () => machine.swap);
  without.start();
  assertEquals(without.problem === undefined, false);
});

hibernatorTest(
  "a helper that refuses is an error, and a disk that is too slow a pause for all",
  async (machine, hibernator) => {
    machine.refusal = "no: there is no such folder";
    await assertRejects(() => hibernator.hibernate("one", machine), Error, "no such folder");
    machine.refusal = undefined;
    machine.isDone = false;
    const slow = assertRejects(() => hibernator.hibernate("one", machine), Error, "too slow");
    await machine.clock.advance(260_000);
    await slow;
    await assertRejects(() => hibernator.hibernate("two", machine), Error, "too slow");
    machine.isDone = true;
    await machine.clock.advance(600_000);
    const moved = hibernator.hibernate("two", machine);
    await machine.clock.advance(20);
    await moved;
  },
);

hibernatorTest(
  "a container that keeps its memory does not hibernate, and a small one does",
  async (machine, hibernator) => {
    machine.leftBytes = 0.6 * GIB;
    const kept = assertRejects(() => hibernator.hibernate("one", machine), Error, "stay in memory");
    await machine.clock.advance(20);
    await kept;
    machine.leftBytes = 0.4 * GIB;
    const moved = hibernator.hibernate("one", machine);
    await machine.clock.advance(20);
    await moved;
  },
);

hibernatorTest("while the swap becomes smaller, nothing is moved there", async (machine, hibernator) => {
  machine.swap = { totalBytes: 3 * GIB, freeBytes: 3 * GIB };
  await machine.clock.advance(10_000);
  assertEquals(hibernator.problem, "the machine's swap is being taken away");
  await machine.clock.advance(20_000); // the kernel may still be emptying it
  assertEquals(hibernator.problem, "the machine's swap is being taken away");
  await machine.clock.advance(10_000);
  assertEquals(hibernator.problem, undefined);
  machine.swap = { totalBytes: 2 * GIB, freeBytes: 2 * GIB };
  await machine.clock.advance(10_000);
  machine.swap = { totalBytes: 3 * GIB, freeBytes: 3 * GIB };
  await machine.clock.advance(10_000);
  assertEquals(hibernator.problem, undefined);
});

hibernatorTest("what does not fit into the budget for swap stays in memory", async (machine, hibernator) => {
  const used = (swapBytes: number) => new Map([["one", { bytes: GIB }], ["two", { bytes: 0, swapBytes }]]);
  machine.used = used(GIB + 1); // half of the swap is 2 GiB
  await assertRejects(() => hibernator.hibernate("one", machine), Error, "budget");
  assertEquals(machine.asked, []);
  machine.used = used(GIB);
  await Promise.all([hibernator.hibernate("one", machine), machine.clock.advance(20)]);
  const small = new Hibernator(machine, machine, machine.clock, GIB, () => machine.swap);
  await assertRejects(() => small.hibernate("one", machine), Error, "budget");
});

hibernatorTest("what little has come back since a reclaim may stay at the next one", async (machine, hibernator) => {
  await Promise.all([hibernator.hibernate("one", machine), machine.clock.advance(20)]);
  machine.startBytes = machine.leftBytes = GIB / 4;
  await Promise.all([hibernator.hibernate("one", machine), machine.clock.advance(20)]);
  const stays = assertRejects(() => hibernator.hibernate("two", machine), Error, "stay in memory");
  await Promise.all([stays, machine.clock.advance(20)]);
});

Deno.test("at the end, what is being moved is broken off, and nothing more begins", async () => {
  const machine = new FakeMachine();
  machine.hibernator.start();
  machine.isDone = false;
  const both = ["one", "two"].map((id) =>
    assertRejects(() => machine.hibernator.hibernate(id, machine), Error, "cless is ending")
  );
  await settle();
  machine.hibernator.stop();
  await machine.clock.advance(20);
  await Promise.all(both);
  assertEquals([machine.asked[0], machine.asked.at(-1)], ["reclaim /cg/memory/one", "cancel /cg/memory/one"]);
  assertEquals(machine.clock.timers, 0);
});
