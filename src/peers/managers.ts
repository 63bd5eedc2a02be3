import { messageOf } from "../base/errors.ts";
import type { Endpoint } from "../model/host.ts";
import type { EngineRequest } from "./messages.ts";
import type { AskOptions, PeerClient } from "./peer_client.ts";
import { PeerAway } from "./peer_error.ts";

/**
 * Asks the engines of managers by the cless there: one manager after the other, beginning with the one that has answered
 * last. A request that may have changed something is not sent to another one.
 */
export class Managers {
  readonly #managers: readonly Endpoint[];
  readonly #client: Pick<PeerClient, "askAt" | "openAt">;
  #first = 0;

  /** @param managers Where the cless processes of managers listen for their peers; at least one. */
  constructor(managers: readonly Endpoint[], client: Pick<PeerClient, "askAt" | "openAt">) {
    this.#managers = managers;
    this.#client = client;
  }

  /** @throws {PeerAway} If none answers. @throws {PeerRefused} If the engine does. */
  async ask(request: EngineRequest, options: AskOptions): Promise<string> {
    const mayRepeat = request.method === "GET";
    return await this.#try(mayRepeat, (manager) => this.#client.askAt(manager, "engine", request, options));
  }

  /** @throws As {@linkcode ask} does. */
  async open(
    request: Pick<EngineRequest, "path" | "kinds">,
    signal?: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    return await this.#try(true, (manager) => this.#client.openAt(manager, "engine-pieces", request, signal));
  }

  async #try<T>(mayRepeat: boolean, ask: (manager: Endpoint) => Promise<T>): Promise<T> {
    const { length } = this.#managers;
    const reasons: string[] = [];
    for (let at = this.#first; at < this.#first + length; at++) {
      const place = at % length;
      try {
        const answer = await ask(this.#managers[place]!);
        this.#first = place;
        return answer;
      } catch (error) {
        if (!(error instanceof PeerAway) || !(mayRepeat || error.isUnsent)) throw error;
        reasons.push(messageOf(error));
      }
    }
    throw new PeerAway(reasons.join("; "));
  }
}
