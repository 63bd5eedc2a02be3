import type { Clock } from "../../base/clock.ts";
import { CoarseTimeouts } from "../../base/coarse_timeouts.ts";
import type { Client, Forwarder } from "../forwarder.ts";
import type { RequestHead } from "../request_head.ts";
import { StreamBudget } from "../stream_budget.ts";
import { SlowClients } from "../slow_clients.ts";
import type { Upload } from "../upload.ts";
import type { Connection } from "./connection.ts";
import { ConnectionPool, type ConnectLimit } from "./connection_pool.ts";
import { Exchange, type ExchangeOptions, type Switched } from "./exchange.ts";
import { keepFreedMemory } from "./long_body.ts";

/** An idle connection is kept for this long. Many apps close a connection after 5 s. */
const IDLE_MS = 3000;
const IDLE_TICK_MS = 1000;
/** The tick of the timeouts that wait for short bodies. */
const BODY_TICK_MS = 50;

/** Sends requests with an HTTP/1.1 client of its own, which passes requests and responses on unchanged: RFC 9112. */
export class ExactForwarder implements Forwarder {
  readonly #clock: Clock;
  readonly #timeouts: CoarseTimeouts;
  readonly #shared: ExchangeOptions;
  readonly #connectLimit: ConnectLimit | undefined;
  /** By origin. */
  readonly #pools = new Map<string, ConnectionPool>();
  #stopTicking: (() => void) | undefined;

  /** @param connectTimeoutMs How long connecting to an app may take. */
  constructor(
    clock: Clock,
    slowClients = new SlowClients(clock),
    budget = new StreamBudget(),
    connectTimeoutMs = Infinity,
  ) {
    keepFreedMemory();
    this.#clock = clock;
    this.#timeouts = new CoarseTimeouts(clock, BODY_TICK_MS);
    this.#shared = { clock, timeouts: this.#timeouts, slowClients, budget };
    this.#connectLimit = connectTimeoutMs === Infinity
      ? undefined
      : { timeoutMs: connectTimeoutMs, timeouts: this.#timeouts };
  }

  /** Accepts every request. */
  check(): void {}

  async forward(
    origin: string,
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
    client?: Client,
  ): Promise<Response> {
    const pool = this.#poolOf(origin);
    const connection = await pool.get(signal);
    return await this.#exchange(connection, pool, client).run(head, upload, signal);
  }

  /**
   * Asks an app to switch to another protocol, over a new connection. Returns the connection, or the app's response if
   * it does not switch. @throws What {@linkcode Forwarder.forward} throws.
   */
  async switchProtocols(
    origin: string,
    head: RequestHead,
    signal: AbortSignal,
    client?: Client,
  ): Promise<Switched | Response> {
    const pool = this.#poolOf(origin);
    return await this.#exchange(await pool.connect(signal), pool, client).switchProtocols(head, signal);
  }

  leave(origin: string): void {
    this.#pools.get(origin)?.leave();
    this.#pools.delete(origin);
  }

  [Symbol.dispose](): void {
    for (const origin of [...this.#pools.keys()]) this.leave(origin);
    this.#stopTicking?.();
    this.#timeouts[Symbol.dispose]();
  }

  #poolOf(origin: string): ConnectionPool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    this.#stopTicking ??= this.#clock.every(IDLE_TICK_MS, () => this.#closeIdle());
    const pool = new ConnectionPool(origin, this.#connectLimit);
    this.#pools.set(origin, pool);
    return pool;
  }

  #exchange(connection: Connection, pool: ConnectionPool, client: Client | undefined): Exchange {
    return new Exchange(connection, pool, client, this.#shared);
  }

  #closeIdle(): void {
    const sinceMs = this.#clock.now() - IDLE_MS;
    for (const [origin, pool] of this.#pools) {
      pool.closeIdle(sinceMs);
      if (pool.unused) this.#pools.delete(origin);
    }
    if (this.#pools.size > 0) return;
    this.#stopTicking?.();
    this.#stopTicking = undefined;
  }
}
