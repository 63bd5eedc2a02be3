// @ts-check
/// <reference lib="dom" />
/** A client of the API for one signed-in browser. */

/** @typedef {{ name: string, scope: "read" | "deploy" | "admin", csrf: string }} Session */
/** @typedef {{ field: string, reason: string }} FieldError */
/** @typedef {Record<string, string | number | boolean | undefined>} Query */
/**
 * @typedef {object} RequestOptions
 * @property {Query} [query]
 * @property {unknown} [body] Sent as JSON; text is sent unchanged
 * @property {string | undefined} [ifMatch] The etag that the service must have
 * @property {string} [accept]
 * @property {AbortSignal} [signal]
 */

/** The API refused a request. Its message is one clear line. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{ fields?: FieldError[], output?: string[], code?: string }} [more]
   */
  constructor(status, message, { fields = [], output = [], code = "" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    /** The wrong fields of the request. */
    this.fields = fields;
    /** The last lines that an app wrote before it failed. */
    this.output = output;
  }
}

/** There was no answer. */
export class ConnectionLost extends Error {
  constructor() {
    super("cless does not answer");
  }
}

/** Sends requests with the cookie of the session, which the browser keeps. */
export class Api {
  /** @type {Session | undefined} */
  #session;
  #asked = new AbortController();

  /**
   * @param {object} told
   * @param {() => void} told.signedOut Called when the session has ended
   * @param {(lost: boolean) => void} told.connection Called with each request: whether there was no answer
   */
  constructor({ signedOut, connection }) {
    this.#signedOut = signedOut;
    this.#connection = connection;
  }
  #signedOut;
  #connection;

  /** Whether the token of the session may change services. */
  get mayChange() {
    return this.#session !== undefined && this.#session.scope !== "read";
  }

  /** The session that the browser has; `undefined` if it has none. */
  async resume() {
    try {
      return this.#session = await this.json("GET", "/v1/session");
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return undefined;
      throw error;
    }
  }

  /**
   * Exchanges a token for a session.
   *
   * @param {string} token
   * @returns {Promise<Session>}
   */
  async signIn(token) {
    return this.#session = await this.json("POST", "/v1/session", { body: { token } });
  }

  async signOut() {
    await this.send("DELETE", "/v1/session");
    this.#session = undefined;
  }

  /**
   * @param {string} path
   * @param {Query} [query]
   * @returns {Promise<any>}
   */
  get(path, query = {}) {
    // A network that drops everything lets a request hang for minutes.
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), this.#asked.signal]);
    return this.json("GET", path, { query, signal });
  }

  /** Breaks off what is being asked, after the connection was lost: it may hang on what is dead. */
  giveUp() {
    this.#asked.abort();
    this.#asked = new AbortController();
  }

  /**
   * Reads a resource; `undefined` if there is none.
   *
   * @param {string} path
   * @param {Query} [query]
   * @returns {Promise<any>}
   */
  async find(path, query) {
    try {
      return await this.get(path, query);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Sends a request, and reads the answer's JSON; `undefined` if it has none.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async json(method, path, options = {}) {
    const response = await this.send(method, path, options);
    if (response.status === 204) return undefined;
    return await response.json().catch(() => {
      throw new ConnectionLost();
    });
  }

  /**
   * Sends a request; resolves with the answer once its headers are there.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   */
  async send(method, path, { query = {}, body, ifMatch, accept = "application/json", signal } = {}) {
    const headers = new Headers({ accept });
    const isText = typeof body === "string";
    if (body !== undefined) headers.set("content-type", isText ? "text/plain" : "application/json");
    if (ifMatch !== undefined) headers.set("if-match", `"${ifMatch}"`);
    if (method !== "GET" && this.#session !== undefined) headers.set("cless-csrf", this.#session.csrf);
    const given = Object.entries(query).flatMap(([key, value]) => value === undefined ? [] : [[key, String(value)]]);
    const search = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
    const request = () =>
      fetch(path + search, {
        method,
        headers,
        body: body === undefined ? null : isText ? body : JSON.stringify(body),
        signal: signal ?? null,
      });
    /** @type {Response} */
    let response;
    try {
      // A browser on the machine of cless breaks off requests when a container starts: its networks change then.
      response = await (method === "GET" ? request().catch(() => later(request, signal)) : request());
    } catch (error) {
      if (signal?.aborted && signal.reason.name !== "TimeoutError") throw error;
      this.#connection(true);
      throw new ConnectionLost();
    }
    this.#connection(false);
    if (response.ok) return response;
    const error = await refusalOf(response);
    if (error.status === 401 && path !== "/v1/session") this.#signedOut();
    throw error;
  }
}

/**
 * @param {() => Promise<Response>} request
 * @param {AbortSignal | undefined} signal
 */
async function later(request, signal) {
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  signal?.throwIfAborted();
  return await request();
}

const AGAIN_MS = 300;
/** How long the answer to a question may take. */
const PATIENCE_MS = 15_000;

/** @param {Response} response */
async function refusalOf(response) {
  const problem = await response.json().catch(() => ({}));
  const fields = Array.isArray(problem.errors) ? problem.errors : [];
  const { detail, title, code, output = [] } = problem;
  return new ApiError(response.status, String(detail ?? title ?? `cless answered with status ${response.status}`), {
    ...{ fields, output, code },
  });
}

/**
 * The path of a service or something below it.
 *
 * @param {string} name
 * @param {...string} more
 */
export function servicePath(name, ...more) {
  return ["/v1/services", ...[name, ...more].map(encodeURIComponent)].join("/");
}
