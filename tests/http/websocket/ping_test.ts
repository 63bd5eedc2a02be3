import { assert, assertEquals } from "@std/assert";
import { growth } from "../../support/flow.ts";
import { Harness } from "../../support/harness.ts";
import { Origin } from "../../support/origin.ts";
import { ownProcessTest } from "../../support/own_process.ts";
import { netTest } from "../../support/permissions.ts";
import { askFor } from "../../support/websocket_pair.ts";
import { acceptance } from "../../support/websocket_peer.ts";

const MB = 1024 * 1024;
const FLOOD = 60;
/** A ping frame as a server sends it, with the longest payload. */
const PING = new Uint8Array([0x89, 125, ...Array(125).fill(0x61)]);
/** An empty close frame. */
const CLOSE = new Uint8Array([0x88, 0]);

ownProcessTest(import.meta.url, "pings of an app that reads no pong take no memory", async () => {
  const flooded = Promise.withResolvers<void>();
  const pings = new Uint8Array(PING.length * Math.floor(MB / PING.length));
  for (let at = 0; at < pings.length; at += PING.length) pings.set(PING, at);
  await using app = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
    for (let sent = 0; sent < FLOOD; sent++) await connection.send(pings);
    flooded.resolve();
    await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  using client = await askFor(cless);
  const grown = await growth(async () => {
    assertEquals((await client.answer()).status, 101);
    await flooded.promise;
  });
  assert(grown < 100 * MB, `grew by ${grown / MB} MB`);
});

netTest("a single ping is answered with its payload", async () => {
  const pong = Promise.withResolvers<number[]>();
  await using app = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
    await connection.send(new Uint8Array([0x89, 2, 0x68, 0x69]));
    const [first, length, ...mask] = await connection.reader.exactly(6);
    const payload = await connection.reader.exactly(length! & 127);
    pong.resolve([first!, length!, ...payload.map((byte, at) => byte ^ mask[at & 3]!)]);
    await connection.send(CLOSE);
    await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  using client = await askFor(cless);
  assertEquals((await client.answer()).status, 101);
  assertEquals(await pong.promise, [0x8a, 0x80 | 2, 0x68, 0x69]);
});

netTest("the last of many pings is answered with its payload", async () => {
  const pong = Promise.withResolvers<Uint8Array>();
  const last = new Uint8Array([0x89, 4, 0x6c, 0x61, 0x73, 0x74]);
  await using app = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? ""));
    for (let sent = 0; sent < 100; sent++) await connection.send(PING);
    await connection.send(last);
    for (;;) {
      const [, length] = await connection.reader.exactly(2);
      const mask = await connection.reader.exactly(4);
      const payload = (await connection.reader.exactly(length! & 127)).map((byte, at) => byte ^ mask[at & 3]!);
      if (payload.length !== 4) continue;
      pong.resolve(payload);
      break;
    }
    await connection.send(CLOSE);
    await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  using client = await askFor(cless);
  assertEquals((await client.answer()).status, 101);
  assertEquals(new TextDecoder().decode(await pong.promise), "last");
});
