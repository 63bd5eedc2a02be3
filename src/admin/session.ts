import { ClessError } from "../base/errors.ts";
import { type FoundSession, SESSION_MS, type Sessions } from "../control/access/sessions.ts";
import type { Holder } from "../control/access/tokens.ts";
import { ADMIN_COOKIE, SECURE_ADMIN_COOKIE } from "../http/admin_cookie.ts";
import { InvalidError } from "../control/schema/invalid.ts";
import { holderOfToken, type TokenCheck } from "./access.ts";
import { json, noContent, readJson } from "./body.ts";
import type { Target } from "./target.ts";

/** The header that shows that a request was made by the dashboard's own page. */
const CSRF_HEADER = "cless-csrf";
/** A neighbouring hostname may have set cookies of the same name; at most this many are tried. */
const MAX_COOKIES = 5;
const MAX_SIGN_IN_BYTES = 4096;
const METHODS = "GET, HEAD, POST, DELETE";
const encoder = new TextEncoder();

/** What is asked of the parts that know sessions and tokens. */
export interface SessionParts extends TokenCheck {
  readonly sessions: Pick<Sessions, "begin" | "end" | "find">;
}

/** A request's session. */
interface OwnSession extends FoundSession {
  readonly secret: string;
}

/**
 * Answers `/v1/session`: signs a browser in with a token, tells who has signed in, and signs out.
 *
 * @param peer The address that the request came from. Wrong tokens count, as those of other requests do.
 * @param secure Whether the request is known to have come over HTTPS.
 * @throws {ClessError} `unauthorized`, `forbidden`, `too_many_attempts`, `too_large`, `unsupported_type`,
 * `method_not_allowed` @throws {InvalidError} If the body is wrong.
 */
export async function answerSession(
  request: Request,
  { host }: Target,
  peer: string,
  secure: boolean,
  parts: SessionParts,
): Promise<Response> {
  const { method } = request;
  if (method === "POST") return await signIn(request, originOf(request.headers, host, secure), peer, parts);
  if (method !== "GET" && method !== "HEAD" && method !== "DELETE") {
    throw new ClessError("method_not_allowed", `Possible here: ${METHODS}`, { allow: METHODS });
  }
  const session = await findSession(request, parts.sessions);
  if (session === undefined) {
    throw new ClessError("unauthorized", "Nobody has signed in here, or the session has ended");
  }
  if (method !== "DELETE") return json(await show(session.holder, session.secret));
  await parts.sessions.end(session.secret);
  return withCookie(noContent(), session.origin, "", 0);
}

/**
 * The holder of the session that a request's cookie names; `undefined` if there is none.
 *
 * @throws {ClessError} `forbidden` if another page than the dashboard has made the request.
 */
export async function holderOfSession(
  request: Pick<Request, "headers" | "method">,
  sessions: SessionParts["sessions"],
): Promise<Holder | undefined> {
  return (await findSession(request, sessions))?.holder;
}

async function signIn(request: Request, origin: string, peer: string, parts: SessionParts): Promise<Response> {
  const token = tokenIn(await readJson(request, MAX_SIGN_IN_BYTES));
  const refusal = new ClessError("unauthorized", "This token is not valid");
  const holder = await holderOfToken(token, peer, refusal, parts);
  const before = await lookUp(request.headers, parts.sessions);
  if (before !== undefined) await parts.sessions.end(before.secret);
  const secret = await parts.sessions.begin(token, origin);
  return withCookie(json(await show(holder, secret)), origin, secret, SESSION_MS / 1000);
}

function tokenIn(body: unknown): string {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw new InvalidError([], "must be an object");
  const { token, ...others } = body as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new InvalidError([unknown], "unknown field; the only one is `token`", true);
  if (typeof token !== "string") throw new InvalidError(["token"], "must be a text");
  return token;
}

/** The session of a request. @throws {ClessError} See {@linkcode checkOwnPage}. */
async function findSession(
  request: Pick<Request, "headers" | "method">,
  sessions: SessionParts["sessions"],
): Promise<OwnSession | undefined> {
  const session = await lookUp(request.headers, sessions);
  if (session !== undefined) await checkOwnPage(request, session);
  return session;
}

/** The first valid session among a request's cookies. */
async function lookUp(headers: Headers, sessions: SessionParts["sessions"]): Promise<OwnSession | undefined> {
  for (const [name, secret] of cookiesOf(headers).slice(0, MAX_COOKIES)) {
    const found = await sessions.find(secret);
    if (found !== undefined && cookieName(found.origin) === name) return { ...found, secret };
  }
  return undefined;
}

/**
 * Refuses a request that a browser has sent with the session's cookie, but on behalf of another page. Apps may be on the
 * same site, such as `shop.example.org` beside `admin.example.org`, so that the cookie's `SameSite` does not keep it
 * from requests that their pages make.
 *
 * @throws {ClessError} `forbidden`
 */
async function checkOwnPage(
  { headers, method }: Pick<Request, "headers" | "method">,
  { origin, secret }: OwnSession,
): Promise<void> {
  const from = headers.get("origin");
  const site = headers.get("sec-fetch-site"); // https://www.w3.org/TR/fetch-metadata/
  const isOwn = (from === null || from.toLowerCase() === origin) &&
    (site === null || site === "same-origin" || site === "none");
  if (!isOwn) throw new ClessError("forbidden", "The session is for another page; sign in there with the token");
  // A WebSocket begins with a GET, and a browser always says whose page opens it.
  if (headers.has("upgrade") && from === null) {
    throw new ClessError("forbidden", "A connection that is upgraded needs the header Origin, or the token");
  }
  if (method === "GET" || method === "HEAD") return;
  if (!isSame(headers.get(CSRF_HEADER) ?? "", await csrfOf(secret))) {
    throw new ClessError(
      "forbidden",
      `With a session, this needs the header ${CSRF_HEADER}, as GET /v1/session tells it`,
    );
  }
}

async function show({ name, scope }: Holder, secret: string): Promise<Holder & { csrf: string }> {
  return { name, scope, csrf: await csrfOf(secret) };
}

/** What the page has to send along with changes: the secret cannot be found out from it. */
async function csrfOf(secret: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(`csrf ${secret}`));
  return new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Compares two texts in constant time. */
function isSame(a: string, b: string): boolean {
  const [first, second] = [encoder.encode(a), encoder.encode(b)];
  return first.length === second.length && first.reduce((sum, byte, at) => sum | (byte ^ second[at]!), 0) === 0;
}

/** The origin of the page that signs in. A browser tells it, with the scheme that a proxy may have hidden from cless. */
function originOf(headers: Headers, host: string, secure: boolean): string {
  const scheme = secure ? "https" : "http";
  return headers.get("origin")?.toLowerCase() ?? `${scheme}://${host}`;
}

function cookieName(origin: string): string {
  return origin.startsWith("https:") ? SECURE_ADMIN_COOKIE : ADMIN_COOKIE;
}

/** The cookies that may be a session's. */
function cookiesOf(headers: Headers): [name: string, value: string][] {
  return (headers.get("cookie") ?? "").split(";").flatMap((pair) => {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, equals).trim();
    if (name !== ADMIN_COOKIE && name !== SECURE_ADMIN_COOKIE) return [];
    return [[name, pair.slice(equals + 1).trim()]];
  });
}

function withCookie(response: Response, origin: string, value: string, seconds: number): Response {
  const secure = origin.startsWith("https:") ? "; Secure" : "";
  response.headers.append(
    "set-cookie",
    `${cookieName(origin)}=${value}; Max-Age=${seconds}; Path=/; HttpOnly; SameSite=Strict${secure}`,
  );
  return response;
}
