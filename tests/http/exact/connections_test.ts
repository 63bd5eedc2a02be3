import { assertEquals, assertRejects } from "@std/assert";
import type { Connection } from "../../../src/http/exact/connection.ts";
import { Connections } from "../../../src/http/exact/connections.ts";
import { ForwardError } from "../../../src/http/forward.ts";
import { never } from "../../support/kit.ts";
import { Origin, type OriginConnection } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { until } from "../../support/until.ts";

/** An app that greets and then keeps what it is sent for itself; it counts the connections open on its side. */
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

/** So many connections that have read an answer, in the order in which the app has accepted them. */
async function connected(app: GreetingApp, connections: Connections, count: number): Promise<Connection[]> {
  const opened: Connection[] = [];
  for (let n = 1; n <= count; n++) {
    const connection = await connections.connect(never());
    assertEquals(await connection.first, "greeting".length);
    opened.push(connection);
    await until(() => app.accepted.length === n);
  }
  return opened;
}

netTest("the connection that was used last is used next", async () => {
  await using app = new GreetingApp();
  const connections = new Connections(app.origin.url);
  const [a, b, c] = await connected(app, connections, 3);
  assertEquals(await connections.take(), undefined); // those in use are not given to anybody else
  for (const connection of [b!, c!, a!]) connections.keep(connection, 0);
  for (const next of [a, c, b, undefined]) assertEquals(await connections.take(), next);
  assertEquals(connections.open, 3);
  for (const connection of [a!, b!, c!]) connections.close(connection);
  assertEquals(connections.open, 0);
  await until(() => app.open === 0);
});

netTest("no more than 256 connections are kept that nobody uses", async () => {
  await using app = new GreetingApp();
  const connections = new Connections(app.origin.url);
  const opened = await connected(app, connections, 260);
  for (const connection of opened) connections.keep(connection, 0);
  assertEquals(connections.open, 256);
  await until(() => app.open === 256);
  connections.closeIdle();
  assertEquals(connections.open, 0);
  await until(() => app.open === 0);
});

for (const what of ["closes", "resets", "writes to"] as const) {
  netTest(`an idle connection that the app ${what} is dropped at once`, async () => {
    await using app = new GreetingApp();
    const connections = new Connections(app.origin.url);
    const [first, second, third] = await connected(app, connections, 3);
    for (const connection of [first!, second!, third!]) connections.keep(connection, 0);
    if (what === "writes to") await app.accepted[1]!.send("x");
    // Linux resets what is closed while there is something to read.
    if (what === "resets") await second!.writeText("nobody reads this");
    if (what !== "writes to") app.accepted[1]!.close();
    await until(() => connections.open === 2);
    assertEquals(second!.closed, true);
    for (const next of [third, first, undefined]) assertEquals(await connections.take(), next);
    for (const connection of [first!, third!]) connections.close(connection);
    await until(() => app.open === 0);
  });
}

netTest("the bytes of an answer do not drop the connection that it comes over", async () => {
  await using app = new GreetingApp();
  const connections = new Connections(app.origin.url);
  const [connection] = await connected(app, connections, 1);
  for (let turn = 0; turn < 5; turn++) {
    connections.keep(connection!, 0);
    assertEquals(await connections.take(), connection);
    await app.accepted[0]!.send(`turn ${turn}`);
    assertEquals(await connection!.first, 6);
    assertEquals([connection!.text(6), connection!.closed], [`turn ${turn}`, false]);
  }
  connections.close(connection!);
});

netTest("connections that nobody has used since a moment are closed, the younger ones stay", async () => {
  await using app = new GreetingApp();
  const connections = new Connections(app.origin.url);
  const [a, b, c, inUse] = await connected(app, connections, 4);
  connections.keep(a!, 100);
  connections.keep(b!, 200);
  connections.keep(c!, 300);
  connections.closeIdle(99);
  assertEquals(connections.open, 4);
  connections.closeIdle(200);
  assertEquals([a!.closed, b!.closed, c!.closed, inUse!.closed], [true, true, false, false]);
  connections.closeIdle(1000);
  assertEquals([c!.closed, inUse!.closed, connections.open], [true, false, 1]);
  connections.close(inUse!);
  connections.close(inUse!); // only the first time counts
  assertEquals(connections.open, 0);
});

netTest("after leaving, the idle ones are closed at once and the others after their use", async () => {
  await using app = new GreetingApp();
  const connections = new Connections(app.origin.url);
  const [idle, inUse] = await connected(app, connections, 2);
  connections.keep(idle!, 0);
  connections.leave();
  assertEquals([idle!.closed, inUse!.closed, connections.open], [true, false, 1]);
  connections.keep(inUse!, 0);
  assertEquals([inUse!.closed, connections.open, await connections.take()], [true, 0, undefined]);
  await until(() => app.open === 0);
});

netTest("an app that cannot be reached leaves a request unsent", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const connections = new Connections(`http://127.0.0.1:${listener.addr.port}`);
  const error = await assertRejects(() => connections.connect(never()), ForwardError);
  assertEquals([error.progress, connections.open], ["unsent", 0]);
  const reason = new Error("given up");
  await assertRejects(() => connections.connect(AbortSignal.abort(reason)), Error, "given up");
});

netTest("an address of IPv6 is one too", async () => {
  const listener = Deno.listen({ hostname: "::1", port: 0 });
  const connections = new Connections(`http://[::1]:${listener.addr.port}`);
  const [connection, accepted] = await Promise.all([connections.connect(never()), listener.accept()]);
  await connection.writeText("caf\xe9");
  const got = new Uint8Array(10);
  assertEquals([await accepted.read(got), got[3]], [4, 0xe9]);
  accepted.close();
  connections.close(connection);
  listener.close();
});
