// What `fetch` and `Deno.serve` do that a transparent proxy would not; README lists it.
import { assertEquals } from "@std/assert";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

netTest("known: accept, accept-language and user-agent are added where the client sent none", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  await cless.ask(requestText());
  const { last } = app;
  assertEquals([last.one("accept"), last.one("accept-language")], ["*/*", "*"]);
  assertEquals(last.one("user-agent")?.startsWith("Deno/"), true);
});

netTest("known: a line 'accept-encoding: identity' stands before the client's own", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  await cless.ask(requestText("GET /", ["accept-encoding: gzip, br"]));
  assertEquals(app.last.all("accept-encoding"), ["identity", "gzip, br"]);
  await cless.ask(requestText());
  assertEquals(app.last.all("accept-encoding"), ["identity"]);
});

netTest("known: dot segments of a path are resolved", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  const seen: Record<string, string> = {};
  for (const target of ["/a/../c", "/a/./c", "/a/%2e%2E/c", "/../../c", "/a/..?x=/../y"]) {
    await cless.ask(requestText(`GET ${target}`));
    seen[target] = app.last.target;
  }
  assertEquals(seen, {
    "/a/../c": "/c",
    "/a/./c": "/a/c",
    "/a/%2e%2E/c": "/c",
    "/../../c": "/c",
    "/a/..?x=/../y": "/?x=/../y",
  });
});

netTest("known: a few characters of a target are percent-encoded", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  const encoded = async (before: string, after = "") => {
    let changed = "";
    for (let code = 0x21; code < 0x7f; code++) {
      const character = String.fromCharCode(code);
      if ("#\\?/".includes(character)) continue;
      const target = `${before}x${character}x${after}`;
      await cless.ask(requestText(`GET ${target}`));
      const hex = code.toString(16).toUpperCase();
      if (app.last.target === `${before}x%${hex}x${after}`) changed += character;
      else assertEquals(app.last.target, target);
    }
    return changed;
  };
  assertEquals(await encoded("/"), '"<>`{}');
  assertEquals(await encoded("/?"), "\"'<>");
});

netTest("known: a method other than POST and PUT loses a Content-Length of 0", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  for (const method of ["PATCH", "DELETE", "OPTIONS"]) {
    await cless.ask(requestText(`${method} /`, ["content-length: 0"]));
    assertEquals(app.last.all("content-length"), []);
  }
});

netTest("known: a GET or HEAD with a body is refused", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  for (const method of ["GET", "HEAD"]) {
    const answer = await cless.ask(requestText(`${method} /`, ["content-length: 1"], "x"));
    assertEquals([answer.status, answer.one("cless-error")], [400, "bad_request"]);
  }
  assertEquals(app.requests.length, 0);
});

netTest("known: early hints and other 1xx answers are lost, and the final one passes", async () => {
  await using app = Origin.answering(`HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 102 x\r\n\r\n${OK}`);
  await using cless = await Harness.warm({ origin: app });
  const answer = await cless.ask(requestText());
  assertEquals([answer.status, answer.all("link")], [200, []]);
});

netTest("known: trailers are lost both ways, and the body passes", async () => {
  await using app = Origin.answering(
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n",
  );
  await using cless = await Harness.warm({ origin: app });
  using client = await cless.connect();
  await client.send(
    requestText("POST /", ["transfer-encoding: chunked", "trailer: x-sum"], "2\r\nhi\r\n0\r\nx-sum: 2\r\n\r\n"),
  );
  assertEquals((await client.reader.until("\r\n\r\n"))?.includes("x-sum"), false);
  assertEquals(await client.reader.until("0\r\n\r\n"), "2\r\nok\r\n0\r\n\r\n");
  assertEquals([app.last.text, app.last.all("trailer"), app.last.all("x-sum")], ["hi", [], []]);
});

netTest("known: header names are in lower case, and the reason of a status is the usual one", async () => {
  await using app = Origin.answering("HTTP/1.1 200 Splendid\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\nok");
  await using cless = await Harness.warm({ origin: app });
  const answer = await cless.ask(requestText("GET /", ["X-Own: 1"]));
  assertEquals(answer.startLine, "HTTP/1.1 200 OK");
  assertEquals(answer.headers.some(([name]) => name === "x-own"), true);
  assertEquals(app.last.headers.some(([name]) => name === "x-own"), true);
});

netTest("known: an answer without a Date gets one", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: app });
  assertEquals((await cless.ask(requestText())).all("date").length, 1);
});
