// What `Deno.serve` changes, whichever forwarder sends the requests; docs/http.md lists it. What `fetch` changes in
// addition is in forward_fetch_test.ts.
import { assertEquals } from "@std/assert";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { toText } from "../support/http_message.ts";
import { OK, Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";
import { turns } from "../support/until.ts";

forwardTest("known: an answer gets the standard reason phrase of its status", async (forward) => {
  for (const line of ["200 Splendid", "200 ", "200"]) {
    await using app = Origin.answering(`HTTP/1.1 ${line}\r\ncontent-length: 2\r\n\r\nok`);
    await using cless = await Harness.warm({ forward, origin: app });
    assertEquals((await cless.ask(requestText())).startLine, "HTTP/1.1 200 OK");
  }
});

forwardTest("known: an answer without a Date gets one", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = await cless.ask(requestText());
  assertEquals(answer.names(), ["content-length", "date"]);
});

forwardTest("known: Content-Length and Date of an answer come last, their names in lower case", async (forward) => {
  const date = "Thu, 01 Jan 1970 00:00:00 GMT";
  await using app = Origin.answering(
    `HTTP/1.1 200 OK\r\nDate: ${date}\r\nContent-Length: 002\r\nContent-Length: 002\r\nx-own: 1\r\n\r\nok`,
  );
  await using cless = await Harness.warm({ forward, origin: app });
  const { headers } = await cless.ask(requestText());
  assertEquals(headers, [["x-own", "1"], ["content-length", "2"], ["date", date]]);
});

forwardTest(
  "known: a 304 loses its Content-Length, and a 205 becomes a 204, since clients would wait for its body",
  async (forward) => {
    for (const [status, length, expected] of [[205, 0, 204], [304, 1234, 304]]) {
      await using app = Origin.answering(`HTTP/1.1 ${status} x\r\ncontent-length: ${length}\r\n\r\n`);
      await using cless = await Harness.warm({ forward, origin: app });
      using client = await cless.connect();
      for (const method of ["GET", "HEAD"]) {
        await client.send(requestText(`${method} /`));
        const answer = await client.reader.head();
        assertEquals([answer?.status, answer?.names()], [expected, ["date"]]);
      }
    }
  },
);

forwardTest("known: early hints and other 1xx answers are lost, and the final one passes", async (forward) => {
  await using app = Origin.answering(`HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 102 x\r\n\r\n${OK}`);
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = await cless.ask(requestText());
  assertEquals([answer.status, answer.all("link")], [200, []]);
});

forwardTest("known: trailers are lost both ways, and the body passes", async (forward) => {
  const seen = Promise.withResolvers<void>();
  let asked = "";
  await using app = Origin.serving(async (connection) => {
    asked = await connection.reader.until("0\r\n\r\n") ?? "cut";
    await connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n");
    await seen.promise;
    await connection.send("0\r\nx-sum: 1\r\n\r\n");
    await connection.ended();
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(
    requestText("POST /", ["transfer-encoding: chunked", "trailer: x-sum"], "2\r\nhi\r\n0\r\nx-sum: 2\r\n\r\n"),
  );
  assertEquals((await client.reader.until("\r\n\r\n"))?.includes("x-sum"), false);
  seen.resolve();
  assertEquals(await client.reader.until("0\r\n\r\n"), "2\r\nok\r\n0\r\n\r\n");
  assertEquals([asked.endsWith("\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), asked.includes("x-sum")], [true, false]);
});

forwardTest(
  "known: a request's headers arrive sorted, with names in lower case, and repeated ones joined",
  async (forward) => {
    await using app = Origin.answering();
    await using cless = await Harness.warm({ forward, origin: app });
    await cless.ask(requestText("GET /", ["X-Own: 2", "Cookie: a", "x-more: 3", "x-own: 1", "COOKIE: b"]));
    const own = app.last.headers.filter(([name]) => /^(cookie|host|x-own|x-more)$/i.test(name));
    assertEquals(own, [["cookie", "a; b"], ["host", "app.localhost"], ["x-more", "3"], ["x-own", "2, 1"]]);
  },
);

forwardTest("known: Connection is not passed on, and each side has its own", async (forward) => {
  await using app = Origin.answering("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  for (let turn = 0; turn < 2; turn++) {
    const answer = await client.ask(requestText("GET /", ["connection: keep-alive"]));
    assertEquals([answer.all("connection"), app.last.all("connection")], [[], []]);
  }
  await client.send(requestText("GET /", ["connection: close"]));
  assertEquals(toText(await client.reader.rest()).includes("connection: close"), true);
});

forwardTest(
  "known: if a body comes in a packet after its head, and the client leaves then, that is noticed only when the answer comes",
  async (forward) => {
    const [headSeen, bodySeen, finish] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ];
    await using app = Origin.serving(async (connection) => {
      await connection.reader.head();
      headSeen.resolve();
      await connection.reader.exactly(5);
      bodySeen.resolve();
      await finish.promise;
      await connection.send(OK);
    });
    await using cless = await Harness.warm({ forward, origin: app });
    const client = await cless.connect();
    await client.send(requestText("POST /", ["content-length: 5"]));
    await headSeen.promise;
    await client.send("hello");
    await bodySeen.promise;
    client[Symbol.dispose]();
    await turns(100);
    assertEquals(cless.instance.inFlight, 1);
    finish.resolve();
    await cless.idle();
  },
);
