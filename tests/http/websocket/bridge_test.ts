import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../support/fake_clock.ts";
import { deafUrl } from "../../support/free_ports.ts";
import { Harness } from "../../support/harness.ts";
import { sameBytes, toBytes } from "../../support/http_message.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { requestText } from "../../support/raw_client.ts";
import { askFor, connectPair } from "../../support/websocket_pair.ts";
import { acceptance, asking, KEY, WebSocketPeer } from "../../support/websocket_peer.ts";

const MB = 1024 * 1024;

netTest("a request for a WebSocket reaches the app with its headers and those of the proxy", async () => {
  await using pair = await connectPair([
    "origin: http://app.localhost",
    "cookie: a=1; b=2",
    "authorization: Bearer x",
    "x-own: 1",
    "x-forwarded-for: 6.6.6.6",
    "forwarded: for=6.6.6.6",
  ]);
  const { request } = pair;
  assertEquals(request.startLine, "GET /chat?room=1 HTTP/1.1");
  assertEquals(request.one("host"), "app.localhost");
  assertEquals(request.one("origin"), "http://app.localhost");
  assertEquals(request.one("cookie"), "a=1; b=2");
  assertEquals(request.one("authorization"), "Bearer x");
  assertEquals(request.one("x-own"), "1");
  assertEquals(request.one("x-forwarded-for"), "127.0.0.1");
  assertEquals(request.one("x-forwarded-proto"), "http");
  assertEquals(request.one("x-forwarded-host"), "app.localhost");
  assertEquals(request.all("forwarded"), []);
  assertEquals([request.one("upgrade"), request.one("sec-websocket-version")], ["websocket", "13"]);
  assertEquals(request.all("sec-websocket-protocol"), []);
});

netTest("the client gets the Sec-WebSocket-Accept that belongs to its key", async () => {
  await using pair = await connectPair();
  const expected = /sec-websocket-accept: (.*)\r\n/.exec(await acceptance(KEY))?.[1];
  assertEquals(pair.answer.status, 101);
  assertEquals(pair.answer.one("sec-websocket-accept"), expected);
  assertEquals(pair.answer.all("sec-websocket-protocol"), []);
});

netTest("the client gets the subprotocol that the app has chosen", async () => {
  await using pair = await connectPair(
    ["sec-websocket-protocol: chat.v2, chat.v1"],
    ["sec-websocket-protocol: chat.v1"],
  );
  assertEquals(pair.request.all("sec-websocket-protocol").join(", ").replaceAll(/,\s*/g, ", "), "chat.v2, chat.v1");
  assertEquals(pair.answer.one("sec-websocket-protocol"), "chat.v1");
});

netTest("the client gets no subprotocol if the app has chosen none", async () => {
  await using pair = await connectPair(["sec-websocket-protocol: chat.v2, chat.v1"]);
  assertEquals([pair.answer.status, pair.answer.all("sec-websocket-protocol")], [101, []]);
  await pair.app.send("hello");
  assertEquals(await pair.client.receive(), { text: "hello" });
});

netTest("text and binary messages pass both ways, in order", async () => {
  await using pair = await connectPair();
  for (const [from, to] of [[pair.client, pair.app], [pair.app, pair.client]] as const) {
    await from.send("Grüße 🎉");
    await from.send(new Uint8Array([0, 255, 1]));
    await from.send("");
    await from.send(new Uint8Array(0));
    assertEquals(await to.receive(), { text: "Grüße 🎉" });
    assertEquals(await to.receive(), { binary: new Uint8Array([0, 255, 1]) });
    assertEquals(await to.receive(), { text: "" });
    assertEquals(await to.receive(), { binary: new Uint8Array(0) });
  }
});

netTest("a message in fragments arrives whole, and pings in between do not disturb it", async () => {
  await using pair = await connectPair();
  for (const [from, to] of [[pair.client, pair.app], [pair.app, pair.client]] as const) {
    await from.frame(1, new TextEncoder().encode("one "), false);
    await from.frame(9, new TextEncoder().encode("ping"));
    await from.frame(0, new TextEncoder().encode("two"), true);
    assertEquals(await to.receive(), { text: "one two" });
    await from.frame(2, new Uint8Array(10).fill(1), false);
    await from.frame(0, new Uint8Array(5).fill(2), false);
    await from.frame(0, new Uint8Array(0), true);
    assertEquals(await to.receive(), { binary: new Uint8Array(15).fill(1, 0, 10).fill(2, 10) });
  }
});

for (const kind of ["text", "binary"] as const) {
  netTest(`a ${kind} message of 16 MB passes both ways`, async () => {
    await using pair = await connectPair();
    const binary = toBytes("0123456789abcdefghijklmno\x7f".repeat(16 * MB / 26)).fill(
      kind === "text" ? 65 : 255,
      MB,
      2 * MB,
    );
    for (const [from, to] of [[pair.client, pair.app], [pair.app, pair.client]] as const) {
      const sent = from.frame(kind === "text" ? 1 : 2, binary);
      const received = await to.receive();
      await sent;
      const bytes = "binary" in received
        ? received.binary
        : new TextEncoder().encode("text" in received ? received.text : "");
      assert(kind in received);
      assert(sameBytes(bytes, binary));
    }
  });
}

netTest("messages that the app sends together with its agreement arrive", async () => {
  const finished = Promise.withResolvers<void>();
  await using origin = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    const app = new WebSocketPeer(connection, "app");
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
    for (let message = 1; message <= 5; message++) await app.send(`message ${message}`);
    await finished.promise;
  });
  await using cless = await Harness.warm({ origin });
  using wire = await askFor(cless);
  assertEquals((await wire.answer()).status, 101);
  const client = new WebSocketPeer(wire, "client");
  for (let message = 1; message <= 5; message++) {
    assertEquals(await client.receive(), { text: `message ${message}` });
  }
  finished.resolve();
});

netTest("a request for a WebSocket to an app that does not listen is a 502", async () => {
  const url = deafUrl();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ origin: { url }, clock });
  using client = await askFor(cless);
  const answer = await clock.until(client.answer());
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  await cless.idle();
});

netTest(
  "a request for a WebSocket is repeated once if the connection closes before any byte of an answer",
  async () => {
    await using origin = Origin.serving(async (connection) => {
      const request = await connection.reader.head();
      if (connection.number === 0) return;
      await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
      await connection.ended();
    });
    await using cless = await Harness.warm({ origin });
    using client = await askFor(cless);
    assertEquals([(await client.answer()).status, origin.connections], [101, 2]);
  },
);

for (const garbage of ["SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n"]) {
  netTest(`an app that answers the request for a WebSocket with ${JSON.stringify(garbage)} is a 502`, async () => {
    await using origin = Origin.serving(async (connection) => {
      await connection.reader.head();
      await connection.send(garbage);
    });
    const clock = new FakeClock();
    await using cless = await Harness.warm({ origin, clock });
    using client = await askFor(cless);
    const answer = await clock.until(client.answer());
    assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
    await cless.idle();
  });
}

netTest("a request for a WebSocket that gets no answer within the request timeout is a 504", async () => {
  const asked = Promise.withResolvers<void>();
  await using origin = Origin.serving(async (connection) => {
    await connection.reader.head();
    asked.resolve();
    await connection.ended();
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ origin, clock, requestTimeoutMs: 5000 });
  using client = await askFor(cless);
  await asked.promise;
  const answer = await clock.until(client.answer());
  assertEquals([answer.status, answer.one("cless-error")], [504, "upstream_timeout"]);
  await cless.idle();
});

netTest("a request for a WebSocket waits for an instance to start", async () => {
  await using origin = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
    await new WebSocketPeer(connection, "app").send("hello");
    await connection.ended();
  });
  await using cless = Harness.cold({});
  using wire = await askFor(cless);
  (await cless.launcher.nextLaunch()).succeed(origin.url);
  assertEquals((await wire.answer()).status, 101);
  assertEquals(await new WebSocketPeer(wire, "client").receive(), { text: "hello" });
});

netTest("a WebSocket holds one lease as long as it is open", async () => {
  await using pair = await connectPair();
  const { instance } = pair.cless;
  assertEquals(instance.inFlight, 1);
  await pair.client.send("hello");
  await pair.app.receive();
  assertEquals([instance.inFlight, pair.cless.unanswered.size], [1, 0]);
  await pair.client.close(1000);
  await pair.app.receive();
  await pair.app.close(1000);
  await pair.cless.idle();
  assertEquals(instance.inFlight, 0);
});

for (
  const [kind, headers] of [
    ["without a key", ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"]],
    ["of an old version", asking().map((line) => line.replace("13", "8"))],
    ["without a version", asking().filter((line) => !line.includes("version"))],
    ["with a subprotocol twice", asking("sec-websocket-protocol: a, a")],
    ["with an invalid subprotocol", asking("sec-websocket-protocol: a b")],
  ] as const
) {
  netTest(`a request for a WebSocket ${kind} is a 400, and does not reach the app`, async () => {
    await using origin = Origin.answering();
    await using cless = await Harness.warm({ origin });
    using client = await askFor(cless, headers);
    const answer = await client.answer();
    assertEquals([answer.status, answer.one("cless-error")], [400, "bad_request"]);
    assertEquals(origin.connections, 0);
    await cless.idle();
  });
}

netTest("only a GET can ask for a WebSocket; other methods are passed on without Upgrade", async () => {
  await using origin = Origin.answering();
  await using cless = await Harness.warm({ origin });
  const answer = await cless.ask(requestText("OPTIONS /", asking()));
  assertEquals([answer.status, origin.last.startLine], [200, "OPTIONS / HTTP/1.1"]);
  assertEquals([...origin.last.all("upgrade"), ...origin.last.all("connection")], []);
});

netTest("a client that leaves before its WebSocket is open leaves no lease open", async () => {
  const asked = Promise.withResolvers<string>();
  const agree = Promise.withResolvers<void>();
  await using origin = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    asked.resolve(request?.one("sec-websocket-key") ?? "");
    await agree.promise;
    await connection.send(await acceptance(await asked.promise));
    await connection.reader.rest();
  });
  await using cless = await Harness.warm({ origin });
  const client = await askFor(cless);
  await asked.promise;
  client[Symbol.dispose]();
  await cless.unanswered.none();
  agree.resolve();
  await cless.idle();
});

netTest(
  "a client that leaves before the app has answered its request for a WebSocket leaves no lease open",
  async () => {
    const asked = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    await using origin = Origin.serving(async (connection) => {
      await connection.reader.head();
      asked.resolve();
      await connection.ended();
      left.resolve();
    });
    await using cless = await Harness.warm({ origin });
    const client = await askFor(cless);
    await asked.promise;
    client[Symbol.dispose]();
    await left.promise;
    await cless.idle();
    assertEquals(cless.unanswered.size, 0);
  },
);
