import { assert, assertEquals } from "@std/assert";
import type { Forward } from "../../src/base/config.ts";
import { drain, Flow, growth } from "../support/flow.ts";
import { FORWARDERS, forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { toBytes, toText } from "../support/http_message.ts";
import { OK, Origin, type OriginConnection } from "../support/origin.ts";
import { ownProcessTest } from "../support/own_process.ts";
import { requestText } from "../support/raw_client.ts";

const MB = 1024 * 1024;
const LARGE = 256 * MB;
/** What sockets, the platform and this test may buffer; much less than what is sent. */
const IN_BETWEEN = 64 * MB;
const MEMORY = 128 * MB;

/** A test of each forwarder that measures memory. */
function measuredTest(name: string, fn: (forward: Forward) => Promise<void>): void {
  for (const forward of FORWARDERS) ownProcessTest(import.meta.url, `${forward}: ${name}`, () => fn(forward));
}

measuredTest("uploading 256 MB takes little memory", async (forward) => {
  let received = 0;
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    received = await drain(connection.reader, LARGE);
    await connection.send(OK);
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  const grown = await growth(async () => {
    await client.send(requestText("POST /", [`content-length: ${LARGE}`]));
    await new Flow(client, LARGE).finished;
    assertEquals((await client.answer()).status, 200);
  });
  assertEquals(received, LARGE);
  assert(grown < MEMORY, `grew by ${grown / MB} MB`);
  await cless.idle();
});

for (const [size, total] of [[1024, LARGE / 4], [16 * 1024, LARGE], [MB, LARGE]] as const) {
  measuredTest(`uploading much in chunks of ${size / 1024} KB takes little memory`, async (forward) => {
    let received = 0;
    await using app = Origin.serving(async (connection) => {
      await connection.reader.head();
      for (let chunk = await connection.reader.chunk(); chunk?.length; chunk = await connection.reader.chunk()) {
        received += chunk.length;
      }
      await connection.send(OK);
    });
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    const grown = await growth(async () => {
      await client.send(requestText("POST /", ["transfer-encoding: chunked"]));
      const chunk = `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;
      const piece = toBytes(chunk.repeat(Math.max(1, MB / 4 / size)));
      await new Flow(client, total / size * chunk.length, piece).finished;
      await client.send("0\r\n\r\n");
      assertEquals((await client.answer()).status, 200);
    });
    assertEquals(received, total);
    assert(grown < MEMORY, `grew by ${grown / MB} MB`);
    await cless.idle();
  });
}

const PIECE = new Uint8Array(MB / 4);
const FRAMINGS = {
  "with a length": { header: `content-length: ${LARGE}`, piece: PIECE },
  "in chunks": { header: "transfer-encoding: chunked", piece: toBytes(`40000\r\n${toText(PIECE)}\r\n`) },
  "up to the connection's end": { header: "connection: close", piece: PIECE },
};

for (const [kind, { header, piece }] of Object.entries(FRAMINGS)) {
  measuredTest(`downloading 256 MB ${kind} takes little memory`, async (forward) => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.head();
      await connection.send(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n`);
      await new Flow(connection, LARGE / PIECE.length * piece.length, piece).finished;
      if (kind === "in chunks") await connection.send("0\r\n\r\n");
    });
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    const grown = await growth(async () => {
      await client.send(requestText());
      const isChunked = (await client.reader.head())?.one("transfer-encoding") === "chunked";
      assertEquals(isChunked, kind !== "with a length");
      let received = isChunked ? 0 : await drain(client.reader, LARGE);
      if (isChunked) {
        for (let chunk = await client.reader.chunk(); chunk?.length; chunk = await client.reader.chunk()) {
          received += chunk.length;
        }
      }
      assertEquals(received, LARGE);
    });
    assert(grown < MEMORY, `grew by ${grown / MB} MB`);
    await cless.idle();
  });
}

for (const kind of ["with a length", "in chunks"] as const) {
  const { header, piece } = FRAMINGS[kind];
  forwardTest(`an app that does not read an upload ${kind} makes its client stop sending`, async (forward) => {
    const read = Promise.withResolvers<void>();
    let received = 0;
    await using app = Origin.serving(async (connection) => {
      const { reader } = connection;
      await reader.head();
      await read.promise;
      if (kind === "with a length") received = await drain(reader, LARGE);
      else for (let chunk = await reader.chunk(); chunk?.length; chunk = await reader.chunk()) received += chunk.length;
      await connection.send(OK);
    });
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    await client.send(requestText("PUT /", [header]));
    const sent = LARGE / PIECE.length * piece.length;
    const upload = new Flow(client, sent, piece);
    await upload.stalled();
    assert(upload.sent < IN_BETWEEN, `${upload.sent / MB} MB were taken`);
    read.resolve();
    await upload.finished;
    if (kind === "in chunks") await client.send("0\r\n\r\n");
    assertEquals((await client.answer()).status, 200);
    assertEquals([upload.sent, received], [sent, LARGE]);
  });
}

forwardTest("a client that does not read a download makes its app stop sending", async (forward) => {
  const sending = Promise.withResolvers<Flow>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${LARGE}\r\n\r\n`);
    const flow = new Flow(connection, LARGE);
    sending.resolve(flow);
    await flow.finished;
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText());
  const download = await sending.promise;
  await download.stalled();
  assert(download.sent < IN_BETWEEN, `${download.sent / MB} MB were taken`);
  assertEquals(cless.instance.inFlight, 1);
  await client.reader.head();
  assertEquals(await drain(client.reader, LARGE), LARGE);
  await cless.idle();
});

forwardTest("server-sent events arrive one at a time, without waiting for the next", async (forward) => {
  const connected = Promise.withResolvers<OriginConnection>();
  const ended = Promise.withResolvers<void>();
  await using app = Origin.serving(async (connection) => {
    await connection.reader.head();
    await connection.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    connected.resolve(connection);
    await ended.promise;
  });
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText("GET /", ["accept: text/event-stream"]));
  assertEquals((await client.reader.head())?.one("content-type"), "text/event-stream");
  const origin = await connected.promise;
  for (let event = 1; event <= 5; event++) {
    const text = `data: ${event}\n\n`;
    await origin.send(`${text.length.toString(16)}\r\n${text}\r\n`);
    assertEquals(new TextDecoder().decode(await client.reader.chunk()), text);
  }
  await origin.send("0\r\n\r\n");
  ended.resolve();
  assertEquals((await client.reader.chunk())?.length, 0);
  await cless.idle();
});

forwardTest(
  "an upload reaches the app piece by piece, and the answer can stream at the same time",
  async (forward) => {
    await using app = Origin.serving(async (connection) => {
      await connection.reader.head();
      await connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      for (let chunk = await connection.reader.chunk(); chunk?.length; chunk = await connection.reader.chunk()) {
        await connection.send(`${chunk.length.toString(16)}\r\n`);
        await connection.send(chunk);
        await connection.send("\r\n");
      }
      await connection.send("0\r\n\r\n");
    });
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    await client.send(requestText("POST /", ["transfer-encoding: chunked"]));
    assertEquals((await client.reader.head())?.status, 200);
    for (const text of ["one", "two", "three"]) {
      await client.send(`${text.length}\r\n${text}\r\n`);
      assertEquals(new TextDecoder().decode(await client.reader.chunk()), text);
    }
    await client.send("0\r\n\r\n");
    assertEquals((await client.reader.chunk())?.length, 0);
    await cless.idle();
  },
);

forwardTest(
  "an answer that comes before the end of the upload reaches the client at once, and ends the upload",
  async (forward) => {
    const { promise: cut, resolve } = Promise.withResolvers<number>();
    await using app = Origin.serving(async (connection) => {
      await connection.reader.head();
      await connection.send("HTTP/1.1 413 x\r\ncontent-length: 3\r\n\r\nbig");
      resolve(await drain(connection.reader));
    });
    await using cless = await Harness.warm({ forward, origin: app });
    using client = await cless.connect();
    await client.send(requestText("POST /", [`content-length: ${4 * MB}`]));
    const upload = new Flow(client, 4 * MB);
    const answer = await client.answer();
    assertEquals([answer.status, answer.text], [413, "big"]);
    assert(await cut < 4 * MB);
    await cless.idle();
    // The rest of the upload is thrown away, and the connection can be used for another request.
    await upload.finished;
    assertEquals((await client.ask(requestText())).status, 413);
  },
);

for (const kind of ["whole", "empty", "streamed"]) {
  forwardTest(
    `the rest of an upload is thrown away after an answer that comes in a pause of its client (${kind})`,
    async (forward) => {
      const begun = Promise.withResolvers<void>();
      await using app = Origin.serving(async (connection) => {
        await connection.reader.head();
        if (kind === "whole") {
          await connection.send("HTTP/1.1 413 x\r\ncontent-length: 3\r\n\r\nbig");
          return;
        }
        if (kind === "empty") {
          await connection.send("HTTP/1.1 413 x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
          return;
        }
        await connection.send("HTTP/1.1 413 x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbig\r\n");
        await begun.promise;
        await connection.send("0\r\n\r\n");
      });
      await using cless = await Harness.warm({ forward, origin: app });
      using client = await cless.connect();
      await client.send(requestText("POST /", [`content-length: ${4 * MB}`]));
      await client.send(new Uint8Array(1024));
      const head = (await client.reader.head())!;
      begun.resolve();
      const body = kind === "whole" ? await client.reader.exactly(3) : (await client.reader.chunk())!;
      assertEquals([head.status, new TextDecoder().decode(body)], [413, kind === "empty" ? "" : "big"]);
      if (kind === "streamed") assertEquals(await client.reader.chunk(), new Uint8Array());
      await cless.idle();
      await new Flow(client, 4 * MB - 1024).finished;
      if (forward === "exact" && kind === "whole") assertEquals(head.one("connection"), "close");
      if (head.one("connection") === "close") assertEquals(await client.reader.rest(), new Uint8Array());
    },
  );
}

forwardTest("a client can send its whole body before it reads the error", async (forward) => {
  await using cless = Harness.cold({ forward });
  using client = await cless.connect();
  await client.send(requestText("POST /", [`content-length: ${4 * MB}`], "x"));
  const launch = await cless.launcher.nextLaunch();
  launch.fail(new Error("no such image"));
  await new Flow(client, 4 * MB - 1).finished;
  assertEquals((await client.answer()).status, 502);
});

forwardTest("consecutive uploads share a connection to the app", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  for (let turn = 0; turn < 5; turn++) {
    const chunked = turn % 2 === 0;
    const header = chunked ? "transfer-encoding: chunked" : "content-length: 2";
    await cless.ask(requestText("POST /", [header], chunked ? "2\r\nhi\r\n0\r\n\r\n" : "hi"));
    await cless.idle();
  }
  assertEquals([app.requests.length, app.connections], [5, 1]);
});
