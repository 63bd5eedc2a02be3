import { messageOf } from "../base/errors.ts";
import type { Endpoint } from "../model/host.ts";
import type { EngineRequest } from "./messages.ts";
import type { AskOptions, PeerClient } from "./peer_client.ts";
import { PeerAway, PeerRefused } from "./peer_error.ts";

/**
 * Asks the engines of managers by the cless there: one manager after the other, beginning with the one that has answered
 * last. A request that may have changed something is not sent to another one.
 *
 * A manager is passed over if its cless or its engine does not answer, or if it has lost the majority. Its cless may well
 * give signs of life then, so its streams are ended once another manager has answered: they would tell nothing any more.
 *
 * A machine that has joined the Swarm is admitted by the managers a moment later. So the first time, all are asked twice.
 */
export class Managers {
  readonly #managers: readonly Endpoint[];
  readonly #client: Pick<PeerClient, "askAt" | "openAt" | "endStreams">;
  #first = 0;
  /** Whether one has answered. */
  #isKnown = false;

  /** @param managers Where the cless processes of managers listen for their peers; at least one. */
  constructor(managers: readonly Endpoint[], client: Pick<PeerClient, "askAt" | "openAt" | "endStreams">) {
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
    const passed: Endpoint[] = [];
    const reasons = new Set<string>();
    const end = this.#first + (this.#isKnown ? 1 : 2) * length;
    for (let at = this.#first; at < end; at++) {
      const place = at % length;
      const manager = this.#managers[place]!;
      try {
        const answer = await ask(manager);
        this.#first = place;
        this.#isKnown = true;
        for (const other of passed) this.#client.endStreams(other, "engine-pieces");
        return answer;
      } catch (error) {
        if (!isAway(error) || !(mayRepeat || (error instanceof PeerAway && error.isUnsent))) throw error;
        passed.push(manager);
        reasons.add(messageOf(error));
      }
    }
    throw new PeerAway([...reasons].join("; "));
  }
}

/** Whether a manager does not answer, or its engine, or the other managers. */
function isAway(error: unknown): boolean {
  return error instanceof PeerAway || (error instanceof PeerRefused && error.kind === "away");
}
