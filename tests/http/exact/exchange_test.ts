import { assertEquals } from "@std/assert";
import { Connection } from "../../../src/http/exact/connection.ts";
import { StreamBudget } from "../../../src/http/stream_budget.ts";
import { SlowClients } from "../../../src/http/slow_clients.ts";
import { ConnectionPool } from "../../../src/http/exact/connection_pool.ts";
import { Exchange } from "../../../src/http/exact/exchange.ts";
import { CoarseTimeouts } from "../../../src/base/coarse_timeouts.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { toBytes, toText } from "../../support/http_message.ts";
import { never } from "../../support/kit.ts";
import { OK } from "../../support/origin.ts";
import { requestHead } from "../../support/request_head.ts";

/** A connection that gives an answer, but never takes the request. */
class DeafTcp {
  readonly #answer: Uint8Array;
  closed = false;
  #answered = false;

  constructor(answer: string) {
    this.#answer = toBytes(answer);
  }

  setNoDelay(): void {}

  read(into: Uint8Array): Promise<number | null> {
    if (this.#answered) return new Promise(() => {});
    this.#answered = true;
    into.set(this.#answer);
    return Promise.resolve(this.#answer.length);
  }

  write(): Promise<number> {
    return new Promise(() => {});
  }

  close(): void {
    this.closed = true;
  }
}

/** A connection that takes the request, and gives an answer. */
class AnsweringTcp extends DeafTcp {
  override write(bytes?: Uint8Array): Promise<number> {
    return Promise.resolve(bytes!.length);
  }
}

/** Sends a request over a connection. Returns the status, and whether the connection can be used again. */
async function exchanged(tcp: DeafTcp): Promise<[status: number, isReusable: boolean]> {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const pool = new ConnectionPool("http://127.0.0.1:1");
  const connection = new Connection(tcp as unknown as Deno.TcpConn);
  const exchange = new Exchange(connection, pool, undefined, {
    clock,
    timeouts,
    slowClients: new SlowClients(clock),
    budget: new StreamBudget(),
  });
  const { status } = await exchange.run(requestHead(), undefined, never());
  const isReusable = await pool.take() !== undefined;
  assertEquals(tcp.closed, !isReusable);
  return [status, isReusable];
}

Deno.test("a connection whose request was not written completely is not used again", async () => {
  // Another request would be written into the middle of this one.
  assertEquals(await exchanged(new DeafTcp(OK)), [200, false]);
  assertEquals(await exchanged(new AnsweringTcp(OK)), [200, true]);
});

Deno.test("the connection of a 205 is not used again, since the app may send a body that is not passed on", async () => {
  for (const framing of ["content-length: 0", "content-length: 2", "transfer-encoding: chunked"]) {
    const answer = `HTTP/1.1 205 Reset Content\r\n${framing}\r\n\r\n`;
    assertEquals(await exchanged(new AnsweringTcp(answer)), [204, false], framing);
  }
});

/** A connection that gives what a test says, each time into the memory of the oldest read. */
class ScriptedTcp extends AnsweringTcp {
  readonly #reads: { readonly into: Uint8Array; readonly resolve: (count: number) => void }[] = [];

  constructor() {
    super("");
  }

  override read(into: Uint8Array): Promise<number | null> {
    return new Promise((resolve) => this.#reads.push({ into, resolve }));
  }

  give(text: string): void {
    const { into, resolve } = this.#reads.shift()!;
    into.set(toBytes(text));
    resolve(text.length);
  }
}

Deno.test("the pieces of a body whose end was late keep their bytes when the connection is used again", async () => {
  const clock = new FakeClock();
  using timeouts = new CoarseTimeouts(clock, 50);
  const tcp = new ScriptedTcp();
  const exchange = new Exchange(
    new Connection(tcp as unknown as Deno.TcpConn),
    new ConnectionPool("http://127.0.0.1:1"),
    undefined,
    { clock, timeouts, slowClients: new SlowClients(clock), budget: new StreamBudget() },
  );
  const running = exchange.run(requestHead(), undefined, never());
  tcp.give("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
  await clock.advance(100);
  const reader = (await running).body!.getReader();
  const first = await reader.read();
  const next = reader.read();
  await settle();
  tcp.give("world");
  const second = await next;
  assertEquals((await reader.read()).done, true);
  tcp.give("x".repeat(1000)); // the platform may still be sending the pieces
  assertEquals([first, second].map(({ value }) => toText(value!)), ["hello", "world"]);
});
