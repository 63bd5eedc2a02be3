import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { type DockerCommand, DockerError, DockerTimeout } from "./command.ts";

const log = logger("engine-socket");
/** After that a request is taken for stuck, ms; an engine under load may need many seconds. */
const PATIENCE_MS = 120_000;
/** A socket that has failed is not looked for more often than that, ms. */
const LEAST_AGE_MS = 5000;
/** So many connections are kept for the next requests. */
const KEPT_CONNECTIONS = 4;
/**
 * What stands for the engine in URLs: one of the addresses that nobody has (RFC 5737). The platform would ask a name
 * server for a name, each time that it connects, though it goes to the socket all the same; and `NO_PROXY=*`, which
 * means no addresses, would keep it from the socket.
 */
const ENGINE = "http://192.0.2.1";

/** An engine's socket that answers. */
interface Found {
  readonly path: string;
  readonly client: Deno.HttpClient;
  /** Keeps no connections. */
  readonly once: Deno.HttpClient;
}

/**
 * The engine's HTTP API on its unix socket: for what is asked so often, or has to be so fast, that a process for each
 * time is too much. It is used where the docker command itself would use it and the same engine answers there; else,
 * and as long as that is not known, everything is left to the command.
 *
 * https://docs.docker.com/reference/api/engine/
 */
export class EngineSocket implements Disposable {
  readonly #docker: DockerCommand;
  readonly #patience: number;
  #found: Found | undefined;
  #problem: string | undefined;
  #finding: Promise<void> | undefined;
  #foundAt = Infinity;
  #closed = false;

  /** @param patience How long an answer may take, ms. */
  constructor(docker: DockerCommand, patience: number = PATIENCE_MS) {
    this.#docker = docker;
    this.#patience = patience;
  }

  /** Where the socket is that is being used; `undefined` where everything is left to the command. */
  get path(): string | undefined {
    return this.#found?.path;
  }

  /** Why the socket is not being used, as far as that is known. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Looks for the socket; resolves when it is decided whether there is one. */
  find(): Promise<void> {
    this.#foundAt = performance.now();
    this.#finding ??= this.#find().finally(() => this.#finding = undefined);
    return this.#finding;
  }

  /**
   * Has the engine do something that does no harm when it is done twice.
   *
   * @returns Whether it was done; otherwise the command has to do it.
   * @throws {DockerError} When the engine refuses; the message is what it said.
   */
  async perform(method: "POST" | "DELETE", path: string): Promise<boolean> {
    return await this.#ask(method, path) !== undefined;
  }

  /**
   * Asks the engine for something.
   *
   * @returns What the JSON of the answer means; `undefined` where the command has to be asked.
   * @throws {DockerError} When the engine refuses; the message is what it said.
   */
  async get(path: string): Promise<unknown> {
    return parse(path, await this.#ask("GET", path));
  }

  /**
   * Has the engine make something.
   *
   * @param body What it is told, as JSON; stands in no error.
   * @returns What the JSON of the answer means; `undefined` where the command has to be asked. If there was a
   * {@linkcode path}, it may have been made all the same.
   * @throws {DockerError} When the engine refuses; the message is what it said.
   */
  async create(path: string, body: unknown): Promise<unknown> {
    return parse(path, await this.#ask("POST", path, JSON.stringify(body)));
  }

  /** Ends the connections; from now on everything is left to the command. */
  [Symbol.dispose](): void {
    this.#closed = true;
    if (this.#found !== undefined) close(this.#found);
    this.#found = undefined;
  }

  async #ask(method: string, path: string, body?: string): Promise<string | undefined> {
    const found = this.#found;
    if (found === undefined) {
      // The first look is the owner's to begin.
      if (!this.#closed && performance.now() - this.#foundAt >= LEAST_AGE_MS) this.find();
      return undefined;
    }
    try {
      // What breaks off on a connection that was used before, `fetch` sends again by itself, even though it was done.
      return await this.#send(body === undefined ? found.client : found.once, method, path, body);
    } catch (error) {
      if (error instanceof DockerError) throw error;
      this.#lose(found, messageOf(error));
      return undefined;
    }
  }

  /** One request. @throws {DockerError} When the engine refuses or hangs; anything else when there is no answer. */
  async #send(client: Deno.HttpClient, method: string, path: string, body?: string): Promise<string> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#patience);
    try {
      const response = await fetch(ENGINE + path, {
        method,
        client,
        signal: late.signal,
        ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }),
      });
      const text = await response.text();
      if (response.ok || response.status === 304) return text;
      throw new DockerError(refusal(text) ?? `the engine answered ${response.status}`);
    } catch (error) {
      if (late.signal.aborted) throw new DockerTimeout(`the engine did not answer ${path} in time`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #lose(lost: Found, reason: string): void {
    if (this.#found !== lost) return; // another request has noticed it as well
    close(lost);
    this.#found = undefined;
    this.#problem = reason;
    log.info("the engine's socket does not answer; going on with the docker command", { reason });
  }

  async #find(): Promise<void> {
    const before = this.#found;
    const { found, problem } = await this.#look();
    if (this.#closed || this.#found !== before) return found && close(found);
    if (before !== undefined) close(before);
    this.#found = found;
    this.#problem = problem;
    log.debug("engine socket", found === undefined ? { problem } : { path: found.path });
  }

  async #look(): Promise<{ found?: Found; problem?: string }> {
    // It knows of DOCKER_HOST, DOCKER_CONTEXT and what `docker context use` has set.
    const hosting = this.#docker.run(["context", "inspect", "--format={{.Endpoints.docker.Host}}"]);
    const naming = this.#docker.run(["info", "--format={{.ID}}"]);
    await Promise.allSettled([hosting, naming]); // where one fails, the other must not go on unheeded
    let client: Deno.HttpClient | undefined;
    try {
      const [host, id] = [await hosting, await naming];
      const path = /^unix:\/\/(\/.+)$/m.exec(host)?.[1];
      if (path === undefined) return { problem: `the engine is at ${host.trim()}, which is no unix socket` };
      await Deno.stat(path);
      client = newClient(path, KEPT_CONNECTIONS);
      const info = JSON.parse(await this.#send(client, "GET", "/info"));
      // The command may be a wrapper, and what it reaches elsewhere.
      const isSame = typeof info.ID === "string" && id.split("\n").includes(info.ID);
      if (isSame) return { found: { path, client, once: newClient(path, 0) } };
      client.close();
      return { problem: `another engine answers at ${path} than the docker command has` };
    } catch (error) {
      client?.close();
      return { problem: messageOf(error) };
    }
  }
}

/** @param kept How many connections are kept for the next requests. */
function newClient(path: string, kept: number): Deno.HttpClient {
  return Deno.createHttpClient({
    proxy: { transport: "unix", path },
    http2: false,
    poolMaxIdlePerHost: kept,
    poolIdleTimeout: false,
  });
}

function close({ client, once }: Found): void {
  client.close();
  once.close();
}

/** What an answer means, where there is one. */
function parse(path: string, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DockerError(`the engine's answer to ${path} is no JSON`, { cause: error });
  }
}

/** What the engine says is wrong. */
function refusal(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text);
    return typeof message === "string" ? message.trim() : undefined;
  } catch {
    return undefined;
  }
}
