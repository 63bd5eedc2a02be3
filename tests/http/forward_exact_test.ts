// Requests that `--forward exact` passes on byte by byte. Answers are in forward_exact_answer_test.ts, and known changes
// in forward_known_test.ts.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

/** What cless adds to a request of a client on this machine. */
const ADDED = "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: app.localhost\r\n";

/** Sends requests one after the other. Returns the bytes of each that the app gets, up to `end`. */
async function bytesAtApp(requests: readonly string[], end = "\r\n\r\n"): Promise<string[]> {
  const seen: string[] = [];
  await using app = Origin.serving(async (connection) => {
    for (;;) {
      const head = await connection.reader.until("\r\n\r\n");
      if (head === undefined) return;
      seen.push(head.endsWith(end) ? head : head + await connection.reader.until(end));
      await connection.send(head.startsWith("HEAD ") ? "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" : OK);
    }
  });
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  using client = await cless.connect();
  for (const request of requests) assertEquals((await client.ask(request)).status, 200);
  assertEquals(app.connections, 1); // nothing has come that belongs to no request
  return seen;
}

/** The same for one request. */
async function requestAtApp(request: string, end?: string): Promise<string> {
  const [seen] = await bytesAtApp([request], end);
  return seen!;
}

netTest("exact: a request reaches the app byte by byte, with nothing but X-Forwarded headers added", async () => {
  const own = [
    "accept: */*",
    "accept-encoding: gzip, br;q=0.5",
    "authorization: Basic eDp5",
    'cookie: a="1"; b=2',
    "host: app.localhost",
    'if-none-match: W/"a"',
    "user-agent: test/1  (two  blanks)",
    "x-empty: ",
    "x-latin: Gr\xfc\xdfe \xa9",
    "x-utf8: \xc3\xa9 \xf0\x9f\x8e\x89",
    `x-long: ${"v".repeat(60_000)}`,
    ...Array.from({ length: 60 }, (_, n) => `x-many-${n}: ${n}`),
  ].toSorted((a, b) => a.split(":")[0]! < b.split(":")[0]! ? -1 : 1);
  const head = ["GET /a?b=c HTTP/1.1", ...own].join("\r\n");
  assertEquals(await requestAtApp(`${head}\r\n\r\n`), `${head}\r\n${ADDED}\r\n`);
});

netTest("exact: no header is added that the client did not send", async () => {
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
    const seen = await requestAtApp(requestText(`${method} /`));
    assertEquals(seen, `${method} / HTTP/1.1\r\nhost: app.localhost\r\n${ADDED}\r\n`);
  }
});

const TARGETS = [
  ...["/", "/?", "/??", "/?a=b?c", "//", "///a//b//", "//host/path", "/*", "/a?//b", "/http://elsewhere.example/"],
  ...["/.", "/..", "/a/../c", "/a/./c", "/../../c", "/a/..", "/a/..?x=/../y", "/...", "/.a", "/a/..;/c", "/..%2f"],
  ...["/%2e%2E/c", "/a/%2e/c", "/%2F%2f", "/%20%C3%A9", "/%zz%", "/%", "/%00", "/%5c", "/%0d%0a", "/%23"],
  ...["/a\\b", "/\\..\\a", "/?\\", "/\\a"],
  `/!"$%&'()*+,-.0:;<=>@A[]^_\`a{|}~`,
  `/?!"$%&'()*+,-./0:;<=>?@A[\\]^_\`a{|}~`,
  `/${"long".repeat(4000)}`,
];

netTest("exact: every target reaches the app as it came", async () => {
  const seen = await bytesAtApp(TARGETS.map((target) => requestText(`GET ${target}`)));
  assertEquals(seen.map((head) => head.split("\r\n")[0]), TARGETS.map((target) => `GET ${target} HTTP/1.1`));
});

netTest("exact: a target in absolute form reaches the app as its unchanged path and query", async () => {
  const forms = { "/a/../b%2e\\?": "/a/../b%2e\\?", "//x/./?a=../b": "//x/./?a=../b", "": "/" };
  const seen = await bytesAtApp(Object.keys(forms).map((rest) => requestText(`GET http://app.localhost${rest}`)));
  assertEquals(seen.map((head) => head.split(" ")[1]), Object.values(forms));
});

netTest("exact: any target of printable ASCII reaches the app as it came", async () => {
  const character = fc.constantFrom(..."!\"$%&'()*+,-./0:;<=>?@A[\\]^_`a{|}~..//%2e");
  const target = fc.string({ unit: character, maxLength: 12 }).map((text) => `/${text}`);
  const targets = fc.sample(target, { seed: 1, numRuns: 500 });
  const seen = await bytesAtApp(targets.map((each) => requestText(`GET ${each}`)));
  assertEquals(seen.map((head) => head.split(" ")[1]), targets);
});

netTest("exact: every method reaches the app as it came, in whatever case", async () => {
  const methods = ["get", "Post", "hEAD", "delete", "patch", "PROPFIND", "M-SEARCH", "PURGE", "X!#$%&'*+.^_`|~1"];
  const seen = await bytesAtApp(methods.map((method) => requestText(`${method} /`)));
  assertEquals(seen.map((head) => head.split("\r\n")[0]), methods.map((method) => `${method} / HTTP/1.1`));
});

for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"]) {
  netTest(`exact: the body of a ${method} keeps its Content-Length as it was written`, async () => {
    const bytes = String.fromCharCode(...Array(256).keys());
    for (const [length, body] of [["256", bytes], ["00005", "hello"], ["0", ""]] as const) {
      const seen = await requestAtApp(
        requestText(`${method} /`, [`content-length: ${length}`], body),
        body || undefined,
      );
      const head = `${method} / HTTP/1.1\r\nhost: app.localhost\r\n${ADDED}content-length: ${length}\r\n\r\n`;
      assertEquals(seen, head + body);
    }
  });

  netTest(`exact: a chunked ${method} reaches the app chunked, without a Content-Length`, async () => {
    const head = `${method} / HTTP/1.1\r\nhost: app.localhost\r\n${ADDED}transfer-encoding: chunked\r\n\r\n`;
    for (
      const [sent, seen] of [["0\r\n\r\n", /^0\r\n\r\n$/], ["5;a=b\r\nhello\r\n0\r\n\r\n", /^5\r\nhello\r\n0\r\n\r\n$/]]
    ) {
      const request = requestText(`${method} /`, ["transfer-encoding: chunked"], sent as string);
      const [whole] = await bytesAtApp([request, request], "0\r\n\r\n");
      assertEquals([whole!.slice(0, head.length), (seen as RegExp).test(whole!.slice(head.length))], [head, true]);
    }
  });
}

netTest("exact: a GET and a HEAD keep their Content-Length of 0", async () => {
  for (const method of ["GET", "HEAD"]) {
    const seen = await requestAtApp(requestText(`${method} /`, ["content-length: 0"]));
    assertEquals(seen, `${method} / HTTP/1.1\r\nhost: app.localhost\r\n${ADDED}content-length: 0\r\n\r\n`);
  }
});

netTest("exact: a request is read correctly after one that was answered early or broken off", async () => {
  const asked: string[] = [];
  await using app = Origin.serving(async (connection) => {
    for (;;) {
      const head = await connection.reader.until("\r\n\r\n");
      if (head === undefined) return;
      asked.push(head.split("\r\n")[0]!);
      await connection.send(OK); // without a look at the body
    }
  });
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  using client = await cless.connect();
  await client.send(requestText("POST /early", ["content-length: 100"], "GET /evil HTTP/1.1\r\n"));
  assertEquals((await client.answer()).status, 200);
  assertEquals((await cless.ask(requestText("GET /next"))).status, 200);
  assertEquals([asked, app.connections], [["POST /early HTTP/1.1", "GET /next HTTP/1.1"], 2]);
});

netTest("exact: the connections to an instance that ends are closed, and no more requests use them", async () => {
  const left = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(OK);
    await connection.ended();
    left.resolve();
  });
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  await cless.ask(requestText());
  cless.launcher.end("app-1");
  await left.promise;
  assertEquals([(await cless.ask(requestText("POST /"))).status, app.connections], [200, 2]);
});

netTest("exact: a client can use its connection again after an upload, whatever its size", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  using client = await cless.connect();
  for (const length of [10, 70_000, 3_000_000, 10]) {
    const answer = await client.ask(requestText("POST /", [`content-length: ${length}`], "x".repeat(length)));
    assertEquals([answer.status, answer.text, app.last.body.length], [200, "ok", length]);
  }
});
