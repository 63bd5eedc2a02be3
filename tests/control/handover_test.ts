import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { HandoverClient, HandoverServer, type RunningProcess } from "../../src/control/handover.ts";
import type { NewFigures } from "../../src/control/figures/records.ts";
import type { InstanceUse } from "../../src/fleet/predecessor.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { noNet, noRead, noRun, noWrite } from "../support/permissions.ts";
import { until } from "../support/until.ts";

const ENDPOINT = { hostname: "127.0.0.1", port: 80 };
const USE: InstanceUse = { id: "one", revision: "r", state: "ready", placed: true, inFlight: 1, inUse: 1 };

const FACTS = { listen: [{ given: ENDPOINT, actual: ENDPOINT }], engine: "swarm", secretKey: "key" } as const;

/** A process that notes what it is asked for. */
class FakeProcess implements RunningProcess<number> {
  readonly asked: string[] = [];
  using: InstanceUse[] = [USE];
  refusal: string | undefined;

  seal(): Promise<number> {
    if (this.refusal !== undefined) return Promise.reject(new OperatorError(this.refusal));
    this.asked.push("seal");
    return Promise.resolve(7);
  }

  unseal(): Promise<void> {
    this.asked.push("unseal");
    return Promise.resolve();
  }

  uses(): InstanceUse[] {
    return this.using;
  }

  yield(knock: () => void): Promise<void> {
    this.asked.push("yield");
    knock();
    return Promise.resolve();
  }
}

function handoverTest(
  name: string,
  fn: (
    incumbent: FakeProcess,
    connect: () => Promise<HandoverClient<number>>,
    door: HandoverServer<number>,
    folder: string,
  ) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: noNet || noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      const door = new HandoverServer<number>(folder, systemClock);
      const incumbent = new FakeProcess();
      door.open(incumbent, FACTS);
      try {
        await fn(incumbent, () => HandoverClient.connect<number>(folder), door, folder);
      } finally {
        door[Symbol.dispose]();
        await new Promise((resolve) => setTimeout(resolve, 0)); // its connections have ended
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

handoverTest(
  "a successor learns what it needs, and the process before yields once it accepts",
  async (incumbent, connect, door, folder) => {
    assertEquals((await Deno.stat(`${folder}/handover.sock`)).mode! & 0o777, 0o600);
    const successor = await connect();
    const facts = await successor.hello();
    assertEquals([facts?.pid, facts?.listen, facts?.engine], [Deno.pid, FACTS.listen, "swarm"]);
    assertEquals(facts?.secretKey, "key");
    assertEquals(incumbent.asked, []);
    assertEquals(await successor.seal(), { position: 7, uses: [USE] });
    await successor.accepting();
    assertEquals(await door.superseded, Deno.pid);
    assertEquals(incumbent.asked, ["seal", "yield"]);
    assert(!successor.gone.aborted);
    using own = new HandoverServer<number>(folder, systemClock);
    own.open(new FakeProcess(), FACTS);
    door[Symbol.dispose](); // the process ends, and leaves the successor's door open
    await until(() => successor.gone.aborted);
    using third = await connect();
    assertEquals((await third.hello())?.pid, Deno.pid);
  },
);

handoverTest("the use of the instances is reported whenever it changes", async (incumbent, connect) => {
  using successor = await connect();
  const reports: (readonly InstanceUse[])[] = [];
  successor.listen({ uses: (uses) => void reports.push(uses), figures: () => {} });
  await successor.hello();
  await successor.seal();
  incumbent.using = [{ ...USE, inFlight: 2 }];
  await until(() => reports.length === 1);
  incumbent.using = [];
  await until(() => reports.length === 2);
  assertEquals(reports, [[{ ...USE, inFlight: 2 }], []]);
  successor[Symbol.dispose]();
  await until(() => incumbent.asked.includes("unseal"));
});

handoverTest(
  "what the process before counts until it ends is for the one that has taken over",
  async (_, connect, door) => {
    using successor = await connect();
    const told: NewFigures[] = [];
    successor.listen({ uses: () => {}, figures: (figures) => void told.push(figures) });
    const figures = {
      requests: [{ service: "app", minute: 7, requests: 2, errors: 0, latencies: [[-3, 2]] }],
    } as const;
    await door.handOn(figures); // nobody has taken over
    await successor.hello();
    await successor.seal();
    await successor.accepting();
    await successor.closed;
    await door.handOn(figures);
    await until(() => told.length > 0);
    assertEquals(told, [figures]);
  },
);

handoverTest(
  "the process before goes on if its successor ends too early, and the next one may take over",
  async (incumbent, connect) => {
    {
      using first = await connect();
      await first.hello(); // nothing is to be undone yet
    }
    {
      using second = await connect();
      await second.hello();
      await second.seal();
      await second.fail("a reason");
    }
    await until(() => incumbent.asked.length === 2);
    assertEquals(incumbent.asked, ["seal", "unseal"]);
    using third = await connect();
    await third.hello();
    await until(() => third.seal().then(() => true, () => false));
    await third.accepting();
    assertEquals(incumbent.asked, ["seal", "unseal", "seal", "yield"]);
  },
);

handoverTest("a second successor is refused, and so is one that comes at a bad time", async (incumbent, connect) => {
  incumbent.refusal = "it is starting";
  {
    using early = await connect();
    await early.hello();
    await assertRejects(() => early.seal(), OperatorError, "it is starting");
  }
  incumbent.refusal = undefined;
  using first = await connect();
  using second = await connect();
  await Promise.all([first.hello(), second.hello()]);
  await first.seal();
  await assertRejects(() => second.seal(), OperatorError, "another process is taking over already");
  first[Symbol.dispose]();
  await until(() => incumbent.asked.includes("unseal"));
});

handoverTest("a successor learns that the process before has ended", async (_incumbent, connect, door) => {
  using successor = await connect();
  await successor.hello();
  door[Symbol.dispose]();
  assertEquals(await successor.seal(), undefined);
  await successor.accepting();
  await until(() => successor.gone.aborted);
  await assertRejects(connect, OperatorError, "cannot hand over");
});

/** A successor that says only what the test says. It reads everything that it is told. */
class RawSuccessor implements Disposable {
  readonly told: Record<string, unknown>[] = [];
  isLeft = false;
  readonly #conn: Deno.UnixConn;

  private constructor(conn: Deno.UnixConn) {
    this.#conn = conn;
    this.#read();
  }

  static async connect(folder: string): Promise<RawSuccessor> {
    return new RawSuccessor(await Deno.connect({ transport: "unix", path: `${folder}/handover.sock` }));
  }

  /** Sends text as it is. */
  async send(text: string): Promise<void> {
    await this.#conn.write(new TextEncoder().encode(text));
  }

  /** Waits until it has been told something, and gives that back. */
  async until(what: string): Promise<unknown> {
    const find = () => this.told.find((message) => what in message);
    await until(() => find() !== undefined);
    return find()![what];
  }

  async #read(): Promise<void> {
    let text = "";
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await this.#conn.read(buffer).catch(() => null);
      if (count === null) break;
      const lines = (text + new TextDecoder().decode(buffer.subarray(0, count))).split("\n");
      text = lines.pop()!;
      for (const line of lines) this.told.push(JSON.parse(line));
    }
    this.isLeft = true;
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // The other side closed it first.
    }
  }
}

/** A door whose time the test makes pass, and a successor that is another process. */
function patienceTest(
  name: string,
  fn: (rig: {
    clock: FakeClock;
    incumbent: FakeProcess;
    folder: string;
    successor: RawSuccessor;
    child: Deno.ChildProcess;
    door: HandoverServer<number>;
  }) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: noNet || noRead || noRun || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      const clock = new FakeClock();
      const incumbent = new FakeProcess();
      using door = new HandoverServer<number>(folder, clock);
      door.open(incumbent, FACTS);
      const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
      const successor = await RawSuccessor.connect(folder);
      try {
        await fn({ clock, incumbent, folder, successor, child, door });
      } finally {
        successor[Symbol.dispose]();
        door[Symbol.dispose]();
        try {
          child.kill("SIGKILL");
        } catch {
          // It has ended.
        }
        await child.status;
        await until(() => clock.timers === 0);
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

patienceTest(
  "a successor that does not accept connections within two minutes of the seal is killed, and may not accept later",
  async ({ child, clock, incumbent, successor }) => {
    await successor.send(`{"hello":{"version":"1","pid":${child.pid}}}\n{"seal":true}\n`);
    await successor.until("sealed");
    await clock.advance(119_999);
    await successor.until("sealed");
    await clock.advance(1);
    assertEquals((await child.status).signal, "SIGKILL");
    await successor.send('{"accepting":true}\n');
    successor[Symbol.dispose]();
    await until(() => incumbent.asked.includes("unseal"));
    assertEquals(incumbent.asked, ["seal", "unseal"]);
  },
);

patienceTest(
  "a successor that accepts connections in time is not killed, and learns of each use until the process before ends",
  async ({ child, clock, incumbent, successor, door }) => {
    await successor.send(`{"hello":{"version":"1","pid":${child.pid}}}\n`);
    await successor.until("hello");
    await successor.send('{"seal":true}\n');
    await successor.until("sealed");
    await successor.send('{"accepting":true}\n');
    await successor.until("closed");
    assertEquals(await door.superseded, child.pid);
    assertEquals([incumbent.asked, clock.timers], [["seal", "yield"], 1]);
    await clock.advance(120_000);
    incumbent.using = [];
    await clock.advance(50);
    await until(() => successor.told.filter((message) => "uses" in message).length === 2);
    assertEquals(successor.told.map((message) => Object.keys(message)[0]), [
      ...["hello", "sealed", "uses", "knock", "closed", "uses"],
    ]);
    child.kill("SIGTERM");
    assertEquals((await child.status).signal, "SIGTERM"); // nobody had killed it before
    successor[Symbol.dispose]();
    await until(() => clock.timers === 0);
    assertEquals(incumbent.asked, ["seal", "yield"]); // it has been superseded for good
  },
);

patienceTest(
  "a process that has not said which one it is may not seal, and one that has not sealed may not accept",
  async ({ child, clock, incumbent, successor }) => {
    await successor.send('{"seal":true}\n{"accepting":true}\n');
    assertEquals(await successor.until("refused"), "there was no hello");
    await successor.send(`{"hello":{"version":"1","pid":${child.pid}}}\n{"accep`); // a message may come in pieces
    await successor.until("hello");
    await successor.send('ting":true}\n{"seal":true}\n');
    await successor.until("sealed");
    assertEquals([incumbent.asked, clock.timers], [["seal"], 2]);
  },
);

patienceTest(
  "a process that is superseded lets nobody else in, and at its end drops its successor's connection",
  async ({ child, folder, successor, door }) => {
    await successor.send(`{"hello":{"version":"1","pid":${child.pid}}}\n{"seal":true}\n{"accepting":true}\n`);
    await successor.until("closed");
    await assertRejects(() => RawSuccessor.connect(folder));
    await Deno.writeTextFile(`${folder}/handover.sock`, "its successor's");
    door[Symbol.dispose]();
    assertEquals(await Deno.readTextFile(`${folder}/handover.sock`), "its successor's");
    await until(() => successor.isLeft);
  },
);

handoverTest("a process that ends takes its socket with it", async (_incumbent, _connect, door, folder) => {
  door[Symbol.dispose]();
  await assertRejects(() => Deno.stat(`${folder}/handover.sock`), Deno.errors.NotFound);
});
