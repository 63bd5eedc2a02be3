// What `--forward fetch` changes and `--forward exact` does not; docs/http.md lists it. Each test has its counterpart in
// forward_exact_test.ts or forward_exact_answer_test.ts.
import { assert, assertEquals } from "@std/assert";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

const forward = "fetch";

netTest("fetch, known: accept, accept-language and user-agent are added if the client sent none", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  await cless.ask(requestText());
  const { last } = app;
  assertEquals([last.one("accept"), last.one("accept-language")], ["*/*", "*"]);
  assertEquals(last.one("user-agent")?.startsWith("Deno/"), true);
});

netTest("fetch, known: a line 'accept-encoding: identity' precedes the client's own", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  await cless.ask(requestText("GET /", ["accept-encoding: gzip, br"]));
  assertEquals(app.last.all("accept-encoding"), ["identity", "gzip, br"]);
  await cless.ask(requestText());
  assertEquals(app.last.all("accept-encoding"), ["identity"]);
});

netTest("fetch, known: dot segments of a path are resolved", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
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

netTest("fetch, known: a few characters of a target are percent-encoded", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
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

netTest("fetch, known: a backslash, and a method that fetch would change, are refused", async () => {
  await using app = Origin.answering();
  await using cless = Harness.cold({ forward, origin: app });
  for (const line of ["GET /a\\b", "GET /?a\\b", "get /", "Post /", "hEAD /", "delete /"]) {
    const answer = await cless.ask(requestText(line));
    assertEquals([answer.status, answer.one("cless-error")], [400, "bad_request"], line);
  }
  assertEquals([app.connections, cless.launcher.calls.length], [0, 0]);
});

netTest("fetch, known: a POST and a PUT get a Content-Length of 0, and others lose theirs", async () => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  for (const method of ["POST", "PUT"]) {
    await cless.ask(requestText(`${method} /`));
    assertEquals(app.last.all("content-length"), ["0"]);
  }
  for (const method of ["PATCH", "DELETE", "OPTIONS"]) {
    await cless.ask(requestText(`${method} /`, ["content-length: 0"]));
    assertEquals(app.last.all("content-length"), []);
  }
});

netTest(
  "fetch, known: names of an answer's headers are in lower case, and repeated ones are next to each other",
  async () => {
    await using app = Origin.answering(
      "HTTP/1.1 200 OK\r\nX-B: 1\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    await using cless = await Harness.warm({ forward, origin: app });
    const { headers } = await cless.ask(requestText());
    assertEquals(headers.filter(([name]) => /^x-/i.test(name)), [["x-b", "1"], ["x-b", "2"], ["x-a", "1"]]);
  },
);

netTest("fetch, known: an answer to a HEAD without a Content-Length gets one of 0", async () => {
  await using app = Origin.answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
  await using cless = await Harness.warm({ forward, origin: app });
  assertEquals((await cless.ask(requestText("HEAD /"))).all("content-length"), ["0"]);
});

netTest("fetch, known: an answer with very many headers is a 502", async () => {
  await using app = Origin.answering(`HTTP/1.1 200 OK\r\n${"x-own: 1\r\n".repeat(300)}content-length: 0\r\n\r\n`);
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = await cless.ask(requestText());
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  assert(app.connections === 1);
});
