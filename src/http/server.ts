import { type Endpoint, formatEndpoint } from "../model/host.ts";
import { ClessError, messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { FileReserve } from "../base/file_reserve.ts";
import { ResponseCut } from "./forwarder.ts";
import { problem } from "./problem.ts";

const log = logger("server");
const RETRY_MS = 100;

/** Answers one request. */
export type Handler = (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => Response | Promise<Response>;

/** cless cannot listen on an address. */
export class ListenError extends OperatorError {
  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint, cause: unknown) {
    const reason = cause instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : cause instanceof Deno.errors.PermissionDenied
      ? "permission denied; ports below 1024 need root"
      : messageOf(cause);
    super(`cannot listen on ${formatEndpoint(endpoint)}: ${reason}`, { cause });
    this.endpoint = endpoint;
  }
}

/** Accepts connections on one address, and replaces the platform's server if that fails. */
export class Server {
  readonly #handler: Handler;
  readonly #clock: Clock;
  readonly #reserve: FileReserve;
  readonly #tls: Deno.TlsCertifiedKeyPem | undefined;
  readonly #stopping = new AbortController();
  #endpoint: Endpoint;
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  /** Set once somebody waits for the listener to close. From then on, a closed listener is not replaced. */
  #closing: PromiseWithResolvers<void> | undefined;
  /** Servers that no longer accept connections, but still serve their open ones. */
  readonly #exhausted: Deno.HttpServer<Deno.NetAddr>[] = [];

  /** @param tls The certificate, for a server of HTTPS. */
  constructor(
    endpoint: Endpoint,
    handler: Handler,
    clock: Clock,
    reserve: FileReserve,
    tls?: Deno.TlsCertifiedKeyPem,
  ) {
    this.#endpoint = endpoint;
    this.#handler = handler;
    this.#clock = clock;
    this.#reserve = reserve;
    this.#tls = tls;
  }

  /** The address to listen on. While it listens, this has the actual port if 0 was given. */
  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /**
   * Starts to accept connections. A process that takes over can listen on the same address.
   *
   * @param beside Whether another process of this cless may be listening there already.
   * @throws {ListenError} If that is not possible.
   */
  listen(beside = false): void {
    const { hostname, port } = this.#endpoint;
    let server: Deno.HttpServer<Deno.NetAddr>;
    try {
      // Fails if the address is in use. The server itself would not fail, since it shares the address.
      if (!beside && port !== 0) Deno.listen({ hostname, port }).close();
      server = Deno.serve({
        hostname,
        port,
        reusePort: true,
        ...this.#tls,
        onListen() {},
        onError: (error) => {
          if (error instanceof ResponseCut) log.warning("an answer was cut", { reason: error.message });
          else log.error("a handler has failed", { reason: messageOf(error) });
          return problem(new ClessError("internal", "cless has failed to handle the request"), {
            headers: new Headers(),
          });
        },
      }, this.#handler);
    } catch (error) {
      throw new ListenError(this.#endpoint, error);
    }
    this.#endpoint = { ...this.#endpoint, port: server.addr.port };
    this.#server = server;
    server.finished.catch((error) => this.#recover(server, error));
  }

  /** Whether it accepts connections. */
  get isListening(): boolean {
    return this.#server !== undefined;
  }

  /** Resolves when the listener has closed. From this call on, a closed listener is not replaced. */
  listenerClosed(): Promise<void> {
    this.#closing ??= Promise.withResolvers();
    return this.#closing.promise;
  }

  /** Stops accepting connections; resolves when all requests in flight are answered. */
  async shutdown(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#server, ...this.#exhausted].map((server) => server?.shutdown().catch(() => {})));
  }

  /** Replaces the platform's server, which ends when there is no file descriptor left for a new connection. */
  async #recover(server: Deno.HttpServer<Deno.NetAddr>, error: unknown): Promise<void> {
    this.#server = undefined;
    this.#exhausted.push(server);
    if (this.#closing !== undefined) return this.#closing.resolve();
    const where = formatEndpoint(this.#endpoint);
    log.error("cannot accept connections; trying again", { listen: where, reason: messageOf(error) });
    this.#reserve.release();
    for (;;) {
      await delay(this.#clock, RETRY_MS, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      if (!this.#reserve.take()) continue;
      try {
        this.listen(true);
        log.info("accepting connections again", { listen: where });
        return;
      } catch {
        // The descriptors are gone again.
      }
    }
  }
}
