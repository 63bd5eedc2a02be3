import type { ServiceJson } from "../admin/operations/services.ts";
import { OperatorError, plainMessageOf, UsageError } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { type ClientSettings, DEFAULT_SERVER, type Token } from "./client_settings.ts";
import { parseObject } from "./streams.ts";

/**
 * What the admin API answers if it has no such route. Its status and code are those of a service that is not there, also
 * in the versions that this is about, so that only the text tells them apart.
 */
const NO_ROUTE = "There is no such resource";

/** The admin API refused a request. */
export class ApiError extends OperatorError {
  readonly status: number;
  readonly output: readonly string[];

  /** @param lines What is wrong, line by line. */
  constructor(status: number, lines: readonly string[], output: readonly string[] = []) {
    super(lines);
    this.status = status;
    this.output = output;
  }
}

/** Nothing answers a request. */
export class NoAnswerError extends OperatorError {
  /** Why not, in a few words: `connection refused`. */
  readonly reason: string;

  /** @param where What does not answer. */
  constructor(where: string, reason: string) {
    super(`${where} does not answer (${reason}); start it with cless serve, or name another one with --server`);
    this.reason = reason;
  }
}

/** A request's query; leaves out `undefined` values. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The parts of a request besides its method and path. */
export interface RequestOptions {
  readonly query?: Query;
  /** Sent as JSON; bytes are sent unchanged. */
  readonly body?: unknown;
  /** The etag that the service must have. */
  readonly ifMatch?: string | undefined;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A client of the admin API. A request rejects with an OperatorError unless the answer is a success. If its signal is
 * aborted before there is an answer, it rejects with the signal's reason.
 */
export class Client implements Disposable {
  readonly #settings: ClientSettings;
  readonly #direct: Deno.HttpClient | undefined;
  #token: Promise<Token> | undefined;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#direct = directClient(settings.server);
  }

  [Symbol.dispose](): void {
    this.#direct?.close();
  }

  /** The URL of the admin API, without a slash at the end. */
  get server(): string {
    return this.#settings.server;
  }

  /** The token that it sends. @throws {OperatorError} If there is none. */
  async token(): Promise<string> {
    return (await this.#readToken()).text;
  }

  /** The file that the token was read from; `undefined` if the token was given. */
  async tokenFile(): Promise<string | undefined> {
    return (await this.#readToken()).file;
  }

  get<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return this.json<T>("GET", path, options);
  }

  /** Reads a resource; `undefined` if there is none. */
  async find<T>(path: string, options: RequestOptions = {}): Promise<T | undefined> {
    try {
      return await this.get<T>(path, options);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list<T>(path: string): Promise<T[]> {
    const all: T[] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const response: Response = await this.send("GET", next);
      all.push(...await this.#read<T[]>(response));
      next = nextPage(response.headers.get("link"), next);
    }
    return all;
  }

  /** Sends a request, and reads the answer's JSON. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    return await this.#read<T>(await this.send(method, path, options));
  }

  /** Sends a request without reading the answer. */
  async do(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    await (await this.send(method, path, options)).body?.cancel();
  }

  /** Sends a request; resolves with the answer once its headers are there. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const { query = {}, body, ifMatch, accept = "application/json", signal } = options;
    const headers = new Headers({ accept, authorization: `Bearer ${await this.token()}` });
    const isBytes = body instanceof Uint8Array;
    if (body !== undefined) headers.set("content-type", isBytes ? "application/octet-stream" : "application/json");
    if (ifMatch !== undefined) headers.set("if-match", `"${ifMatch}"`);
    const sent = isBytes ? body as Uint8Array<ArrayBuffer> : JSON.stringify(body); // undefined stays undefined
    const search = new URLSearchParams(Object.entries(defined(query)).map(([key, value]) => [key, String(value)]));
    let response: Response;
    try {
      response = await fetch(
        `${this.#settings.server}${path}${search.size > 0 ? `?${search}` : ""}`,
        defined({ method, headers, redirect: "error" as const, body: sent, signal, client: this.#direct }),
      );
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new NoAnswerError(this.#where(), reasonOf(error));
    }
    if (!response.ok) throw await this.#refusal(response);
    return response;
  }

  /**
   * Requests a WebSocket, which gives binary messages as `ArrayBuffer`. Set its handlers at once. `opened` rejects as
   * {@linkcode send} does.
   */
  async webSocket(path: string): Promise<{ socket: WebSocket; opened: Promise<void> }> {
    const headers = { authorization: `Bearer ${await this.token()}` };
    const url = this.#settings.server.replace(/^http/, "ws") + path;
    const options: unknown = defined({ headers, client: this.#direct });
    const socket = new WebSocket(url, options as string[]); // as a browser's types have it, which some tests load
    socket.binaryType = "arraybuffer";
    const isOpen = new Promise<boolean>((resolve) => {
      socket.addEventListener("open", () => resolve(true));
      socket.addEventListener("error", () => resolve(false));
    });
    return { socket, opened: isOpen.then((isOpen) => isOpen ? undefined : this.#refuseWebSocket(path)) };
  }

  /** The platform does not tell why there is no WebSocket. The same request without an upgrade has the same refusal. */
  async #refuseWebSocket(path: string): Promise<never> {
    await this.do("GET", path);
    throw new OperatorError(`${this.#where()} opens no WebSocket; what is in front of it may not let any through`);
  }

  #readToken(): Promise<Token> {
    return this.#token ??= this.#settings.token();
  }

  #where(): string {
    return `the cless at ${this.#settings.server}`;
  }

  async #read<T>(response: Response): Promise<T> {
    try {
      return await response.json();
    } catch (error) {
      if (error instanceof SyntaxError) throw this.#noApi();
      throw new OperatorError(`${this.#where()} has broken off its answer: ${reasonOf(error)}`);
    }
  }

  #noApi(status = ""): OperatorError {
    return this.#mistaken(`not an admin API of cless${status}; name it with --server`);
  }

  #mistaken(what: string): OperatorError {
    return new OperatorError(`the server at ${this.#settings.server} is ${what}`);
  }

  async #refusal(response: Response): Promise<OperatorError> {
    const { status } = response;
    const { code, detail, errors, title, output } = parseObject(await response.text().catch(() => "")) ?? {};
    const text = detail ?? title;
    if (text === undefined) return this.#noApi(` (status ${status})`);
    if (code === "unknown_host" || code === "bad_host") {
      const wanted = `its admin API (${DEFAULT_SERVER} by default)`;
      return this.#mistaken(`the proxy of cless and not ${wanted}; name that with --server`);
    }
    if (status === 401) {
      const { file } = await this.#readToken();
      const token = file === undefined ? "the token given" : `the token in ${file}`;
      return new ApiError(401, [`${this.#where()} refuses ${token}: ${text}`]);
    }
    if (status === 404 && text === NO_ROUTE) {
      const { pathname } = new URL(response.url);
      const why = "it is older than this command, or --server does not name its admin API";
      return new ApiError(404, [`${this.#where()} does not know ${pathname}: ${why}`]);
    }
    const lines = linesOf(errors);
    return new ApiError(
      status,
      lines.length > 0 ? lines : [String(text)],
      Array.isArray(output) ? output.map(String) : [],
    );
  }
}

/** The wrong fields that an answer names, each with what is wrong. */
function linesOf(errors: unknown): string[] {
  return Array.isArray(errors) ? errors.map((error) => `${error?.field}: ${error?.reason}`) : [];
}

/**
 * A client that connects to a server on this machine directly; `undefined` for any other server. The platform would
 * send requests, and so the token, to the proxy named in HTTP_PROXY.
 */
function directClient(server: string): Deno.HttpClient | undefined {
  const { protocol, hostname, port } = new URL(server);
  if (protocol !== "http:" || !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return undefined;
  const address = { hostname: hostname.replaceAll(/[[\]]/g, ""), port: Number(port || 80) };
  return Deno.createHttpClient({ proxy: { transport: "tcp", ...address } });
}

/**
 * The path of the next page, from the header `Link` (RFC 8288); `undefined` if there is none. Only the query of the
 * link is used: the token must not go to another server, and a proxy in front of the server may change the path.
 */
function nextPage(link: string | null, current: string): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  const query = target === undefined ? "" : URL.parse(target, "http://localhost")?.search ?? "";
  const next = current.replace(/\?.*$/, "") + query;
  return query === "" || next === current ? undefined : next;
}

/** The last part of a platform's error message, such as `connection refused`. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = plainMessageOf(cause).split(": ").at(-1)!;
  return reason.charAt(0).toLowerCase() + reason.slice(1);
}

/** The path of a service or something below it. @throws {UsageError} For a name that would change the path. */
export function servicePath(name: string, ...more: string[]): string {
  return pathOf("services", name, ...more);
}

/** The path of a resource below /v1. @throws {UsageError} For a name that would change the path. */
export function pathOf(...names: string[]): string {
  const wrong = names.find((name) => /^\.{0,2}$|\//.test(name));
  if (wrong !== undefined) throw new UsageError(`"${wrong}" is not a valid name`);
  return ["/v1", ...names.map(encodeURIComponent)].join("/");
}

/** A change is tried at most this many times if others change the same service at the same time. */
const MAX_TRIES = 4;

/**
 * Changes a service based on its present state. Tries again if somebody else has changed it meanwhile.
 *
 * @param change Gets the service, or `undefined` if there is none. Sends the change with the service's etag.
 */
export async function changeService<T>(
  client: Client,
  name: string,
  change: (service: ServiceJson | undefined) => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await change(await client.find<ServiceJson>(servicePath(name)));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412) || tries === MAX_TRIES) throw error;
    }
  }
}
