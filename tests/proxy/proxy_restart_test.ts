import { assert, assertEquals } from "@std/assert";
import { probe } from "../../src/pool/probe.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { deafUrl } from "../support/free_ports.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

const [ONE, LARGE] = ["content-length: 5", `content-length: ${100_000}`];

forwardTest("a POST that did not reach its instance is sent whole to a new one", async (forward) => {
  await using app = Origin.answering();
  const dead = deafUrl();
  await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? dead : app.url });
  cless.launcher.endUnseen("app-1");
  const answer = await cless.ask(requestText("POST /", [ONE], "hello"));
  assertEquals([answer.status, app.last.text], [200, "hello"]);
  assertEquals(cless.launcher.called("launch"), ["app-1", "app-2"]);
  await cless.idle();
});

forwardTest("a large POST that did not reach its instance is sent whole or not at all", async (forward) => {
  await using app = Origin.answering();
  const dead = deafUrl();
  await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? dead : app.url });
  cless.launcher.endUnseen("app-1");
  // How much of a body `fetch` reads before it connects is not known.
  const answer = await cless.ask(requestText("POST /", [LARGE], "x".repeat(100_000)));
  assertEquals(app.requests.map(({ body }) => body.length), answer.status === 200 ? [100_000] : []);
  assertEquals(answer.one("cless-error"), answer.status === 200 ? undefined : "upstream_failed");
});

forwardTest(
  "an instance that refuses three connections in a row is replaced, although its container runs",
  async (forward) => {
    await using app = Origin.answering();
    const dead = deafUrl();
    await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? dead : app.url });
    const answers = await Promise.all([1, 2, 3].map(() => cless.ask(requestText())));
    assertEquals(answers.map(({ status }) => status), [200, 200, 200]);
    assertEquals([cless.launcher.called("launch"), cless.launcher.called("stop")], [["app-1", "app-2"], ["app-1"]]);
    await cless.idle();
  },
);

forwardTest(
  "an instance that keeps refusing a single request is replaced, although its container runs",
  async (forward) => {
    await using app = Origin.answering();
    const dead = deafUrl();
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? dead : app.url, clock });
    const answer = await clock.until(cless.ask(requestText("POST /", [ONE], "hello")));
    assertEquals([answer.status, app.requests.length], [200, 1]);
    assertEquals([cless.launcher.called("launch"), cless.launcher.called("stop")], [["app-1", "app-2"], ["app-1"]]);
    await cless.idle();
  },
);

forwardTest(
  "an instance that closes every connection is replaced, and a GET is sent to the new one",
  async (forward) => {
    // Docker's forwarder does that if no app listens.
    await using deaf = Origin.serving(() => Promise.resolve());
    await using app = Origin.answering();
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? deaf.url : app.url, clock, ask: probe });
    const answer = await clock.until(cless.ask(requestText()));
    assertEquals([answer.status, app.requests.length], [200, 1]);
    assertEquals([cless.launcher.called("launch"), cless.launcher.called("stop")], [["app-1", "app-2"], ["app-1"]]);
    await cless.idle();
  },
);

forwardTest(
  "an instance that closes every connection is replaced after a POST, which is not sent again",
  async (forward) => {
    await using deaf = Origin.serving(async (connection) => void await connection.reader.request());
    await using app = Origin.answering();
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? deaf.url : app.url, clock, ask: probe });
    assertEquals((await clock.until(cless.ask(requestText("POST /", [ONE], "hello")))).status, 502);
    const { instance } = cless;
    await clock.until(instance.untilMoved());
    assertEquals((await cless.ask(requestText("POST /", [ONE], "hello"))).status, 200);
    await cless.idle();
  },
);

forwardTest("a request whose connections are refused for seconds, also by new instances, is a 502", async (forward) => {
  const dead = deafUrl();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: () => dead, clock });
  const began = clock.now();
  const answer = await clock.until(cless.ask(requestText("POST /", [ONE], "hello")));
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  assert(clock.now() - began < 10_000);
  assert(cless.launcher.called("launch").length <= 4);
  await cless.idle();
});

forwardTest("a refused request waits for its container to be back, and is sent once", async (forward) => {
  const dead = deafUrl();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: () => dead, clock });
  const answer = cless.ask(requestText("POST /", [ONE], "hello"));
  let answered = false;
  answer.then(() => answered = true);
  for (const began = clock.now(); clock.now() - began < 1500;) {
    await clock.advance(50);
    await new Promise((resolve) => setTimeout(resolve, 2)); // bytes over a socket take real time
  }
  assertEquals(answered, false);
  await using app = Origin.answering(OK, Number(new URL(dead).port));
  assertEquals((await clock.until(answer)).status, 200);
  assertEquals([app.requests.map(({ text }) => text), cless.launcher.called("launch")], [["hello"], ["app-1"]]);
  await cless.idle();
});

forwardTest("a refused request goes on at once when it becomes known that its instance has ended", async (forward) => {
  await using app = Origin.answering();
  const dead = deafUrl();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? dead : app.url, clock });
  const listed = Promise.withResolvers<void>();
  cless.launcher.on.list = () => listed.resolve();
  await clock.advance(1000); // the engine is asked at most once a second
  const answer = cless.ask(requestText("POST /", [ONE], "hello"));
  await listed.promise;
  cless.launcher.kill("app-1");
  assertEquals((await answer).status, 200); // no time passes
  assertEquals(app.last.text, "hello");
  await cless.idle();
});

forwardTest("the request timeout ends the wait of a refused request", async (forward) => {
  const dead = deafUrl();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: () => dead, clock, requestTimeoutMs: 600 });
  const answer = await clock.until(cless.ask(requestText()));
  assertEquals([answer.status, answer.one("cless-error")], [504, "upstream_timeout"]);
  await cless.idle();
});

forwardTest("a GET whose instance ends before it answers is answered by a new one", async (forward) => {
  const asked = Promise.withResolvers<void>();
  await using hanging = Origin.serving(async (connection) => {
    await connection.reader.request();
    asked.resolve();
    await connection.ended(); // the connection to a dead container may stay open
  });
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? hanging.url : app.url });
  const answer = cless.ask(requestText("GET /here"));
  await asked.promise;
  cless.launcher.kill("app-1");
  assertEquals((await answer).status, 200);
  assertEquals(app.last.target, "/here");
  await cless.idle();
  assertEquals(cless.instances.map(({ inFlight }) => inFlight), [0, 0]);
});

forwardTest("a POST whose instance ends before it answers is a 502, and not sent again", async (forward) => {
  const asked = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    asked.resolve();
    await connection.ended();
  });
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = cless.ask(requestText("POST /", [ONE], "hello"));
  await asked.promise;
  cless.launcher.kill("app-1");
  const { status, headers } = await answer;
  assertEquals([status, Object.fromEntries(headers)["cless-error"]], [502, "upstream_failed"]);
  assertEquals(cless.launcher.called("launch"), ["app-1"]);
  await cless.idle();
});

forwardTest("all requests of a killed instance are answered by one new instance", async (forward) => {
  const all = Promise.withResolvers<void>();
  let asked = 0;
  await using first = Origin.serving(async (connection) => {
    await connection.reader.request();
    if (++asked === 20) all.resolve();
    await connection.ended();
  });
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? first.url : app.url });
  const answers = Array.from({ length: 20 }, (_, n) => cless.ask(requestText(`GET /${n}`)));
  await all.promise;
  cless.launcher.end("app-1");
  assertEquals((await Promise.all(answers)).map(({ status }) => status), Array(20).fill(200));
  assertEquals(cless.launcher.called("launch").length, 2);
  assertEquals(new Set(app.requests.map(({ target }) => target)).size, 20);
  await cless.idle();
});

forwardTest("a request is not a 502 if the end of its instance becomes known a moment later", async (forward) => {
  await using first = Origin.serving(async (connection) => void await connection.reader.request());
  await using app = Origin.answering();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: (n) => n === 0 ? first.url : app.url, clock });
  const answer = cless.ask(requestText());
  while (first.connections < 2) await clock.advance(1);
  await clock.advance(500);
  cless.launcher.end("app-1");
  assertEquals((await clock.until(answer)).status, 200);
});

forwardTest("a retry ends when the client has left", async (forward) => {
  const asked = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    asked.resolve();
    await connection.ended();
  });
  await using cless = Harness.cold({ forward });
  const client = await cless.connect();
  await client.send(requestText());
  const first = await cless.launcher.nextLaunch();
  first.succeed(app.url);
  await asked.promise;
  cless.launcher.end(first.id);
  const second = await cless.launcher.nextLaunch();
  client[Symbol.dispose]();
  await cless.unanswered.none();
  second.succeed(app.url);
  await cless.idle();
  assert(app.connections === 1);
});
