import { assertEquals } from "@std/assert";
import type { Forward } from "../../src/base/config.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import type { HttpMessage } from "../support/http_message.ts";
import { Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** What a browser sends, so that `fetch` adds nothing. */
const BROWSER = ["accept: text/html", "accept-language: de", "user-agent: test/1", "accept-encoding: br"];

/** The lines of Accept-Encoding that reach an app: `fetch` needs one of its own. */
function acceptEncodings(forward: Forward, ...own: string[]): string[] {
  return forward === "fetch" ? ["identity", ...own] : own;
}

/** The request that the app gets if a client sends this. */
async function seenByApp(forward: Forward, request: string): Promise<HttpMessage> {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  assertEquals((await cless.ask(request)).status, 200);
  return app.last;
}

forwardTest(
  "a request reaches the app with its own headers and the X-Forwarded ones, and with nothing else",
  async (forward) => {
    const seen = await seenByApp(forward, requestText("GET /a?b=c", [...BROWSER, "cookie: a=1; b=2", "x-own: yes"]));
    assertEquals(seen.startLine, "GET /a?b=c HTTP/1.1");
    assertEquals(
      seen.headers.toSorted(),
      [
        ["accept", "text/html"],
        ...acceptEncodings(forward, "br").map((value) => ["accept-encoding", value]),
        ["accept-language", "de"],
        ["cookie", "a=1; b=2"],
        ["host", "app.localhost"],
        ["user-agent", "test/1"],
        ["x-forwarded-for", "127.0.0.1"],
        ["x-forwarded-host", "app.localhost"],
        ["x-forwarded-proto", "http"],
        ["x-own", "yes"],
      ].toSorted(),
    );
  },
);

forwardTest("the app sees the Host that the client wrote, with its port and in its case", async (forward) => {
  const seen = await seenByApp(forward, requestText("GET /", [], "", "Host: App.Example.com:8080"));
  assertEquals(seen.one("host"), "App.Example.com:8080");
  assertEquals(seen.one("x-forwarded-host"), "App.Example.com:8080");
});

forwardTest("hop-by-hop headers of a request are not passed on", async (forward) => {
  const seen = await seenByApp(
    forward,
    requestText("GET /", [
      ...BROWSER,
      "connection: keep-alive",
      "keep-alive: timeout=5",
      "proxy-authenticate: Basic",
      "proxy-authorization: Basic eDp5",
      "proxy-connection: keep-alive",
      "te: trailers",
      "trailer: x-checksum",
      "upgrade: h2c",
      "x-stays: 1",
    ]),
  );
  assertEquals(seen.names().filter((name) => !/^(accept|host|user-agent|x-forwarded)/.test(name)), ["x-stays"]);
});

forwardTest(
  "the headers that Connection names are dropped, in any case and on any number of lines",
  async (forward) => {
    const seen = await seenByApp(
      forward,
      requestText("GET /", [
        "Connection: close, X-Secret",
        "connection:x-other",
        "x-secret: 1",
        "X-OTHER: 2",
        "x-stays: 3",
      ]),
    );
    assertEquals([seen.all("x-secret"), seen.all("x-other"), seen.one("x-stays")], [[], [], "3"]);
  },
);

forwardTest("a client cannot take Host or X-Forwarded-* away by naming them in Connection", async (forward) => {
  const seen = await seenByApp(
    forward,
    requestText("GET /", [
      "connection: host, x-forwarded-for, x-forwarded-proto, x-forwarded-host, accept-encoding",
      "x-forwarded-for: 6.6.6.6",
    ]),
  );
  assertEquals(seen.one("host"), "app.localhost");
  assertEquals(seen.one("x-forwarded-for"), "127.0.0.1");
  assertEquals(seen.one("x-forwarded-proto"), "http");
  assertEquals(seen.one("x-forwarded-host"), "app.localhost");
  assertEquals(seen.all("accept-encoding"), acceptEncodings(forward));
});

forwardTest("headers that CGI would mistake for other ones are dropped", async (forward) => {
  const seen = await seenByApp(
    forward,
    requestText("GET /", ["Content_Length: 5", "X_Forwarded_For: 6.6.6.6", "x-own: 1"]),
  );
  assertEquals(seen.names().filter((name) => name.includes("_")), []);
  assertEquals(seen.one("x-own"), "1");
});

forwardTest("a repeated header reaches the app with all its values in order", async (forward) => {
  const seen = await seenByApp(forward, requestText("GET /", ["x-many: 1", "x-other: a", "x-many: 2", "x-many: 3, 4"]));
  assertEquals(seen.all("x-many").join(", "), "1, 2, 3, 4");
  const cookies = await seenByApp(forward, requestText("GET /", ["cookie: a=1", "cookie: b=2"]));
  assertEquals(cookies.all("cookie").join("; "), "a=1; b=2");
});

forwardTest("empty header values and Latin-1 bytes reach the app as they are", async (forward) => {
  const seen = await seenByApp(
    forward,
    requestText("GET /", ["x-empty:", "x-latin: Gr\xfc\xdfe \xa9", "x-utf8: \xc3\xa9"]),
  );
  assertEquals(seen.one("x-empty"), "");
  assertEquals(seen.one("x-latin"), "Gr\xfc\xdfe \xa9");
  assertEquals(seen.one("x-utf8"), "\xc3\xa9");
});

forwardTest("sixty kilobytes of headers pass", async (forward) => {
  const seen = await seenByApp(forward, requestText("GET /", [`x-large: ${"v".repeat(60_000)}`]));
  assertEquals(seen.one("x-large")?.length, 60_000);
});

for (
  const target of [
    "/",
    "//double//slashes",
    "/%2F%2f/%20%C3%A9",
    "/a+b?c+d=e%2Bf&&x&=",
    "/?",
    "/?q=a/b?c:d@e!$&()*,;=~[]|^",
    "/;params;v=1/$&+,:@!*()~-._",
    "/%zz%",
    "/*",
    "/http://elsewhere.example/",
    `/${"long".repeat(4000)}`,
  ]
) {
  forwardTest(`the target ${target.slice(0, 40)} reaches the app as it came`, async (forward) => {
    assertEquals((await seenByApp(forward, requestText(`GET ${target}`))).target, target);
  });
}

forwardTest("a target in absolute form that fits the Host reaches the app as path and query", async (forward) => {
  const seen = await seenByApp(forward, requestText("GET http://app.localhost/a?b=c"));
  assertEquals(seen.target, "/a?b=c");
  assertEquals(seen.one("host"), "app.localhost");
});

for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "patch"]) {
  forwardTest(`the method ${method} reaches the app as it came`, async (forward) => {
    assertEquals((await seenByApp(forward, requestText(`${method} /`))).startLine, `${method} / HTTP/1.1`);
  });
}

for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
  forwardTest(`a ${method} with a Content-Length reaches the app with that length, not chunked`, async (forward) => {
    const seen = await seenByApp(forward, requestText(`${method} /`, ["content-length: 5"], "hello"));
    assertEquals(seen.one("content-length"), "5");
    assertEquals(seen.all("transfer-encoding"), []);
    assertEquals(seen.text, "hello");
  });

  forwardTest(`a chunked ${method} reaches the app chunked`, async (forward) => {
    const body = "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    const seen = await seenByApp(forward, requestText(`${method} /`, ["transfer-encoding: chunked"], body));
    assertEquals(seen.one("transfer-encoding"), "chunked");
    assertEquals(seen.all("content-length"), []);
    assertEquals(seen.text, "hello");
  });
}

for (const method of ["POST", "PUT"]) {
  forwardTest(`a ${method} with a Content-Length of 0 reaches the app with it`, async (forward) => {
    const seen = await seenByApp(forward, requestText(`${method} /`, ["content-length: 0"]));
    assertEquals([seen.one("content-length"), seen.all("transfer-encoding")], ["0", []]);
  });
}

forwardTest("a DELETE or GET without a body gets no framing headers", async (forward) => {
  for (const method of ["DELETE", "GET", "HEAD"]) {
    const seen = await seenByApp(forward, requestText(`${method} /`));
    assertEquals([...seen.all("content-length"), ...seen.all("transfer-encoding")], []);
  }
});

forwardTest("an empty chunked body stays chunked", async (forward) => {
  const seen = await seenByApp(forward, requestText("POST /", ["transfer-encoding: chunked"], "0\r\n\r\n"));
  assertEquals(seen.one("transfer-encoding"), "chunked");
  assertEquals(seen.text, "");
});

forwardTest("Content-Type, Content-Encoding and a binary body pass untouched", async (forward) => {
  const bytes = String.fromCharCode(...Array(256).keys());
  const seen = await seenByApp(
    forward,
    requestText("POST /", ["content-type: image/x; a=b", "content-encoding: gzip", "content-length: 256"], bytes),
  );
  assertEquals(seen.one("content-type"), "image/x; a=b");
  assertEquals(seen.one("content-encoding"), "gzip");
  assertEquals(seen.text, bytes);
});

forwardTest("Range and conditional headers reach the app as they came", async (forward) => {
  const headers = ["range: bytes=0-1", 'if-range: "a"', 'if-none-match: "b"', "if-modified-since: x"];
  const seen = await seenByApp(forward, requestText("GET /", headers));
  assertEquals(seen.headers.filter(([name]) => name.startsWith("if-") || name === "range").toSorted(), [
    ["if-modified-since", "x"],
    ["if-none-match", '"b"'],
    ["if-range", '"a"'],
    ["range", "bytes=0-1"],
  ]);
});

forwardTest("a client that sends Expect gets a 100, and its body reaches the app", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText("POST /", ["expect: 100-continue", "content-length: 5"]));
  assertEquals((await client.answer()).status, 100);
  await client.send("hello");
  assertEquals((await client.answer()).status, 200);
  assertEquals(app.last.text, "hello");
});

forwardTest(
  "consecutive and pipelined requests on one connection are answered in order",
  async (forward) => {
    await using app = Origin.answering(({ target }) => `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${target}`);
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    assertEquals((await client.ask(requestText("GET /1"))).text, "/1");
    await client.send(requestText("GET /2") + requestText("GET /3"));
    assertEquals((await client.answer()).text, "/2");
    assertEquals((await client.answer()).text, "/3");
  },
);

forwardTest("a client that speaks HTTP/1.0 is answered", async (forward) => {
  await using app = Origin.answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = await cless.ask("GET / HTTP/1.0\r\nhost: app.localhost\r\n\r\n");
  assertEquals([answer.status, answer.text, answer.one("transfer-encoding")], [200, "ok", undefined]);
});
