import { assert, assertEquals, assertRejects } from "@std/assert";
import { CoarseTimeouts } from "../../../src/base/coarse_timeouts.ts";
import type { Connection } from "../../../src/http/exact/connection.ts";
import { ConnectionPool } from "../../../src/http/exact/connection_pool.ts";
import { ForwardError } from "../../../src/http/forwarder.ts";
import { deafUrl } from "../../support/free_ports.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { never } from "../../support/kit.ts";
import { Origin, type OriginConnection } from "../../support/origin.ts";
import { netTest, noNet } from "../../support/permissions.ts";
import { SilentHost } from "../../support/silent_host.ts";
import { until } from "../../support/until.ts";

/** An app that sends a greeting and then only reads; it counts its open connections. */
class GreetingApp implements AsyncDisposable {
  readonly accepted: OriginConnection[] = [];
  open = 0;
  readonly origin = Origin.serving(async (connection) => {
    this.open++;
    await connection.send("greeting");
    this.accepted.push(connection);
    await connection.ended();
    this.open--;
  });

  async [Symbol.asyncDispose](): Promise<void> {
    await this.origin[Symbol.asyncDispose]();
  }
}

/** Opens connections and reads the greeting; returns them in the order in which the app accepted them. */
async function connected(app: GreetingApp, pool: ConnectionPool, count: number): Promise<Connection[]> {
  const opened: Connection[] = [];
  for (let n = 1; n <= count; n++) {
    const connection = await pool.connect(never());
    assertEquals(await connection.first, "greeting".length);
    opened.push(connection);
    await until(() => app.accepted.length === n);
  }
  return opened;
}

netTest("the connection that was used last is used next", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const [a, b, c] = await connected(app, pool, 3);
  assertEquals(await pool.take(), undefined); // connections in use are not available
  for (const connection of [b!, c!, a!]) pool.release(connection, 0);
  for (const next of [a, c, b, undefined]) assertEquals(await pool.take(), next);
  assertEquals(pool.open, 3);
  for (const connection of [a!, b!, c!]) pool.close(connection);
  assertEquals(pool.open, 0);
  await until(() => app.open === 0);
});

netTest("at most 256 idle connections are kept", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const opened = await connected(app, pool, 260);
  for (const connection of opened) pool.release(connection, 0);
  assertEquals(pool.open, 256);
  await until(() => app.open === 256);
  pool.closeIdle();
  assertEquals(pool.open, 0);
  await until(() => app.open === 0);
});

for (const what of ["closes", "resets", "writes to"] as const) {
  netTest(`an idle connection that the app ${what} is dropped at once`, async () => {
    await using app = new GreetingApp();
    const pool = new ConnectionPool(app.origin.url);
    const [first, second, third] = await connected(app, pool, 3);
    for (const connection of [first!, second!, third!]) pool.release(connection, 0);
    if (what === "writes to") await app.accepted[1]!.send("x");
    // Linux resets a connection that is closed while there is something to read.
    if (what === "resets") await second!.writeText("nobody reads this");
    if (what !== "writes to") app.accepted[1]!.close();
    await until(() => pool.open === 2);
    assertEquals(second!.closed, true);
    for (const next of [third, first, undefined]) assertEquals(await pool.take(), next);
    for (const connection of [first!, third!]) pool.close(connection);
    await until(() => app.open === 0);
  });
}

netTest("the bytes of an answer do not close its connection", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const [connection] = await connected(app, pool, 1);
  for (let turn = 0; turn < 5; turn++) {
    pool.release(connection!, 0);
    assertEquals(await pool.take(), connection);
    await app.accepted[0]!.send(`turn ${turn}`);
    assertEquals(await connection!.first, 6);
    assertEquals([connection!.text(6), connection!.closed], [`turn ${turn}`, false]);
  }
  pool.close(connection!);
});

netTest("connections that have been idle for long are closed, and the others stay", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const [a, b, c, inUse] = await connected(app, pool, 4);
  pool.release(a!, 100);
  pool.release(b!, 200);
  pool.release(c!, 300);
  pool.closeIdle(99);
  assertEquals(pool.open, 4);
  pool.closeIdle(200);
  assertEquals([a!.closed, b!.closed, c!.closed, inUse!.closed], [true, true, false, false]);
  pool.closeIdle(1000);
  assertEquals([c!.closed, inUse!.closed, pool.open], [true, false, 1]);
  pool.close(inUse!);
  pool.close(inUse!); // only the first time counts
  assertEquals(pool.open, 0);
});

netTest("after leaving, idle connections are closed at once and the others after their use", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const [idle, inUse] = await connected(app, pool, 2);
  pool.release(idle!, 0);
  pool.leave();
  assertEquals([idle!.closed, inUse!.closed, pool.open], [true, false, 1]);
  pool.release(inUse!, 0);
  assertEquals([inUse!.closed, pool.open, await pool.take()], [true, 0, undefined]);
  await until(() => app.open === 0);
});

netTest("after doubt, no connection from before is used again, and later ones are", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const [idle, inUse] = await connected(app, pool, 2);
  pool.release(idle!, 0);
  pool.doubt();
  assertEquals([idle!.closed, inUse!.closed, pool.open], [true, false, 1]);
  const later = await pool.connect(never());
  assertEquals(await later.first, "greeting".length);
  pool.release(inUse!, 0);
  pool.release(later, 0);
  assertEquals([inUse!.closed, later.closed, pool.open], [true, false, 1]);
  assertEquals([await pool.take(), later.used], [later, true]);
  pool.close(later);
  await until(() => app.open === 0);
});

netTest(
  "a pool is in use from a request for a connection until the connection is closed, or the request has failed",
  async () => {
    await using app = new GreetingApp();
    const pool = new ConnectionPool(app.origin.url);
    assertEquals(pool.unused, true);
    const requested = pool.get(never());
    assertEquals([pool.unused, pool.open], [false, 0]);
    const connection = await requested;
    assertEquals([pool.unused, pool.open], [false, 1]);
    await connection.first;
    pool.release(connection, 0);
    const again = pool.get(never());
    assertEquals(await again, connection); // rather than a new one
    pool.close(connection);
    assertEquals([pool.unused, pool.open], [true, 0]);
    await assertRejects(() => pool.get(AbortSignal.abort(new Error("given up"))), Error, "given up");
    assertEquals(pool.unused, true);
    await until(() => app.open === 0);
  },
);

netTest("a connection that has been taken is not closed with the idle ones", async () => {
  await using app = new GreetingApp();
  const pool = new ConnectionPool(app.origin.url);
  const [connection] = await connected(app, pool, 1);
  pool.release(connection!, 0);
  await pool.take();
  pool.closeIdle();
  pool.leave();
  assertEquals([connection!.closed, pool.open], [false, 1]);
  pool.release(connection!, 0);
  assertEquals([connection!.closed, pool.open], [true, 0]);
});

netTest("a connection that cannot be opened means that the request is unsent", async () => {
  const pool = new ConnectionPool(deafUrl());
  const error = await assertRejects(() => pool.connect(never()), ForwardError);
  assertEquals([error.progress, pool.open], ["unsent", 0]);
  const reason = new Error("given up");
  await assertRejects(() => pool.connect(AbortSignal.abort(reason)), Error, "given up");
  assertEquals([pool.open, pool.unused], [0, true]);
});

Deno.test({
  name: "connecting to a host that does not answer takes no longer than its limit, and the request is unsent",
  ignore: noNet || Deno.build.os !== "linux", // where a listener that accepts nothing answers nobody once it is full
}, async () => {
  const clock = new FakeClock();
  const timeouts = new CoarseTimeouts(clock, 50);
  const silent = await SilentHost.start();
  try {
    const pool = new ConnectionPool(silent.url, { timeoutMs: 2000, timeouts });
    const failed = assertRejects(() => pool.connect(never()), ForwardError);
    await clock.advance(1900);
    assertEquals(pool.open, 1);
    await clock.advance(200);
    const error = await failed;
    assertEquals([error.progress, error.message], ["unsent", "cannot connect: nobody answers at 127.0.0.1"]);
    assert(error.cause instanceof Deno.errors.TimedOut);
    const gone = new AbortController();
    const aborted = assertRejects(() => pool.connect(gone.signal), Error, "the client has gone");
    gone.abort(new Error("the client has gone"));
    await aborted;
    assertEquals([pool.open, timeouts.size], [0, 0]);
  } finally {
    silent.close();
    timeouts[Symbol.dispose]();
  }
});

netTest("a connection that is made in time has no limit", async () => {
  await using app = new GreetingApp();
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const pool = new ConnectionPool(app.origin.url, { timeoutMs: 2000, timeouts });
  const [connection] = await connected(app, pool, 1);
  assertEquals(timeouts.size, 0);
  await clock.advance(5000);
  assertEquals(connection!.closed, false);
  pool.close(connection!);
  await until(() => app.open === 0);
});

netTest("connections to an IPv6 address work", async () => {
  const listener = Deno.listen({ hostname: "::1", port: 0 });
  const pool = new ConnectionPool(`http://[::1]:${listener.addr.port}`);
  const [connection, accepted] = await Promise.all([pool.connect(never()), listener.accept()]);
  await connection.writeText("caf\xe9");
  const got = new Uint8Array(10);
  assertEquals([await accepted.read(got), got[3]], [4, 0xe9]);
  accepted.close();
  pool.close(connection);
  listener.close();
});
