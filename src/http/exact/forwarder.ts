import type { Clock } from "../../base/clock.ts";
import type { Forwarder } from "../forward.ts";
import type { RequestHead } from "../request_head.ts";
import type { Upload } from "../upload.ts";
import type { Connection } from "./connection.ts";
import { Connections } from "./connections.ts";
import { Exchange, type Switched } from "./exchange.ts";
import { Patience } from "./patience.ts";
import { keepFreedMemory } from "./pieces.ts";

/** For how long a connection is kept that nobody uses, ms: less than the 5 s after which many apps close theirs. */
const IDLE_MS = 3000;
const TICK_MS = 1000;

/** Sends requests by HTTP/1.1 of its own, so that they and their answers pass as they are: RFC 9112. */
export class ExactForwarder implements Forwarder {
  readonly #clock: Clock;
  readonly #patience: Patience;
  readonly #apps = new Map<string, Connections>();
  #stopTicking: (() => void) | undefined;

  constructor(clock: Clock) {
    keepFreedMemory();
    this.#clock = clock;
    this.#patience = new Patience(clock);
  }

  /** Passes on whatever comes. */
  check(): void {}

  /** See {@linkcode Forwarder.forward}. */
  async forward(
    origin: string,
    head: RequestHead,
    upload: Upload | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    const connections = this.#connectionsTo(origin);
    const connection = await connections.get(signal);
    return await this.#exchange(connection, connections).run(head, upload, signal);
  }

  /**
   * Asks an app to speak another protocol, over a connection of its own.
   *
   * @returns The connection where the app agrees, else its answer.
   * @throws What {@linkcode Forwarder.forward} throws.
   */
  async switchProtocols(origin: string, head: RequestHead, signal: AbortSignal): Promise<Switched | Response> {
    const connections = this.#connectionsTo(origin);
    return await this.#exchange(await connections.connect(signal), connections).switchProtocols(head, signal);
  }

  /** See {@linkcode Forwarder.leave}. */
  leave(origin: string): void {
    this.#apps.get(origin)?.leave();
    this.#apps.delete(origin);
  }

  [Symbol.dispose](): void {
    for (const origin of [...this.#apps.keys()]) this.leave(origin);
    this.#stopTicking?.();
    this.#patience[Symbol.dispose]();
  }

  #connectionsTo(origin: string): Connections {
    const known = this.#apps.get(origin);
    if (known !== undefined) return known;
    this.#stopTicking ??= this.#clock.every(TICK_MS, () => this.#tick());
    const connections = new Connections(origin);
    this.#apps.set(origin, connections);
    return connections;
  }

  #exchange(connection: Connection, connections: Connections): Exchange {
    return new Exchange(connection, connections, this.#clock, this.#patience);
  }

  #tick(): void {
    const since = this.#clock.now() - IDLE_MS;
    for (const [origin, connections] of this.#apps) {
      connections.closeIdle(since);
      if (connections.idle) this.#apps.delete(origin);
    }
    if (this.#apps.size > 0) return;
    this.#stopTicking?.();
    this.#stopTicking = undefined;
  }
}
