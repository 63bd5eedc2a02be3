import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { makeIdentity } from "../../src/peers/identity.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway, PeerRefused } from "../../src/peers/peer_error.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { netTest } from "../support/permissions.ts";
import { Random } from "../support/random.ts";
import { turns, until } from "../support/until.ts";
import { TestPeer } from "./kit.ts";

const identity = await makeIdentity();
const NODE = "node-b";
const MESSAGE = { path: "/events", kinds: {} };
const encoder = new TextEncoder();

type Source = ReadableStreamDefaultController<Uint8Array>;

/** A peer with one stream, which a test feeds, and its reader on this side. */
class Flow implements AsyncDisposable {
  readonly peer: TestPeer;
  readonly client: PeerClient;
  /** What feeds the stream, once it is open. */
  source!: Source;
  /** Whether the peer knows that nobody reads any more. */
  isLeft = false;

  /** @param clocks Of the reader, and of the peer. @param source What the peer sends; else what a test feeds. */
  constructor(
    clocks: { reader?: Clock; peer?: Clock },
    source: Pick<UnderlyingDefaultSource<Uint8Array>, "pull"> = {},
  ) {
    const own = {
      start: (controller: Source) => void (this.source = controller),
      cancel: () => void (this.isLeft = true),
    };
    const handler = () => Promise.resolve(new ReadableStream<Uint8Array>({ ...own, ...source }, { highWaterMark: 0 }));
    const { peer: clock = systemClock, reader = systemClock } = clocks;
    this.peer = new TestPeer(identity, { clock, streams: { "engine-pieces": handler } });
    this.client = new PeerClient(identity, new Map([[NODE, this.peer.endpoint]]), reader);
  }

  open(signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return this.client.open(NODE, "engine-pieces", MESSAGE, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.peer[Symbol.asyncDispose]();
  }
}

async function textOf(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value);
}

netTest("a peer that falls silent in the middle of a stream is away after three seconds", async () => {
  const clock = new FakeClock();
  await using flow = new Flow({ reader: clock, peer: new FakeClock() }); // the peer's time stands still
  const reader = (await flow.open()).getReader();
  flow.source.enqueue(encoder.encode("first"));
  assertEquals(await textOf(reader), "first");
  const began = clock.now();
  const error = await assertRejects(() => clock.until(reader.read()), PeerAway, "has said nothing for 3 s");
  assert(error.isSilent);
  assert(clock.now() - began <= 4000, `${clock.now() - began}`);
  await until(() => flow.isLeft);
});

netTest("a stream that is silent for longer than a peer may be goes on, if its peer lives", async () => {
  await using flow = new Flow({});
  const reader = (await flow.open()).getReader();
  const next = textOf(reader);
  const timer = setTimeout(() => flow.source.enqueue(encoder.encode("late")), 4000);
  assertEquals(await next, "late");
  clearTimeout(timer);
  await reader.cancel();
  await until(() => flow.isLeft);
});

netTest("a reader that is slow is not cut off, and what it does not read is not fetched", async () => {
  const clock = new FakeClock();
  const total = 40 * 1024 * 1024;
  let given = 0;
  await using flow = new Flow({ reader: clock, peer: clock }, {
    pull(controller) {
      const piece = new Uint8Array(64 * 1024).fill(given / 1024 / 64 % 251);
      controller.enqueue(piece);
      given += piece.length;
      if (given === total) controller.close();
    },
  });
  const reader = (await flow.open()).getReader();
  let read = (await reader.read()).value!.length;
  // Ten minutes in which it reads nothing.
  for (let minute = 0; minute < 10; minute++) {
    await clock.advance(60_000);
    await turns(10);
  }
  assert(given < total / 2, `${given} bytes were fetched for nobody`);
  for (let piece; (piece = (await reader.read()).value) !== undefined;) {
    assertEquals(piece.at(-1), Math.floor((read + piece.length - 1) / 1024 / 64) % 251);
    read += piece.length;
  }
  assertEquals(read, total);
});

netTest("a process that stood still does not take its peer for silent", async () => {
  const clock = new FakeClock();
  await using flow = new Flow({ reader: clock, peer: new FakeClock() });
  const reader = (await flow.open()).getReader();
  const next = textOf(reader);
  await turns(3);
  clock.stall(60_000);
  await clock.advance(0);
  flow.source.enqueue(encoder.encode("here"));
  assertEquals(await next, "here");
  await reader.cancel();
  await until(() => flow.isLeft);
});

netTest("any bytes arrive as they were, however they are cut and whenever there are signs of life", async () => {
  const random = new Random(7);
  const sent = random.bytes(3 * 1024 * 1024);
  sent.fill(0, 1000, 200_000); // looks like many lengths
  sent.fill(255, 300_000, 400_000);
  const cuts = [0, ...random.cuts(300, sent.length), sent.length];
  const clock = new FakeClock();
  let place = 1;
  await using flow = new Flow({ reader: systemClock, peer: clock }, {
    async pull(controller) {
      if (random.chance(0.2)) await clock.advance(random.between(1, 3) * 1000);
      controller.enqueue(sent.subarray(cuts[place - 1], cuts[place]));
      if (++place === cuts.length) controller.close();
    },
  });
  const got = await new Response(await flow.open()).bytes();
  assertEquals(got.length, sent.length);
  assert(got.every((byte, at) => byte === sent[at]));
});

netTest("a stream that fails says why, and one that is cut off does not look as if it had ended", async () => {
  {
    await using flow = new Flow({});
    const reader = (await flow.open()).getReader();
    flow.source.enqueue(encoder.encode("begun"));
    assertEquals(await textOf(reader), "begun");
    flow.source.error(Object.assign(new Error("the disk is full"), { kind: "away" }));
    const error = await assertRejects(() => reader.read(), PeerRefused, "refuses: the disk is full");
    assertEquals(error.kind, "away");
  }
  using listener = Deno.listenTls({
    ...{ hostname: "127.0.0.1", port: 0, cert: identity.certificate, key: identity.key },
  });
  const { port } = listener.addr;
  using client = new PeerClient(identity, new Map([[NODE, { hostname: "127.0.0.1", port }]]), systemClock);
  const opening = client.open(NODE, "engine-pieces", MESSAGE);
  using conn = await listener.accept();
  await conn.read(new Uint8Array(4096));
  // A piece of 5 bytes of which 2 come, and then what ends an answer.
  await conn.write(encoder.encode("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\0\0\0\x05ab"));
  const reader = (await opening).getReader();
  assertEquals(await textOf(reader), "ab");
  await assertRejects(() => reader.read(), PeerAway, "its answer breaks off");
});

netTest("a stream that takes long to begin gives signs of life before, and its refusal comes later", async () => {
  const clock = new FakeClock();
  const opening = Promise.withResolvers<ReadableStream<Uint8Array>>();
  const isAsked = Promise.withResolvers<void>();
  const handler = () => {
    isAsked.resolve();
    return opening.promise;
  };
  await using peer = new TestPeer(identity, { clock, streams: { "image-pieces": handler } });
  using client = new PeerClient(identity, new Map([[NODE, peer.endpoint]]), systemClock);
  const opened = client.open(NODE, "image-pieces", { image: "app" });
  await isAsked.promise;
  await clock.advance(1000);
  const next = (await opened).getReader().read();
  next.catch(() => {});
  await clock.advance(60_000);
  opening.reject(Object.assign(new Error("no such image"), { kind: "no_such_image" }));
  const error = await assertRejects(() => next, PeerRefused, "refuses: no such image");
  assertEquals(error.kind, "no_such_image");
});

netTest("a peer that takes the message and says nothing is away, also before its stream begins", async () => {
  using listener = Deno.listenTls({
    ...{ hostname: "127.0.0.1", port: 0, cert: identity.certificate, key: identity.key },
  });
  const clock = new FakeClock();
  const { port } = listener.addr;
  using client = new PeerClient(identity, new Map([[NODE, { hostname: "127.0.0.1", port }]]), clock);
  const accepted = listener.accept();
  const opening = client.open(NODE, "engine-pieces", MESSAGE);
  using conn = await accepted;
  await conn.read(new Uint8Array(4096));
  await assertRejects(() => clock.until(opening), PeerAway, "has said nothing for 3 s");
});

netTest("a stream that begins after its reader has left is closed, and no timer stays", async () => {
  const clock = new FakeClock();
  const opening = Promise.withResolvers<ReadableStream<Uint8Array>>();
  const isAsked = Promise.withResolvers<void>();
  const isGone = Promise.withResolvers<void>();
  await using peer = new TestPeer(identity, {
    clock,
    streams: {
      "engine-pieces": (_, signal) => {
        isAsked.resolve();
        signal.addEventListener("abort", () => isGone.resolve());
        return opening.promise;
      },
    },
  });
  using client = new PeerClient(identity, new Map([[NODE, peer.endpoint]]), systemClock);
  const opened = client.open(NODE, "engine-pieces", MESSAGE);
  await isAsked.promise;
  await clock.advance(1000);
  await (await opened).cancel();
  await isGone.promise;
  let isClosed = false;
  opening.resolve(new ReadableStream({ cancel: () => void (isClosed = true) }));
  await until(() => isClosed);
  assertEquals(clock.timers, 0);
});

netTest("a stream whose reader has left before its peer could answer is closed, and no timer stays", async () => {
  for (const isSoon of [true, false]) {
    const clock = new FakeClock();
    const opening = Promise.withResolvers<ReadableStream<Uint8Array>>();
    const isAsked = Promise.withResolvers<void>();
    const isGone = Promise.withResolvers<void>();
    await using peer = new TestPeer(identity, {
      clock,
      streams: {
        "engine-pieces": (_, signal) => {
          isAsked.resolve();
          signal.addEventListener("abort", () => isGone.resolve());
          return opening.promise;
        },
      },
    });
    using client = new PeerClient(identity, new Map([[NODE, peer.endpoint]]), systemClock);
    const leaving = new AbortController();
    const opened = client.open(NODE, "engine-pieces", MESSAGE, leaving.signal);
    await isAsked.promise;
    leaving.abort(new Error("not needed"));
    await assertRejects(() => opened, Error, "not needed");
    await isGone.promise;
    if (!isSoon) await clock.advance(1000);
    let isClosed = false;
    opening.resolve(new ReadableStream({ cancel: () => void (isClosed = true) }));
    await until(() => isClosed);
    await until(() => clock.timers === 0);
  }
});

netTest("the streams from a machine can be ended, and the next one is as ever", async () => {
  await using flow = new Flow({});
  const ended = (await flow.open()).getReader();
  const next = ended.read();
  next.catch(() => {});
  flow.client.endStreams(flow.peer.endpoint, "engine-pieces");
  await assertRejects(() => next, PeerAway, "another machine answers");
  await until(() => flow.isLeft);
  const reader = (await flow.open()).getReader();
  flow.source.enqueue(encoder.encode("here"));
  assertEquals(await textOf(reader), "here");
  await reader.cancel();
});

netTest("a message whose body does not come to its end is given up", async () => {
  const clock = new FakeClock();
  await using peer = new TestPeer(identity, { clock, handlers: { instance: () => Promise.resolve(null) } });
  const { hostname, port } = peer.endpoint;
  const tcp = await Deno.connect({ hostname, port });
  using conn = await Deno.startTls(tcp, { hostname: "cless-peer", caCerts: [identity.certificate] });
  const head = `POST /peer/instance HTTP/1.1\r\nhost: cless-peer\r\nauthorization: Bearer ${identity.secret}\r\n`;
  await conn.write(encoder.encode(`${head}content-length: 10\r\n\r\nhalf`));
  const answer = new Uint8Array(1000);
  const length = await clock.until(conn.read(answer));
  const text = new TextDecoder().decode(answer.subarray(0, length ?? 0));
  assert(text.startsWith("HTTP/1.1 408 "), text);
});
