import { assertEquals } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin, type OriginConnection } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** Reads a request, and closes the connection without an answer. */
async function closeUnanswered(connection: OriginConnection): Promise<void> {
  await connection.reader.request();
}

/** An app that does not answer the first requests; it records the bodies. */
function shyApp(unanswered: number): { app: Origin; bodies: string[] } {
  const bodies: string[] = [];
  const app = Origin.serving(async (connection) => {
    const request = await connection.reader.request();
    bodies.push(request?.text ?? "cut");
    if (connection.number < unanswered) return;
    await connection.send(request?.startLine.startsWith("HEAD ") ? NOTHING : OK);
  });
  return { app, bodies };
}

const NOTHING = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const [ONE, LARGE] = ["content-length: 5", `content-length: ${100_000}`];

for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
  forwardTest(`a ${method} whose connection closes before any byte of an answer is sent once more`, async (forward) => {
    const { app, bodies } = shyApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ forward, origin: app });
    const body = method === "PUT" ? ["hello"] : [];
    const answer = await cless.ask(requestText(`${method} /`, body.length > 0 ? [ONE] : [], body[0]));
    assertEquals(answer.status, 200);
    assertEquals(bodies, [body[0] ?? "", body[0] ?? ""]);
    await cless.idle();
  });
}

for (const method of ["POST", "PATCH", "PROPFIND"]) {
  forwardTest(`a ${method} that the app may have processed is not sent again`, async (forward) => {
    const { app, bodies } = shyApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ forward, origin: app });
    const answer = await cless.ask(requestText(`${method} /`, [ONE], "hello"));
    assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
    assertEquals(bodies, ["hello"]);
    await cless.idle();
  });
}

forwardTest("a request does not fail if the app has closed an idle connection", async (forward) => {
  const closed = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(OK);
    if (connection.number === 0) closed.resolve();
    else await connection.ended();
  });
  await using cless = await Harness.warm({ forward, origin: app });
  assertEquals((await cless.ask(requestText())).status, 200);
  await closed.promise;
  const posted = await cless.ask(requestText("POST /", [ONE], "hello"));
  assertEquals([posted.status, app.connections], [200, 2]);
});

forwardTest(
  "a request on a reused connection that the app closes instead of answering is sent on a new one",
  async (forward) => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send(OK);
      const second = await connection.reader.request();
      if (second !== undefined && connection.number > 0) await connection.send(OK);
    });
    await using cless = await Harness.warm({ forward, origin: app });
    assertEquals((await cless.ask(requestText())).status, 200);
    assertEquals((await cless.ask(requestText())).status, 200);
    assertEquals(app.connections, 2);
  },
);

forwardTest("a request to an app that closes every connection is sent twice, and then it is a 502", async (forward) => {
  await using app = Origin.serving(closeUnanswered);
  const clock = new FakeClock();
  await using cless = await Harness.warm({ forward, origin: app, clock });
  const answer = await clock.until(cless.ask(requestText()));
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  assertEquals(app.connections, 2);
  await cless.idle();
  assertEquals(cless.unanswered.size, 0);
});

forwardTest("a small PUT is sent again whole, also if only a part of its body had arrived", async (forward) => {
  const half = Promise.withResolvers<void>();
  const bodies: string[] = [];
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    if (connection.number === 0) {
      await connection.reader.until("one ");
      half.resolve();
    } else {
      bodies.push(new TextDecoder().decode(await connection.reader.exactly(13)));
      await connection.send(OK);
    }
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText("PUT /", ["content-length: 13"], "one "));
  await half.promise;
  await app.connected(2);
  await client.send("two ");
  await client.send("three");
  assertEquals((await client.answer()).status, 200);
  assertEquals(bodies, ["one two three"]);
});

forwardTest("a small chunked PUT is sent again whole, also after its end", async (forward) => {
  const { app, bodies } = shyApp(1);
  await using _ = app;
  await using cless = await Harness.warm({ forward, origin: app });
  const chunks = "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
  assertEquals((await cless.ask(requestText("PUT /", ["transfer-encoding: chunked"], chunks))).status, 200);
  assertEquals(bodies, ["hello", "hello"]);
  await cless.idle();
});

forwardTest("a PUT whose body is too large to be kept is not sent again", async (forward) => {
  await using app = Origin.serving(closeUnanswered);
  await using cless = await Harness.warm({ forward, origin: app });
  const answer = await cless.ask(requestText("PUT /", [LARGE], "x".repeat(100_000)));
  assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 1]);
  await cless.idle();
});

for (
  const [kind, garbage] of [
    ["something other than HTTP", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["an invalid status", "HTTP/1.1 99 x\r\n\r\n"],
  ] as const
) {
  forwardTest(`${kind} instead of an answer is a 502 at once, and the request is not sent again`, async (forward) => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send(garbage);
    });
    await using cless = await Harness.warm({ forward, origin: app });
    const answer = await cless.ask(requestText());
    assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 1]);
    await cless.idle();
  });
}

forwardTest(
  "half a head is a 502; an idempotent request is sent once more before",
  async (forward) => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send("HTTP/1.1 200 OK\r\ncontent-len");
    });
    const clock = new FakeClock();
    await using cless = await Harness.warm({ forward, origin: app, clock });
    assertEquals((await clock.until(cless.ask(requestText("POST /")))).status, 502);
    assertEquals(app.connections, 1);
    assertEquals((await clock.until(cless.ask(requestText()))).status, 502);
    assertEquals(app.connections, 1 + 2);
  },
);
