import { assert, assertEquals } from "@std/assert";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { toText } from "../support/http_message.ts";
import { Origin, type OriginConnection } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

/** An app that tells when a request has arrived, and when its connection was closed. */
function watchfulApp(answer = ""): { app: Origin; asked: Promise<OriginConnection>; left: Promise<void> } {
  const asked = Promise.withResolvers<OriginConnection>();
  const left = Promise.withResolvers<void>();
  const app = Origin.serving(async (connection) => {
    await connection.reader.head();
    if (answer !== "") await connection.send(answer);
    asked.resolve(connection);
    await connection.ended();
    left.resolve();
  });
  return { app, asked: asked.promise, left: left.promise };
}

const ANSWERS = {
  "with a length": ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", "0123456789"],
  "in chunks": ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n"],
} as const;

forwardTest("a client that leaves before its answer aborts the request to the app", async (forward) => {
  const { app, asked, left } = watchfulApp();
  await using _ = app;
  await using cless = await Harness.warm({ forward, origin: app });
  const client = await cless.connect();
  await client.send(requestText());
  await asked;
  assertEquals(cless.instance.inFlight, 1);
  client[Symbol.dispose]();
  await left;
  await cless.idle();
  assertEquals(cless.unanswered.size, 0);
});

for (const [kind, [head, part]] of Object.entries(ANSWERS)) {
  forwardTest(
    `a client that leaves in the middle of a body ${kind} aborts the request to the app`,
    async (forward) => {
      const { app, asked, left } = watchfulApp(head + part);
      await using _ = app;
      await using cless = await Harness.warm({ forward, origin: app });
      const client = await cless.connect();
      await client.send(requestText());
      await asked;
      await client.reader.until("0123456789");
      assertEquals(cless.instance.inFlight, 1);
      client[Symbol.dispose]();
      await left;
      await cless.idle();
    },
  );

  for (const copied of ["", "connection: close\r\n"]) {
    const copy = copied ? ", from an app that closes its connections" : "";
    forwardTest(
      `if an app dies in the middle of a body ${kind}, the client's answer is visibly cut${copy}`,
      async (forward) => {
        const begun = Promise.withResolvers<void>();
        await using app = Origin.serving(async (connection) => {
          await connection.reader.head();
          await connection.send(head.replace("\r\n\r\n", `\r\n${copied}\r\n`) + part);
          await begun.promise;
        });
        await using cless = await Harness.warm({ forward, origin: app });
        using client = await cless.connect();
        await client.send(requestText());
        assertEquals((await client.reader.head())?.status, 200);
        await client.reader.until("0123456789");
        begun.resolve();
        assertEquals(toText(await client.reader.rest()), kind === "in chunks" ? "\r\n" : ""); // no last chunk
        await cless.idle();
        assertEquals(app.connections, 1);
      },
    );
  }
}

const LONG_ANSWERS = {
  "of a known length": "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n0123456789",
  "of events":
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n",
};
for (const [kind, begun] of Object.entries(LONG_ANSWERS)) {
  forwardTest(
    `if an instance ends and its connection stays open, a long answer ${kind} is visibly cut`,
    async (forward) => {
      const { app, asked } = watchfulApp(begun);
      await using _ = app;
      await using cless = await Harness.warm({ forward, origin: app });
      using client = await cless.connect();
      await client.send(requestText());
      await asked;
      await client.reader.until("0123456789");
      cless.launcher.kill("app-1");
      const rest = new TextDecoder().decode(await client.reader.some());
      assert(!rest.includes("0\r\n\r\n"), rest); // no last chunk: the connection is closed
      await cless.idle();
    },
  );
}

forwardTest(
  "if an app dies in the middle of a body, the answer is visibly cut also if the request had waited for a start",
  async (forward) => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.head();
      await connection.send(ANSWERS["in chunks"].join(""));
    });
    await using cless = Harness.cold({ forward, origin: app });
    using client = await cless.connect();
    await client.send(requestText());
    assertEquals((await client.answer()).complete, false);
    await cless.idle();
  },
);

for (
  const [kind, header, part] of [
    ["with a length", "content-length: 100", "0123456789"],
    ["in chunks", "transfer-encoding: chunked", "a\r\n0123456789\r\n"],
  ] as const
) {
  forwardTest(
    `if a client leaves in the middle of an upload ${kind}, the upload to the app is cut`,
    async (forward) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const begun = Promise.withResolvers<void>();
      await using app = Origin.serving(async (connection) => {
        await connection.reader.head();
        await connection.reader.until("0123456789");
        begun.resolve();
        const rest = await connection.reader.rest();
        resolve(!new TextDecoder().decode(rest).includes("0\r\n\r\n"));
      });
      await using cless = await Harness.warm({ forward, origin: app });
      const client = await cless.connect();
      await client.send(requestText("POST /", [header], part));
      await begun.promise;
      client[Symbol.dispose]();
      assert(await promise, "the app takes the upload for a whole one");
      await cless.idle();
      assertEquals(app.connections, 1);
    },
  );
}

forwardTest("if a client leaves while it waits for a start, the start goes on", async (forward) => {
  await using app = Origin.answering();
  await using cless = Harness.cold({ forward });
  const client = await cless.connect();
  await client.send(requestText());
  const launch = await cless.launcher.nextLaunch();
  assertEquals(cless.unanswered.size, 1);
  client[Symbol.dispose]();
  await cless.unanswered.none();
  launch.succeed(app.url);
  assertEquals((await cless.ask(requestText("GET /second"))).status, 200);
  assertEquals(app.requests.map(({ target }) => target), ["/second"]);
  assertEquals(cless.launcher.called("launch").length, 1);
  await cless.idle();
});

forwardTest("clients that leave at any moment leave no request in flight", async (forward) => {
  await using app = Origin.answering(({ startLine }) =>
    "HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + (startLine.startsWith("HEAD") ? "" : "x".repeat(200_000))
  );
  await using cless = await Harness.warm({ forward, origin: app });
  await Promise.all(Array.from({ length: 60 }, async (_, turn) => {
    using client = await cless.connect();
    const method = turn % 3 === 0 ? "HEAD" : "GET";
    await client.send(requestText(`${method} /`));
    if (method === "GET" && turn % 2 === 0) await client.reader.exactly(turn * 1000);
  }));
  await cless.idle();
  assertEquals([cless.instance.inFlight, cless.unanswered.size], [0, 0]);
});
