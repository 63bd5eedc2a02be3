import { ClessError } from "../base/errors.ts";
import type { Header } from "../http/headers.ts";
import type { RequestHead } from "../http/request_head.ts";
import { type AccessSettings, isOpen, type RequestLimits } from "../model/access.ts";
import { type Cidr, parseRanges } from "../model/ip.ts";
import type { Authenticator, GateRequest, Identity, Outcome } from "./authenticator.ts";
import { ExceptedPaths } from "./excepted_paths.ts";
import { maintenanceAnswer } from "./maintenance.ts";
import type { Rate, RateLimiter } from "./rate_limiter.ts";

/** The headers by which an app learns who a client is. */
const USER_HEADER = "x-auth-user";
const IDENTITY_HEADERS = [USER_HEADER, "x-auth-email", "x-auth-groups"];
/** The headers by which some apps take a request for one of another path. */
const PATH_HEADERS = ["x-original-url", "x-original-uri", "x-rewrite-url"];
/** Whether one of the credentials of `Authorization` is a user with a password. Several lines are one list. */
const HAS_PASSWORD = /(?:^|,)\s*basic\b/i;

/** What a {@linkcode Gate} consists of. */
export interface GateOptions {
  /** The name of the service. */
  readonly service: string;
  readonly access: AccessSettings;
  readonly limits: RequestLimits;
  /** What requests are told during maintenance; empty for no maintenance. */
  readonly maintenance: string;
  /** The ways to prove who a client is. They are tried in order, until one lets the request pass. */
  readonly authenticators: readonly Authenticator[];
  readonly rates: Pick<RateLimiter, "take">;
}

/** What a gate says of a request: `undefined` if it may pass, otherwise the response for its client. */
export type Verdict = Response | undefined;

/**
 * Stands before a service: decides which requests pass, before anything wakes. It is immutable, as a service is; what
 * must outlive a change of the service is in its authenticators and in the rate limiter.
 */
export class Gate {
  /** The largest body of a request, bytes; `undefined` for any size. */
  readonly maxBody: number | undefined;
  readonly #service: string;
  readonly #maintenance: string;
  readonly #rates: Pick<RateLimiter, "take">;
  readonly #rate: Rate | undefined;
  readonly #perAddress: boolean;
  readonly #isLocked: boolean;
  /** `undefined` if no address is always allowed. */
  readonly #allow: Cidr | undefined;
  readonly #except: ExceptedPaths;
  readonly #authenticators: readonly Authenticator[];
  readonly #dropped: ReadonlySet<string>;
  readonly #hidesPasswords: boolean;

  constructor({ service, access, limits, maintenance, authenticators, rates }: GateOptions) {
    const { maxBody, per, requestsPerSecond } = limits;
    this.maxBody = maxBody;
    this.#service = service;
    this.#maintenance = maintenance;
    this.#rates = rates;
    this.#rate = requestsPerSecond === undefined
      ? undefined
      : { requestsPerSecond, burst: limits.burst ?? Math.max(1, requestsPerSecond) };
    this.#perAddress = per === "address";
    this.#isLocked = !isOpen(access);
    this.#allow = access.allow.length === 0 ? undefined : parseRanges(access.allow);
    this.#except = new ExceptedPaths(access.except);
    this.#authenticators = authenticators;
    this.#dropped = new Set([
      ...IDENTITY_HEADERS,
      ...PATH_HEADERS,
      ...authenticators.flatMap(({ headers }) => headers),
    ]);
    this.#hidesPasswords = Object.keys(access.basic).length > 0 && !access.pass;
  }

  /**
   * Lets a request pass, or not: first maintenance, then the rate of each address, then the lock, then the rate of the
   * service and the length of the body. Changes the headers that the app gets: what clients say of themselves is
   * removed, and what an authenticator has found is added. If it needs no other server and no new check of a password,
   * it does not wait.
   *
   * @throws {ClessError} `rate_limited`, `too_large`, `forbidden`, and what authenticators throw.
   */
  check(asked: GateRequest): Verdict | Promise<Verdict> {
    const { head, request } = asked;
    const isAllowed = this.#allow !== undefined && this.#allow.contains(head.client);
    if (this.#maintenance !== "" && !isAllowed) return maintenanceAnswer(this.#maintenance, request);
    if (this.#rate !== undefined && this.#perAddress) this.#rates.take(this.#service, this.#rate, head.client);
    if (this.#isLocked) {
      this.#dropTrusted(head.headers);
      for (const authenticator of this.#authenticators) {
        const answer = authenticator.prepare?.(asked);
        if (answer !== undefined) return answer;
      }
      if (!isAllowed && !this.#except.has(head.target) && !this.#isFreePreflight(asked)) {
        const verdict = this.#authenticate(asked);
        if (verdict instanceof Promise) return verdict.then((refusal) => refusal ?? this.#enter(head));
        if (verdict !== undefined) return verdict;
      }
    }
    return this.#enter(head);
  }

  /** The user whom the lock has let in, as the app learns it; `undefined` if it asked for none. */
  userOf({ headers }: Pick<RequestHead, "headers">): string | undefined {
    return this.#isLocked ? headers.find(([name]) => name === USER_HEADER)?.[1] : undefined;
  }

  /** Whether a request is a preflight that passes. Where addresses alone open the lock, it needs no credentials. */
  #isFreePreflight(asked: GateRequest): boolean {
    return this.#authenticators.length > 0 && isPreflight(asked);
  }

  /** Applies the limits that do not protect the lock. */
  #enter({ bodyLength = 0 }: RequestHead): undefined {
    if (this.#rate !== undefined && !this.#perAddress) this.#rates.take(this.#service, this.#rate);
    // A body of unknown length is stopped when it gets too long.
    if (this.maxBody !== undefined && bodyLength > this.maxBody && bodyLength < Infinity) throw tooLarge();
    return undefined;
  }

  /** Asks the authenticators from `at` on. */
  #authenticate(asked: GateRequest, at = 0, refusal?: Response): Verdict | Promise<Verdict> {
    const authenticator = this.#authenticators[at];
    if (authenticator === undefined) {
      if (refusal !== undefined) return refusal;
      throw new ClessError("forbidden", "This address may not use the service");
    }
    const decide = (outcome: Outcome): Verdict | Promise<Verdict> => {
      if (outcome !== undefined && "identity" in outcome) {
        asked.head.headers.push(...identityHeaders(outcome.identity));
        return undefined;
      }
      if (outcome === undefined) return this.#authenticate(asked, at + 1, refusal);
      // Of several refusals, the last one counts: it is the one of the way that needs no password.
      return this.#authenticate(asked, at + 1, outcome.response);
    };
    const outcome = authenticator.check(asked);
    return outcome instanceof Promise ? outcome.then(decide) : decide(outcome);
  }

  /**
   * Removes the headers that an app with a lock may trust, and those that would lead a request for an excepted path to
   * another one. Unless the app is to get them, also removes passwords: browsers send that of the lock with requests for
   * excepted paths too.
   */
  #dropTrusted(headers: Header[]): void {
    for (let at = headers.length - 1; at >= 0; at--) {
      const [name, value] = headers[at]!;
      const isPassword = this.#hidesPasswords && name === "authorization" && HAS_PASSWORD.test(value);
      if (isPassword || this.#dropped.has(name)) headers.splice(at, 1);
    }
  }
}

/** The error for a body that a service does not accept. */
export function tooLarge(): ClessError {
  return new ClessError("too_large", "The body of the request is larger than the service accepts");
}

function identityHeaders({ user, email, groups = [], headers = [] }: Identity): Header[] {
  const own: [name: string, value: string | undefined][] = [
    [USER_HEADER, user],
    ["x-auth-email", email],
    ["x-auth-groups", groups.length === 0 ? undefined : groups.join(",")],
  ];
  return [
    ...own.flatMap(([name, value]): Header[] => value === undefined ? [] : [[name, asHeader(value)]]),
    ...headers,
  ];
}

/** A text as the value of a header: in UTF-8, one character for each byte, and without control characters. */
function asHeader(text: string): string {
  // deno-lint-ignore no-control-regex
  const printable = text.replace(/[\x00-\x1f\x7f]/g, " ");
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(printable)) return printable;
  return Array.from(new TextEncoder().encode(printable), (byte) => String.fromCharCode(byte)).join("");
}

/** Headers and parameters by which some frameworks take a request for one of another method. */
const OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

/**
 * Whether a request is a CORS preflight: https://fetch.spec.whatwg.org/#cors-preflight-request. Browsers send it without
 * credentials, so no lock can open to it. Nothing else may look like one.
 */
function isPreflight({ head, request: { headers }, upload }: GateRequest): boolean {
  return head.method === "OPTIONS" && upload === undefined && !head.target.includes("_method") &&
    headers.has("origin") && headers.has("access-control-request-method") &&
    !headers.has("authorization") && !headers.has("cookie") && !OVERRIDES.some((name) => headers.has(name));
}
