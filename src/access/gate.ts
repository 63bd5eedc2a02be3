import { ClessError } from "../base/errors.ts";
import type { AccessSettings } from "../model/access.ts";
import { type Cidr, parseCidr } from "../model/ip.ts";
import type { Asked, Authenticator, Identity } from "./authenticator.ts";
import { ExceptedPaths } from "./excepted_paths.ts";

/** The headers by which an app learns who a client is. */
const IDENTITY_HEADERS = ["x-auth-user", "x-auth-email", "x-auth-groups"];
/** The headers by which some apps take a request for one of another path. */
const PATH_HEADERS = ["x-original-url", "x-original-uri", "x-rewrite-url"];

/** What a {@linkcode Gate} consists of. */
export interface GateOptions {
  readonly access: AccessSettings;
  /** The ways to prove who a client is. They are tried in order, until one lets the request pass. */
  readonly authenticators: readonly Authenticator[];
}

/**
 * Stands before a service: decides which requests pass, before anything wakes. It is immutable, as a service is; what
 * must outlive a change of the service is in its authenticators.
 */
export class Gate {
  readonly #allow: readonly Cidr[];
  readonly #except: ExceptedPaths;
  readonly #authenticators: readonly Authenticator[];
  readonly #dropped: ReadonlySet<string>;

  constructor({ access, authenticators }: GateOptions) {
    this.#allow = access.allow.map(parseCidr);
    this.#except = new ExceptedPaths(access.except);
    this.#authenticators = authenticators;
    this.#dropped = new Set([
      ...IDENTITY_HEADERS,
      ...PATH_HEADERS,
      ...authenticators.flatMap(({ headers }) => headers),
    ]);
  }

  /**
   * Lets a request pass, or not. Changes the headers that the app gets: what clients say of themselves is removed, and
   * what an authenticator has found is added.
   *
   * @returns `undefined` if the request may pass; otherwise the response for its client.
   * @throws {ClessError} `forbidden`, `unauthorized`
   */
  check(asked: Asked): Response | undefined | Promise<Response | undefined> {
    const { head } = asked;
    this.#dropTrusted(asked);
    if (this.#allow.some((range) => range.contains(head.client)) || this.#except.has(head.target)) return undefined;
    if (isPreflight(asked)) return undefined;
    return this.#authenticate(asked);
  }

  async #authenticate(asked: Asked): Promise<Response | undefined> {
    let refusal: Response | undefined;
    for (const authenticator of this.#authenticators) {
      const outcome = await authenticator.check(asked);
      if (outcome === undefined) continue;
      if ("identity" in outcome) {
        asked.head.headers.push(...identityHeaders(outcome.identity));
        return undefined;
      }
      if (outcome.final) return outcome.response;
      refusal ??= outcome.response;
    }
    if (refusal !== undefined) return refusal;
    throw new ClessError("forbidden", "This address may not use the service");
  }

  /**
   * Removes the headers that an app with a lock may trust, on every path, and those that would lead a request for an
   * excepted path to another one.
   */
  #dropTrusted({ head: { headers } }: Asked): void {
    for (let at = headers.length - 1; at >= 0; at--) {
      if (this.#dropped.has(headers[at]![0])) headers.splice(at, 1);
    }
  }
}

function identityHeaders({ user, email, groups = [], headers = [] }: Identity): [string, string][] {
  return [
    ...(user === undefined ? [] : [["x-auth-user", user] as [string, string]]),
    ...(email === undefined ? [] : [["x-auth-email", email] as [string, string]]),
    ...(groups.length === 0 ? [] : [["x-auth-groups", groups.join(",")] as [string, string]]),
    ...headers,
  ];
}

/** Headers and parameters by which some frameworks take a request for one of another method. */
const OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

/**
 * Whether a request is a CORS preflight: https://fetch.spec.whatwg.org/#cors-preflight-request. Browsers send it without
 * credentials, so no lock can open to it. Nothing else may look like one.
 */
function isPreflight({ head, request: { headers } }: Asked): boolean {
  return head.method === "OPTIONS" && head.bodyLength === 0 && !head.target.includes("_method") &&
    headers.has("origin") && headers.has("access-control-request-method") &&
    !headers.has("authorization") && !headers.has("cookie") && !OVERRIDES.some((name) => headers.has(name));
}
