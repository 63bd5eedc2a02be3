import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { drain } from "../support/flow.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

for (
  const [kind, answer] of [
    ["garbage", "\x00\x01\x02 what is this\r\n\r\n"],
    ["a greeting of another protocol", "220 mail.example ESMTP\r\n"],
    ["a status line without headers, and the end", "HTTP/1.1 200 OK\r\n"],
    ["a status line without an end", "HTTP/1.1 200 OK"],
    ["a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"],
    ["a header with a NUL", "HTTP/1.1 200 OK\r\nx-own: a\x00b\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"],
    ["an invalid length", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nxx"],
    ["the status 99", "HTTP/1.1 99 x\r\ncontent-length: 2\r\n\r\nok"],
    ["the status 600", "HTTP/1.1 600 x\r\ncontent-length: 2\r\n\r\nok"],
    ["the status 700", "HTTP/1.1 700 x\r\ncontent-length: 2\r\n\r\nok"],
    ["the status 999", "HTTP/1.1 999 x\r\ncontent-length: 2\r\n\r\nok"],
    ["the status 1000", "HTTP/1.1 1000 x\r\ncontent-length: 2\r\n\r\nok"],
    ["a change of protocol that was not requested", "HTTP/1.1 101 x\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\n"],
    ["an unknown version", "HTTP/3.7 200 OK\r\ncontent-length: 2\r\n\r\nok"],
    ["two megabytes of headers", `HTTP/1.1 200 OK\r\nx-own: ${"v".repeat(2 << 20)}\r\n\r\n`],
  ] as const
) {
  forwardTest(`an app that answers with ${kind} is a 502`, async (forward) => {
    await using app = Origin.serving(async (connection) => {
      const request = await connection.reader.request();
      await connection.send(request?.target === "/good" ? OK : answer);
    });
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: app, clock });
    const seen = await clock.until(cless.ask(requestText()));
    assertEquals([seen.status, seen.one("cless-error")], [502, "upstream_failed"]);
    assertEquals(seen.text.includes("127.0.0.1"), false);
    await cless.idle();
    assertEquals((await cless.ask(requestText("GET /good"))).status, 200);
  });
}

for (
  const [kind, expected] of [
    ["closes right after it has accepted", 502],
    ["accepts and reads nothing", 504],
    ["reads and answers nothing", 504],
    ["sends a status line and then nothing", 504],
    ["sends headers without an end", 504],
  ] as const
) {
  forwardTest(`an app that ${kind} is a ${expected}, and no request hangs`, async (forward) => {
    await using app = Origin.serving(async (connection) => {
      if (kind.startsWith("closes")) return;
      if (kind.includes("status line")) await connection.send("HTTP/1.1 200 OK\r\n");
      if (kind.includes("without an end")) await connection.send("HTTP/1.1 200 OK\r\nx-own: a");
      if (kind.includes("reads nothing")) await finish.promise;
      else await connection.ended();
    });
    const finish = Promise.withResolvers<void>();
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: app, clock, requestTimeoutMs: 5000 });
    const seen = await clock.until(cless.ask(requestText()));
    assertEquals(
      [seen.status, seen.one("cless-error")],
      [expected, expected === 502 ? "upstream_failed" : "upstream_timeout"],
    );
    finish.resolve();
    await cless.idle();
    assertEquals(cless.unanswered.size, 0);
  });
}

forwardTest(
  "the page of a 502 names the command for operators, but not where the host hides the service",
  async (forward) => {
    await using app = Origin.answering("HTTP/1.1 99 x\r\n\r\n");
    await using cless = await Harness.warm({ forward, origin: app, domains: ["www.example.com"] });
    const page = async (host: string) => {
      const { status, text } = await cless.ask(requestText("GET /", ["accept: text/html"], "", `host: ${host}`));
      assertEquals(status, 502);
      return text;
    };
    for (const host of ["app.localhost", "APP.example.org:80"]) {
      assertStringIncludes(await page(host), "<code>cless describe app</code>");
    }
    assert(!(await page("www.example.com")).includes("describe"));
  },
);

forwardTest("60 KB of an app's headers pass", async (forward) => {
  const headers = Array.from({ length: 30 }, (_, n) => `x-${n}: ${"v".repeat(2000)}`);
  await using app = Origin.answering(`HTTP/1.1 200 OK\r\n${headers.join("\r\n")}\r\ncontent-length: 2\r\n\r\nok`);
  await using cless = await Harness.warm({ forward, origin: app });
  const seen = await cless.ask(requestText());
  assertEquals([seen.status, seen.names().filter((name) => name.startsWith("x-")).length], [200, 30]);
});

forwardTest("bytes beyond the Content-Length are not taken for the answer to the next request", async (forward) => {
  await using app = Origin.answering(
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nx-evil: 1\r\n\r\n",
  );
  await using cless = await Harness.warm({ forward, origin: app });
  for (let turn = 0; turn < 3; turn++) {
    const seen = await cless.ask(requestText());
    assertEquals(seen.all("x-evil"), []);
    // `exact` passes on nothing of an answer that is longer than its Content-Length.
    if (forward === "exact") assertEquals(seen.one("cless-error"), "upstream_failed");
    else assertEquals([seen.status, seen.text], [200, "ok"]);
  }
});

for (
  const [line, head] of [
    ["HEAD /", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"],
    ["HEAD /", "HTTP/1.1 404 x\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["GET /", "HTTP/1.1 204 x\r\n\r\n"],
    ["GET /", "HTTP/1.1 304 x\r\ncontent-length: 2\r\n\r\n"],
  ] as const
) {
  const status = Number(head.slice(9, 12));
  forwardTest(
    `the forbidden body of a ${line.split(" ")[0]} with a ${status} is not taken for the next answer`,
    async (forward) => {
      await using app = Origin.serving(async (connection) => {
        await connection.reader.request();
        await connection.send(`${head}ok`);
        await connection.ended();
      });
      await using cless = await Harness.warm({ forward, origin: app });
      using client = await cless.connect();
      // `exact` passes on nothing of an answer that is longer than allowed.
      const expected = forward === "exact" ? 502 : status;
      for (let turn = 0; turn < 3; turn++) assertEquals((await client.ask(requestText(line))).status, expected);
      assertEquals(app.connections, 3); // each request had a connection without leftovers
    },
  );
}

forwardTest("a body in malformed chunks is visibly cut", async (forward) => {
  const seen = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n");
    await seen.promise;
    await connection.send("zz\r\n");
    await connection.ended();
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText());
  await client.reader.until("ok\r\n");
  seen.resolve();
  assertEquals((await client.reader.rest()).length, 0); // no last chunk: the connection is closed
  await cless.idle();
});

forwardTest("an answer of a gigabyte is streamed", async (forward) => {
  const total = 1 << 30;
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
    const piece = new Uint8Array(1 << 20);
    for (let sent = 0; sent < total; sent += piece.length) await connection.send(piece);
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText());
  await client.reader.head();
  assertEquals(await drain(client.reader, total), total);
  await cless.idle();
});
