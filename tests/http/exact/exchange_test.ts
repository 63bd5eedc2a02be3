import { assertEquals } from "@std/assert";
import { Connection } from "../../../src/http/exact/connection.ts";
import { StreamBudget } from "../../../src/http/stream_budget.ts";
import { SlowClients } from "../../../src/http/slow_clients.ts";
import { ConnectionPool } from "../../../src/http/exact/connection_pool.ts";
import { Exchange } from "../../../src/http/exact/exchange.ts";
import { CoarseTimeouts } from "../../../src/base/coarse_timeouts.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { toBytes } from "../../support/http_message.ts";
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
