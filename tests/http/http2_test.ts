import { assertEquals } from "@std/assert";
import { type ClientHttp2Session, connect } from "node:http2";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";

/** Sends one request over HTTP/2, without TLS and by prior knowledge. */
function ask(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: string,
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let head: Record<string, unknown> = {};
    let text = "";
    stream.setEncoding("utf8");
    stream.on("response", (given) => head = given);
    stream.on("data", (chunk) => text += chunk);
    stream.on("end", () => resolve({ status: Number(head[":status"]), headers: head, text }));
    stream.on("error", reject);
    if (body !== undefined) stream.end(body);
  });
}

async function withSession(port: number, use: (session: ClientHttp2Session) => Promise<void>): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    await use(session);
  } finally {
    await new Promise<void>((resolve) => session.close(() => resolve()));
  }
}

forwardTest("a request over HTTP/2 reaches the app over HTTP/1.1, with :authority as its Host", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  await withSession(cless.port, async (session) => {
    const answer = await ask(session, { ":authority": "app.localhost:8080", ":path": "/a?b", "x-own": "1" });
    assertEquals([answer.status, answer.text], [200, "ok"]);
  });
  assertEquals(app.last.startLine, "GET /a?b HTTP/1.1");
  assertEquals([app.last.one("host"), app.last.one("x-own")], ["app.localhost:8080", "1"]);
  assertEquals(app.last.one("x-forwarded-host"), "app.localhost:8080");
  await cless.idle();
});

forwardTest("a body over HTTP/2 reaches the app, with its length or without", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  await withSession(cless.port, async (session) => {
    const head = { ":authority": "app.localhost", ":path": "/", ":method": "POST" };
    assertEquals((await ask(session, { ...head, "content-length": "5" }, "hello")).status, 200);
    assertEquals([app.last.one("content-length"), app.last.text], ["5", "hello"]);
    assertEquals((await ask(session, head, "hello")).status, 200);
    assertEquals(app.last.text, "hello");
    assertEquals((await ask(session, { ...head, host: "app.localhost" }, "hello")).status, 200);
    assertEquals(app.last.text, "hello");
    assertEquals((await ask(session, head)).status, 200);
    assertEquals([app.last.text, app.last.all("transfer-encoding")], ["", []]);
  });
  await cless.idle();
});

forwardTest("a bad host over HTTP/2 is a 400 too", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  await withSession(cless.port, async (session) => {
    for (const authority of ["127.0.0.1", "a_b.localhost", "user@app.localhost"]) {
      const answer = await ask(session, { ":authority": authority, ":path": "/" }).catch(() => undefined);
      if (answer !== undefined) assertEquals([answer.status, answer.headers["cless-error"]], [400, "bad_host"]);
    }
  });
  assertEquals(app.requests.length, 0);
});
