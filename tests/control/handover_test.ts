import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { OperatorError } from "../../src/base/errors.ts";
import { Incumbency, type Incumbent, SuccessorDoor } from "../../src/control/handover.ts";
import type { InstanceUse } from "../../src/fleet/predecessor.ts";
import { noNet, noRead, noWrite } from "../support/permissions.ts";
import { until } from "../support/until.ts";

const ENDPOINT = { hostname: "127.0.0.1", port: 80 };
const USE: InstanceUse = { id: "one", revision: "r", state: "ready", placed: true, inFlight: 1, inUse: 1 };

/** A process that notes what it is asked for. */
class FakeIncumbent implements Incumbent<number> {
  readonly facts = { listen: [{ given: ENDPOINT, actual: ENDPOINT }], secretKey: "key" };
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
    incumbent: FakeIncumbent,
    connect: () => Promise<Incumbency<number>>,
    door: SuccessorDoor<number>,
    folder: string,
  ) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: noNet || noRead || noWrite,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      const door = new SuccessorDoor<number>(folder, systemClock);
      const incumbent = new FakeIncumbent();
      door.open(incumbent);
      try {
        await fn(incumbent, () => Incumbency.connect<number>(folder), door, folder);
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
    assertEquals([facts?.pid, facts?.listen, facts?.secretKey], [Deno.pid, incumbent.facts.listen, "key"]);
    assertEquals(incumbent.asked, []);
    assertEquals(await successor.seal(), { position: 7, uses: [USE] });
    await successor.accepting();
    assertEquals(await door.superseded, Deno.pid);
    assertEquals(incumbent.asked, ["seal", "yield"]);
    assert(!successor.gone.aborted);
    using own = new SuccessorDoor<number>(folder, systemClock);
    own.open(new FakeIncumbent());
    door[Symbol.dispose](); // the process ends, and leaves the successor's door open
    await until(() => successor.gone.aborted);
    using third = await connect();
    assertEquals((await third.hello())?.pid, Deno.pid);
  },
);

handoverTest("the use of the instances is reported whenever it changes", async (incumbent, connect) => {
  using successor = await connect();
  const reports: (readonly InstanceUse[])[] = [];
  successor.listen((uses) => reports.push(uses));
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
