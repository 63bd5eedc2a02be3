import { setImmediate } from "node:timers";
import { messageOf } from "../../base/errors.ts";
import { ForwardError } from "../forward.ts";
import { Connection } from "./connection.ts";

/** How many connections the platform looks at in a turn, about; measured. */
const MOST_IN_A_TURN = 100;
/** How many connections to one app are kept that nobody uses. */
const MOST_IDLE = 256;

/** The connections to one app: those that nobody uses are kept for a while, and the newest is used first. */
export class Connections {
  readonly #address: { hostname: string; port: number };
  readonly #idle: Connection[] = [];
  #open = 0;
  #asked = 0;
  #abandoned = false;
  /** Goes up whenever there is a reason to doubt all connections that there are. */
  #epoch = 0;

  /** @param origin The app, such as `http://172.18.0.2:8080`. */
  constructor(origin: string) {
    const { hostname, port } = new URL(origin);
    this.#address = { hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) };
  }

  /** How many are open or about to be, in use or not. */
  get open(): number {
    return this.#open;
  }

  /** Whether nobody would miss them: none is open, nor asked for. */
  get idle(): boolean {
    return this.#open === 0 && this.#asked === 0;
  }

  /** One that waits for use, or else a new one; throws what {@linkcode Connections.connect} throws. */
  async get(signal: AbortSignal): Promise<Connection> {
    this.#asked++;
    try {
      return await this.take() ?? await this.connect(signal);
    } finally {
      this.#asked--;
    }
  }

  /** One that waits for use; `undefined` where there is none. */
  async take(): Promise<Connection | undefined> {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      // What has come over it already, or its end, is not known before the platform has looked.
      await turn();
      if (this.#open > MOST_IN_A_TURN) await turn();
      if (connection.closed) continue;
      connection.use();
      return connection;
    }
    return undefined;
  }

  /**
   * Opens another.
   *
   * @throws {ForwardError} `unsent`.
   * @throws The signal's reason.
   */
  async connect(signal: AbortSignal): Promise<Connection> {
    this.#open++;
    try {
      const connection = new Connection(await Deno.connect({ ...this.#address, signal }));
      connection.epoch = this.#epoch;
      connection.onStray = () => this.#drop(connection);
      return connection;
    } catch (error) {
      this.#open--;
      signal.throwIfAborted();
      throw new ForwardError("unsent", `cannot connect: ${messageOf(error)}`);
    }
  }

  /** Keeps a connection whose answer has been read to its end, until something comes that nobody has asked for. */
  keep(connection: Connection, now: number): void {
    const isDoubtful = connection.epoch < this.#epoch;
    if (isDoubtful || this.#abandoned || this.#idle.length >= MOST_IDLE) return this.close(connection);
    this.#idle.push(connection);
    connection.becomeIdle(now);
  }

  /** Closes one that is in use; what its user has read of it so far is all. */
  close(connection: Connection): void {
    if (connection.closed) return;
    this.#open--;
    connection.close();
  }

  /** Closes those that nobody has used since a moment in the clock's ms. */
  closeIdle(since = Infinity): void {
    const young = this.#idle.findIndex(({ idleSince }) => idleSince > since);
    for (const connection of this.#idle.splice(0, young === -1 ? this.#idle.length : young)) this.close(connection);
  }

  /** Closes all that there are, those in use after it: the app may have been replaced, or be out of step. */
  doubt(): void {
    this.#epoch++;
    this.closeIdle();
  }

  /** Closes all, those in use after it, and keeps none from now on. */
  leave(): void {
    this.#abandoned = true;
    this.closeIdle();
  }

  #drop(connection: Connection): void {
    const place = this.#idle.lastIndexOf(connection);
    if (place !== -1) this.#idle.splice(place, 1);
    this.close(connection);
  }
}

let turning: Promise<void> | undefined;

/** Resolves at the end of this turn of the event loop; for all who ask in one turn at once, since each costs. */
function turn(): Promise<void> {
  return turning ??= new Promise((resolve) =>
    setImmediate(() => {
      turning = undefined;
      resolve();
    })
  );
}
