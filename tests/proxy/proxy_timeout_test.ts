import { assert, assertEquals } from "@std/assert";
import { probe } from "../../src/pool/probe.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Flow } from "../support/flow.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

const LARGE = 1024 ** 3;

/** An app that reads requests and never answers. */
function silentApp(): { app: Origin; asked: Promise<void>; left: Promise<void> } {
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

forwardTest(
  "a request without an answer within the request timeout is a 504, and its connection is closed",
  async (forward) => {
    const { app, asked, left } = silentApp();
    await using _ = app;
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: app, clock, requestTimeoutMs: 5000 });
    const began = clock.now();
    const answering = cless.ask(requestText());
    await asked;
    const answer = await clock.until(answering);
    assertEquals([answer.status, answer.one("cless-error")], [504, "upstream_timeout"]);
    assert(clock.now() - began >= 5000);
    await left;
    await cless.idle();
    assertEquals([app.connections, cless.unanswered.size], [1, 0]);
  },
);

for (const concurrency of [0, 1]) {
  const serving = concurrency === 0 ? "" : ", even if it serves one request at a time";
  forwardTest(`an app that hangs is replaced after the first request that times out${serving}`, async (forward) => {
    const { app: hung, asked } = silentApp();
    await using _ = hung;
    await using app = Origin.answering();
    const clock = new FakeClock();
    await using cless = await Harness.warm({
      forward,
      origin: (n) => n === 0 ? hung.url : app.url,
      clock,
      requestTimeoutMs: 5000,
      concurrency,
      ask: probe,
    });
    const { instance } = cless;
    const answering = cless.ask(requestText());
    await asked;
    assertEquals((await clock.until(answering)).status, 504);
    await clock.until(instance.untilMoved());
    assertEquals((await cless.ask(requestText())).status, 200);
    assertEquals(cless.launcher.called("launch"), ["app-1", "app-2"]);
    await cless.idle();
  });
}

forwardTest(
  "the request timeout begins with the request's arrival, also if an instance has to start",
  async (forward) => {
    const { app, asked } = silentApp();
    await using _ = app;
    const clock = new FakeClock();
    await using cless = Harness.cold({ forward, clock, requestTimeoutMs: 5000 });
    const answering = cless.ask(requestText());
    const launch = await cless.launcher.nextLaunch();
    await clock.advance(3000);
    launch.succeed(app.url);
    await asked;
    await clock.advance(1900);
    assertEquals(cless.unanswered.size, 1);
    const began = clock.now();
    assertEquals((await clock.until(answering)).status, 504);
    assert(clock.now() - began < 1000);
  },
);

forwardTest("a request that times out while it waits for a start is a 504, and the start goes on", async (forward) => {
  await using app = Origin.answering();
  const clock = new FakeClock();
  await using cless = Harness.cold({ forward, clock, requestTimeoutMs: 5000 });
  const answering = cless.ask(requestText());
  const launch = await cless.launcher.nextLaunch();
  const answer = await clock.until(answering);
  assertEquals([answer.status, answer.one("cless-error")], [504, "upstream_timeout"]);
  launch.succeed(app.url);
  assertEquals((await cless.ask(requestText())).status, 200);
  assertEquals(cless.launcher.called("launch").length, 1);
});

forwardTest("the request timeout stands still while an upload makes progress", async (forward) => {
  let received = 0;
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    for (let piece = await connection.reader.some(); piece.length > 0; piece = await connection.reader.some()) {
      received += piece.length;
    }
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, requestTimeoutMs: 2000 });
  using client = await cless.connect();
  await client.send(requestText("POST /", ["content-length: 1000000"]));
  for (let sent = 1; sent <= 100; sent++) {
    await client.send("x");
    while (received < sent) await clock.advance(0);
    await clock.advance(100);
  }
  assertEquals(cless.unanswered.size, 1);
  const began = clock.now();
  const answer = await clock.until(client.answer());
  assertEquals([answer.status, answer.one("cless-error")], [504, "upstream_timeout"]);
  assert(clock.now() - began < 3000);
  await cless.idle();
});

forwardTest("an upload that its app does not read makes no progress", async (forward) => {
  const finish = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await finish.promise;
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, requestTimeoutMs: 2000 });
  using client = await cless.connect();
  await client.send(requestText("POST /", [`content-length: ${LARGE}`]));
  const upload = new Flow(client, LARGE);
  const answer = await clock.until(client.answer());
  assertEquals(answer.one("cless-error"), "upstream_timeout");
  finish.resolve();
  client[Symbol.dispose]();
  await upload.finished;
  await cless.idle();
});

forwardTest("a request that is sent again does not lose the time that its upload has gained", async (forward) => {
  let received = 0;
  await using first = Origin.serving(async (connection) => {
    await connection.reader.head();
    for (let piece = await connection.reader.some(); piece.length > 0; piece = await connection.reader.some()) {
      received += piece.length;
    }
  });
  await using app = Origin.answering();
  const clock = new FakeClock();
  await using cless = await Harness.warm({
    forward,
    origin: (n) => n === 0 ? first.url : app.url,
    clock,
    requestTimeoutMs: 2000,
  });
  using client = await cless.connect();
  await client.send(requestText("PUT /", ["content-length: 50"]));
  for (let sent = 1; sent <= 49; sent++) {
    await client.send("x");
    while (received < sent) await clock.advance(0);
    await clock.advance(100);
  }
  cless.launcher.end("app-1");
  await clock.advance(200);
  await client.send("x");
  assertEquals((await clock.until(client.answer())).status, 200);
  assertEquals(app.last.body.length, 50);
});

forwardTest("a body has no time limit once the headers have arrived", async (forward) => {
  const goOn = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no");
    await goOn.promise;
    await connection.send("k");
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, requestTimeoutMs: 5000 });
  using client = await cless.connect();
  await client.send(requestText());
  await clock.until(client.reader.head());
  await clock.advance(60_000);
  goOn.resolve();
  assertEquals(new TextDecoder().decode(await client.reader.exactly(2)), "ok");
  await cless.idle();
});

forwardTest("without a request timeout an answer may take any time", async (forward) => {
  const goOn = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await goOn.promise;
    await connection.send(OK);
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock, requestTimeoutMs: Infinity });
  const answering = cless.ask(requestText());
  while (cless.unanswered.size === 0) await clock.advance(0);
  await clock.advance(100_000);
  goOn.resolve();
  assertEquals((await answering).status, 200);
});
