import { assertEquals, assertRejects } from "@std/assert";
import { Freezer } from "../../../src/docker/freezer/freezer.ts";
import { NotNow } from "../../../src/pool/launcher.ts";
import type { Folders } from "../../../src/docker/freezer/cgroups.ts";
import type { Command } from "../../../src/docker/freezer/helper.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const ID = "cless-shop-1";
const ENGINE_ID = "0123456789abcdef".repeat(4);
const FOLDER = `/cg/freezer/docker/${ENGINE_ID}`;
const FOLDERS: Folders = { freezer: FOLDER, memory: `/cg/memory/docker/${ENGINE_ID}` };

/** A machine with one container, and the helper that freezes it. */
class FakeMachine {
  state: "thawed" | "freezing" | "frozen" = "thawed";
  /** Whether one of its processes cannot be stopped. */
  isStuck = false;
  /** What the helper answers to everything. */
  refusal: string | undefined;
  /** Whether no helper answers. */
  isAway = false;
  /** Why no helper can be started. */
  problem: string | undefined;
  /** How often the control groups were listed. */
  listed = 0;
  /** The helper does nothing before this resolves. */
  held: Promise<void> | undefined;
  readonly asked: string[] = [];
  readonly clock = new FakeClock();
  readonly freezer = this.anotherFreezer();

  anotherFreezer(): Freezer {
    return new Freezer(this, true, this.clock, this);
  }

  freezerWithoutHelper(): Freezer {
    return new Freezer(undefined, false, this.clock, this);
  }

  folders() {
    this.listed++;
    return Promise.resolve(new Map([[ENGINE_ID, FOLDERS]]));
  }

  frozen(folders: readonly string[]) {
    return Promise.resolve(new Set(folders.filter((folder) => folder === FOLDER && this.state !== "thawed")));
  }

  begin(): Promise<void> {
    this.asked.push("begin");
    return Promise.resolve();
  }

  prepare(all: readonly Folders[] = []) {
    this.asked.push("prepare", ...all.map(({ freezer }) => `use ${freezer}`));
    return Promise.resolve(this.problem);
  }

  forget({ freezer }: Folders): void {
    this.asked.push(`forget ${freezer}`);
  }

  async ask(what: Command, { freezer: folder }: Folders): Promise<string | undefined> {
    this.asked.push(`${what} ${folder}`);
    if (this.held !== undefined) await this.held;
    if (this.isAway) return undefined;
    if (this.refusal !== undefined) return this.refusal;
    if (folder !== FOLDER) return "no: there is no such group";
    if (what === "freeze") this.state = this.isStuck ? "freezing" : "frozen";
    if (what === "thaw") this.state = "thawed";
    return what === "cancel" ? "ok" : this.state;
  }
}

function machineTest(name: string, fn: (machine: FakeMachine, freezer: Freezer) => Promise<void>): void {
  Deno.test(name, async () => {
    const machine = new FakeMachine();
    machine.freezer.started(ID, ENGINE_ID);
    await fn(machine, machine.freezer);
    assertEquals(machine.clock.timers, 0);
  });
}

machineTest("a container is frozen and thawed by its control group", async (machine, freezer) => {
  assertEquals([await freezer.freeze(ID), machine.state, freezer.isFrozen(ID)], [true, "frozen", true]);
  assertEquals([await freezer.thaw(ID), machine.state, freezer.isFrozen(ID)], [true, "thawed", false]);
});

machineTest("a thaw is one question to the helper, and the control group is found before", async (machine, freezer) => {
  assertEquals(machine.asked, []);
  await freezer.freeze(ID);
  assertEquals(machine.asked, ["prepare", `freeze ${FOLDER}`]);
  await freezer.thaw(ID);
  await freezer.freeze(ID);
  await freezer.thaw(ID);
  assertEquals(machine.asked.slice(2), [`thaw ${FOLDER}`, "prepare", `freeze ${FOLDER}`, `thaw ${FOLDER}`]);
  assertEquals(machine.listed, 1);
});

machineTest("a container without a control group here is left to the engine", async (machine, freezer) => {
  freezer.started("elsewhere", "f".repeat(64));
  for (const id of ["elsewhere", "unknown"]) {
    assertEquals([await freezer.freeze(id), await freezer.thaw(id), freezer.isFrozen(id)], [false, false, false]);
  }
  assertEquals(machine.asked, ["prepare", "prepare"]);
});

machineTest(
  "a container that cannot be frozen in time runs again, and may be frozen later",
  async (machine, freezer) => {
    machine.isStuck = true;
    const freezing = assertRejects(() => freezer.freeze(ID), NotNow, "do not stop");
    await machine.clock.advance(1100);
    await freezing;
    assertEquals([machine.state, freezer.isFrozen(ID)], ["thawed", false]);
    machine.isStuck = false;
    assertEquals([await freezer.freeze(ID), machine.state], [true, "frozen"]);
  },
);

machineTest("a thaw wins against a freeze that is still running", async (machine, freezer) => {
  machine.isStuck = true;
  const freezing = assertRejects(() => freezer.freeze(ID), Error, "thawed while it was being frozen");
  await settle();
  assertEquals(await freezer.thaw(ID), true);
  await machine.clock.advance(10);
  await freezing;
  assertEquals([machine.state, freezer.isFrozen(ID)], ["thawed", false]);
});

machineTest("a container stays known as frozen while no helper thaws it", async (machine, freezer) => {
  await freezer.freeze(ID);
  machine.isAway = true;
  assertEquals([await freezer.thaw(ID), freezer.isFrozen(ID)], [false, true]);
  machine.isAway = false;
  assertEquals([await freezer.thaw(ID), machine.state], [true, "thawed"]);
});

machineTest("while no helper can be started, containers are left to the engine", async (machine, freezer) => {
  [machine.problem, machine.isAway] = ["the engine does not answer", true];
  assertEquals([await freezer.freeze(ID), freezer.frozen], [false, []]);
  [machine.problem, machine.isAway] = [undefined, false];
  assertEquals([await freezer.freeze(ID), freezer.frozen], [true, [ID]]);
});

machineTest("a refused freeze leaves the container to the engine", async (machine, freezer) => {
  machine.refusal = "no: it is somebody else's";
  assertEquals([await freezer.freeze(ID), freezer.isFrozen(ID)], [false, false]);
  machine.refusal = undefined;
  assertEquals([await freezer.freeze(ID), machine.state], [false, "thawed"]); // also later
});

machineTest(
  "without an answer to a freeze, the container counts as frozen until it is thawed",
  async (machine, freezer) => {
    machine.isAway = true;
    await assertRejects(() => freezer.freeze(ID), Error, "no helper says whether");
    assertEquals(freezer.isFrozen(ID), true);
    machine.isAway = false;
    assertEquals([await freezer.thaw(ID), machine.state], [true, "thawed"]);
    assertEquals([await freezer.freeze(ID), machine.state], [true, "frozen"]);
  },
);

machineTest("a list corrects what is believed of a container", async (machine, freezer) => {
  const running = new Map([[ID, ENGINE_ID]]);
  await freezer.freeze(ID);
  machine.state = "thawed"; // somebody else has done that
  await freezer.found(running);
  assertEquals(freezer.frozen, []);
  machine.state = "frozen";
  await freezer.found(running);
  assertEquals([freezer.frozen, await freezer.thaw(ID), machine.state], [[ID], true, "thawed"]);
});

machineTest("a list changes nothing for a container that is frozen or thawed meanwhile", async (machine, freezer) => {
  const running = new Map([[ID, ENGINE_ID]]);
  await freezer.freeze(ID);
  await freezer.thaw(ID);
  const found = freezer.found(running); // reads that it is thawed
  await freezer.freeze(ID);
  await found;
  assertEquals([freezer.frozen, machine.state], [[ID], "frozen"]);
});

machineTest("a list that is read while a freeze or thaw is running changes nothing", async (machine, freezer) => {
  await freezer.freeze(ID);
  await freezer.thaw(ID);
  for (const what of ["freeze", "thaw"] as const) {
    const { promise, resolve } = Promise.withResolvers<void>();
    machine.held = promise;
    const changed = freezer[what](ID);
    await settle();
    await freezer.found(new Map([[ID, ENGINE_ID]])); // the helper has not written yet
    resolve();
    assertEquals([await changed, freezer.frozen], [true, what === "freeze" ? [ID] : []]);
  }
});

machineTest("from when nothing is to be frozen any more, containers are only thawed", async (machine, freezer) => {
  await freezer.freeze(ID);
  freezer.stopFreezing();
  assertEquals([await freezer.thaw(ID), await freezer.freeze(ID), machine.state], [true, false, "thawed"]);
});

machineTest("what is found frozen is made known to the helper in advance", async (machine, freezer) => {
  await freezer.freeze(ID);
  const later = machine.anotherFreezer();
  machine.asked.length = 0;
  await later.found(new Map([[ID, ENGINE_ID]]));
  assertEquals(machine.asked, ["prepare", `use ${FOLDER}`]);
});

machineTest("a later process finds what an earlier one has frozen, and thaws it", async (machine, freezer) => {
  await freezer.freeze(ID);
  const later = machine.anotherFreezer();
  await later.found(new Map([[ID, ENGINE_ID], ["elsewhere", "f".repeat(64)]]));
  assertEquals(later.frozen, [ID]);
  assertEquals([await later.thaw(ID), machine.state], [true, "thawed"]);
});

machineTest("only containers that are new here are looked at", async (machine, freezer) => {
  const running = new Map([[ID, ENGINE_ID]]);
  await freezer.found(running);
  assertEquals(machine.listed, 0); // it was started here
  const later = machine.anotherFreezer();
  await later.found(running);
  await later.found(running);
  assertEquals(machine.listed, 1);
});

machineTest("without a helper, what is frozen is found, and left to the engine", async (machine, freezer) => {
  await freezer.freeze(ID);
  const later = machine.freezerWithoutHelper();
  await later.found(new Map([[ID, ENGINE_ID]]));
  assertEquals([later.frozen, later.isStuck(ID), await later.thaw(ID)], [[ID], true, false]);
  later.leave(ID, ENGINE_ID);
  assertEquals([later.frozen, await later.freeze(ID)], [[], false]);
});

machineTest("a freezer that may not freeze thaws what an earlier one has frozen", async (machine, freezer) => {
  await freezer.freeze(ID);
  const later = new Freezer(machine, false, machine.clock, machine);
  await later.found(new Map([[ID, ENGINE_ID]]));
  assertEquals([later.frozen, later.isStuck(ID), await later.thaw(ID), machine.state], [[ID], false, true, "thawed"]);
  assertEquals([await later.freeze(ID), machine.state], [false, "thawed"]);
});

machineTest("a container that is sent a signal runs, and is not frozen for a minute", async (machine, freezer) => {
  await freezer.freeze(ID);
  assertEquals([await freezer.signalled(ID), machine.state], [true, "thawed"]);
  await machine.clock.advance(59_999);
  await assertRejects(() => freezer.freeze(ID), NotNow, "may have been sent a signal");
  assertEquals([machine.state, freezer.frozen], ["thawed", []]);
  await machine.clock.advance(1);
  assertEquals([await freezer.freeze(ID), machine.state], [true, "frozen"]);
});

machineTest("what the engine has paused is left to it", async (machine, freezer) => {
  await freezer.freeze(ID);
  freezer.leave(ID, ENGINE_ID);
  assertEquals([await freezer.thaw(ID), machine.state, freezer.frozen], [false, "frozen", []]);
});

machineTest("a container that the engine had paused is frozen after its next use", async (machine) => {
  const later = machine.anotherFreezer();
  later.leave(ID, ENGINE_ID);
  assertEquals([await later.freeze(ID), machine.state], [true, "frozen"]);
});

machineTest("a container that the engine has paused has its folders, until the engine resumes it", async (machine) => {
  for (const resume of ["thaw", "resumedByEngine"] as const) {
    const later = machine.anotherFreezer();
    assertEquals([later.isStopped(ID), await later.foldersOf(ID)], [false, undefined]);
    later.leave(ID, ENGINE_ID);
    assertEquals([later.isStopped(ID), await later.foldersOf(ID), later.frozen], [true, FOLDERS, []]);
    machine.asked.length = 0;
    await later[resume](ID);
    assertEquals([later.isStopped(ID), await later.foldersOf(ID)], [false, undefined]);
    assertEquals(machine.asked, [`cancel ${FOLDER}`]); // its memory may be on the way to swap
  }
});

machineTest("a list that is older than the engine's pause leaves the container to the engine", async (machine) => {
  const later = machine.anotherFreezer();
  const running = new Map([[ID, ENGINE_ID]]);
  await later.found(running);
  machine.state = "frozen";
  later.leave(ID, ENGINE_ID);
  await later.found(running);
  assertEquals([later.frozen, later.isStopped(ID)], [[], true]);
  machine.state = "thawed"; // the event of that was lost
  await later.found(running);
  assertEquals([later.frozen, later.isStopped(ID)], [[], false]);
});

machineTest("nothing is kept of a container that is forgotten", async (machine, freezer) => {
  await freezer.freeze(ID);
  freezer.forget(ID);
  assertEquals(machine.asked.at(-1), `forget ${FOLDER}`);
  assertEquals([freezer.frozen, await freezer.thaw(ID), await freezer.freeze(ID)], [[], false, false]);
});
