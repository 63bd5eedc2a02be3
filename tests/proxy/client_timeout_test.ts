import { assert, assertEquals } from "@std/assert";
import type { ClientSockets, Peer } from "../../src/http/client_sockets.ts";
import { peerKey } from "../../src/http/client_sockets.ts";
import type { ClientMetrics } from "../../src/http/slow_clients.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { collectGarbage } from "../support/garbage.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";
import { until } from "../support/until.ts";

const CLIENT_TIMEOUT_MS = 10_000;
const LARGE_BYTES = 64 * 1024 * 1024;

/** Counts clients that have stopped. */
class Counted implements ClientMetrics {
  readonly stopped: string[] = [];
  stuck = 0;

  clientStopped(service: string | undefined, what: string): void {
    this.stopped.push(`${service} ${what}`);
  }

  stuckClients(count: number): void {
    this.stuck = count;
  }
}

/** The queues of clients as a test sets them. */
class FakeSockets implements ClientSockets {
  readonly destroyed: Peer[] = [];
  readonly queued = new Map<string, number>();
  looks = 0;

  queues(): Promise<ReadonlyMap<string, number>> {
    this.looks++;
    return Promise.resolve(this.queued);
  }

  destroy(peers: readonly Peer[]): Promise<void> {
    this.destroyed.push(...peers);
    return Promise.resolve();
  }
}

/** An app that reads the head of a request and then whatever comes, and never answers. */
function readingApp(): { app: Origin; asked: Promise<void>; left: Promise<void> } {
  const asked = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const app = Origin.serving(async (connection) => {
    await connection.reader.head();
    asked.resolve();
    await connection.ended();
    left.resolve();
  });
  return { app, asked: asked.promise, left: left.promise };
}

for (const header of ["content-length: 1000", "transfer-encoding: chunked"]) {
  forwardTest(
    `a body that does not move for the client timeout ends as a 408, and the connection to the app is closed (${header})`,
    async (forward) => {
      const { app, asked, left } = readingApp();
      await using _ = app;
      const clock = new FakeClock();
      const clientMetrics = new Counted();
      const clientSockets = new FakeSockets();
      await using cless = await Harness.warm({
        ...{ forward, origin: app, clock, clientMetrics, clientSockets },
        clientTimeoutMs: CLIENT_TIMEOUT_MS,
      });
      using client = await cless.connect();
      await client.send(requestText("POST /", [header], "5\r\nhello\r\n"));
      await asked;
      const began = clock.now();
      const answer = await clock.until(client.answer());
      assertEquals([answer.status, answer.one("cless-error")], [408, "client_timeout"]);
      assertEquals(answer.one("connection"), "close");
      assert(clock.now() - began >= CLIENT_TIMEOUT_MS);
      await left;
      await cless.idle();
      assertEquals([clientMetrics.stopped, cless.unanswered.size], [["app upload"], 0]);
      await clock.advance(2000);
      assertEquals(clientSockets.destroyed.map(({ port }) => port), [client.port]);
    },
  );
}

forwardTest("uploads that have stopped leave no memory behind", async (forward) => {
  const { app } = readingApp();
  await using _ = app;
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, clientTimeoutMs: CLIENT_TIMEOUT_MS });
  const CLIENTS = 100;
  const stopOnce = async () => {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => cless.connect()));
    for (const client of clients) await client.send(requestText("POST /", ["content-length: 1000000"], "half"));
    for (const client of clients) assertEquals((await clock.until(client.answer())).status, 408);
    for (const client of clients) client[Symbol.dispose]();
    await cless.idle();
  };
  const heldBytes = async () => {
    await collectGarbage();
    return Deno.memoryUsage().external;
  };
  await stopOnce(); // what is made only once has been made then
  const before = await heldBytes();
  await stopOnce();
  // The platform notices only some turns later that a client has gone.
  await until(async () => await heldBytes() - before <= CLIENTS * 8 * 1024);
});

forwardTest("a chunked body of which nothing arrives ends as a 408", async (forward) => {
  await using app = Origin.answering();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, clientTimeoutMs: 60_000 });
  using client = await cless.connect();
  await client.send(requestText("POST /", ["transfer-encoding: chunked"]));
  assertEquals((await clock.until(client.answer())).status, 408);
});

forwardTest("an upload slower than 1 KB a second ends as a 408, and a faster one does not", async (forward) => {
  for (const [bytes, status] of [[50, 408], [200, undefined]] as const) {
    const { app, asked } = readingApp();
    await using _ = app;
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: app, clock, clientTimeoutMs: CLIENT_TIMEOUT_MS });
    using client = await cless.connect();
    await client.send(requestText("POST /", ["content-length: 10000000"]));
    await asked;
    let ended = false;
    const answering = client.answer().then((answer) => answer.status, () => undefined);
    answering.then(() => ended = true);
    for (let turn = 0; turn < 300 && !ended; turn++) {
      await client.send(new Uint8Array(bytes));
      await clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 1)); // what comes over a socket takes real time
    }
    assertEquals([ended, cless.unanswered.size], [status === 408, status === 408 ? 0 : 1]);
    client[Symbol.dispose]();
    await clock.until(cless.idle());
    await answering;
  }
});

forwardTest("a client is not blamed for an app that does not read its upload", async (forward) => {
  const asked = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    asked.resolve();
    await done.promise;
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, clientTimeoutMs: CLIENT_TIMEOUT_MS });
  using client = await cless.connect();
  await client.send(requestText("POST /", [`content-length: ${LARGE_BYTES}`]));
  const sending = client.send(new Uint8Array(LARGE_BYTES));
  await asked;
  const moved = () => new Promise((resolve) => setTimeout(resolve, 20));
  for (let turn = 0; turn < 20; turn++) await moved(); // until all the buffers between are full
  await clock.advance(5 * CLIENT_TIMEOUT_MS);
  assertEquals(cless.unanswered.size, 1);
  client[Symbol.dispose]();
  done.resolve();
  await clock.until(cless.idle());
  await sending;
});

/** An app with a large answer. */
function largeApp(chunked = false): { app: Origin; left: Promise<void> } {
  const left = Promise.withResolvers<void>();
  const framing = chunked ? "transfer-encoding: chunked" : `content-length: ${LARGE_BYTES}`;
  const app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`);
    if (chunked) await connection.send(`${LARGE_BYTES.toString(16)}\r\n`);
    if (await connection.send(new Uint8Array(LARGE_BYTES)) && chunked) await connection.send("\r\n0\r\n\r\n");
    await connection.ended();
    left.resolve();
  });
  return { app, left: left.promise };
}

for (const chunked of [false, true]) {
  forwardTest(
    `if a client does not read its answer in time, the connection to the app is closed and the slot is free (${
      chunked ? "chunks" : "length"
    })`,
    async (forward) => {
      const { app, left } = largeApp(chunked);
      await using _ = app;
      const clock = new FakeClock();
      const clientMetrics = new Counted();
      await using cless = await Harness.warm({
        ...{ forward, origin: app, clock, clientMetrics },
        clientTimeoutMs: CLIENT_TIMEOUT_MS,
      });
      using client = await cless.connect();
      await client.send(requestText());
      assertEquals((await client.reader.head())?.status, 200);
      const began = clock.now();
      await clock.until(cless.idle());
      assert(clock.now() - began >= CLIENT_TIMEOUT_MS);
      await left;
      assertEquals(clientMetrics.stopped, ["app answer"]);
      assertEquals(clientMetrics.stuck, 1); // nobody may close the client's connection
      const rest = await client.reader.rest();
      assert(rest.length < LARGE_BYTES, "a cut answer must not look whole");
      assert(new TextDecoder().decode(rest.subarray(-5)) !== "0\r\n\r\n");
    },
  );
}

forwardTest(
  "a client that reads slowly keeps its answer while the kernel's queue moves, and loses it once the queue stands still",
  async (forward) => {
    const { app } = largeApp();
    await using _ = app;
    const clock = new FakeClock();
    const clientSockets = new FakeSockets();
    await using cless = await Harness.warm({
      ...{ forward, origin: app, clock, clientSockets },
      clientTimeoutMs: CLIENT_TIMEOUT_MS,
    });
    using client = await cless.connect();
    await client.send(requestText());
    assertEquals((await client.reader.head())?.status, 200);
    const key = peerKey("127.0.0.1", client.port);
    for (let turn = 1; turn <= 50; turn++) {
      clientSockets.queued.set(key, 1_000_000 - turn);
      await clock.advance(1000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals([cless.instance.inFlight, clientSockets.destroyed.length], [1, 0]);
    assert(clientSockets.looks > 3);
    await clock.until(cless.idle());
    await clock.advance(1000);
    assertEquals(clientSockets.destroyed.map(({ port }) => port), [client.port]);
  },
);

forwardTest("an event stream with nothing to say is not given up, and neither is a slow app", async (forward) => {
  const more = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
    await more.promise;
    await connection.send("data: 2\n\n");
  });
  const clock = new FakeClock();
  const clientMetrics = new Counted();
  await using cless = await Harness.warm({
    ...{ forward, origin: app, clock, clientMetrics },
    clientTimeoutMs: CLIENT_TIMEOUT_MS,
  });
  using client = await cless.connect();
  await client.send(requestText());
  assertEquals((await client.reader.head())?.status, 200);
  await client.reader.until("data: 1\n\n");
  await clock.advance(20 * CLIENT_TIMEOUT_MS);
  assertEquals([cless.instance.inFlight, clientMetrics.stopped], [1, []]);
  more.resolve();
  assert(await client.reader.until("data: 2\n\n") !== undefined);
  await cless.idle();
});

forwardTest("an app that has begun its answer is not kept awake by a body that stops halfway", async (forward) => {
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n");
    await connection.ended();
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, clientTimeoutMs: CLIENT_TIMEOUT_MS });
  using client = await cless.connect();
  await client.send(requestText("POST /", ["content-length: 100"], "half"));
  assertEquals((await client.reader.head())?.status, 200);
  await clock.until(cless.idle());
});

forwardTest("without a client timeout, a client may take any time to read its answer", async (forward) => {
  const { app } = largeApp();
  await using _ = app;
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, clientTimeoutMs: Infinity });
  using client = await cless.connect();
  await client.send(requestText());
  assertEquals((await client.reader.head())?.status, 200);
  for (let turn = 0; turn < 20; turn++) {
    await clock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assertEquals(cless.instance.inFlight, 1);
  client[Symbol.dispose]();
  await clock.until(cless.idle());
});
