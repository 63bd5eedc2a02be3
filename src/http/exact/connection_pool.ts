import { setImmediate } from "node:timers";
import type { CoarseTimeouts } from "../../base/coarse_timeouts.ts";
import { messageOf } from "../../base/errors.ts";
import { ForwardError } from "../forwarder.ts";
import { Connection } from "./connection.ts";

/** The measured number of connections that the platform polls in one turn of the event loop. */
const POLLED_PER_TURN = 100;
const MAX_IDLE = 256;

/** How long connecting to an app may take. */
export interface ConnectLimit {
  readonly timeoutMs: number;
  readonly timeouts: CoarseTimeouts;
}

/** The connections to one app. Idle ones are kept for a while; the last used one is reused first. */
export class ConnectionPool {
  readonly #address: { hostname: string; port: number };
  readonly #limit: ConnectLimit | undefined;
  readonly #idle: Connection[] = [];
  #open = 0;
  #requested = 0;
  #left = false;
  /** Incremented when the open connections may no longer be reused. */
  #epoch = 0;

  /**
   * @param origin The app, such as `http://172.18.0.2:8080`.
   * @param limit If missing, the system's own limit applies, which is minutes.
   */
  constructor(origin: string, limit?: ConnectLimit) {
    this.#limit = limit;
    const { hostname, port } = new URL(origin);
    this.#address = { hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) };
  }

  get open(): number {
    return this.#open;
  }

  /** Whether no connection is open or requested. */
  get unused(): boolean {
    return this.#open === 0 && this.#requested === 0;
  }

  /** An idle connection, or else a new one. @throws What {@linkcode ConnectionPool.connect} throws. */
  async get(signal: AbortSignal): Promise<Connection> {
    this.#requested++;
    try {
      return await this.take() ?? await this.connect(signal);
    } finally {
      this.#requested--;
    }
  }

  /** An idle connection; `undefined` if there is none. */
  async take(): Promise<Connection | undefined> {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      // Wait, since the connection may have ended or received unexpected bytes. The platform reports that in this turn
      // or the next.
      await turn();
      if (this.#open > POLLED_PER_TURN) await turn();
      if (connection.closed) continue;
      connection.use();
      return connection;
    }
    return undefined;
  }

  /** Opens a connection. @throws {ForwardError} `unsent` if the app cannot be reached. @throws The signal's reason. */
  async connect(signal: AbortSignal): Promise<Connection> {
    this.#open++;
    try {
      const tcp = this.#limit === undefined
        ? await Deno.connect({ ...this.#address, signal })
        : await this.#connectWithin(this.#limit, signal);
      tcp.setNoDelay();
      const connection = new Connection(tcp);
      connection.epoch = this.#epoch;
      connection.onStray = () => this.#drop(connection);
      return connection;
    } catch (error) {
      this.#open--;
      signal.throwIfAborted();
      throw new ForwardError("unsent", `cannot connect: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Takes back a connection whose response has been read to its end. */
  release(connection: Connection, nowMs: number): void {
    const isDoubtful = connection.epoch < this.#epoch;
    if (isDoubtful || this.#left || this.#idle.length >= MAX_IDLE) return this.close(connection);
    this.#idle.push(connection);
    connection.becomeIdle(nowMs);
  }

  /** Closes a connection in use, even if its user is still reading. */
  close(connection: Connection): void {
    if (connection.closed) return;
    this.#open--;
    connection.close();
  }

  /** Closes the connections that have been idle since `sinceMs` or longer; all idle ones by default. */
  closeIdle(sinceMs = Infinity): void {
    const young = this.#idle.findIndex(({ idleSinceMs }) => idleSinceMs > sinceMs);
    for (const connection of this.#idle.splice(0, young === -1 ? this.#idle.length : young)) this.close(connection);
  }

  /**
   * Closes idle connections now, and the others when they are released: the app may have been replaced, or be in a
   * wrong state.
   */
  doubt(): void {
    this.#epoch++;
    this.closeIdle();
  }

  /** Closes idle connections now, and all others when they are released. */
  leave(): void {
    this.#left = true;
    this.closeIdle();
  }

  /** Connects as {@linkcode Deno.connect} does, unless nobody answers in time: a dead host does not even refuse. */
  async #connectWithin({ timeoutMs, timeouts }: ConnectLimit, signal: AbortSignal): Promise<Deno.TcpConn> {
    const late = new AbortController();
    const connecting = Deno.connect({ ...this.#address, signal: AbortSignal.any([signal, late.signal]) });
    const connection = await timeouts.within(connecting, timeoutMs);
    if (connection !== undefined) return connection;
    late.abort();
    connecting.then((tooLate) => tooLate.close(), () => {});
    throw new Deno.errors.TimedOut(`nobody answers at ${this.#address.hostname}`);
  }

  #drop(connection: Connection): void {
    const place = this.#idle.lastIndexOf(connection);
    if (place !== -1) this.#idle.splice(place, 1);
    this.close(connection);
  }
}

let turning: Promise<void> | undefined;

/**
 * Resolves at the end of this turn of the event loop. A callback is expensive, so all callers of one turn share one.
 */
function turn(): Promise<void> {
  return turning ??= new Promise((resolve) =>
    setImmediate(() => {
      turning = undefined;
      resolve();
    })
  );
}
