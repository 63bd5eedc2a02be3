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
  /** A login for a registry, if there is one. */
  readonly registryAuth?: string | undefined;
  readonly kinds: Readonly<Record<number, string>>;
}

/** Carries requests to another machine's engine, each once. */
export interface EngineCarrier {
  /**
   * Resolves with the text of the engine's answer. @throws An error with the engine's `kind`, if the engine refuses; any
   * other if the machine does not answer. @throws The signal's reason.
   */
  ask(request: EngineRequest, options: CallOptions): Promise<string>;
  /** Opens an answer that goes on. @throws As {@linkcode ask} does. */
  open(request: Pick<EngineRequest, "path" | "kinds">, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** Sends requests to the engine of another machine, by the cless there. */
export class RemoteEngine implements EngineCaller {
  readonly #carrier: EngineCarrier;

  constructor(carrier: EngineCarrier) {
    this.#carrier = carrier;
  }

  async ask(method: string, path: string, ask: Ask = {}): Promise<string> {
    const { body, kinds = {}, registryAuth, signal, ...limits } = ask;
    try {
      return await this.#carrier.ask({ method, path, body, registryAuth, kinds }, { ...limits, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw engineError(error);
    }
  }

  async open(path: string, signal?: AbortSignal, kinds: Kinds = {}): Promise<ReadableStream<Uint8Array>> {
    try {
      return await this.#carrier.open({ path, kinds }, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw engineError(error);
    }
  }
}

function engineError(error: unknown): EngineError {
  const { kind } = (error ?? {}) as { readonly kind?: FailureKind };
  return new EngineError(kind ?? "away", messageOf(error), { cause: error });
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

/** The request that may have a login, and how one looks. */
const WITH_LOGIN = "POST /services/create";
const LOGIN = /^[\w-]+=*$/;
const OUTPUT = new RegExp(`^/services/${ID}/logs\\?[\\w=&.]*$`);

/** Lets the cless of a worker ask this manager's engine for what a Swarm needs, and for nothing else. */
export class SharedEngine {
  readonly #engine: EngineCaller;

  constructor(engine: EngineCaller) {
    this.#engine = engine;
  }

  /** Sends a request to the engine. @throws {EngineError} Also for a request that is not allowed. */
  async ask({ body, kinds, method, path, registryAuth }: EngineRequest, signal: AbortSignal): Promise<string> {
    const request = `${method} ${path}`;
    if (!ALLOWED.some((allowed) => allowed.test(request))) {
      throw new EngineError("refused", `${request} is not allowed to other machines`);
    }
    if (registryAuth !== undefined && !(request === WITH_LOGIN && LOGIN.test(registryAuth))) {
      throw new EngineError("refused", `${request} with this login is not allowed to other machines`);
    }
    return await this.#engine.ask(method, path, { body, registryAuth, kinds: kinds as Kinds, signal });
  }

  /** Opens the Swarm's events, or the output of a service. @throws {EngineError} Also for any other path. */
  async open({ kinds, path }: Pick<EngineRequest, "path" | "kinds">, signal: AbortSignal) {
    if (!OUTPUT.test(path) && !isOfSwarm(path)) {
      throw new EngineError("refused", `GET ${path} is not allowed to other machines`);
    }
    return await this.#engine.open(path, signal, kinds as Kinds);
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
