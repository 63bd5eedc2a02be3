import { assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import { sameBytes, toBytes } from "../../support/http_message.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { requestText } from "../../support/raw_client.ts";
import { turns } from "../../support/until.ts";

/** A body whose every part is different. */
function patterned(length: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(length);
  for (let at = 0; at < length; at++) body[at] = at * 31 + (at >> 8) * 17 + (at >> 16);
  return body;
}

/** The size of the memory that a connection reads into first. */
const MEMORY = 32 * 1024;
const HEAD = `HTTP/1.1 200 OK\r\ncontent-length: ${MEMORY}\r\n\r\n`.length;
/** Some with which head and body just fit into that memory, or just do not. */
const LENGTHS = [
  ...[1, 2, 1000],
  ...[MEMORY - HEAD - 1, MEMORY - HEAD, MEMORY - HEAD + 1],
  ...[MEMORY - 1, MEMORY, MEMORY + 1],
  ...[65_535, 65_536, 65_537, 300_000, 2_000_000],
];

/** An app that sends a head, and then a body in several pieces; the path is the length. */
function slowApp(pieces: number, framing: "length" | "chunked"): Origin {
  return Origin.serving(async (connection) => {
    for (let request; (request = await connection.reader.request()) !== undefined;) {
      const body = patterned(Number(request.target.slice(1)));
      const line = framing === "chunked" ? "transfer-encoding: chunked" : `content-length: ${body.length}`;
      await connection.send(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`);
      const size = Math.ceil(body.length / pieces);
      for (let at = 0; at < body.length; at += size) {
        await turns(1);
        const piece = body.subarray(at, at + size);
        if (framing === "chunked") await connection.send(`${piece.length.toString(16)}\r\n`);
        await connection.send(piece);
        if (framing === "chunked") await connection.send("\r\n");
      }
      if (framing === "chunked") await connection.send("0\r\n\r\n");
    }
  });
}

for (const framing of ["length", "chunked"] as const) {
  for (const kind of ["cold", "warm"] as const) {
    netTest(`${kind}: a body that arrives after its head passes whole, with ${framing}`, async () => {
      for (const pieces of [1, 2, 5]) {
        for (const length of LENGTHS) {
          await using app = slowApp(pieces, framing);
          // The answer to a request that waited for a start is a copy.
          await using cless = await Harness[kind]({ forward: "exact", origin: app });
          const answer = await cless.ask(requestText(`GET /${length}`));
          assertEquals([answer.status, answer.complete, answer.body.length], [200, true, length]);
          assertEquals(sameBytes(answer.body, patterned(length)), true);
          assertEquals(answer.all("server-timing").length, kind === "cold" ? 1 : 0);
          await cless.idle();
        }
      }
    });
  }
}

netTest("bodies that wait for slow clients stay intact while others pass", async () => {
  await using app = slowApp(3, "length");
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  const slow = [];
  for (const length of LENGTHS) {
    const client = await cless.connect();
    await client.send(requestText(`GET /${length}`));
    slow.push({ client, length });
  }
  // These would use their memory if it were released too early.
  for (let turn = 0; turn < 50; turn++) await cless.ask(requestText(`GET /${LENGTHS[turn % LENGTHS.length]}`));
  for (const { client, length } of slow) {
    const answer = await client.answer();
    assertEquals([answer.status, answer.body.length], [200, length]);
    assertEquals(sameBytes(answer.body, patterned(length)), true, `${length} bytes`);
    client[Symbol.dispose]();
  }
  await cless.idle();
});

netTest("clients that leave in mid-body leave no lease open", async () => {
  await using app = slowApp(4, "length");
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  for (let turn = 0; turn < 100; turn++) {
    const client = await cless.connect();
    await client.send(requestText(`GET /${LENGTHS[turn % LENGTHS.length]}`));
    if (turn % 3 > 0) await turns(turn % 7);
    if (turn % 2 === 0) await client.reader.some();
    client[Symbol.dispose]();
  }
  await cless.idle();
  assertEquals((await cless.ask(requestText("GET /2"))).body, toBytes("\x00\x1f"));
});
