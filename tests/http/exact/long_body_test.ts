import { assertEquals, assertRejects } from "@std/assert";
import { ChunkedDecoder } from "../../../src/http/exact/chunked.ts";
import type { Connection } from "../../../src/http/exact/connection.ts";
import { LongBody, type LongBodySource } from "../../../src/http/exact/long_body.ts";
import { type Client, ResponseCut } from "../../../src/http/forwarder.ts";
import type { SlowClients } from "../../../src/http/slow_clients.ts";
import { StreamBudget } from "../../../src/http/stream_budget.ts";
import type { Upload } from "../../../src/http/upload.ts";
import { settle } from "../../support/fake_clock.ts";

const KB = 1024;

/** A body whose bytes come when the test says so; it notes how much room there was for each read. */
function newBody(source: Partial<LongBodySource> = {}) {
  const rooms: number[] = [];
  const arrivals: (number | string | Error)[] = [];
  let arrived = Promise.withResolvers<void>();
  const connection = {
    async read(into: Uint8Array): Promise<number> {
      rooms.push(into.length);
      while (arrivals.length === 0) await arrived.promise;
      const next = arrivals.shift()!;
      if (next instanceof Error) throw next;
      if (typeof next === "number") return Math.min(next, into.length);
      return new TextEncoder().encodeInto(next, into).written;
    },
  };
  const ends: boolean[] = [];
  const watched: string[] = [];
  const left = Promise.withResolvers<void>();
  const budget = new StreamBudget();
  const body = new LongBody({
    connection: connection as unknown as Connection,
    rest: "close",
    begun: new Uint8Array(),
    reading: undefined,
    end: (whole) => void ends.push(whole),
    client: { info: { completed: left.promise } } as unknown as Client,
    upload: undefined,
    slowClients: {
      watch: () => {
        watched.push("watched");
        return () => void watched.push("left");
      },
    } as unknown as SlowClients,
    budget,
    ...source,
  });
  const reader = new ReadableStream(body, { highWaterMark: 0 }).getReader();
  /** Bytes arrive, so many or with this text; 0 is the end of the connection. */
  const arrive = (...more: typeof arrivals) => {
    arrivals.push(...more);
    arrived.resolve();
    arrived = Promise.withResolvers();
  };
  return { body, reader, arrive, rooms, ends, watched, budget, leave: left.resolve };
}

async function text(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let whole = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    whole += new TextDecoder().decode(piece.value);
  }
  return whole;
}

Deno.test("a body passes whole, however it ends, and then gives its memory back and is watched no more", async () => {
  const begun = new TextEncoder().encode("ab");
  const cases: [rest: LongBodySource["rest"], arrivals: (number | string)[], expected: string][] = [
    [4, ["cd", "ef"], "abcdef"],
    ["close", ["cd", 0], "abcd"],
    [new ChunkedDecoder(), ["2\r\ncd", "\r\n1", "\r\ne\r\n0\r\n\r\n"], "abcde"],
  ];
  for (const [rest, arrivals, expected] of cases) {
    const { arrive, budget, ends, reader, watched } = newBody({ rest, begun });
    arrive(...arrivals);
    assertEquals(await text(reader), expected);
    assertEquals([ends, watched, budget.usedBytes], [[true], ["watched", "left"], 0]);
  }
});

Deno.test("if a body breaks off, fails or has too many bytes, its stream fails, and the body is not whole", async () => {
  const cases: [rest: LongBodySource["rest"], arrival: number | string | Error, why: string][] = [
    [4, 0, "breaks off"],
    [new ChunkedDecoder(), 0, "breaks off"],
    [new ChunkedDecoder(), "x\r\n", ""],
    [4, "12345", "more bytes"],
    ["close", new Error("reset"), "ended in mid-body"],
  ];
  for (const [rest, arrival, why] of cases) {
    const { arrive, budget, ends, reader, watched } = newBody({ rest });
    arrive(arrival);
    await assertRejects(() => text(reader), ResponseCut, why);
    assertEquals([ends, watched, budget.usedBytes], [[false], ["watched", "left"], 0]);
  }
});

Deno.test("the last two pieces count as kept, since the platform may still be sending them", async () => {
  const { arrive, budget, ends, reader } = newBody();
  const used: number[] = [];
  for (const bytes of [100, 30, 7]) {
    arrive(bytes);
    await reader.read();
    used.push(budget.usedBytes);
  }
  assertEquals(used, [100, 130, 37]);
  await reader.cancel();
  assertEquals([budget.usedBytes, ends], [0, [false]]);
});

Deno.test("what a cut body has passed on counts as kept until its client has gone", async () => {
  const { arrive, body, budget, ends, leave, reader, watched } = newBody();
  for (const bytes of [100, 30]) {
    arrive(bytes);
    await reader.read();
  }
  await body.cut();
  assertEquals([budget.usedBytes, ends, watched], [130, [false], ["watched", "left"]]);
  await assertRejects(() => reader.read(), ResponseCut, "the client does not take it");
  leave();
  await settle();
  assertEquals(budget.usedBytes, 0);
});

Deno.test("a body waits for its client until the client asks for more, and from then on for the app", async () => {
  const { arrive, body, reader } = newBody();
  assertEquals([body.waitsForClient(), body.moves], [true, 0]);
  const read = reader.read();
  await settle();
  assertEquals([body.waitsForClient(), body.moves], [false, 1]);
  arrive(10);
  await read;
  await settle();
  assertEquals([body.waitsForClient(), body.moves], [true, 2]);
  await reader.cancel();
});

Deno.test("more is read at once while reads fill their room, and less once little comes or the client is slow", async () => {
  const { arrive, body, reader, rooms } = newBody();
  const read = async (bytes: number) => {
    arrive(bytes);
    await reader.read();
  };
  for (let n = 0; n < 3; n++) await read(Infinity);
  assertEquals(rooms, [16 * KB, 64 * KB, 128 * KB]); // the first pieces are small
  for (let n = 0; n < 64; n++) await read(Infinity);
  assertEquals(rooms.at(-1), 1024 * KB);
  for (const bytes of [128 * KB, 128 * KB - 1, 1, 1, 1, 1, 1, 1]) await read(bytes);
  assertEquals(rooms.slice(-8).map((room) => room / KB), [1024, 1024, 512, 256, 128, 64, 32, 16]);
  await read(1);
  assertEquals(rooms.at(-1), 16 * KB);
  for (let n = 0; n < 4; n++) await read(Infinity);
  body.slowDown();
  await read(1);
  assertEquals(rooms.at(-1), 16 * KB);
  await reader.cancel();
});

Deno.test("a read that had begun is finished first, into the room that it was given", async () => {
  const into = new Uint8Array(10);
  const count = Promise.withResolvers<number>();
  const { reader, rooms, arrive } = newBody({ rest: 4, reading: { into, count: count.promise } });
  const read = reader.read();
  await settle();
  assertEquals(rooms, []);
  into.set([1, 2]);
  count.resolve(2);
  assertEquals([...(await read).value!], [1, 2]);
  arrive("cd");
  assertEquals(new TextDecoder().decode((await reader.read()).value), "cd");
  assertEquals((await reader.read()).done, true);
});

Deno.test("a body reports that its request's upload has stopped, and never does without an upload", async () => {
  const asked: number[][] = [];
  const upload = {
    hasStopped: (...ms: number[]) => {
      asked.push(ms);
      return true;
    },
  };
  const { body, reader } = newBody({ upload: upload as unknown as Upload });
  assertEquals([body.uploadStopped(10, 20), asked], [true, [[10, 20]]]);
  const without = newBody();
  assertEquals(without.body.uploadStopped(10, 20), false);
  await Promise.all([reader.cancel(), without.reader.cancel()]);
});

Deno.test("the memory of a body is given back once, though its client leaves while it ends", async () => {
  const ended = Promise.withResolvers<void>();
  const { arrive, budget, reader } = newBody({ rest: 2, end: () => ended.promise });
  const read = reader.read();
  arrive("ab");
  await read;
  const cancelled = reader.cancel();
  ended.resolve();
  await cancelled;
  assertEquals(budget.usedBytes, 0);
});

Deno.test("the memory of a piece is given up when the next one is read into memory of its own", async () => {
  const { arrive, reader } = newBody();
  arrive(Infinity);
  const first = (await reader.read()).value!;
  arrive(Infinity);
  await reader.read();
  assertEquals(first.byteLength, 0);
  await reader.cancel();
});
