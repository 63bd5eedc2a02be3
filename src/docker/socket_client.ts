import { type Clock, systemClock } from "../base/clock.ts";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { isExhausted } from "../base/file_reserve.ts";
import { readText } from "../base/streams.ts";
import type { CallOptions } from "./engine_api.ts";
import { EngineError, type FailureKind, kindOfMessage } from "./engine_error.ts";

/** After this time, a request counts as stuck. It is long, since an engine under load may need many seconds. */
const TIMEOUT_MS = 120_000;
/** At most this many idle connections are kept for later requests. */
const MAX_IDLE_CONNECTIONS = 4;
/**
 * The host in URLs to the engine: an address that nobody has (RFC 5737). With a name, the platform would query a name
 * server for every connection, although it connects to the socket. Also, `NO_PROXY=*` matches names, and would bypass
 * the socket.
 */
const ENGINE = "http://192.0.2.1";

/** The failures that statuses mean for one kind of request. Used if the answer's message is unknown. */
export type Kinds = Readonly<Record<number, FailureKind>>;

/** What belongs to one request. */
export interface Ask extends CallOptions {
  /** Sent as JSON; never shown in an error. */
  readonly body?: unknown;
  /** A login for a registry, as the header `X-Registry-Auth` takes it; never shown in an error. */
  readonly registryAuth?: string | undefined;
  readonly kinds?: Kinds;
}

/** Sends requests to a Docker engine: https://docs.docker.com/reference/api/engine/ */
export interface EngineCaller {
  /**
   * Sends a request. Resolves with the text of its answer.
   *
   * @throws {EngineError} When the engine refuses it, or does not answer. @throws The signal's reason.
   */
  ask(method: string, path: string, ask?: Ask): Promise<string>;
  /** Opens an answer that goes on. @throws {EngineError} When the engine refuses it, or does not answer. */
  open(path: string, signal?: AbortSignal, kinds?: Kinds): Promise<ReadableStream<Uint8Array>>;
}

/** Options of a {@linkcode SocketClient}. */
export interface SocketOptions {
  readonly clock?: Clock;
  /** How long an answer may take by default. */
  readonly timeoutMs?: number | undefined;
  /** Lends file descriptors when the process has none left. */
  readonly reserve?: { lend(): unknown } | undefined;
}

/** Sends requests to an engine through its unix socket, without a process for each. */
export class SocketClient implements EngineCaller, Disposable {
  readonly path: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #reserve: { lend(): unknown } | undefined;
  readonly #client: Deno.HttpClient;
  /** Keeps no connections: `fetch` would send a request twice if a reused connection breaks. */
  readonly #withoutReuse: Deno.HttpClient;

  constructor(path: string, { clock = systemClock, timeoutMs = TIMEOUT_MS, reserve }: SocketOptions = {}) {
    this.path = path;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#reserve = reserve;
    this.#client = newClient(path, MAX_IDLE_CONNECTIONS);
    this.#withoutReuse = newClient(path, 0);
  }

  async ask(method: string, path: string, ask: Ask = {}): Promise<string> {
    const { body, kinds = {}, registryAuth, signal, timeoutMs = this.#timeoutMs } = ask;
    signal?.throwIfAborted();
    const ended = new AbortController();
    let late = false;
    const cancelTimeout = this.#clock.after(timeoutMs, () => {
      late = true;
      ended.abort();
    });
    const end = () => ended.abort();
    signal?.addEventListener("abort", end, { once: true });
    try {
      const { response, text } = await this.#send(path, {
        method,
        signal: ended.signal,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(registryAuth === undefined ? {} : { "x-registry-auth": registryAuth }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (response.ok || response.status === 304) return text; // 304: the container is already in that state
      throw refusal(response.status, text, kinds);
    } catch (error) {
      signal?.throwIfAborted();
      if (late) throw new EngineError("late", `the engine did not answer ${path.replace(/\?.*/, "")} in time`);
      throw this.explain(error);
    } finally {
      cancelTimeout();
      signal?.removeEventListener("abort", end);
    }
  }

  async open(path: string, signal?: AbortSignal, kinds: Kinds = {}): Promise<ReadableStream<Uint8Array>> {
    try {
      const response = await this.lending(() =>
        fetch(ENGINE + path, { client: this.#withoutReuse, signal: signal ?? null })
      );
      if (response.ok && response.body !== null) return response.body;
      throw refusal(response.status, await response.text(), kinds);
    } catch (error) {
      throw this.explain(error);
    }
  }

  /**
   * Sends a tar archive as it comes, and resolves with the text of the answer. @throws {EngineError} @throws The signal's
   * reason. @throws What the archive breaks off with.
   */
  async upload(path: string, archive: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<string> {
    const reader = archive.getReader();
    let broken: unknown;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          broken = error;
          controller.error(error);
        }
      },
    }, { highWaterMark: 0 });
    try {
      const headers = { "content-type": "application/x-tar" };
      const response = await fetch(ENGINE + path, {
        ...{ method: "POST", body, headers, signal, client: this.#withoutReuse },
      });
      const text = await response.text();
      if (!response.ok) throw refusal(response.status, text, {});
      return text;
    } catch (error) {
      signal.throwIfAborted();
      throw broken ?? this.explain(error);
    } finally {
      reader.cancel().catch(() => {}); // it has failed already, or is read to its end
    }
  }

  /** Does something; if that fails for lack of file descriptors, lends the reserve and does it again. */
  async lending<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isExhausted(error) || !this.#reserve?.lend()) throw error;
      return await work();
    }
  }

  /** Converts an error: a connection error means that the engine does not answer. */
  explain(error: unknown): unknown {
    if (error instanceof EngineError) return error;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const reason = plainMessageOf(cause).replace(/^.*client error \(\w+\): /, "");
    return new EngineError("away", `the engine does not answer at ${this.path}: ${reason}`, { cause: error });
  }

  [Symbol.dispose](): void {
    this.#client.close();
    this.#withoutReuse.close();
  }

  async #send(
    path: string,
    init: RequestInit & { readonly signal: AbortSignal },
  ): Promise<{ response: Response; text: string }> {
    const send = async (client: Deno.HttpClient) => {
      const response = await fetch(ENGINE + path, { ...init, client });
      const text = response.body === null ? "" : await readText(response.body, init.signal);
      init.signal.throwIfAborted();
      return { response, text };
    };
    // A request with a body must not be sent twice. A retry for lack of descriptors is safe: there was no connection.
    if (init.body !== undefined) return await this.lending(() => send(this.#withoutReuse));
    try {
      return await send(this.#client);
    } catch (error) {
      if (init.signal.aborted) throw error;
      // The engine may have closed the idle connection meanwhile.
      return await this.lending(() => send(this.#withoutReuse));
    }
  }
}

/** Reads the JSON of an answer. @throws {EngineError} */
export function parseAnswer<T>(path: string, text: string): T {
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = path.replace(/\?.*/, "");
    throw new EngineError("refused", `the engine's answer to ${what} is not JSON`, { cause: error });
  }
}

/** A value as a part of a query. */
export function queryJson(value: unknown): string {
  return encodeURIComponent(JSON.stringify(value));
}

/** The error for an unsuccessful answer of an engine. */
export function refusal(status: number, text: string, kinds: Kinds): EngineError {
  let message = `the engine answered ${status}`;
  try {
    const said = JSON.parse(text).message;
    if (typeof said === "string" && said.trim() !== "") message = messageOf(said);
  } catch {
    // The text says nothing useful.
  }
  return new EngineError(kindOfMessage(message, kinds[status]), message);
}

function newClient(path: string, idleConnections: number): Deno.HttpClient {
  return Deno.createHttpClient({
    proxy: { transport: "unix", path },
    http2: false,
    poolMaxIdlePerHost: idleConnections,
    poolIdleTimeout: false,
  });
}
