import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseCidr } from "../../src/model/ip.ts";
import { ClessError } from "../../src/base/errors.ts";
import type { Header } from "../../src/http/headers.ts";
import { readHead, type RequestHead } from "../../src/http/request_head.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { RawClient, requestText } from "../support/raw_client.ts";
import { KEY } from "../support/websocket_peer.ts";

const URL = "http://app.localhost/";

function read(headers: Header[], { peer = "10.0.0.1", trusted = [] as string[], url = URL, method = "GET" } = {}) {
  const request = new Request(url, { method, headers: [["host", "app.localhost"], ...headers] });
  return readHead(request, peer, trusted.map(parseCidr));
}

function all({ headers }: RequestHead, name: string): string[] {
  return headers.filter(([key]) => key === name).map(([, value]) => value);
}

const CLAIMED: Header[] = [
  ["x-forwarded-for", "6.6.6.6"],
  ["x-forwarded-proto", "https"],
  ["x-forwarded-host", "public.example"],
  ["forwarded", "for=6.6.6.6;proto=https"],
];

Deno.test("an app gets its cookies, but never the session of the admin API, whatever it is hidden in", () => {
  for (
    const [value, kept] of [
      ["a=1; b=2", ["a=1; b=2"]],
      ["my-cless-admin=1; cless-administrator=2", ["my-cless-admin=1; cless-administrator=2"]],
      ["cless-admin=x", []],
      ["__Host-cless-admin=x", []],
      ["a=1; cless-admin=x; b=2;__Host-cless-admin=y", ["a=1; b=2"]],
      ['a="1; cless-admin=x"; b=2', ['a="1; b=2']],
      ["a=1, cless-admin=x", []],
      ["a=1 cless-admin=x; b=2", ["b=2"]],
    ] as const
  ) assertEquals(all(read([["cookie", value]]), "cookie"), [...kept], value);
});

for (
  const [peer, trusted] of [
    ["10.0.0.1", []],
    ["10.0.0.1", ["10.0.0.2", "192.168.0.0/16"]],
    ["::1", ["::2/128"]],
    ["10.0.0.1", ["::/0"]],
  ] as const
) {
  Deno.test(`the forwarding headers of the untrusted peer ${peer} are replaced (trusted: ${trusted})`, () => {
    const head = read(CLAIMED, { peer, trusted: [...trusted] });
    assertEquals(all(head, "x-forwarded-for"), [peer]);
    assertEquals(all(head, "x-forwarded-proto"), ["http"]);
    assertEquals(all(head, "x-forwarded-host"), ["app.localhost"]);
    assertEquals(all(head, "forwarded"), []);
  });
}

for (
  const [peer, trusted, node] of [
    ["10.0.0.1", "10.0.0.1", "10.0.0.1"],
    ["10.0.0.1", "10.0.0.0/8", "10.0.0.1"],
    ["::1", "::1", '"[::1]"'],
    ["fd00::7", "fd00::/8", '"[fd00::7]"'],
  ] as const
) {
  Deno.test(`the forwarding headers of the trusted peer ${peer} are kept and appended to (${trusted})`, () => {
    const head = read(CLAIMED, { peer, trusted: ["192.0.2.0/24", trusted] });
    assertEquals(all(head, "x-forwarded-for"), [`6.6.6.6, ${peer}`]);
    assertEquals(all(head, "x-forwarded-proto"), ["https"]);
    assertEquals(all(head, "x-forwarded-host"), ["public.example"]);
    assertEquals(all(head, "forwarded"), [`for=6.6.6.6;proto=https, for=${node};host="app.localhost";proto=http`]);
  });
}

Deno.test("a trusted peer without forwarding headers counts as the client", () => {
  const head = read([], { peer: "10.0.0.1", trusted: ["10.0.0.0/8"] });
  assertEquals(all(head, "x-forwarded-for"), ["10.0.0.1"]);
  assertEquals(all(head, "x-forwarded-proto"), ["http"]);
  assertEquals(all(head, "x-forwarded-host"), ["app.localhost"]);
  assertEquals(all(head, "forwarded"), []);
});

Deno.test("several X-Forwarded-For lines of a trusted peer become one list", () => {
  const head = read([["x-forwarded-for", "1.1.1.1"], ["x-forwarded-for", "2.2.2.2, 3.3.3.3"]], {
    trusted: ["10.0.0.0/8"],
  });
  assertEquals(all(head, "x-forwarded-for"), ["1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1"]);
});

forwardTest(
  "the forwarding headers of a peer in a trusted range reach the app, appended to",
  async (forward) => {
    await using app = Origin.answering();
    await using cless = await Harness.warm({ forward, origin: app, trustedProxies: ["127.0.0.0/8"] });
    await cless.ask(requestText("GET /", [
      "x-forwarded-for: 203.0.113.7",
      "x-forwarded-proto: https",
      "x-forwarded-host: public.example",
      "forwarded: for=203.0.113.7",
    ]));
    assertEquals(app.last.one("x-forwarded-for"), "203.0.113.7, 127.0.0.1");
    assertEquals(app.last.one("x-forwarded-proto"), "https");
    assertEquals(app.last.one("x-forwarded-host"), "public.example");
    assertEquals(app.last.one("forwarded"), 'for=203.0.113.7, for=127.0.0.1;host="app.localhost";proto=http');
  },
);

for (const trustedProxies of [[], ["::1"]]) {
  forwardTest(`the app gets the address of a client over IPv6 (trusted: ${trustedProxies})`, async (forward) => {
    await using app = Origin.answering();
    await using cless = await Harness.warm({ forward, origin: app, listen: "::1", trustedProxies });
    await cless.ask(requestText("GET /", ["x-forwarded-for: 203.0.113.7"]));
    assertEquals(app.last.one("x-forwarded-for"), trustedProxies.length > 0 ? "203.0.113.7, ::1" : "::1");
  });
}

forwardTest("the app gets the IPv4 address of a client also if cless listens on IPv6 and IPv4", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app, listen: "::", trustedProxies: ["127.0.0.0/8"] });
  using client = await RawClient.connect(cless.port, "127.0.0.1");
  await client.ask(requestText("GET /", ["x-forwarded-for: 203.0.113.7", "forwarded: for=203.0.113.7"]));
  assertEquals(app.last.one("x-forwarded-for"), "203.0.113.7, 127.0.0.1");
  assertEquals(app.last.one("forwarded"), 'for=203.0.113.7, for=127.0.0.1;host="app.localhost";proto=http');
});

Deno.test("a body has the length of its Content-Length, an unknown one if it is chunked, else none", () => {
  const lengths = (headers: Header[]) => read(headers, { method: "POST" }).bodyLength;
  assertEquals(lengths([]), 0);
  assertEquals(lengths([["content-length", "0"]]), 0);
  assertEquals(lengths([["content-length", "12"]]), 12);
  assertEquals(lengths([["transfer-encoding", "Chunked"]]), Infinity);
});

Deno.test("a Content-Length is kept as it was written", () => {
  const lengths = (headers: Header[]) => read(headers, { method: "POST" }).contentLength;
  assertEquals(lengths([]), undefined);
  assertEquals(lengths([["content-length", "012"]]), "012");
  assertEquals(lengths([["transfer-encoding", "chunked"]]), undefined);
});

Deno.test("nothing is added to a request but Host and X-Forwarded, and its target stays as it is", () => {
  const head = read([["x-own", "1"]], { url: "http://app.localhost/a/b%2e?c=d&e" });
  assertEquals(head.headers.map(([name]) => name).toSorted(), [
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-own",
  ]);
  assertEquals([head.method, head.target], ["GET", "/a/b%2e?c=d&e"]);
});

Deno.test("a request for a WebSocket needs both Upgrade and Connection", () => {
  const about: Header[] = [["sec-websocket-key", KEY], ["sec-websocket-version", "13"]];
  const asks = (...headers: Header[]) => read([...about, ...headers]).websocket;
  assert(asks(["upgrade", "WebSocket"], ["connection", "keep-alive, Upgrade"]));
  assert(!asks(["upgrade", "websocket"]));
  assert(!asks(["connection", "upgrade"]));
  assert(!asks(["upgrade", "h2c"], ["connection", "upgrade"]));
});

/** The code that a request is refused with. */
function refusal(headers: Header[], options: Parameters<typeof read>[1] = {}): string | undefined {
  try {
    read(headers, options);
    return undefined;
  } catch (error) {
    return error instanceof ClessError ? error.code : String(error);
  }
}

Deno.test("a body with ambiguous framing is refused", () => {
  for (const value of ["gzip", "chunked, chunked", "gzip, chunked", "identity", ""]) {
    assertEquals(refusal([["transfer-encoding", value]], { method: "POST" }), "bad_request");
  }
  for (const value of ["", "-1", "1e3", "0x10", "+5", "5, 5", "5 5", "9".repeat(16)]) {
    assertEquals(refusal([["content-length", value]], { method: "POST" }), "bad_request");
  }
});

const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"];

Deno.test("whatever headers a client sends, the app gets one Host and one of each X-Forwarded, and nothing hop-by-hop", () => {
  const names = [
    ...HOP_BY_HOP,
    ...["x-forwarded-for", "X-Forwarded-For", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x_forwarded_for"],
    ...["cookie", "accept-encoding", "x-own", "transfer-encoding"],
  ];
  const name = fc.oneof(fc.constantFrom(...names), fc.stringMatching(/^[a-z][a-z0-9_-]{0,12}$/));
  const value = fc.oneof(
    fc.constantFrom("chunked", "close", "upgrade", "websocket", ""),
    fc.constantFrom(...names).map((named) => named),
    fc.array(fc.constantFrom(...names, "host", "accept-encoding"), { maxLength: 4 }).map((list) => list.join(" , ")),
    fc.stringMatching(/^[!-~\xa0-\xff]{0,20}$/),
  );
  const headers = fc.array(fc.tuple(name, value).filter(([key]) => key !== "host"), { maxLength: 12 });
  fc.assert(fc.property(headers, fc.boolean(), fc.constantFrom("GET", "POST"), (sent, trusts, method) => {
    let head: RequestHead;
    try {
      head = read(sent, { trusted: trusts ? ["10.0.0.0/8"] : [], method });
    } catch (error) {
      assert(error instanceof ClessError, String(error));
      return;
    }
    assertEquals(all(head, "host"), ["app.localhost"]);
    for (const key of ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]) {
      assertEquals(all(head, key).length, 1);
    }
    assert(all(head, "x-forwarded-for")[0]!.endsWith("10.0.0.1"));
    assert(trusts || all(head, "forwarded").length === 0);
    for (const [key] of head.headers) {
      assert(!HOP_BY_HOP.includes(key) && key !== "transfer-encoding" && key !== "content-length", key);
      assert(!key.includes("_"), key);
      assertEquals(key, key.toLowerCase());
    }
  }));
});

Deno.test("every header that Connection names is dropped, except Host and those that the proxy adds", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
  fc.assert(fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), fc.nat(), (names, at) => {
    const named = names[at % names.length]!;
    const sent = names.filter((key) => !["host", "forwarded", "expect"].includes(key) && !HOP_BY_HOP.includes(key));
    const head = read([...sent.map((key): Header => [key, "0"]), ["connection", `close, ${named.toUpperCase()}`]]);
    assertEquals(all(head, named).length, ["host", "x-forwarded-for"].includes(named) ? 1 : 0);
    for (const key of sent) if (key !== named && key !== "content-length") assertEquals(all(head, key), ["0"]);
  }));
});
