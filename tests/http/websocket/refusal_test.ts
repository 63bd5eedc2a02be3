import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../support/fake_clock.ts";
import { Harness } from "../../support/harness.ts";
import { sameBytes, toBytes } from "../../support/http_message.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { requestText } from "../../support/raw_client.ts";
import { until } from "../../support/until.ts";
import { askFor } from "../../support/websocket_pair.ts";
import { acceptance, asking } from "../../support/websocket_peer.ts";

const SHORT = "not \xff\0 you";
const LONG = "0123456789\xff\0\r\n".repeat(300 * 1024 / 14);

/** A body in chunks of `size` bytes. */
function inChunks(body: string, size: number): string {
  let text = "";
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.slice(at, at + size);
    text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return text + "0\r\n\r\n";
}

for (const status of [200, 301, 400, 401, 403, 404, 426, 500, 503]) {
  netTest(`if an app refuses a WebSocket with ${status}, the client gets ${status}`, async () => {
    await using origin = Origin.answering(`HTTP/1.1 ${status} x\r\ncontent-length: 2\r\n\r\nno`);
    await using cless = await Harness.warm({ origin });
    using client = await askFor(cless);
    const answer = await client.answer();
    assertEquals([answer.status, answer.text, answer.all("cless-error")], [status, "no", []]);
    await cless.idle();
    assertEquals(origin.requests.length, 1);
  });
}

for (
  const [kind, framing, body, sent] of [
    ["no body", "content-length: 0", "", ""],
    ["a short body", `content-length: ${SHORT.length}`, SHORT, SHORT],
    ["a long body", `content-length: ${LONG.length}`, LONG, LONG],
    ["a short chunked body", "transfer-encoding: chunked", SHORT, inChunks(SHORT, 3)],
    ["a long chunked body", "transfer-encoding: chunked", LONG, inChunks(LONG, 10_000)],
    ["a long body in one chunk", "transfer-encoding: chunked", LONG, inChunks(LONG, LONG.length)],
  ] as const
) {
  netTest(`the status and headers of a refused WebSocket reach the client, with ${kind}`, async () => {
    const headers = [
      ["cache-control", "no-store"],
      ["content-type", "application/x-own"],
      ["date", "Thu, 01 Jan 1970 00:00:00 GMT"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["www-authenticate", 'Basic realm="x"'],
      ["x-own", "1"],
    ] satisfies [string, string][];
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    await using origin = Origin.answering(`HTTP/1.1 403 Forbidden\r\n${framing}\r\n${lines}\r\n${sent}`);
    await using cless = await Harness.warm({ origin });
    using client = await askFor(cless);
    const answer = await client.answer();
    const framed = ["content-length", "transfer-encoding"];
    assertEquals(answer.startLine, "HTTP/1.1 403 Forbidden");
    assertEquals(answer.headers.filter(([name]) => !framed.includes(name)).toSorted(), headers);
    assert(answer.complete && sameBytes(answer.body, toBytes(body)), "the body is another");
    await cless.idle();
  });
}

netTest("the body of a refused WebSocket that ends with the app's connection reaches the client whole", async () => {
  await using origin = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send(`HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n${LONG}`);
  });
  await using cless = await Harness.warm({ origin });
  using client = await askFor(cless);
  const answer = await client.answer();
  assertEquals([answer.status, answer.complete], [403, true]);
  assert(sameBytes(answer.body, toBytes(LONG)), "the body is another");
  await cless.idle();
});

netTest("the body of a refused WebSocket that breaks off is visibly incomplete", async () => {
  await using origin = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${LONG.length}\r\n\r\n${LONG.slice(1)}`);
  });
  await using cless = await Harness.warm({ origin });
  using client = await askFor(cless);
  const answer = await client.answer();
  assertEquals([answer.status, answer.complete], [403, false]);
  await cless.idle();
});

netTest("a client whose WebSocket was refused can use its connection for other requests", async () => {
  await using origin = Origin.answering((request) =>
    request.one("upgrade") === undefined
      ? "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
      : `HTTP/1.1 403 Forbidden\r\ncontent-length: ${LONG.length}\r\n\r\n${LONG}`
  );
  await using cless = await Harness.warm({ origin });
  using client = await askFor(cless);
  assertEquals((await client.answer()).body.length, LONG.length);
  const page = await client.ask(requestText());
  assertEquals([page.status, page.text], [200, "ok"]);
  const again = await client.ask(requestText("GET /", asking()));
  assertEquals([again.status, again.complete], [403, true]);
});

netTest("the connection of a refused WebSocket is closed, since no other request would use it", async () => {
  let open = 0;
  await using app = Origin.serving(async (connection) => {
    open++;
    await connection.reader.head();
    await connection.send("HTTP/1.1 403 x\r\ncontent-length: 2\r\n\r\nno");
    await connection.ended();
    open--;
  });
  // The clock stands still, so that idle connections would never be closed.
  await using cless = await Harness.warm({ origin: app, clock: new FakeClock() });
  for (let turn = 0; turn < 20; turn++) {
    using client = await askFor(cless);
    assertEquals((await client.answer()).status, 403);
  }
  await until(() => open === 0);
  assertEquals(app.connections, 20);
});

netTest("an invalid header in an agreement to a WebSocket is a 502", async () => {
  await using app = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? "", ["x y: 1"]));
    await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  using client = await askFor(cless);
  const answer = await client.answer();
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  await cless.idle();
});
