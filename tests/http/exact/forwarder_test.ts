import { assertEquals, assertRejects } from "@std/assert";
import type { Clock } from "../../../src/base/clock.ts";
import { ExactForwarder } from "../../../src/http/exact/forwarder.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { never } from "../../support/kit.ts";
import { OK, Origin, type OriginConnection } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { requestHead } from "../../support/request_head.ts";
import { turns, until } from "../../support/until.ts";

/** Sends a request, and returns its answer. */
async function ask(forwarder: ExactForwarder, origin: Origin, signal = never()): Promise<[number, string]> {
  const response = await forwarder.forward(origin.url, requestHead(), undefined, signal);
  return [response.status, await response.text()];
}

/** An app that answers each request, and counts its open connections. */
function countingApp(answer = OK): { origin: Origin; open: () => number } {
  let open = 0;
  const origin = Origin.serving(async (connection: OriginConnection) => {
    open++;
    while (await connection.reader.request() !== undefined && await connection.send(answer));
    open--;
  });
  return { origin, open: () => open };
}

netTest("a connection is used again, and closed when it has been idle for 3 s", async () => {
  const { origin, open } = countingApp();
  await using _ = origin;
  const clock = new FakeClock();
  using forwarder = new ExactForwarder(clock);
  for (let turn = 0; turn < 5; turn++) {
    assertEquals(await ask(forwarder, origin), [200, "ok"]);
    await clock.advance(2900);
  }
  await turns(5);
  assertEquals([origin.connections, open()], [1, 1]);
  await clock.advance(1200);
  await until(() => open() === 0);
  assertEquals(clock.timers, 0); // no timer runs without connections
  assertEquals(await ask(forwarder, origin), [200, "ok"]);
  assertEquals(origin.connections, 2);
});

netTest("a connection whose answer is given up in its middle is not used again", async () => {
  const answers = ["HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegun", OK];
  await using origin = Origin.serving(async (connection: OriginConnection) => {
    while (await connection.reader.request() !== undefined && await connection.send(answers.shift() ?? OK));
  });
  using forwarder = new ExactForwarder(new FakeClock());
  const { body } = await forwarder.forward(origin.url, requestHead(), undefined, never());
  await body!.cancel(); // while nothing is being read
  assertEquals(await ask(forwarder, origin), [200, "ok"]);
  assertEquals(origin.connections, 2);
});

netTest("if a connection ends without an answer, the other idle ones are not used again either", async () => {
  const together = Promise.withResolvers<void>();
  let replaced = false;
  await using origin = Origin.serving(async (connection: OriginConnection) => {
    const isOld = !replaced;
    while (await connection.reader.request() !== undefined) {
      if (origin.connections === 2) together.resolve();
      await together.promise;
      if ((isOld && replaced) || !await connection.send(OK)) return;
    }
  });
  using forwarder = new ExactForwarder(new FakeClock());
  await Promise.all([ask(forwarder, origin), ask(forwarder, origin)]);
  replaced = true;
  await assertRejects(() => ask(forwarder, origin));
  assertEquals(await ask(forwarder, origin), [200, "ok"]);
  assertEquals(origin.connections, 3);
});

netTest("leaving an app closes its connections, and those to others stay", async () => {
  const [left, other] = [countingApp(), countingApp()];
  await using _ = left.origin;
  await using __ = other.origin;
  using forwarder = new ExactForwarder(new FakeClock());
  for (const { origin } of [left, other]) await ask(forwarder, origin);
  forwarder.leave(left.origin.url);
  forwarder.leave("http://127.0.0.1:1"); // unknown
  await until(() => left.open() === 0);
  assertEquals(other.open(), 1);
  assertEquals(await ask(forwarder, left.origin), [200, "ok"]); // it may come back
});

netTest("a connection that is opened during a tick is closed like any other", async () => {
  const { origin, open } = countingApp();
  const closing = countingApp(OK.replace("200 OK", "200 OK\r\nconnection: close"));
  await using _ = origin;
  await using __ = closing.origin;
  const clock = new TickingClock();
  using forwarder = new ExactForwarder(clock);
  await ask(forwarder, closing.origin);
  const asked = ask(forwarder, origin);
  clock.tick();
  assertEquals(await asked, [200, "ok"]);
  clock.time += 60_000;
  clock.tick();
  await until(() => open() === 0);
});

netTest("leaving an app closes a connection that is being opened to it, after its use", async () => {
  const { origin, open } = countingApp();
  await using _ = origin;
  using forwarder = new ExactForwarder(new FakeClock());
  const asked = ask(forwarder, origin);
  forwarder.leave(origin.url);
  assertEquals(await asked, [200, "ok"]);
  await until(() => open() === 0);
});

netTest("a request that is aborted just when its connection is open is not sent", async () => {
  const heard: number[] = [];
  await using origin = Origin.serving(async (connection) => {
    heard.push((await connection.reader.rest()).length); // and never answers
  });
  using forwarder = new ExactForwarder(new FakeClock());
  const abort = new AbortController();
  const connect = Deno.connect;
  // A connection can be opened and its instance end in the same turn of the event loop.
  Deno.connect = ((options: Deno.ConnectOptions) =>
    connect(options).then((tcp) => {
      queueMicrotask(() => abort.abort(new Error("given up")));
      return tcp;
    })) as typeof Deno.connect;
  let asked: Promise<unknown>;
  try {
    asked = forwarder.forward(origin.url, requestHead(), undefined, abort.signal);
    asked.catch(() => {});
    await until(() => abort.signal.aborted);
  } finally {
    Deno.connect = connect;
  }
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("The request hangs")), 1000);
  await assertRejects(() => Promise.race([asked, late.promise]), Error, "given up");
  clearTimeout(timer);
  await until(() => heard.length > 0); // cless has closed it
  assertEquals(heard, [0]);
});

/** A clock that ticks only when a test says so. */
class TickingClock implements Clock {
  time = 0;
  readonly #ticks = new Set<() => void>();

  tick(): void {
    for (const tick of [...this.#ticks]) tick();
  }

  now(): number {
    return this.time;
  }

  after(): () => void {
    return () => {};
  }

  every(_ms: number, callback: () => void): () => void {
    this.#ticks.add(callback);
    return () => void this.#ticks.delete(callback);
  }
}
