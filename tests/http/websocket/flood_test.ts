import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../support/fake_clock.ts";
import { Flow, growth } from "../../support/flow.ts";
import { ownProcessTest } from "../../support/own_process.ts";
import { netTest } from "../../support/permissions.ts";
import { connectPair } from "../../support/websocket_pair.ts";
import type { WebSocketPeer } from "../../support/websocket_peer.ts";

const MB = 1024 * 1024;
const FLOOD = 600;
const MEMORY = 300 * MB;

/** Sends messages of 1 MB until the other side closes, at most `FLOOD`; returns how many. */
async function flood(peer: WebSocketPeer): Promise<number> {
  const message = new Uint8Array(MB);
  let sent = 0;
  while (sent < FLOOD && await peer.send(message)) sent++;
  return sent;
}

ownProcessTest(
  import.meta.url,
  "an app that floods a client that does not read is slowed down, and nothing is lost",
  async () => {
    await using pair = await connectPair();
    const flow = new Flow(pair.app, FLOOD * MB, new Uint8Array(MB));
    const grown = await growth(async () => {
      await flow.stalled();
      assert(flow.sent < 100 * MB, `${flow.sent / MB} MB were taken`);
      for (let message = 0; message < FLOOD; message++) {
        const received = await pair.client.receive();
        assertEquals("binary" in received ? received.binary.length : received, MB);
      }
      await flow.finished;
    });
    assertEquals(flow.sent, FLOOD * MB);
    assert(grown < MEMORY, `grew by ${grown / MB} MB`);
  },
);

ownProcessTest(import.meta.url, "a client that floods an app that does not read is closed at 32 MB", async () => {
  await using pair = await connectPair();
  let sent = 0;
  const grown = await growth(async () => {
    sent = await flood(pair.client);
    // The platform closes the connection right after the close frame, which may be lost while data is in flight.
    const end = await pair.client.receive();
    assert("ended" in end || "close" in end && end.close === 1009, JSON.stringify(end));
  });
  assert(sent >= 32 && sent < 100, `${sent} MB were taken`);
  assert(grown < MEMORY, `grew by ${grown / MB} MB`);
  let end = await pair.app.receive();
  while ("binary" in end) end = await pair.app.receive();
  assertEquals("close" in end ? end.close : end, 1009);
  await pair.app.close(1000);
});

netTest("more than 32 MB pass if the receiver reads", async () => {
  await using pair = await connectPair();
  const message = new Uint8Array(MB);
  for (const [from, to] of [[pair.client, pair.app], [pair.app, pair.client]] as const) {
    for (let turn = 0; turn < 100; turn++) {
      const sent = from.send(message);
      const received = await to.receive();
      await sent;
      assertEquals("binary" in received ? received.binary.length : received, MB);
    }
  }
});

netTest("a client that takes no messages for the client timeout keeps no app awake", async () => {
  const clock = new FakeClock();
  await using pair = await connectPair([], [], { clock, clientTimeoutMs: 10_000 });
  const flooding = flood(pair.app);
  const began = clock.now();
  await clock.until(pair.cless.idle());
  assert(clock.now() - began >= 10_000);
  assert(await flooding < FLOOD);
});
