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

Deno.test("a connection whose request was not written completely is not used again", async () => {
  const tcp = new DeafTcp(OK);
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
  const response = await exchange.run(requestHead(), undefined, never());
  // Another request would be written into the middle of this one.
  assertEquals([response.status, tcp.closed, await pool.take()], [200, true, undefined]);
});
