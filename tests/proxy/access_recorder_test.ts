import { assert, assertEquals } from "@std/assert";
import { connect } from "node:http2";
import { UNLIMITED } from "../../src/model/access.ts";
import type { Access } from "../../src/proxy/access_line.ts";
import { basic, gated, HASH } from "../access/kit.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness, type HarnessOptions } from "../support/harness.ts";
import { admitAll } from "../support/kit.ts";
import { OK, Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";
import { until } from "../support/until.ts";
import { connectPair } from "../support/websocket_pair.ts";

/** An access log that keeps what it is told. */
class Lines {
  readonly all: Access[] = [];

  write(access: Access): void {
    this.all.push(access);
  }

  /** Waits until there are so many, and that none is more. */
  async count(count: number): Promise<void> {
    await until(() => this.all.length >= count);
    assertEquals(this.all.length, count);
  }

  /** The last one without its times and headers. */
  async last(count: number) {
    await this.count(count);
    const { headers: _, headersMs, totalMs, ...line } = this.all.at(-1)!;
    assert(headersMs >= 0 && totalMs >= headersMs, `${headersMs} ${totalMs}`);
    return line;
  }
}

/** Ours without containers, with an access log. */
function setUp(options: HarnessOptions = {}) {
  const accessLog = new Lines();
  const app = options.origin === undefined ? Origin.answering() : undefined;
  const cless = Harness.cold({ origin: app!, ...options, accessLog });
  const stack = new AsyncDisposableStack();
  if (app !== undefined) stack.use(app);
  stack.use(cless);
  return { accessLog, cless, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const UNKNOWN = { service: undefined, revision: undefined, instance: undefined, start: undefined, user: undefined };
const REQUEST = {
  client: "127.0.0.1",
  host: "app.localhost",
  method: "GET",
  target: "/",
  protocol: "HTTP/1.1" as const,
};

forwardTest("each request that an app answers is one line, the first one with what it waited for", async (forward) => {
  await using all = setUp({ forward });
  const { accessLog, cless } = all;
  await cless.ask(requestText("GET /?a=b", ["user-agent: curl/8"]));
  const known = { ...REQUEST, bytes: 2, status: 200, service: "app", revision: "app-00001", instance: "app-1" };
  const { start, ...first } = await accessLog.last(1);
  assertEquals(first, { ...known, target: "/?a=b", user: undefined, error: undefined });
  assert(start!.how === "cold" && start!.ms >= 0);
  assertEquals(accessLog.all[0]!.headers.find(([name]) => name === "user-agent"), ["user-agent", "curl/8"]);
  await cless.ask(requestText("POST /form", ["content-length: 2"], "ok"));
  assertEquals(await accessLog.last(2), {
    ...{ ...known, method: "POST", target: "/form", start: undefined, user: undefined, error: undefined },
  });
});

forwardTest("the length is that of the body as the app says it, and none where there is no body", async (forward) => {
  const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
  await using app = Origin.answering(({ target }) => target === "/chunked" ? chunked : OK);
  await using all = setUp({ forward, origin: app });
  for (const [line, bytes] of [["GET /", 2], ["HEAD /", 0], ["GET /chunked", undefined]] as const) {
    const count = all.accessLog.all.length;
    await all.cless.ask(requestText(line));
    assertEquals((await all.accessLog.last(count + 1)).bytes, bytes, line);
  }
});

netTest("a line comes when the answer has ended, not when it begins", async () => {
  const rest = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n0123");
    await rest.promise;
    await connection.send("x".repeat(99_996));
  });
  await using all = setUp({ origin: app });
  const { accessLog, cless } = all;
  using client = await cless.connect();
  await client.send(requestText());
  await client.reader.head();
  assertEquals(accessLog.all, []);
  rest.resolve();
  let received = 0;
  while (received < 100_000) received += (await client.reader.some()).length;
  assertEquals((await accessLog.last(1)).bytes, 100_000);
});

netTest("a WebSocket is one line, when it has ended", async () => {
  const accessLog = new Lines();
  {
    await using pair = await connectPair([], [], { accessLog });
    await pair.client.send("hello");
    await pair.app.receive();
    assertEquals(accessLog.all, []);
    await pair.client.close(1000);
    await pair.app.receive();
    await pair.app.close(1000);
    await pair.client.receive();
  }
  const line = await accessLog.last(1);
  assertEquals([line.status, line.target, line.service, line.error], [101, "/chat?room=1", "app", undefined]);
});

netTest("what cless answers itself is in the log too, with its code", async () => {
  await using all = setUp();
  const { accessLog, cless } = all;
  await cless.ask(requestText("GET /x?y", [], "", "host: nobody.localhost"));
  const own = { ...REQUEST, ...UNKNOWN, bytes: undefined };
  assertEquals(await accessLog.last(1), {
    ...{ ...own, host: "nobody.localhost", target: "/x?y", status: 404, error: "unknown_host" },
  });
  await cless.ask(requestText("GET /", [], "", "host: 192.0.2.1"));
  assertEquals(await accessLog.last(2), { ...own, host: "192.0.2.1", status: 400, error: "bad_host" });
  await cless.ask(requestText("TRACE /t?u"));
  const refused = { ...own, method: "TRACE", target: "/t?u", status: 405, error: "method_not_allowed" };
  assertEquals(await accessLog.last(3), refused);
  await cless.ask(requestText("OPTIONS *"));
  const { status, error, bytes } = await accessLog.last(4);
  assertEquals([status, error, bytes], [204, undefined, 0]);
  await cless.ask(requestText("GET /.well-known/cless/health"));
  assertEquals((await accessLog.last(5)).target, "/.well-known/cless/health");
  assertEquals(cless.instances, []);
});

netTest("what is refused because of overload is in the log, with what was asked for", async () => {
  const refusal = new Response(null, { status: 503, headers: { "cless-error": "overloaded" } });
  await using all = setUp({ admission: { ...admitAll(), judge: () => "refused", refusal } });
  assertEquals((await all.cless.ask(requestText("GET /x?y"))).status, 503);
  assertEquals(await all.accessLog.last(1), {
    ...{ ...REQUEST, ...UNKNOWN, target: "/x?y", status: 503, bytes: undefined, error: "overloaded" },
  });
});

netTest("the admin API's answers to hosts of the proxy are in the log", async () => {
  for (const answer of [new Response("x", { status: 401 }), Promise.resolve(new Response("x", { status: 401 }))]) {
    await using all = setUp({ admin: () => answer });
    await all.cless.ask(requestText("GET /v1/services", [], "", "host: admin.localhost"));
    const { host, service, status, target } = await all.accessLog.last(1);
    assertEquals([host, service, status, target], ["admin.localhost", undefined, 401, "/v1/services"]);
  }
});

netTest("the log has who came in by a lock, and not who says so without one", async () => {
  const open = gated({ limits: { ...UNLIMITED, maxBody: 1000 } });
  for (const [locked, user] of [[gated({ access: { basic: { alice: HASH } } }), "alice"], [open, undefined]] as const) {
    await using all = setUp({ locked });
    const { accessLog, cless } = all;
    const authorization = `authorization: ${basic("alice", "open sesame")}`;
    await cless.ask(requestText("GET /", [authorization, "x-auth-user: mallory"]));
    const line = await accessLog.last(1);
    assertEquals([line.status, line.user], [200, user]);
  }
  await using all = setUp({ locked: gated({ access: { basic: { alice: HASH } } }) });
  await all.cless.ask(requestText("GET /", ["x-auth-user: mallory"]));
  const { error, service, status, user } = await all.accessLog.last(1);
  assertEquals([status, error, service, user], [401, "unauthorized", "app", undefined]);
});

netTest("the client is the one that a trusted proxy names, and nobody whom others name", async () => {
  for (const [trustedProxies, client] of [[["127.0.0.0/8"], "203.0.113.7"], [[], "127.0.0.1"]] as const) {
    await using all = setUp({ trustedProxies });
    await all.cless.ask(requestText("GET /", ["x-forwarded-for: 203.0.113.7"]));
    assertEquals((await all.accessLog.last(1)).client, client);
    await all.cless.ask(requestText("GET /.well-known/cless/health", ["x-forwarded-for: 203.0.113.7"]));
    assertEquals((await all.accessLog.last(2)).client, client);
  }
});

netTest("a client that leaves before its answer is in the log with the status 499", async () => {
  await using app = Origin.serving((connection) => connection.ended());
  await using all = setUp({ origin: app });
  const { accessLog, cless } = all;
  {
    using client = await cless.connect();
    await client.send(requestText());
    await until(() => cless.instances[0]?.inFlight === 1);
  }
  const { bytes, service, status } = await accessLog.last(1);
  assertEquals([bytes, service, status], [undefined, "app", 499]);
});

netTest("a request over HTTP/2 says so", async () => {
  await using all = setUp();
  const session = connect(`http://127.0.0.1:${all.cless.port}`);
  try {
    const stream = session.request({ ":authority": "app.localhost", ":path": "/" });
    stream.resume();
    await new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject));
    const { host, protocol, status } = await all.accessLog.last(1);
    assertEquals([host, protocol, status], ["app.localhost", "HTTP/2.0", 200]);
  } finally {
    session.destroy();
  }
});
