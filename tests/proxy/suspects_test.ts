import { assert, assertEquals } from "@std/assert";
import { probe } from "../../src/pool/probe.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { untilAborted } from "../support/kit.ts";
import { Harness, type HarnessOptions } from "../support/harness.ts";
import type { HttpMessage } from "../support/http_message.ts";
import { OK, Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** A service whose app is ended by some requests. */
class Poisoned implements AsyncDisposable {
  readonly app: Origin;
  /** What has been asked, with the instance. */
  readonly asked: string[] = [];
  cless!: Harness;
  /** Requests for /slow that have no answer. */
  #slow = 0;
  #waiting: { count: number; resolve: () => void } | undefined;

  private constructor(end: (poisoned: Poisoned) => void | Promise<void>) {
    this.app = Origin.serving(async (connection) => {
      const { target } = await connection.reader.request() ?? { target: "nothing" };
      const { id } = this.cless.instance;
      this.asked.push(`${id} ${target}`);
      if (target === "/poison") return await end(this);
      if (target === "/slow" && id === "app-1") {
        if (++this.#slow === this.#waiting?.count) this.#waiting.resolve();
        await connection.ended();
      }
      await connection.send(OK);
    });
  }

  static async start(options: HarnessOptions, end: (poisoned: Poisoned) => void | Promise<void>): Promise<Poisoned> {
    const poisoned = new Poisoned(end);
    poisoned.cless = await Harness.warm({ origin: poisoned.app, ...options });
    return poisoned;
  }

  /** Asks for a path that the first instance does not answer, several times. */
  async askSlowly(count: number): Promise<Promise<HttpMessage>[]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { count, resolve };
    const answers = Array.from({ length: count }, () => this.cless.ask(requestText("GET /slow")));
    await promise;
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cless.idle();
    await this.cless[Symbol.asyncDispose]();
    await this.app[Symbol.asyncDispose]();
  }
}

function endByItself({ cless }: Poisoned): void {
  cless.launcher.end(cless.instance.id, 1);
}

forwardTest(
  "a request that was alone on an instance that ended by itself is not sent to a second one",
  async (forward) => {
    for (const [exitCode, oom] of [[0, false], [1, false], [137, true]] as const) {
      await using poisoned = await Poisoned.start({ forward }, ({ cless }) => {
        cless.launcher.end(cless.instance.id, exitCode, oom);
      });
      const { cless, asked } = poisoned;
      const answer = await cless.ask(requestText("GET /poison"));
      assertEquals([answer.status, answer.one("cless-error"), asked], [502, "upstream_failed", ["app-1 /poison"]]);
      assertEquals((await cless.ask(requestText())).status, 200);
      assertEquals(cless.launcher.called("launch"), ["app-1", "app-2"]);
    }
  },
);

forwardTest(
  "a request whose instance somebody has ended is sent to another one, also if it was alone",
  async (forward) => {
    await using poisoned = await Poisoned.start({ forward }, ({ cless }) => cless.launcher.kill(cless.instance.id));
    const answer = await poisoned.cless.ask(requestText("GET /poison"));
    assertEquals([answer.status, poisoned.asked], [502, ["app-1 /poison", "app-2 /poison"]]); // and then to no third one
  },
);

forwardTest(
  "requests that were together on an instance that ended by itself are sent once more each",
  async (forward) => {
    let slow: Promise<HttpMessage>[] = [];
    await using poisoned = await Poisoned.start({ forward }, async (poisoned) => {
      if (poisoned.cless.instances.length > 1) await Promise.all(slow);
      endByItself(poisoned);
    });
    const { cless, asked } = poisoned;
    slow = await poisoned.askSlowly(3);
    assertEquals((await cless.ask(requestText("GET /poison"))).status, 502);
    assertEquals((await Promise.all(slow)).map(({ status }) => status), [200, 200, 200]);
    assertEquals(asked.filter((one) => one.endsWith("/poison")), ["app-1 /poison", "app-2 /poison"]);
    assertEquals((await cless.ask(requestText())).status, 200);
  },
);

forwardTest(
  "requests that were together when two instances ended by themselves are not sent again",
  async (forward) => {
    let first: PromiseWithResolvers<void> | undefined;
    await using poisoned = await Poisoned.start({ forward }, async (poisoned) => {
      if (first === undefined) {
        first = Promise.withResolvers();
        return await first.promise;
      }
      endByItself(poisoned);
      first.resolve();
      first = undefined;
    });
    const answers = await Promise.all([1, 2].map(() => poisoned.cless.ask(requestText("GET /poison"))));
    assertEquals(answers.map(({ status }) => status), [502, 502]);
    assertEquals(poisoned.asked, ["app-1 /poison", "app-1 /poison", "app-2 /poison", "app-2 /poison"]);
  },
);

for (const afterMs of [0, 100, 249]) {
  forwardTest(
    `a closed connection waits for the news that its instance ended by itself, ${afterMs} ms later`,
    async (forward) => {
      const clock = new FakeClock();
      const closed = Promise.withResolvers<void>();
      await using poisoned = await Poisoned.start({ forward, clock, ask: () => new Promise(() => {}) }, () => {
        closed.resolve();
      });
      const { cless, asked } = poisoned;
      const began = clock.now();
      clock.after(afterMs, () => cless.launcher.end("app-1", 1));
      const answer = cless.ask(requestText("GET /poison"));
      await closed.promise;
      assertEquals((await clock.until(answer)).status, 502);
      assert(clock.now() - began <= 300);
      assertEquals(asked, ["app-1 /poison"]);
    },
  );
}

forwardTest("a request is sent again at once if its instance closed the connection and lives on", async (forward) => {
  const clock = new FakeClock();
  const twice = Promise.withResolvers<void>();
  await using poisoned = await Poisoned.start({ forward, clock, ask: probe }, ({ asked }) => {
    if (asked.length > 1) twice.resolve();
  });
  const { cless, asked } = poisoned;
  const began = clock.now();
  const answer = cless.ask(requestText("GET /poison"));
  await twice.promise;
  assertEquals([clock.now() - began, asked], [0, ["app-1 /poison", "app-1 /", "app-1 /poison"]]);
  assertEquals((await clock.until(answer)).status, 502);
});

forwardTest(
  "a request that is refused after its instance ended by itself is not sent to a second one",
  async (forward) => {
    const clock = new FakeClock();
    const ended = Promise.withResolvers<void>();
    const app = Origin.serving(async (connection) => {
      await connection.reader.request();
      ended.resolve();
    });
    await using cless = await Harness.warm({ forward, clock, origin: app, ask: () => Promise.resolve("refused") });
    const answer = cless.ask(requestText());
    await ended.promise;
    await app[Symbol.asyncDispose]();
    clock.after(400, () => cless.launcher.end("app-1", 1));
    assertEquals((await clock.until(answer)).status, 502);
    assertEquals(cless.launcher.called("launch"), ["app-1"]);
    await cless.idle();
  },
);

forwardTest("a client that leaves while the news of an end is waited for leaves no request behind", async (forward) => {
  const asking = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => void await connection.reader.request());
  await using cless = await Harness.warm({
    forward,
    origin: app,
    ask: (_, signal) => {
      asking.resolve();
      return untilAborted(signal).catch(() => "silent" as const).then(() => "silent" as const);
    },
  });
  const client = await cless.connect();
  await client.send(requestText());
  await asking.promise;
  client[Symbol.dispose]();
  await cless.unanswered.none();
  await cless.idle();
});
