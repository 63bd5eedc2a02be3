import { messageOf } from "../../base/errors.ts";
import type { CallOptions } from "../engine_api.ts";
import { EngineError, type FailureKind } from "../engine_error.ts";
import type { Ask, EngineCaller, Kinds } from "../socket_client.ts";

/** A request to another machine's engine. */
interface EngineRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly body?: unknown;
  readonly kinds?: Readonly<Record<number, string>>;
}

/** What that engine has answered: its text, or why it refuses. */
type EngineReply = { readonly text: string } | { readonly failure: { kind: string; message: string } };

/** Carries requests to another machine's engine. Its errors mean that the machine does not answer. */
export interface EngineCarrier {
  /** Sends a request once. @throws The signal's reason. */
  ask(request: EngineRequest, options: CallOptions): Promise<EngineReply>;
  open(request: Pick<EngineRequest, "path" | "kinds">, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** Sends requests to the engine of another machine, by the cless there. */
export class RemoteEngine implements EngineCaller {
  readonly #carrier: EngineCarrier;

  constructor(carrier: EngineCarrier) {
    this.#carrier = carrier;
  }

  async ask(method: string, path: string, { body, kinds, signal, ...limits }: Ask = {}): Promise<string> {
    let reply: EngineReply;
    try {
      const request = {
        method,
        path,
        ...(body === undefined ? {} : { body }),
        ...(kinds === undefined ? {} : { kinds }),
      };
      reply = await this.#carrier.ask(request, { ...limits, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw away(error);
    }
    if ("text" in reply) return reply.text;
    throw new EngineError(reply.failure.kind as FailureKind, reply.failure.message);
  }

  async open(path: string, signal?: AbortSignal, kinds?: Kinds): Promise<ReadableStream<Uint8Array>> {
    try {
      return await this.#carrier.open({ path, ...(kinds === undefined ? {} : { kinds }) }, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw away(error);
    }
  }
}

function away(error: unknown): EngineError {
  return new EngineError("away", messageOf(error), { cause: error });
}

const ID = "[\\w.-]{1,100}";
/** What others may ask of this machine's engine: only what a Swarm needs. */
const ALLOWED: readonly RegExp[] = [
  /^GET \/nodes$/,
  /^GET \/swarm$/,
  /^GET \/tasks(\?|$)/,
  /^GET \/(services|configs)(\?|$)/,
  /^POST \/(services|configs)\/create$/,
  new RegExp(`^(GET|DELETE) /(services|configs)/${ID}$`),
  new RegExp(`^POST /(services|configs)/${ID}/update\\?version=\\d+$`),
];

/** Lets the cless of a worker ask this manager's engine for what a Swarm needs, and for nothing else. */
export class SharedEngine {
  readonly #engine: EngineCaller;

  constructor(engine: EngineCaller) {
    this.#engine = engine;
  }

  /** Sends a request to the engine. Rejects only with the signal's reason, or for a fault of this program. */
  async ask({ body, kinds, method, path }: EngineRequest, signal: AbortSignal): Promise<EngineReply> {
    if (!ALLOWED.some((allowed) => allowed.test(`${method} ${path}`))) {
      return { failure: { kind: "refused", message: `${method} ${path} is not allowed to other machines` } };
    }
    try {
      return { text: await this.#engine.ask(method, path, { body, kinds: (kinds ?? {}) as Kinds, signal }) };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return { failure: { kind: error.kind, message: error.message } };
    }
  }

  /** Opens the events of the Swarm. @throws {EngineError} Also for any other path. */
  async open({ kinds, path }: Pick<EngineRequest, "path" | "kinds">, signal: AbortSignal) {
    if (!isOfSwarm(path)) throw new EngineError("refused", `GET ${path} is not allowed to other machines`);
    return await this.#engine.open(path, signal, (kinds ?? {}) as Kinds);
  }
}

/** Whether a path asks for the Swarm's events alone, and not for those of this machine's containers. */
function isOfSwarm(path: string): boolean {
  const [, query] = /^\/events\?(.*)$/.exec(path) ?? [];
  try {
    const { scope } = JSON.parse(new URLSearchParams(query).get("filters") ?? "{}");
    return Array.isArray(scope) && scope.length === 1 && scope[0] === "swarm";
  } catch {
    return false;
  }
}
