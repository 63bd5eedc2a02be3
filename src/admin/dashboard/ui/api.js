// @ts-check
/// <reference lib="dom" />

/**
 * Who has signed in.
 *
 * @typedef {{ name: string, scope: "read" | "deploy" | "admin", csrf: string }} Session
 */

/** An answer of the API that says what is wrong. */
export class Problem extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.name = "Problem";
    /** 0 if there was no answer. */
    this.status = status;
    this.code = code;
  }
}

/** @type {Session | undefined} */
let session;

/** Who has signed in; `undefined` if nobody has. */
export function whoAmI() {
  return session;
}

/**
 * Calls the API.
 *
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] Sent as JSON.
 * @returns {Promise<any>} The answer's JSON; `undefined` if it has none.
 * @throws {Problem}
 */
export async function call(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (session !== undefined && method !== "GET") headers["cless-csrf"] = session.csrf;
  let answer;
  try {
    answer = await fetch(path, { method, headers, ...body === undefined ? {} : { body: JSON.stringify(body) } });
  } catch {
    throw new Problem(0, "no_answer", "cless does not answer");
  }
  const isJson = /[/+]json/.test(answer.headers.get("content-type") ?? "");
  const value = isJson ? await answer.json() : undefined;
  if (answer.ok) return value;
  throw new Problem(answer.status, value?.code ?? "unknown", value?.detail ?? `cless answers with ${answer.status}`);
}

/** Finds out whether there is a session from an earlier visit. @returns {Promise<Session | undefined>} @throws {Problem} */
export async function resume() {
  try {
    session = await call("GET", "/v1/session");
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    session = undefined;
  }
  return session;
}

/** @param {string} token @returns {Promise<Session>} @throws {Problem} */
export async function signIn(token) {
  const begun = /** @type {Session} */ (await call("POST", "/v1/session", { token }));
  session = begun;
  return begun;
}

/** @throws {Problem} */
export async function signOut() {
  await call("DELETE", "/v1/session");
  session = undefined;
}
