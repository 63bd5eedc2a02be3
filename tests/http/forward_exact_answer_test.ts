import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { type HttpMessage, toText } from "../support/http_message.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

// Answers that `--forward exact` passes on byte by byte. Known changes are in forward_known_test.ts.

const forward = "exact";
const DATE = "date: Thu, 01 Jan 1970 00:00:00 GMT";

const REQUEST = requestText("GET /", ["connection: close"]);

/** The bytes that a client gets if the app answers this. */
async function bytesAtClient(answer: string, request = REQUEST, start = Harness.warm): Promise<string> {
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(answer);
  });
  await using cless = await start({ forward, origin: app });
  using client = await cless.connect();
  await client.send(request);
  return toText(await client.reader.rest()).replace("connection: close\r\n", ""); // it is the client's own
}

/** The answer that a client gets if the app answers this. */
async function seenByClient(answer: string, request = requestText()): Promise<HttpMessage> {
  await using app = Origin.answering(answer);
  await using cless = await Harness.warm({ forward, origin: app });
  return await cless.ask(request);
}

const LINES = [
  "X-Zeta: 1",
  "Server: App/1.0 (two  blanks)",
  "Set-Cookie: a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
  "x-alpha: Gr\xfc\xdfe \xa9 \xc3\xa9",
  "Set-Cookie: b=2",
  "Vary: a",
  'ETag: W/"x"',
  "Vary: b, c",
  "X-Empty: ",
  'WWW-Authenticate: Basic realm="a, b"',
  "X_Odd!#$%&'*+.^`|~Name: 1",
].join("\r\n");

for (const length of [256, 100_000]) {
  const body = String.fromCharCode(...Array(256).keys()).repeat(Math.ceil(length / 256)).slice(0, length);
  const answer = `HTTP/1.1 200 OK\r\n${LINES}\r\ncontent-length: ${length}\r\n${DATE}\r\n\r\n${body}`;

  netTest(`exact: an answer of ${length} bytes reaches the client byte by byte`, async () => {
    assertEquals(await bytesAtClient(answer), answer);
  });

  netTest(`exact: an answer of ${length} bytes to a request that waited for a start has one line more`, async () => {
    const timing = /server-timing: cless-start;dur=\d+;desc="cold"\r\n/;
    const seen = await bytesAtClient(answer, REQUEST, (options) => Promise.resolve(Harness.cold(options)));
    assertEquals([timing.test(seen), seen.replace(timing, "")], [true, answer]);
  });
}

netTest("exact: header names that differ only in case are all written like the first of them", async () => {
  const { headers } = await seenByClient(
    "HTTP/1.1 200 OK\r\nX-Own: 1\r\nx-own: 2\r\nX-OWN: 3\r\ncontent-length: 0\r\n\r\n",
  );
  assertEquals(headers.slice(0, 3), [["X-Own", "1"], ["X-Own", "2"], ["X-Own", "3"]]);
});

netTest("exact: hop-by-hop headers are removed, and the others keep their order and case", async () => {
  const { headers } = await seenByClient(
    "HTTP/1.1 200 OK\r\nX-B: 1\r\nConnection: X-Secret\r\nx-secret: 1\r\nKeep-Alive: timeout=5\r\nX-A: 2\r\n" +
      "content-length: 0\r\n\r\n",
  );
  assertEquals(headers.slice(0, -2), [["X-B", "1"], ["X-A", "2"]]);
});

netTest("exact: three hundred headers pass", async () => {
  const lines = Array.from({ length: 300 }, (_, n) => `X-Own-${n}: ${n}`);
  const answer = ["HTTP/1.1 200 OK", ...lines, "content-length: 0", DATE].join("\r\n") + "\r\n\r\n";
  assertEquals(await bytesAtClient(answer), answer);
});

for (const status of ["204 No Content", "304 Not Modified"]) {
  netTest(`exact: a ${status} has no length and no body`, async () => {
    const answer = `HTTP/1.1 ${status}\r\nETag: "a"\r\n${DATE}\r\n\r\n`;
    assertEquals(await bytesAtClient(answer), answer);
  });
}

netTest(
  "exact: the answer to a HEAD has a Content-Length only if the app sends one",
  async () => {
    for (const line of ["content-length: 1234\r\n", "content-length: 0\r\n", ""]) {
      const answer = `HTTP/1.1 200 OK\r\nX-Own: 1\r\n${line}${DATE}\r\n\r\n`;
      assertEquals(await bytesAtClient(answer, requestText("HEAD /", ["connection: close"])), answer);
    }
    const { headers } = await seenByClient(
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      requestText("HEAD /"),
    );
    assertEquals(headers.map(([name]) => name), ["date"]);
  },
);

netTest("exact: a chunked body that arrives together with its head may go out with a Content-Length", async () => {
  const seen = await seenByClient(
    "HTTP/1.1 200 OK\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nx-sum: 1\r\n\r\n",
  );
  assertEquals(seen.names(), ["content-length", "date", "x-own"]);
  assertEquals([seen.one("content-length"), seen.text], ["5", "hello"]);
});

netTest("exact: an empty chunked body passes", async () => {
  const seen = await seenByClient("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
  assertEquals([seen.status, seen.complete, seen.text], [200, true, ""]);
});

for (const version of ["1.0", "1.1"]) {
  netTest(`exact: an HTTP/${version} answer that ends with its connection passes whole`, async () => {
    for (const body of ["", "ok", "x".repeat(200_000)]) {
      await using app = Origin.serving(async (connection) => {
        await connection.reader.request();
        await connection.send(`HTTP/${version} 200 OK\r\nX-Own: 1\r\n${DATE}\r\n\r\n${body}`);
      });
      await using cless = await Harness.warm({ forward, origin: app });
      const { complete, headers, text } = await cless.ask(requestText());
      assertEquals(headers.map(([name]) => name), ["X-Own", "transfer-encoding", "date"]);
      assert(complete && text === body, `${text.length} bytes`);
    }
  });
}

netTest("exact: the connection of an HTTP/1.0 app is used again only if it says so", async () => {
  for (const [header, connections] of [["x-own: 1", 3], ["Connection: Keep-Alive", 1]] as const) {
    await using app = Origin.answering(`HTTP/1.0 200 OK\r\n${header}\r\ncontent-length: 2\r\n\r\nok`);
    await using cless = await Harness.warm({ forward, origin: app });
    for (let turn = 0; turn < 3; turn++) assertEquals((await cless.ask(requestText())).text, "ok");
    assertEquals(app.connections, connections);
  }
});

for (const status of ["100", "101", "102", "199", "600", "700", "999"]) {
  netTest(`exact: the status ${status} is not passed on`, async () => {
    const clock = new FakeClock();
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send(`HTTP/1.1 ${status} x\r\ncontent-length: 2\r\n\r\n`);
    });
    await using cless = await Harness.warm({ forward, origin: app, clock });
    const answer = await clock.until(cless.ask(requestText("POST /")));
    assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  });
}

for (const part of ["", "ok"]) {
  const diesAfter = `dies ${part === "" ? "before" : "in"} a short body`;
  // The clock stands still, so that waiting for the rest of the body does not time out first.
  const start = (app: Origin) => Harness.warm({ forward, origin: app, clock: new FakeClock() });
  const dyingApp = () =>
    Origin.serving(async (connection) => {
      await connection.reader.request();
      const length = connection.number === 0 ? 100 : 2;
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${length === 2 ? "ok" : part}`);
    });

  netTest(`exact: a POST to an app that ${diesAfter} is a 502, and not sent again`, async () => {
    await using app = dyingApp();
    await using cless = await start(app);
    const answer = await cless.ask(requestText("POST /"));
    assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 1]);
    await cless.idle();
  });

  netTest(`exact: a GET to an app that ${diesAfter} is sent once more`, async () => {
    await using app = dyingApp();
    await using cless = await start(app);
    const answer = await cless.ask(requestText());
    assertEquals([answer.status, answer.text, app.connections], [200, "ok", 2]);
    await cless.idle();
  });
}

netTest("exact: malformed chunks are a 502 if nothing of the answer has gone out", async () => {
  await using app = Origin.answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n");
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = await cless.ask(requestText());
  assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 1]);
  await cless.idle();
});

netTest("exact: a short body that is late is streamed when waiting for it has timed out", async () => {
  const clock = new FakeClock();
  const seen = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(`HTTP/1.1 200 OK\r\nX-Own: 1\r\ncontent-length: 5\r\n${DATE}\r\n\r\nhel`);
    await seen.promise;
    await connection.send("lo");
    await connection.ended();
  });
  await using cless = await Harness.warm({ forward, origin: app, clock });
  using client = await cless.connect();
  await client.send(requestText());
  const head = await clock.until(client.reader.until("\r\n\r\nhel"));
  assertEquals(head, `HTTP/1.1 200 OK\r\nX-Own: 1\r\ncontent-length: 5\r\n${DATE}\r\n\r\nhel`);
  seen.resolve();
  assertEquals(toText(await client.reader.exactly(2)), "lo");
  assert(await clock.until(cless.idle().then(() => true)));
});

netTest("exact: a short body that trickles is streamed too", async () => {
  const clock = new FakeClock();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n");
    for (let sent = 0; sent < 60_000 && await connection.send("x"); sent++) await turn();
  });
  await using cless = await Harness.warm({ forward, origin: app, clock });
  using client = await cless.connect();
  await client.send(requestText());
  const head = await clock.until(client.reader.until("\r\n\r\n"));
  assertEquals(head?.slice(0, 15), "HTTP/1.1 200 OK");
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

for (const [lines, status] of [[1024, 200], [1025, 502]] as const) {
  netTest(
    `exact: an answer with ${lines} header lines is a ${status}: more would block the event loop`,
    async () => {
      const own = Array.from({ length: lines - 1 }, (_, n) => `x-${n}: 1\r\n`).join("");
      await using app = Origin.answering(`HTTP/1.1 200 OK\r\n${own}content-length: 2\r\n\r\nok`);
      await using cless = await Harness.warm({ forward: "exact", origin: app });
      assertEquals((await cless.ask(requestText())).status, status);
    },
  );
}
