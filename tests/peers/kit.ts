import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { FileReserve } from "../../src/base/file_reserve.ts";
import { Server } from "../../src/http/server.ts";
import { peerApi } from "../../src/peers/api.ts";
import type { PeerIdentity } from "../../src/peers/identity.ts";
import type { Handlers, StreamHandlers } from "../../src/peers/messages.ts";

/** What a peer answers in a test. */
export interface PeerAnswers {
  readonly handlers?: Partial<Handlers>;
  readonly streams?: Partial<StreamHandlers>;
  readonly clock?: Clock;
  readonly port?: number;
  /** Whether another process listens there. */
  readonly beside?: boolean;
}

/** A peer that listens on this machine. */
export class TestPeer implements AsyncDisposable {
  readonly #server: Server;

  constructor(
    identity: PeerIdentity,
    { handlers = {}, streams = {}, clock = systemClock, port = 0, beside = false }: PeerAnswers = {},
  ) {
    const api = peerApi({
      ...{ identity, clock },
      handlers: handlers as Handlers,
      streams: streams as StreamHandlers,
    });
    const tls = { cert: identity.certificate, key: identity.key };
    const reserve = new FileReserve(systemClock, 0);
    this.#server = new Server({ hostname: "127.0.0.1", port }, api, systemClock, reserve, tls);
    this.#server.listen(beside);
  }

  get endpoint() {
    return this.#server.endpoint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
