import { assertEquals } from "@std/assert";
import { FakeClock } from "../../support/fake_clock.ts";
import { Harness } from "../../support/harness.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { askFor, connectPair } from "../../support/websocket_pair.ts";
import { acceptance, type Received, WebSocketPeer } from "../../support/websocket_peer.ts";

for (const code of [1000, undefined, 1001, 1003, 1008, 1011, 1012, 3000, 4999] as const) {
  netTest(`if a client closes with ${code ?? "no code"}, its app is closed with the same`, async () => {
    await using pair = await connectPair();
    const reason = code === undefined ? "" : "that is all";
    await pair.client.close(code, reason);
    assertEquals(await pair.app.receive(), { close: code, reason });
    await pair.app.close(code);
    await pair.cless.idle();
    const answer = await pair.client.receive();
    assertEquals("close" in answer ? answer.close : "none", code);
  });
}

for (const code of [1000, undefined, 1001, 1003, 1008, 1011, 1012, 3000, 4999] as const) {
  netTest(`if an app closes with ${code ?? "no code"}, its client is closed with the same`, async () => {
    await using pair = await connectPair();
    const reason = code === undefined ? "" : "that is all";
    await pair.app.close(code, reason);
    assertEquals(await pair.client.receive(), { close: code, reason });
    await pair.client.close(code);
    await pair.cless.idle();
    const answer = await pair.app.receive();
    assertEquals("close" in answer ? answer.close : "none", code);
  });
}

netTest("if an app ends without a close, its client is closed with 1011", async () => {
  await using pair = await connectPair();
  pair.dropApp();
  assertEquals(await pair.client.receive(), { close: 1011, reason: "" });
  await pair.client.close(1011);
  await pair.cless.idle();
});

netTest("if a client ends without a close, its app is closed with 1011", async () => {
  await using pair = await connectPair();
  pair.dropClient();
  assertEquals(await pair.app.receive(), { close: 1011, reason: "" });
  await pair.app.close(1011);
  await pair.cless.idle();
});

netTest("both sides can close at the same time", async () => {
  await using pair = await connectPair();
  await Promise.all([pair.client.close(1000, "client"), pair.app.close(1000, "app")]);
  await Promise.all([pair.client.receive(), pair.app.receive()]);
  await pair.cless.idle();
});

netTest("messages before a close arrive before it", async () => {
  await using pair = await connectPair();
  for (const [from, to] of [[pair.client, pair.app], [pair.app, pair.client]] as const) {
    for (let message = 0; message < 100; message++) await from.send(`message ${message}`);
    if (from === pair.app) await from.close(4000, "done");
    for (let message = 0; message < 100; message++) assertEquals(await to.receive(), { text: `message ${message}` });
  }
  assertEquals(await pair.client.receive(), { close: 4000, reason: "done" });
});

for (const side of ["client", "app"] as const) {
  netTest(`a protocol error of the ${side} ends the WebSocket on both sides`, async () => {
    await using pair = await connectPair();
    const other = side === "client" ? pair.app : pair.client;
    await pair[side].frame(5, new Uint8Array(3)); // a kind of frame that does not exist
    const end = await other.receive();
    assertEquals("close" in end ? end.close : end, 1011);
    await other.close(1000);
    await pair.cless.idle();
  });
}

for (const code of [1000, 1001, 4001]) {
  netTest(
    `a message and a close with ${code} that an app sends together with its agreement arrive in order`,
    async () => {
      await using origin = Origin.serving(async (connection) => {
        const request = await connection.reader.head();
        const app = new WebSocketPeer(connection, "app");
        await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
        await app.send("hello");
        await app.close(code, "bye");
        await app.receive();
      });
      await using cless = await Harness.warm({ origin });
      using wire = await askFor(cless);
      assertEquals((await wire.answer()).status, 101);
      const client = new WebSocketPeer(wire, "client");
      assertEquals(await client.receive(), { text: "hello" });
      assertEquals(await client.receive(), { close: code, reason: "bye" });
      await client.close(code);
      await cless.idle();
    },
  );
}

for (const [kind, rest] of [["a message", "\x81\x04late"], ["an invalid frame", "\x85\x00"]] as const) {
  netTest(`${kind} right behind an app's close is ignored, and the close is answered`, async () => {
    const answered = Promise.withResolvers<Received>();
    await using origin = Origin.serving(async (connection) => {
      const request = await connection.reader.head();
      await connection.send(await acceptance(request?.one("sec-websocket-key") ?? "") + "\x88\x02\x0f\xa1" + rest);
      answered.resolve(await new WebSocketPeer(connection, "app").receive());
    });
    await using cless = await Harness.warm({ origin });
    using wire = await askFor(cless);
    assertEquals((await wire.answer()).status, 101);
    const client = new WebSocketPeer(wire, "client");
    assertEquals(await client.receive(), { close: 4001, reason: "" });
    await client.close(4001);
    assertEquals(await answered.promise, { close: 4001, reason: "" });
    await cless.idle();
  });
}

for (const side of ["client", "app"] as const) {
  netTest(`a close that the ${side} does not answer holds the instance for ten seconds and no longer`, async () => {
    const clock = new FakeClock();
    await using pair = await connectPair([], [], { clock });
    const [silent, other] = side === "client" ? [pair.client, pair.app] : [pair.app, pair.client];
    await other.close(1000);
    assertEquals(await silent.receive(), { close: 1000, reason: "" });
    await clock.advance(9900);
    assertEquals(pair.cless.instance.inFlight, 1);
    await clock.advance(200);
    assertEquals(pair.cless.instance.inFlight, 0);
  });
}
