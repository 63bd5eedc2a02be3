import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import type { PredecessorListener } from "../../src/control/handover.ts";
import { checkSameEngine, lockAfter, type Role, ROLES, TakeOver } from "../../src/control/take_over.ts";
import { type InstanceUse, Predecessor } from "../../src/fleet/predecessor.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { newKit } from "../support/kit.ts";
import { noRun } from "../support/permissions.ts";

const DRAIN_TIMEOUT_MS = 30_000;
const USE: InstanceUse = { id: "one", revision: "r", state: "ready", placed: true, inFlight: 1, inUse: 1 };
const SEALED = { position: 7, uses: [USE] };

function nameOf(role: Role): string {
  return Object.entries(ROLES).find(([, other]) => other === role)![0];
}

/** A process that notes each step of a take-over, in which the step `failing` fails. */
class Rig {
  readonly steps: string[] = [];
  failing: string | undefined;
  readonly stopping = new AbortController();
  readonly adoption = { known: true, waits: false, unsuspend: () => this.#step("unsuspend") };
  readonly clock: FakeClock;
  readonly predecessor: Predecessor;
  readonly takeOver: TakeOver<number>;
  /** Set where the running changes take long to end. */
  pausing: Promise<void> | undefined;
  #role: Role = ROLES.owner;

  constructor() {
    const { clock, fleet } = newKit();
    const step = (name: string) => this.#step(name);
    const { adoption, stopping } = this;
    this.clock = clock;
    this.predecessor = new Predecessor(fleet);
    stopping.signal.addEventListener("abort", () => step("stopping"));
    // deno-lint-ignore no-this-alias
    const rig = this;
    this.takeOver = new TakeOver<number>({
      role: {
        get now() {
          return rig.#role;
        },
        set now(role) {
          rig.#role = role;
          rig.steps.push(nameOf(role));
        },
      },
      ...{ adoption, clock, fleet, predecessor: this.predecessor, servers: [], stopping },
      peerServer: { shutdown: () => Promise.resolve(step("peers")) },
      config: { drainTimeoutMs: DRAIN_TIMEOUT_MS, notifySocket: undefined },
      dataDir: {
        path: "",
        lock: () => Promise.resolve().then(() => step("lock")),
        unlock: () => step("unlock"),
        leave: () => step("leave"),
      },
      store: {
        seal: () => step("store.seal"),
        unseal: () => step("store.unseal"),
        install: () => step("install"),
        confirm: () => step("confirm"),
      },
      deployer: {
        pause: () => {
          step("pause");
          return this.pausing ?? Promise.resolve();
        },
        resume: () => step("resume"),
        close: () => Promise.resolve().then(() => step("close")),
      },
      engine: {
        listening: true,
        launcher: {
          position: 7,
          continueFrom: (position) => step(`from ${position}`),
          endPauses: () => Promise.resolve().then(() => step("no more pauses")),
        },
        stopHibernating: () => step("no more hibernation"),
      },
      reconciler: { reconcile: () => Promise.resolve().then(() => step("reconcile")).then(() => true) },
      figures: { finish: () => step("figures"), inherit: () => step("inherited figures") },
      supervision: { start: () => step("start"), stop: () => step("stop") },
    });
  }

  get role(): string {
    return nameOf(this.#role);
  }

  /** The steps since the last call. */
  taken(): string[] {
    return this.steps.splice(0);
  }

  #step(name: string): void {
    this.steps.push(name);
    if (name === this.failing) throw new Error(`${name} fails`);
  }
}

/** The connection of a successor to a predecessor that does what the test says. */
class FakeLink {
  readonly #gone = new AbortController();
  readonly #steps: string[];
  listener: PredecessorListener | undefined;
  readonly closed = Promise.resolve();

  constructor(steps: string[]) {
    this.#steps = steps;
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  end(): void {
    this.#gone.abort();
  }

  listen(listener: PredecessorListener): void {
    this.listener = listener;
  }

  accepting(): Promise<void> {
    this.#steps.push("accepting");
    return Promise.resolve();
  }
}

const SEAL = ["sealing", "pause", "close", "figures", "store.seal", "sealed", "stop", "no more pauses", "unlock"];

Deno.test({
  name: "a process that hands over seals its store, unlocks the data-dir, and later leaves everything to its successor",
  ignore: noRun,
  fn: async () => {
    const rig = new Rig();
    assertEquals(await rig.takeOver.seal(), 7);
    assertEquals(rig.taken(), SEAL);
    await rig.takeOver.yield(() => rig.steps.push("knock"));
    const steps = rig.taken();
    assertEquals(steps.slice(0, 4), ["superseded", "no more hibernation", "leave", "stopping"]);
    assertEquals(steps.at(-1), "peers"); // from now on, only the successor answers them
    await assertRejects(() => rig.takeOver.seal(), OperatorError);
    assertEquals(rig.role, "superseded");
  },
});

for (const failing of ["close", "store.seal"]) {
  Deno.test(`if "${failing}" fails, the old process owns everything, accepts changes, and can hand over later`, async () => {
    const rig = new Rig();
    rig.failing = failing;
    await assertRejects(() => rig.takeOver.seal(), Error, `${failing} fails`);
    assertEquals(rig.taken(), [...SEAL.slice(0, SEAL.indexOf(failing) + 1), "owner", "resume"]);
    rig.failing = undefined;
    assertEquals(await rig.takeOver.seal(), 7);
  });
}

Deno.test("changes that take longer than the drain timeout are cancelled before the store is sealed", async () => {
  const rig = new Rig();
  rig.pausing = new Promise(() => {});
  const sealed = rig.takeOver.seal();
  await rig.clock.advance(DRAIN_TIMEOUT_MS - 1);
  assertEquals(rig.taken(), ["sealing", "pause"]);
  await rig.clock.advance(1);
  assertEquals([await sealed, rig.taken()], [7, SEAL.slice(2)]);
});

Deno.test("a process that starts, stops, or hands over already refuses to seal, and nothing changes", async () => {
  const starting = new Rig();
  starting.adoption.known = false;
  const stopping = new Rig();
  stopping.stopping.abort();
  const sealed = new Rig();
  await sealed.takeOver.seal();
  const successor = new Rig();
  successor.takeOver.begin(new FakeLink([]), SEALED);
  for (const rig of [starting, stopping, sealed, successor]) {
    const { role } = rig;
    rig.taken();
    await assertRejects(() => rig.takeOver.seal(), OperatorError, "it is starting or stopping");
    assertEquals([rig.role, rig.taken()], [role, []]);
  }
});

Deno.test("if its successor fails, the old process gets its store back, and then accepts changes again", async () => {
  const rig = new Rig();
  await rig.takeOver.seal();
  rig.taken();
  await rig.takeOver.unseal();
  assertEquals(rig.taken(), ["unsealing", "lock", "store.unseal", "owner", "resume", "start"]);
  assertEquals(await rig.takeOver.seal(), 7);
});

Deno.test({
  name: "whoever would stop a process that hands over learns when its successor serves, or has failed",
  ignore: noRun,
  fn: async () => {
    const alone = new Rig();
    assertEquals(await alone.takeOver.handedOver(), false);

    const failed = new Rig();
    failed.failing = "store.seal";
    await assertRejects(() => failed.takeOver.seal());
    assertEquals(await failed.takeOver.handedOver(), false);

    const rig = new Rig();
    let outcome: boolean | undefined;
    const watch = () => rig.takeOver.handedOver().then((handedOver) => outcome = handedOver);
    await rig.takeOver.seal();
    watch();
    await settle();
    assertEquals(outcome, undefined);
    await rig.takeOver.unseal();
    await settle();
    assertEquals(outcome, false);
    await rig.takeOver.seal();
    watch();
    await rig.takeOver.yield(() => {});
    await settle();
    assertEquals(outcome, true);
  },
});

for (const failing of ["lock", "store.unseal"]) {
  Deno.test(`if "${failing}" fails, the old process serves on and tries every second, until it stops`, async () => {
    const rig = new Rig();
    await rig.takeOver.seal();
    rig.failing = failing;
    const unsealed = rig.takeOver.unseal();
    await rig.clock.advance(999);
    rig.taken();
    await rig.clock.advance(1);
    assertEquals([rig.taken().includes(failing), rig.role], [true, "unsealing"]);
    rig.failing = undefined;
    await rig.clock.advance(1000);
    await unsealed;
    assertEquals(rig.role, "owner");

    const stopped = new Rig();
    await stopped.takeOver.seal();
    stopped.failing = failing;
    const given = stopped.takeOver.unseal();
    await settle();
    stopped.stopping.abort();
    await given;
    assertEquals([stopped.role, stopped.taken().includes("resume")], ["unsealing", false]);
  });
}

Deno.test({
  name: "a process that takes over owns nothing until it listens, and confirms the store once it alone does",
  ignore: noRun,
}, async () => {
  const rig = new Rig();
  assertEquals(rig.takeOver.isSuccessor, false);
  rig.takeOver.begin(new FakeLink(rig.steps), SEALED);
  assertEquals([rig.taken(), rig.predecessor.alive, rig.takeOver.isSuccessor], [["successor", "from 7"], true, true]);
  await rig.takeOver.install();
  assertEquals([rig.taken(), rig.role], [["install"], "successor"]);
  await rig.takeOver.supersede();
  assertEquals(rig.taken(), ["owner", "accepting", "confirm", "start"]);
  assertEquals([rig.predecessor.alive, rig.takeOver.isSuccessor], [true, false]);
});

Deno.test({
  name:
    "a successor that cannot put the store in place does not own the containers, and does not replace the old process",
  ignore: noRun,
}, async () => {
  const rig = new Rig();
  rig.takeOver.begin(new FakeLink(rig.steps), SEALED);
  rig.taken();
  rig.failing = "install";
  await assertRejects(() => rig.takeOver.install(), Error, "install fails");
  assertEquals([rig.taken(), rig.role], [["install"], "successor"]);
});

Deno.test(
  { name: "a successor inherits from a predecessor that ends, as far as it has come itself", ignore: noRun },
  async () => {
    const early = new Rig();
    const gone = new FakeLink(early.steps);
    gone.end();
    early.adoption.known = false;
    early.takeOver.begin(gone, SEALED);
    assertEquals([early.taken(), early.predecessor.alive], [["successor", "from 7"], false]);

    const adopted = new Rig();
    const link = new FakeLink(adopted.steps);
    adopted.takeOver.begin(link, SEALED);
    adopted.taken();
    link.end();
    await settle();
    assertEquals([adopted.taken(), adopted.predecessor.alive], [["unsuspend"], false]);
    link.listener!.uses([USE]); // was on its way
    assertEquals(adopted.predecessor.alive, false);
    await adopted.takeOver.install();
    await adopted.takeOver.supersede();
    assertEquals(adopted.role, "owner");

    const serving = new Rig();
    const last = new FakeLink(serving.steps);
    serving.takeOver.begin(last, SEALED);
    await serving.takeOver.supersede();
    serving.taken();
    last.end();
    await settle();
    assertEquals([serving.taken(), serving.predecessor.alive], [["unsuspend", "reconcile"], false]);
  },
);

Deno.test("a successor stores what its predecessor has counted since it handed over the store", async () => {
  const rig = new Rig();
  const link = new FakeLink(rig.steps);
  rig.takeOver.begin(link, SEALED);
  await rig.takeOver.supersede();
  rig.taken();
  link.listener!.figures({ requests: [] });
  assertEquals(rig.taken(), ["inherited figures"]);
});

Deno.test("pools that wait for a container of the predecessor look for it after each report", async () => {
  const rig = new Rig();
  const link = new FakeLink(rig.steps);
  rig.takeOver.begin(link, SEALED);
  rig.taken();
  link.listener!.uses([]);
  await settle();
  assertEquals(rig.taken(), []);
  rig.adoption.waits = true;
  link.listener!.uses([USE]);
  await settle();
  assertEquals(rig.taken(), ["reconcile", "unsuspend"]);
});

/** Locks a data-dir that can be locked at the n-th try. Returns what comes of it, and the number of tries. */
async function lockedAt(tries: number, sealed: typeof SEALED | undefined, isGone: boolean) {
  const clock = new FakeClock();
  const gone = isGone ? AbortSignal.abort() : new AbortController().signal;
  let tried = 0;
  const lock = () => ++tried < tries ? Promise.reject(new OperatorError("in use")) : Promise.resolve();
  const outcome = lockAfter({ gone, seal: () => Promise.resolve(sealed) }, { lock }, clock).catch(String);
  await clock.advance(10_000);
  return [await outcome, tried];
}

Deno.test("the lock of a predecessor that has ended may take a moment to vanish, but a living one must give it up", async () => {
  assertEquals(await lockedAt(1, SEALED, false), [SEALED, 1]);
  assertEquals(await lockedAt(2, SEALED, false), ["OperatorError: in use", 1]);
  assertEquals(await lockedAt(3, SEALED, true), [SEALED, 3]);
  assertEquals(await lockedAt(20, undefined, true), [undefined, 20]);
  assertEquals(await lockedAt(21, undefined, true), ["OperatorError: in use", 20]);
});

Deno.test("a process takes over only from one with the same engine, and says what to do otherwise", () => {
  checkSameEngine({ engine: "swarm" }, { engine: "swarm", pid: 7 });
  checkSameEngine({ engine: "docker" }, { engine: "docker", pid: 7 });
  checkSameEngine({ engine: "docker" }, { pid: 7 }); // of a version that knows no other
  for (const [engine, other] of [["swarm", "docker"], ["docker", "swarm"]] as const) {
    assertThrows(
      () => checkSameEngine({ engine }, { engine: other, pid: 7 }),
      OperatorError,
      `the cless that is running (pid 7) has --engine ${other}, and one with --engine ${engine} cannot take over its ` +
        "containers; stop it, then start this one",
    );
  }
  assertThrows(() => checkSameEngine({ engine: "swarm" }, { pid: 7 }), OperatorError, "stop it");
});
