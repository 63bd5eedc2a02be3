import { assert, assertEquals } from "@std/assert";
import type { Forward } from "../../src/base/config.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { type RawClient, requestText } from "../support/raw_client.ts";

const MANY = 50;

/** Has many clients misbehave, and checks that others are served meanwhile. */
async function othersAreServed(forward: Forward, misbehave: (client: RawClient) => Promise<unknown>): Promise<void> {
  await using app = Origin.serving(async (connection) => {
    for (
      let request = await connection.reader.head();
      request !== undefined;
      request = await connection.reader.head()
    ) {
      if (request.target === "/large") {
        await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${1 << 30}\r\n\r\n`);
        while (await connection.send(new Uint8Array(1 << 20)));
      } else if (request.startLine.startsWith("GET")) {
        await connection.send(OK);
      } else {
        await connection.ended();
      }
    }
  });
  await using cless = await Harness.warm({ forward, origin: app });
  const clients = await Promise.all(Array.from({ length: MANY }, () => cless.connect()));
  try {
    await Promise.all(clients.map(misbehave));
    for (let turn = 0; turn < 20; turn++) assertEquals((await cless.ask(requestText())).status, 200);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  await cless.idle();
}

forwardTest("clients that connect and say nothing do not hold up others", async (forward) => {
  await othersAreServed(forward, () => Promise.resolve());
});

forwardTest("clients that send half a request and then nothing do not hold up others", async (forward) => {
  await othersAreServed(forward, (client) => client.send("GET / HTTP/1.1\r\nhost: app.loc"));
});

forwardTest("clients that send their headers byte by byte do not hold up others", async (forward) => {
  await othersAreServed(forward, async (client) => {
    for (const byte of "GET / HTTP/1.1\r\nhost: app.localhost\r\nx-") await client.send(byte);
  });
});

forwardTest("clients whose body stops do not hold up others", async (forward) => {
  await othersAreServed(forward, (client) => client.send(requestText("POST /", ["content-length: 1000"], "x")));
});

forwardTest("clients that never read do not hold up others", async (forward) => {
  await othersAreServed(forward, (client) => client.send(requestText("GET /large")));
});

forwardTest("a client that sends its request byte by byte is answered", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  for (const byte of requestText("POST /", ["content-length: 5"], "hello")) await client.send(byte);
  assertEquals((await client.answer()).status, 200);
  assertEquals(app.last.text, "hello");
});

forwardTest("known: a client that closes its sending side may count as gone", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText());
  await client.closeWrite();
  const answer = await client.reader.response();
  assert(answer === undefined || answer.status === 200);
  await cless.idle();
});
