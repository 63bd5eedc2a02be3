import { assertEquals } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { untilAborted } from "../support/kit.ts";
import { Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** An app that takes requests and answers none; resolves `asked` when it has so many. */
function silentApp(count: number) {
  const asked = Promise.withResolvers<void>();
  let requests = 0;
  const app = Origin.serving(async (connection) => {
    await connection.reader.request();
    if (++requests === count) asked.resolve();
    await connection.ended();
  });
  return { app, asked: asked.promise };
}

forwardTest("the requests of an app that hangs go to another instance after 30 s, or get a 504", async (forward) => {
  const { app: hung, asked } = silentApp(3);
  await using _ = hung;
  await using app = Origin.answering();
  const clock = new FakeClock();
  await using cless = await Harness.warm({
    forward,
    clock,
    origin: (n) => n === 0 ? hung.url : app.url,
    ask: (_, signal) => untilAborted(signal).catch(() => "silent" as const).then(() => "silent" as const),
  });
  cless.launcher.processor = new Map([["app-1", 5]]);
  const stopped = Promise.withResolvers<void>();
  cless.launcher.on.stop = () => stopped.promise; // the requests do not wait for that
  const began = clock.now();
  const answers = ["GET /", "POST /", "PUT /"].map((line) => cless.ask(requestText(line, ["content-length: 0"])));
  await asked;
  const said = (await clock.until(Promise.all(answers))).map((answer) => [answer.status, answer.one("cless-error")]);
  assertEquals(said, [[200, undefined], [504, "upstream_timeout"], [200, undefined]]);
  assertEquals(Math.round((clock.now() - began) / 1000), 30);
  stopped.resolve();
  await cless.idle();
  assertEquals(cless.launcher.called("launch"), ["app-1", "app-2"]);
});

forwardTest("the requests of an app that computes wait for it", async (forward) => {
  const { app, asked } = silentApp(1);
  await using _ = app;
  const clock = new FakeClock();
  await using cless = await Harness.warm({
    forward,
    clock,
    origin: app,
    requestTimeoutMs: 100_000,
    ask: (_, signal) => untilAborted(signal).catch(() => "silent" as const).then(() => "silent" as const),
  });
  cless.launcher.processorTime = () => Promise.resolve(clock.now());
  const began = clock.now();
  const answer = cless.ask(requestText("POST /", ["content-length: 0"]));
  await asked;
  assertEquals((await clock.until(answer)).status, 504);
  assertEquals(Math.round((clock.now() - began) / 1000), 100);
  await clock.advance(20_000);
  await cless.idle();
  assertEquals(cless.launcher.called("launch"), ["app-1"]);
});
