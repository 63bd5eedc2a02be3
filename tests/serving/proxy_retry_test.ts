import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin, type OriginConnection } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

/** Reads a request, and closes without a byte of an answer. */
async function closeUnanswered(connection: OriginConnection): Promise<void> {
  await connection.reader.request();
}

/** An app that leaves the first requests unanswered, and then answers; it says what it was sent. */
function shyApp(unanswered: number): { app: Origin; bodies: string[] } {
  const bodies: string[] = [];
  const app = Origin.serving(async (connection) => {
    const request = await connection.reader.request();
    bodies.push(request?.text ?? "cut");
    if (connection.number >= unanswered) await connection.send(OK);
  });
  return { app, bodies };
}

/** A port of this machine where nobody listens. */
function deadUrl(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
}

const [ONE, LARGE] = ["content-length: 5", `content-length: ${100_000}`];

for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
  netTest(`a ${method} whose connection closed before any byte of an answer is sent once more`, async () => {
    const { app, bodies } = shyApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ origin: app });
    const body = method === "PUT" ? ["hello"] : [];
    const answer = await cless.ask(requestText(`${method} /`, body.length > 0 ? [ONE] : [], body[0]));
    assertEquals(answer.status, 200);
    assertEquals(bodies, [body[0] ?? "", body[0] ?? ""]);
    await cless.idle();
  });
}

for (const method of ["POST", "PATCH", "PROPFIND"]) {
  netTest(`a ${method} that the app may have seen is not sent again`, async () => {
    const { app, bodies } = shyApp(1);
    await using _ = app;
    await using cless = await Harness.warm({ origin: app });
    const answer = await cless.ask(requestText(`${method} /`, [ONE], "hello"));
    assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
    assertEquals(bodies, ["hello"]);
    await cless.idle();
  });
}

netTest("a connection that the app closed while it was idle costs no request", async () => {
  const closed = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(OK);
    if (connection.number === 0) closed.resolve();
    else await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  assertEquals((await cless.ask(requestText())).status, 200);
  await closed.promise;
  const posted = await cless.ask(requestText("POST /", [ONE], "hello"));
  assertEquals([posted.status, app.connections], [200, 2]);
});

netTest("a request on a kept connection that the app closes instead of answering is sent on a fresh one", async () => {
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(OK);
    const second = await connection.reader.request();
    if (second !== undefined && connection.number > 0) await connection.send(OK);
  });
  await using cless = await Harness.warm({ origin: app });
  assertEquals((await cless.ask(requestText())).status, 200);
  assertEquals((await cless.ask(requestText())).status, 200);
  assertEquals(app.connections, 2);
});

netTest("an app that never answers is asked twice and no more, and then it is a 502", async () => {
  await using app = Origin.serving(closeUnanswered);
  const clock = new FakeClock();
  await using cless = await Harness.warm({ origin: app, clock });
  const answer = await clock.until(cless.ask(requestText()));
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  assertEquals(app.connections, 2);
  await cless.idle();
  assertEquals(cless.unanswered.size, 0);
});

netTest("a small PUT is sent again whole, also where its body had only come in part", async () => {
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
  await using cless = await Harness.warm({ origin: app });
  using client = await cless.connect();
  await client.send(requestText("PUT /", ["content-length: 13"], "one "));
  await half.promise;
  while (app.connections < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await client.send("two ");
  await client.send("three");
  assertEquals((await client.answer()).status, 200);
  assertEquals(bodies, ["one two three"]);
});

netTest("a PUT with more body than is kept is not sent again", async () => {
  await using app = Origin.serving(closeUnanswered);
  await using cless = await Harness.warm({ origin: app });
  const answer = await cless.ask(requestText("PUT /", [LARGE], "x".repeat(100_000)));
  assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 1]);
  await cless.idle();
});

netTest("a POST that never reached the app is sent whole to a newly started one", async () => {
  await using app = Origin.answering();
  const dead = deadUrl();
  await using cless = await Harness.warm({ origin: (n) => n === 0 ? dead : app.url });
  cless.launcher.endUnseen("app-1");
  const answer = await cless.ask(requestText("POST /", [ONE], "hello"));
  assertEquals([answer.status, app.last.text], [200, "hello"]);
  assertEquals(cless.launcher.called("launch"), ["app-1", "app-2"]);
  await cless.idle();
});

netTest("a large POST that never reached the app is sent whole or not at all", async () => {
  await using app = Origin.answering();
  const dead = deadUrl();
  await using cless = await Harness.warm({ origin: (n) => n === 0 ? dead : app.url });
  cless.launcher.endUnseen("app-1");
  // How much of a body `fetch` reads before it connects is its own affair.
  const answer = await cless.ask(requestText("POST /", [LARGE], "x".repeat(100_000)));
  assertEquals(app.requests.map(({ body }) => body.length), answer.status === 200 ? [100_000] : []);
  assertEquals(answer.one("cless-error"), answer.status === 200 ? undefined : "upstream_failed");
});

netTest("an instance that refuses connections and yet lives is tried twice, and then it is a 502", async () => {
  const dead = deadUrl();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ origin: () => dead, clock });
  const answer = await clock.until(cless.ask(requestText("POST /", [ONE], "hello")));
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  assertEquals(cless.launcher.called("launch"), ["app-1"]);
  await cless.idle();
});

netTest("a GET whose instance ends while it has it is answered by a newly started one", async () => {
  const asked = Promise.withResolvers<void>();
  await using hanging = Origin.serving(async (connection) => {
    await connection.reader.request();
    asked.resolve();
    await connection.ended(); // a dead container's address does not even close
  });
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: (n) => n === 0 ? hanging.url : app.url });
  const answer = cless.ask(requestText("GET /here"));
  await asked.promise;
  cless.launcher.end("app-1", 137);
  assertEquals((await answer).status, 200);
  assertEquals(app.last.target, "/here");
  await cless.idle();
  assertEquals(cless.instances.map(({ inFlight }) => inFlight), [0, 0]);
});

netTest("a POST whose instance ends while it has it is a 502, and not sent again", async () => {
  const asked = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    asked.resolve();
    await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  const answer = cless.ask(requestText("POST /", [ONE], "hello"));
  await asked.promise;
  cless.launcher.end("app-1", 137);
  const { status, headers } = await answer;
  assertEquals([status, Object.fromEntries(headers)["cless-error"]], [502, "upstream_failed"]);
  assertEquals(cless.launcher.called("launch"), ["app-1"]);
  await cless.idle();
});

netTest("a request whose instances end one after the other is tried four times in all", async () => {
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    cless.launcher.end(cless.instance.id);
  });
  await using cless: Harness = await Harness.warm({ origin: app });
  const answer = await cless.ask(requestText());
  assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 4]);
  await cless.idle();
});

netTest("requests of a killed instance are answered by one new instance, all of them", async () => {
  const all = Promise.withResolvers<void>();
  let asked = 0;
  await using first = Origin.serving(async (connection) => {
    await connection.reader.request();
    if (++asked === 20) all.resolve();
    await connection.ended();
  });
  await using app = Origin.answering();
  await using cless = await Harness.warm({ origin: (n) => n === 0 ? first.url : app.url });
  const answers = Array.from({ length: 20 }, (_, n) => cless.ask(requestText(`GET /${n}`)));
  await all.promise;
  cless.launcher.end("app-1");
  assertEquals((await Promise.all(answers)).map(({ status }) => status), Array(20).fill(200));
  assertEquals(cless.launcher.called("launch").length, 2);
  assertEquals(new Set(app.requests.map(({ target }) => target)).size, 20);
  await cless.idle();
});

netTest("an instance whose end becomes known only a moment later is no reason for a 502", async () => {
  await using first = Origin.serving(closeUnanswered);
  await using app = Origin.answering();
  const clock = new FakeClock();
  await using cless = await Harness.warm({ origin: (n) => n === 0 ? first.url : app.url, clock });
  const answer = cless.ask(requestText());
  while (first.connections < 2) await clock.advance(1);
  await clock.advance(500);
  cless.launcher.end("app-1");
  assertEquals((await clock.until(answer)).status, 200);
});

for (
  const [kind, garbage] of [
    ["something that is no HTTP", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["a status that is none", "HTTP/1.1 99 x\r\n\r\n"],
  ] as const
) {
  netTest(`${kind} in place of an answer is a 502 at once, and not asked for again`, async () => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send(garbage);
    });
    await using cless = await Harness.warm({ origin: app });
    const answer = await cless.ask(requestText());
    assertEquals([answer.status, answer.one("cless-error"), app.connections], [502, "upstream_failed", 1]);
    await cless.idle();
  });
}

netTest("known: half a head counts as none, since fetch cannot tell, and is asked for once more", async () => {
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-len");
  });
  const clock = new FakeClock();
  await using cless = await Harness.warm({ origin: app, clock });
  assertEquals((await clock.until(cless.ask(requestText("POST /")))).status, 502);
  assertEquals(app.connections, 1);
  assertEquals((await clock.until(cless.ask(requestText()))).status, 502);
  assertEquals(app.connections, 3);
});

netTest("a retry ends when the client has left", async () => {
  const asked = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.request();
    asked.resolve();
    await connection.ended();
  });
  await using cless = Harness.cold({});
  const client = await cless.connect();
  await client.send(requestText());
  const first = await cless.launcher.nextLaunch();
  first.succeed(app.url);
  await asked.promise;
  cless.launcher.end(first.id);
  const second = await cless.launcher.nextLaunch();
  client[Symbol.dispose]();
  while (cless.unanswered.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  second.succeed(app.url);
  await cless.idle();
  assert(app.connections === 1);
});
