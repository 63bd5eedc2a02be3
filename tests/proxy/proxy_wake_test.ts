import { assertEquals } from "@std/assert";
import type { Forward } from "../../src/base/config.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin, type OriginConnection } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

type Tier = "paused" | "hibernated";

/** A test of the first request after each kind of sleep, with each forwarder. */
function wakeTest(name: string, fn: (tier: Tier, forward: Forward) => Promise<void>): void {
  for (const tier of ["paused", "hibernated"] as const) {
    forwardTest(`${tier}: ${name}`, (forward) => fn(tier, forward));
  }
}

/** Puts the instance to sleep. */
async function sleep({ fleet, instance, launcher }: Harness, tier: Tier): Promise<void> {
  await launcher.pause(instance.id);
  if (tier === "hibernated") await fleet.asleep()[0]!.pool.hibernate(instance);
  assertEquals(instance.state, tier);
}

/** Checks that the one instance has been woken, and still serves. */
async function assertServes(cless: Harness): Promise<void> {
  await cless.idle();
  assertEquals(cless.instances.map(({ state }) => state), ["ready"]);
  assertEquals([cless.launcher.called("resume").length, cless.launcher.called("stop")], [1, []]);
}

/** An app that closes the first connections after a request, without an answer; records the requests. */
function forgetfulApp(unanswered: number): { app: Origin; asked: string[] } {
  const asked: string[] = [];
  const app = Origin.serving(async (connection) => {
    const request = await connection.reader.request();
    asked.push(request?.startLine.split(" ")[0] ?? "cut");
    if (connection.number >= unanswered) await connection.send(OK);
  });
  return { app, asked };
}

wakeTest(
  "a GET that the app closes without an answer is sent once more, and the instance stays",
  async (tier, forward) => {
    const { app, asked } = forgetfulApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ forward, origin: app });
    await sleep(cless, tier);
    const answer = await cless.ask(requestText());
    assertEquals([answer.status, answer.body.length], [200, 2]);
    assertEquals(asked, ["GET", "GET"]);
    await assertServes(cless);
  },
);

wakeTest("a POST that the app closes without an answer is a 502, and the instance stays", async (tier, forward) => {
  for (const body of ["", "hello"]) {
    const { app, asked } = forgetfulApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ forward, origin: app });
    await sleep(cless, tier);
    const answer = await cless.ask(requestText("POST /", [`content-length: ${body.length}`], body));
    assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
    assertEquals(asked, ["POST"]);
    await assertServes(cless);
  }
});

wakeTest("a request whose body is too large to be kept is not sent again", async (tier, forward) => {
  for (const method of ["PUT", "DELETE"]) {
    const { app, asked } = forgetfulApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ forward, origin: app });
    await sleep(cless, tier);
    const answer = await cless.ask(requestText(`${method} /`, ["content-length: 100000"], "x".repeat(100_000)));
    assertEquals([answer.status, asked.length], [502, 1]);
    await assertServes(cless);
  }
});

wakeTest(
  "a GET that the app closes twice is a 502 without a third try, and the instance stays",
  async (tier, forward) => {
    const { app, asked } = forgetfulApp(2);
    await using _ = app;
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: app, clock });
    await sleep(cless, tier);
    const answer = await clock.until(cless.ask(requestText()));
    assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
    assertEquals(asked, ["GET", "GET"]);
    await assertServes(cless);
  },
);

/** An app whose connections serve one request, and are closed at the next one. */
function untilNextRequest(asked: string[]): (connection: OriginConnection) => Promise<void> {
  return async (connection) => {
    await connection.reader.request();
    await connection.send(OK);
    const second = await connection.reader.request();
    if (second !== undefined) asked.push(second.startLine);
  };
}

wakeTest(
  "no connection from before the sleep is used after it, since the app may be closing it",
  async (tier, forward) => {
    for (const [method, body] of [["GET", ""], ["POST", ""], ["POST", "hello"]] as const) {
      const late: string[] = [];
      await using app = Origin.serving(untilNextRequest(late));
      await using cless = await Harness.warm({ forward, origin: app });
      assertEquals((await cless.ask(requestText())).status, 200);
      await cless.idle();
      await sleep(cless, tier);
      const answer = await cless.ask(requestText(`${method} /`, [`content-length: ${body.length}`], body));
      assertEquals([answer.status, app.connections, late], [200, 2, []]);
      await assertServes(cless);
    }
  },
);

wakeTest(
  "a GET whose app ends by itself as it wakes is sent to a new instance, but only to one",
  async (tier, forward) => {
    for (const { ends, status } of [{ ends: 1, status: 200 }, { ends: 2, status: 502 }]) {
      const asked: string[] = [];
      await using app = Origin.serving(async (connection) => {
        await connection.reader.request();
        const { id } = cless.instance;
        if (asked.push(id) <= ends) return cless.launcher.end(id, 1);
        await connection.send(OK);
      });
      await using cless = await Harness.warm({ forward, origin: app });
      await sleep(cless, tier);
      assertEquals([(await cless.ask(requestText())).status, asked], [status, ["app-1", "app-2"]]);
      await cless.idle();
    }
  },
);

wakeTest(
  "a POST whose app ends by itself as it wakes is a 502, and the next one is answered",
  async (tier, forward) => {
    const asked: string[] = [];
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      const { id } = cless.instance;
      if (asked.push(id) === 1) return cless.launcher.end(id, 1);
      await connection.send(OK);
    });
    await using cless = await Harness.warm({ forward, origin: app });
    await sleep(cless, tier);
    const post = requestText("POST /", ["content-length: 5"], "hello");
    assertEquals([(await cless.ask(post)).status, (await cless.ask(post)).status], [502, 200]);
    assertEquals(asked, ["app-1", "app-2"]);
    await cless.idle();
  },
);
