import { OperatorError, plainMessageOf, UsageError } from "../base/errors.ts";
import { type ClientSettings, DEFAULT_SERVER, type Token } from "./client_settings.ts";

/** What the admin API has refused. */
export class ApiError extends OperatorError {
  readonly status: number;
  /** The last lines of the output of what did not start. */
  readonly output: readonly string[];

  constructor(status: number, message: string, output: readonly string[] = []) {
    super(message);
    this.status = status;
    this.output = output;
  }
}

/** The query of a request; what is `undefined` is left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** What goes with a request. */
export interface Asking {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, in place of a body. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** The etag that the service must have. */
  readonly ifMatch?: string | undefined;
  /** The kind of answer that is wanted. */
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Asks the admin API of a running cless. Every method throws an OperatorError for what is not answered with success. */
export class Client implements Disposable {
  readonly #settings: ClientSettings;
  /** Makes the connections where the platform's own might go astray. */
  readonly #direct: Deno.HttpClient | undefined;
  #token: Promise<Token> | undefined;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#direct = directClient(settings.server);
  }

  /** Lets go of its connections. */
  [Symbol.dispose](): void {
    this.#direct?.close();
  }

  /** The file that the token is from; `undefined` where it was given. */
  async tokenFile(): Promise<string | undefined> {
    return (await this.#readToken()).file;
  }

  /** Reads a resource. */
  get<T>(path: string, asking: Asking = {}): Promise<T> {
    return this.json<T>("GET", path, asking);
  }

  /** Reads a resource; `undefined` where there is none. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Reads a list, with all of its pages. */
  async list<T>(path: string): Promise<T[]> {
    const all: T[] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const response: Response = await this.send("GET", next);
      all.push(...await this.#read<T[]>(response));
      next = nextPage(response.headers.get("link"), next);
    }
    return all;
  }

  /** Does something, and reads what is said of it. */
  async json<T>(method: string, path: string, asking: Asking = {}): Promise<T> {
    return await this.#read<T>(await this.send(method, path, asking));
  }

  /** Does something that says nothing but that it is done. */
  async do(method: string, path: string, asking: Asking = {}): Promise<void> {
    await (await this.send(method, path, asking)).body?.cancel();
  }

  /** The answer as it comes, once it is known to be one of success. */
  async send(method: string, path: string, asking: Asking = {}): Promise<Response> {
    const { query = {}, body, bytes, ifMatch, accept = "application/json", signal } = asking;
    const headers = new Headers({ accept, authorization: `Bearer ${(await this.#readToken()).text}` });
    if (body !== undefined) headers.set("content-type", "application/json");
    if (bytes !== undefined) headers.set("content-type", "application/octet-stream");
    if (ifMatch !== undefined) headers.set("if-match", `"${ifMatch}"`);
    const said = Object.entries(query).flatMap(([key, value]) => value === undefined ? [] : [[key, String(value)]]);
    const url = `${this.#settings.server}${path}${said.length > 0 ? `?${new URLSearchParams(said)}` : ""}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers,
        redirect: "error",
        body: bytes ?? (body === undefined ? null : JSON.stringify(body)),
        ...(signal === undefined ? {} : { signal }),
        ...(this.#direct === undefined ? {} : { client: this.#direct }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new OperatorError(
        `${this.#where()} does not answer (${reasonOf(error)}); start it with cless serve, ` +
          "or name another one with --server",
      );
    }
    if (!response.ok) throw await this.#refusal(response);
    return response;
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
      if (error instanceof SyntaxError) {
        throw new OperatorError(
          `what answers at ${this.#settings.server} is no admin API of cless; name it with --server`,
        );
      }
      throw new OperatorError(`${this.#where()} has broken off its answer: ${reasonOf(error)}`);
    }
  }

  async #refusal(response: Response): Promise<OperatorError> {
    const text = await response.text().catch(() => "");
    const problem = parseProblem(text);
    if (problem === undefined) {
      return new OperatorError(
        `what answers at ${this.#settings.server} is no admin API of cless (status ${response.status}); name it with --server`,
      );
    }
    const { code, detail, title, output } = problem;
    if (code === "unknown_host" || code === "bad_host") {
      return new OperatorError(
        `what answers at ${this.#settings.server} is the proxy of cless, and not its admin API (${DEFAULT_SERVER} by itself); name that with --server`,
      );
    }
    const message = String(detail ?? title ?? `status ${response.status}`);
    const lines = Array.isArray(output) ? output.map(String) : [];
    if (response.status !== 401) return new ApiError(response.status, message, lines);
    const { file } = await this.#readToken();
    return new ApiError(401, `${message} (${file === undefined ? "the one given" : `the one in ${file}`})`);
  }
}

/**
 * What connects to this machine itself: with HTTP_PROXY set, the platform would send even that to the proxy, and the token
 * with it.
 */
function directClient(server: string): Deno.HttpClient | undefined {
  const { protocol, hostname, port } = new URL(server);
  if (protocol !== "http:" || !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return undefined;
  const address = { hostname: hostname.replaceAll(/[[\]]/g, ""), port: Number(port || 80) };
  return Deno.createHttpClient({ proxy: { transport: "tcp", ...address } });
}

/** The path of a service, or of what belongs to it. @throws {UsageError} For what can be no name. */
export function servicePath(name: string, ...more: string[]): string {
  return pathOf("services", name, ...more);
}

/** The path of a resource below /v1. @throws {UsageError} For what can be no name. */
export function pathOf(...names: string[]): string {
  const wrong = names.find((name) => /^\.{0,2}$|\//.test(name)); // a URL takes these for steps
  if (wrong !== undefined) throw new UsageError(`"${wrong}" is no name`);
  return ["/v1", ...names.map(encodeURIComponent)].join("/");
}

function parseProblem(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && ("detail" in value || "title" in value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The path of the next page, by the header Link of RFC 8288. Only its query is taken: the token goes nowhere else, and what
 * stands before the server may have given it another path.
 */
function nextPage(link: string | null, current: string): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  const query = target === undefined ? "" : URL.parse(target, "http://localhost")?.search ?? "";
  const next = current.replace(/\?.*$/, "") + query;
  return query === "" || next === current ? undefined : next;
}

/** The last part of what the platform says, `connection refused`. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = plainMessageOf(cause).split(": ").at(-1)!;
  return reason.charAt(0).toLowerCase() + reason.slice(1);
}
