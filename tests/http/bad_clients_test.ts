import { assert, assertEquals } from "@std/assert";
import type { Forward } from "../../src/base/config.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** Sends a bad request; checks the answer, that the request reached no app, and that good requests are still served. */
async function refused(forward: Forward, request: string, status: number, code: string | undefined): Promise<void> {
  await using app = Origin.answering();
  await using cless = Harness.cold({ forward, origin: app });
  const answer = await cless.ask(request);
  assertEquals([answer.status, answer.one("cless-error")], [status, code]);
  assertEquals([app.connections, cless.launcher.calls.length], [0, 0]);
  assertEquals((await cless.ask(requestText())).status, 200);
}

for (
  const host of [
    ...["", " ", ".", ":80", "-app.localhost", "app-.localhost", "a_b.localhost", "app..localhost", ".app.localhost"],
    ...["app.localhost, other.localhost", "app.localhost,", "app.localhost;x", "app localhost"],
    ...["user@app.localhost", "user:pw@app.localhost", "app.localhost/path", "app.localhost?x", "app.localhost#x"],
    ...["app.localhost:99999", "app.localhost:8o", "app.localhost:80:80", "http://app.localhost", "app.localhost:-1"],
    ...["127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:80", "0x7f.1", "2130706433", "1.2.3.4."],
    ...["*.localhost", "app%2elocalhost", "app\\localhost", "app.localhost\t.x", "b\xfccher.localhost", "<app>"],
    ...[`${"a".repeat(64)}.localhost`, `${"a.".repeat(126)}localhost`, "a".repeat(5000)],
  ]
) {
  forwardTest(`the host ${JSON.stringify(host.slice(0, 40))} is refused with a 400`, async (forward) => {
    await refused(forward, requestText("GET /", [], "", `host: ${host}`), 400, "bad_host");
  });
}

forwardTest("a request without a Host is refused with a 400", async (forward) => {
  await refused(forward, requestText("GET /", [], "", ""), 400, "bad_host");
  await refused(forward, "GET / HTTP/1.0\r\n\r\n", 400, "bad_host");
});

forwardTest("a request with two Hosts is refused by the platform itself", async (forward) => {
  await refused(forward, requestText("GET /", ["host: other.localhost"]), 400, undefined);
});

for (
  const [kind, line] of [
    ["absolute form for another host", "GET http://other.localhost/"],
    ["absolute form for another port", "GET http://app.localhost:8080/"],
    ["absolute form with userinfo", "GET http://user@app.localhost/"],
    ["absolute form with the host as userinfo", "GET http://app.localhost@other.localhost/"],
    ["absolute form of an address", "GET http://127.0.0.1/"],
    ["a fragment", "GET /a#b"],
    ["bytes above 127 in the query", "GET /?q=\xc3\xa9"],
  ] as const
) {
  forwardTest(`a target with ${kind} is refused with a 400`, async (forward) => {
    await refused(forward, requestText(line), 400, "bad_request");
  });
}

for (
  const [kind, request] of [
    ["a target with a NUL", requestText("GET /a\x00b")],
    ["a target with a space", requestText("GET /a b")],
    ["a target with a byte above 127 that is no UTF-8", requestText("GET /caf\xe9")],
    ["a host with a DEL", requestText("GET /", [], "", "host: app.localhost\x7f")],
    ["a target with a DEL", requestText("GET /a\x7fb")],
    ["a target that does not begin with a slash", requestText("GET app")],
    ["a name with a space before the colon", requestText("GET /", ["x-own : 1"])],
    ["a name with a space in it", requestText("GET /", ["x own: 1"])],
    ["a header without a colon", requestText("GET /", ["x-own"])],
    ["a header with a NUL", requestText("GET /", ["x-own: a\x00b"])],
    ["a header that is folded", requestText("GET /", ["x-own: a", " b"])],
    [
      "two different Content-Length lines",
      requestText("POST /", ["content-length: 1", "content-length: 2"]),
    ],
    ["a Content-Length that is not a number", requestText("POST /", ["content-length: x"])],
    ["a negative Content-Length", requestText("POST /", ["content-length: -1"])],
    ["a Content-Length of 20 digits", requestText("POST /", ["content-length: 99999999999999999999"])],
    [
      "both Content-Length and Transfer-Encoding",
      requestText("POST /", ["content-length: 5", "transfer-encoding: chunked"], "0\r\n\r\n"),
    ],
    ["a coding other than chunked", requestText("POST /", ["transfer-encoding: gzip"])],
    ["a coding before chunked", requestText("POST /", ["transfer-encoding: gzip, chunked"], "0\r\n\r\n")],
    ["chunked twice", requestText("POST /", ["transfer-encoding: chunked, chunked"], "0\r\n\r\n")],
    ["chunked on two lines", requestText("POST /", Array(2).fill("transfer-encoding: chunked"), "0\r\n\r\n")],
    ["chunked not at the end", requestText("POST /", ["transfer-encoding: chunked, gzip"])],
    ["200 headers", requestText("GET /", Array.from({ length: 200 }, (_, n) => `x-${n}: 1`))],
    ["a header of a megabyte", requestText("GET /", [`x-own: ${"v".repeat(1 << 20)}`])],
    ["a target of a megabyte", requestText(`GET /${"a".repeat(1 << 20)}`)],
    ["asterisk form with another method", requestText("GET *")],
    ["an unknown version", "GET / HTTP/9.9\r\nhost: app.localhost\r\n\r\n"],
    ["an invalid method", requestText("G@T /")],
    ["the start of a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
  ] as const
) {
  forwardTest(`${kind}: refused with a 4xx, and reaches no app`, async (forward) => {
    await using app = Origin.answering();
    await using cless = Harness.cold({ forward, origin: app });
    using client = await cless.connect();
    await client.send(request);
    // If the platform has stopped reading, its answer may be lost with the connection.
    const answer = await client.reader.response();
    assert(answer === undefined || (answer.status >= 400 && answer.status < 500), answer?.startLine);
    assertEquals([app.connections, cless.launcher.calls.length], [0, 0]);
    assertEquals((await cless.ask(requestText())).status, 200);
  });
}

for (const target of ["*", "/*"]) {
  forwardTest(
    `OPTIONS ${target} is answered with the possible methods, for any host, and starts nothing`,
    async (forward) => {
      await using app = Origin.answering();
      await using cless = Harness.cold({ forward, origin: app });
      using client = await cless.connect();
      for (const host of ["app.localhost", "nobody.localhost", "admin.localhost"]) {
        for (const headers of [[], ["content-length: 5"], ["accept: text/html"]]) {
          const body = headers.includes("content-length: 5") ? "hello" : "";
          const answer = await client.ask(requestText(`OPTIONS ${target}`, headers, body, `host: ${host}`));
          assertEquals([answer.status, answer.text, answer.names()], [204, "", ["allow", "date"]]);
          assertEquals(answer.one("allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        }
      }
      assertEquals([app.connections, cless.launcher.calls.length, cless.unanswered.size], [0, 0, 0]);
      assertEquals((await client.ask(requestText("OPTIONS /"))).status, 200);
      assertEquals(app.last.startLine, "OPTIONS / HTTP/1.1");
    },
  );
}

forwardTest("OPTIONS * without a valid Host is a 400", async (forward) => {
  await refused(forward, requestText("OPTIONS *", [], "", ""), 400, "bad_host");
  await refused(forward, requestText("OPTIONS *", [], "", "host: a_b.localhost"), 400, "bad_host");
});

for (const method of ["CONNECT", "TRACE", "TRACK"]) {
  forwardTest(`the method ${method} is refused with a 405 that names the possible methods`, async (forward) => {
    await using app = Origin.answering();
    await using cless = Harness.cold({ forward, origin: app });
    const target = method === "CONNECT" ? "app.localhost:80" : "/";
    using client = await cless.connect();
    await client.send(requestText(`${method} ${target}`));
    const answer = await client.answer();
    assertEquals([answer.status, answer.one("cless-error")], [405, "method_not_allowed"]);
    assertEquals(answer.one("allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    assertEquals([app.connections, cless.launcher.calls.length], [0, 0]);
    assertEquals((await cless.ask(requestText())).status, 200);
  });
}

for (const method of ["connect", "trace", "Track"]) {
  forwardTest(`the method ${method}, which an app could take for a refused one, is refused too`, async (forward) => {
    await refused(forward, requestText(`${method} /`), 405, "method_not_allowed");
  });
}

for (const method of ["GET", "HEAD"]) {
  forwardTest(`a ${method} with a body, which cannot be read, is refused with a 400`, async (forward) => {
    await refused(forward, requestText(`${method} /`, ["content-length: 1"], "x"), 400, "bad_request");
    const chunks = "1\r\nx\r\n0\r\n\r\n";
    await refused(forward, requestText(`${method} /`, ["transfer-encoding: chunked"], chunks), 400, "bad_request");
  });
}

forwardTest("an unknown host is a 404, and starts nothing", async (forward) => {
  await refused(forward, requestText("GET /", [], "", "host: nobody.localhost"), 404, "unknown_host");
});

forwardTest("a body that looks like a request is not taken for one", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  const body = "GET /smuggled HTTP/1.1\r\nhost: app.localhost\r\n\r\n";
  using client = await cless.connect();
  await client.ask(requestText("POST /", [`content-length: ${body.length}`], body));
  await client.ask(requestText("GET /next"));
  assertEquals(app.requests.map(({ target }) => target), ["/", "/next"]);
  assertEquals(app.requests[0]?.text, body);
});
