import { assertEquals, assertStringIncludes } from "@std/assert";
import { DEFAULT_FORWARD_HEADERS, OPEN } from "../../src/model/access.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { freePorts } from "../support/free_ports.ts";
import { Harness, type HarnessOptions } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";
import { until } from "../support/until.ts";

/** The fields of a service whose requests another server decides about. */
function asking(url: string, headers: readonly string[] = DEFAULT_FORWARD_HEADERS): Pick<HarnessOptions, "locked"> {
  return { locked: { access: { ...OPEN, forward: { url, headers } } } };
}

netTest("the server learns of the request and of the true client, whatever the client says of itself", async () => {
  await using server = Origin.answering();
  await using app = Origin.answering();
  await using harness = Harness.cold({
    ...asking(`${server.url}/verify?realm=a`),
    origin: app,
    trustedProxies: ["127.0.0.1/32"],
  });
  const claims = ["x-forwarded-uri: /public", "x-forwarded-method: OPTIONS", "x-original-url: http://a/public"];
  await harness.ask(requestText("POST /secret?q=1", [
    ...["cookie: session=1", "authorization: Bearer x", "accept: text/html", "content-type: text/plain"],
    ...["if-none-match: *", "range: bytes=0-1", "x-real-ip: 10.0.0.1", "x-forwarded-for: 203.0.113.7"],
    ...["x-forwarded-proto: https", "content-length: 4", ...claims],
  ], "body"));
  const [request] = server.requests;
  assertEquals([request!.startLine, request!.body.length], ["GET /verify?realm=a HTTP/1.1", 0]);
  for (
    const [name, value] of Object.entries({
      ...{ "x-forwarded-method": "POST", "x-forwarded-proto": "https", "x-forwarded-uri": "/secret?q=1" },
      ...{ "x-forwarded-host": "app.localhost", "x-forwarded-for": "203.0.113.7", "x-real-ip": "203.0.113.7" },
      ...{ "x-original-url": "https://app.localhost/secret?q=1", "x-original-method": "POST" },
      ...{ "cookie": "session=1", "authorization": "Bearer x", "accept": "text/html" },
    })
  ) assertEquals(request!.all(name), [value], name);
  for (const name of ["content-type", "if-none-match", "range"]) assertEquals(request!.all(name), [], name);
  assertEquals(app.requests.length, 1);
});

netTest("a status of 2xx lets a request pass, with the named headers of the answer alone", async () => {
  const answer = "HTTP/1.1 204 No Content\r\nRemote-User: alice\r\nRemote-Groups: dev,ops\r\nSet-Cookie: a=b\r\n" +
    "X-Other: 1\r\n\r\n";
  await using server = Origin.answering(answer);
  await using app = Origin.answering();
  await using harness = Harness.cold({ ...asking(server.url), origin: app });
  const forged = ["remote-user: root", "Remote-Email: root@example.org", "x-auth-user: root", "x-other: own"];
  const response = await harness.ask(requestText("GET /", forged));
  assertEquals([response.status, response.text, response.all("set-cookie")], [200, "ok", []]);
  const [request] = app.requests;
  for (
    const [name, expected] of Object.entries({
      ...{ "remote-user": ["alice"], "remote-groups": ["dev,ops"], "remote-email": [], "x-auth-user": [] },
      ...{ "x-other": ["own"], "set-cookie": [], "cless-auth-hops": [] },
    })
  ) assertEquals(request!.all(name), expected, name);
});

netTest("the client gets any other answer as it is, and nothing wakes", async () => {
  const answers: [answer: string, status: number, body: string][] = [
    [
      "HTTP/1.1 302 Found\r\nLocation: https://auth.example.org/?rd=x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n" +
      "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
      302,
      "",
    ],
    ["HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?", 401, "who?"],
    ["HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", 403, "no!"],
    ["HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops", 500, "oops"],
  ];
  for (const [answer, status, body] of answers) {
    await using server = Origin.answering(answer);
    await using harness = Harness.cold(asking(server.url));
    const response = await harness.ask(requestText("GET /"));
    assertEquals([response.status, response.text], [status, body]);
    assertEquals(harness.launcher.calls, []);
    if (status !== 302) continue;
    assertEquals(response.all("location"), ["https://auth.example.org/?rd=x"]);
    assertEquals(response.all("set-cookie"), ["a=b", "c=d"]);
    assertEquals([...response.all("x-hop"), ...response.all("keep-alive")], []);
  }
});

netTest("a WebSocket's handshake is checked as a plain request", async () => {
  await using server = Origin.answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
  await using harness = Harness.cold(asking(server.url));
  const handshake = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "cookie: a=b"];
  const response = await harness.ask(
    requestText("GET /ws", [...handshake, `sec-websocket-key: ${btoa("a".repeat(16))}`]),
  );
  assertEquals([response.status, response.text], [401, "no"]);
  const [request] = server.requests;
  assertEquals(request!.headers.filter(([name]) => /upgrade|websocket/i.test(name)), []);
  assertEquals([request!.all("cookie"), request!.all("x-forwarded-uri")], [["a=b"], ["/ws"]]);
});

netTest("nobody gets in while the server does not answer, or answers with too much", async () => {
  const large = "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n" + "x".repeat(2_000_000);
  await using server = Origin.answering(large);
  const gone = Origin.answering();
  await gone[Symbol.asyncDispose]();
  await using closing = Origin.serving(async (connection) => void await connection.reader.request());
  await using cutting = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
  });
  // An answer that would end the client's connection as one of HTTP.
  await using switching = Origin.answering(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
  );
  for (const url of [server.url, gone.url, closing.url, cutting.url, switching.url]) {
    await using harness = Harness.cold(asking(url));
    const response = await harness.ask(requestText("GET /"));
    assertEquals([response.status, response.all("cless-error")], [502, ["upstream_failed"]], url);
    assertEquals(harness.launcher.calls, []);
  }
});

netTest("a server that takes more than 10 seconds lets nobody in", async () => {
  const clock = new FakeClock();
  await using silent = Origin.serving((connection) => connection.ended());
  await using harness = Harness.cold({ ...asking(silent.url), clock });
  const answer = harness.ask(requestText("GET /"));
  await until(() => silent.connections > 0);
  await clock.advance(10_000);
  assertEquals((await answer).all("cless-error"), ["upstream_failed"]);
  assertEquals(harness.launcher.calls, []);
});

netTest("a flood of strangers does not reach the server whole", async () => {
  await using silent = Origin.serving((connection) => connection.ended());
  await using harness = Harness.cold(asking(silent.url));
  const clients = await Promise.all(Array.from({ length: 200 }, () => harness.connect()));
  try {
    await Promise.all(clients.map((client) => client.send(requestText("GET /"))));
    await until(() => silent.connections >= 200);
    const refused = await harness.ask(requestText("GET /"));
    assertEquals([refused.status, refused.all("cless-error")], [503, ["overloaded"]]);
    assertEquals(refused.all("retry-after"), ["1"]);
  } finally {
    clients.forEach((client) => client[Symbol.dispose]());
  }
  await harness.unanswered.none();
});

netTest("a service that asks itself gets an error, and no endless loop", async () => {
  const port = freePorts(1);
  await using harness = Harness.cold({ ...asking(`http://app.localhost:${port}/verify`), port });
  const response = await harness.ask(requestText("GET /"));
  assertEquals([response.status, response.all("cless-error")], [502, ["upstream_failed"]]);
  assertStringIncludes(response.text, "in a loop");
  assertEquals([harness.unanswered.total, harness.launcher.calls], [4, []]);
});

netTest("a client cannot make a check pass by the header that counts checks", async () => {
  await using server = Origin.answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  await using harness = Harness.cold(asking(server.url));
  for (const [count, status] of [["0", 401], ["-1", 502], ["x", 502], ["2", 401], ["3", 502], ["999999", 502]]) {
    const response = await harness.ask(requestText("GET /", [`cless-auth-hops: ${count}`]));
    assertEquals(response.status, status, `${count}`);
  }
  assertEquals(harness.launcher.calls, []);
});
