import { assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import type { Forward } from "../../src/base/config.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { type HttpMessage, toText } from "../support/http_message.ts";
import { Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** The answer that a client gets if the app answers this. */
async function seenByClient(forward: Forward, answer: string, request = requestText()): Promise<HttpMessage> {
  await using app = Origin.answering(answer);
  await using cless = await Harness.warm({ forward, origin: app });
  return await cless.ask(request);
}

/** An answer as text, with a Content-Length for its body. */
function answerText(headers: readonly string[], body = "ok", status = "200 OK"): string {
  return [`HTTP/1.1 ${status}`, `content-length: ${body.length}`, ...headers].join("\r\n") + `\r\n\r\n${body}`;
}

forwardTest("an answer reaches the client with its own headers and nothing else", async (forward) => {
  const date = "date: Thu, 01 Jan 1970 00:00:00 GMT";
  const seen = await seenByClient(
    forward,
    answerText([date, "content-type: text/plain", "server: app/1", "x-own: yes"]),
  );
  assertEquals(
    seen.headers.toSorted(),
    [
      ["content-length", "2"],
      ["content-type", "text/plain"],
      ["date", "Thu, 01 Jan 1970 00:00:00 GMT"],
      ["server", "app/1"],
      ["x-own", "yes"],
    ].toSorted(),
  );
  assertEquals([seen.startLine, seen.text], ["HTTP/1.1 200 OK", "ok"]);
});

forwardTest(
  "hop-by-hop headers of an answer, and those that its Connection names, are not passed on",
  async (forward) => {
    const seen = await seenByClient(
      forward,
      answerText([
        "Connection: keep-alive, X-Secret",
        "keep-alive: timeout=5",
        "proxy-connection: keep-alive",
        "trailer: x-checksum",
        "upgrade: h2c",
        "X-Secret: 1",
        "x-stays: 2",
      ]),
    );
    assertEquals(seen.names(), ["content-length", "date", "x-stays"]);
    assertEquals(seen.text, "ok");
  },
);

// With a `connection` header the answer has to be copied; without one it is passed on as the same object.
for (const hopByHop of [[], ["connection: close"]]) {
  const kind = hopByHop.length > 0 ? " of an app that closes its connections" : "";

  forwardTest(`several Set-Cookie lines stay separate${kind}`, async (forward) => {
    const cookies = ["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=2", "c=3"];
    const seen = await seenByClient(
      forward,
      answerText([...hopByHop, ...cookies.map((value) => `set-cookie: ${value}`)]),
    );
    assertEquals(seen.all("set-cookie"), cookies);
  });

  forwardTest(`a body keeps its Content-Length${kind}`, async (forward) => {
    const seen = await seenByClient(forward, answerText(hopByHop, "0123456789"));
    assertEquals([seen.one("content-length"), seen.all("transfer-encoding")], ["10", []]);
    assertEquals(seen.text, "0123456789");
  });

  forwardTest(`a chunked body stays chunked${kind}`, async (forward) => {
    const head = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", ...hopByHop].join("\r\n");
    const seen = Promise.withResolvers<void>();
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send(`${head}\r\n\r\n3\r\nhel\r\n`);
      await seen.promise;
      await connection.send("2\r\nlo\r\n0\r\n\r\n");
    });
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    await client.send(requestText());
    const answer = await client.reader.head();
    assertEquals([answer?.one("transfer-encoding"), answer?.all("content-length")], ["chunked", []]);
    seen.resolve();
    assertEquals(await client.reader.until("0\r\n\r\n"), "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  });

  forwardTest(`the answer to a HEAD keeps its Content-Length${kind}`, async (forward) => {
    const head = ["HTTP/1.1 200 OK", "content-length: 1234", ...hopByHop].join("\r\n") + "\r\n\r\n";
    const seen = await seenByClient(forward, head, requestText("HEAD /"));
    assertEquals([seen.status, seen.one("content-length")], [200, "1234"]);
  });

  for (const status of [204, 304]) {
    forwardTest(`a ${status} is passed on without a body${kind}`, async (forward) => {
      const head = [`HTTP/1.1 ${status} x`, 'etag: "a"', ...hopByHop].join("\r\n") + "\r\n\r\n";
      await using app = Origin.answering(head);
      await using cless = await Harness.warm({ forward, origin: app });
      using client = await cless.connect();
      for (let turn = 0; turn < 2; turn++) {
        const seen = await client.ask(requestText());
        assertEquals([seen.status, seen.one("etag")], [status, '"a"']);
        assertEquals([...seen.all("content-length"), ...seen.all("transfer-encoding")], []);
      }
    });
  }

  for (const status of [301, 302, 303, 307, 308]) {
    forwardTest(`a redirect by ${status} is passed on, not followed${kind}`, async (forward) => {
      await using app = Origin.answering(
        answerText([...hopByHop, "location: http://elsewhere.example/x?y#z"], "", `${status} x`),
      );
      await using cless = await Harness.warm({ forward, origin: app });
      const seen = await cless.ask(requestText("POST /", ["content-length: 1"], "x"));
      assertEquals([seen.status, seen.one("location")], [status, "http://elsewhere.example/x?y#z"]);
      assertEquals(app.requests.length, 1);
    });
  }

  for (const status of [200, 201, 299, 400, 401, 404, 407, 418, 429, 451, 500, 502, 503, 504, 599]) {
    forwardTest(`the status ${status} and its body are passed on${kind}`, async (forward) => {
      const seen = await seenByClient(forward, answerText(hopByHop, "body", `${status} x`));
      assertEquals([seen.status, seen.text, seen.all("cless-error")], [status, "body", []]);
    });
  }
}

for (const coding of ["gzip", "br", "zstd", "deflate", "unknown"]) {
  forwardTest(`a body in ${coding} passes byte for byte, whether or not the client named it`, async (forward) => {
    const body = coding === "gzip" ? toText(gzipSync("hello".repeat(100))) : "\x1b\x00\xff\xfe not really\x00";
    for (const headers of [[], [`accept-encoding: ${coding}`], ["range: bytes=0-9"]]) {
      const seen = await seenByClient(
        forward,
        answerText([`content-encoding: ${coding}`], body),
        requestText("GET /", headers),
      );
      assertEquals(seen.one("content-encoding"), coding);
      assertEquals(seen.one("content-length"), String(body.length));
      assertEquals(seen.text, body);
      assertEquals(seen.all("vary"), []);
    }
  });
}

forwardTest("an answer that the app has not compressed stays uncompressed", async (forward) => {
  const body = "compressible ".repeat(10_000);
  const seen = await seenByClient(
    forward,
    answerText(["content-type: text/html"], body),
    requestText("GET /", ["accept-encoding: gzip, br"]),
  );
  assertEquals([seen.all("content-encoding"), seen.all("vary"), seen.text === body], [[], [], true]);
});

forwardTest("a 206 passes with its Content-Range", async (forward) => {
  const answer = answerText(["content-range: bytes 0-1/10", "accept-ranges: bytes"], "ab", "206 Partial Content");
  const seen = await seenByClient(forward, answer, requestText("GET /", ["range: bytes=0-1"]));
  assertEquals([seen.status, seen.one("content-range"), seen.text], [206, "bytes 0-1/10", "ab"]);
});

forwardTest("empty header values, Latin-1 bytes and repeated lines of an answer pass as they are", async (forward) => {
  const seen = await seenByClient(
    forward,
    answerText(["x-empty:", "x-latin: Gr\xfc\xdfe", "vary: a", "vary: b", 'link: </a>; rel="x", </b>']),
  );
  assertEquals([seen.one("x-empty"), seen.one("x-latin")], ["", "Gr\xfc\xdfe"]);
  assertEquals(seen.all("vary").join(", "), "a, b");
  assertEquals(seen.one("link"), '</a>; rel="x", </b>');
});

forwardTest("an answer without a length is complete when the app closes its connection", async (forward) => {
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send("HTTP/1.0 200 OK\r\n\r\nall of it");
  });
  await using cless = await Harness.warm({ forward, origin: app });
  const seen = await cless.ask(requestText());
  assertEquals([seen.status, seen.text, seen.complete], [200, "all of it", true]);
});

forwardTest("an answer that waited for an instance has one more header, and is otherwise the same", async (forward) => {
  await using app = Origin.answering(answerText(["set-cookie: a=1", "set-cookie: b=2", "x-own: 1"]));
  await using cless = Harness.cold({ forward, origin: app });
  const first = await cless.ask(requestText());
  assertEquals(/^cless-start;dur=\d+;desc="cold"$/.test(first.one("server-timing") ?? ""), true);
  assertEquals([first.all("set-cookie"), first.one("x-own"), first.one("content-length")], [["a=1", "b=2"], "1", "2"]);
  const second = await cless.ask(requestText());
  assertEquals(second.all("server-timing"), []);
});

forwardTest("an app's own Server-Timing stays beside the one of a cold start", async (forward) => {
  await using app = Origin.answering(answerText(["server-timing: db;dur=5"]));
  await using cless = Harness.cold({ forward, origin: app });
  const seen = await cless.ask(requestText());
  assertEquals(seen.all("server-timing").join(", ").startsWith("db;dur=5, cless-start;"), true);
});

for (const status of [204, 304]) {
  forwardTest(`a ${status} that waited for an instance is passed on as such`, async (forward) => {
    await using app = Origin.answering(`HTTP/1.1 ${status} x\r\n\r\n`);
    await using cless = Harness.cold({ forward, origin: app });
    assertEquals((await cless.ask(requestText())).status, status);
  });
}

forwardTest("the answer to a HEAD that waited for an instance keeps its Content-Length", async (forward) => {
  await using app = Origin.answering("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n");
  await using cless = Harness.cold({ forward, origin: app });
  assertEquals((await cless.ask(requestText("HEAD /"))).one("content-length"), "1234");
});
