import * as oauth from "oauth4webapi";
import type { Clock } from "../../base/clock.ts";
import { ClessError, messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { askServer } from "../../http/ask_server.ts";
import type { Claims } from "./session.ts";

const log = logger("access");

/** The limits of each answer of the provider. */
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 ** 2;
/** After this time, the provider's metadata is read again, while the old one is still used. */
const FRESH_MS = 3_600_000;
/** After failures in a row, the provider is left alone for this long, doubled each time up to the second number. */
const BACK_OFF_MS = 1000;
const MAX_BACK_OFF_MS = 60_000;
/** How far the clocks of the provider and of this machine may differ, seconds. */
const TOLERANCE_S = 60;

/** A sign-in that the provider is asked for. */
export interface AuthorizationRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string;
}

/** What a browser is sent to the provider with, and what must be kept until it comes back. */
export interface BegunAuthorization {
  readonly url: URL;
  /** Proves to the provider that the code goes to the one that has begun: RFC 7636. */
  readonly verifier: string;
  /** Ties the ID token to this sign-in. */
  readonly nonce: string;
}

/** The provider has refused a sign-in: the person has called it off, or may not use this client. */
export class RefusedByProvider extends Error {
  override readonly name = "RefusedByProvider";
}

/** An OpenID provider. */
export class Provider {
  readonly #issuer: URL;
  readonly #clock: Pick<Clock, "now" | "after">;
  readonly #keys: oauth.JWKSCacheInput = {};
  #metadata: oauth.AuthorizationServer | undefined;
  /** When the metadata was read, clock ms. */
  #readMs = -Infinity;
  #reading: Promise<void> | undefined;
  /** How often the metadata could not be read, in a row. */
  #failures = 0;
  /** The error for sign-ins while no metadata has been read. */
  #error: ClessError | undefined;
  /** The metadata is not read again before this time, clock ms. */
  #nextMs = -Infinity;

  /** @param issuer Has `https:`, or is on this machine. */
  constructor(issuer: string, clock: Pick<Clock, "now" | "after">) {
    this.#issuer = new URL(issuer);
    this.#clock = clock;
  }

  /** Begins a sign-in. @throws {ClessError} `upstream_failed` if the provider cannot be asked what it needs. */
  async begin({ clientId, redirectUri, state }: AuthorizationRequest): Promise<BegunAuthorization> {
    const server = await this.#server();
    const [verifier, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomNonce()];
    // A provider refuses scopes that it does not know. Not all have groups in a scope of their own.
    const groups = server.scopes_supported?.includes("groups") ? " groups" : "";
    const url = this.#endpoint(server.authorization_endpoint, "authorization_endpoint");
    const parameters = {
      response_type: "code",
      client_id: clientId,
      redirect_uri: redirectUri,
      scope: `openid profile email${groups}`,
      ...{ state, nonce },
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return { url, verifier, nonce };
  }

  /**
   * Ends a sign-in: exchanges the code for what the provider says of the account.
   *
   * @param answer The parameters that the browser has brought.
   * @throws {RefusedByProvider} @throws {ClessError} `upstream_failed` if the provider does not answer.
   * @throws {Error} If something does not fit; the message says what, for the operator.
   */
  async finish(
    answer: URLSearchParams,
    { clientId, redirectUri, state }: AuthorizationRequest,
    { verifier, nonce }: Omit<BegunAuthorization, "url">,
    clientSecret: string | undefined,
  ): Promise<Claims> {
    const server = await this.#server();
    const client: oauth.Client = { client_id: clientId, [oauth.clockTolerance]: TOLERANCE_S };
    const options = this.#options();
    const parameters = this.#validate(server, client, answer, state);
    const proof = proofOf(server, clientSecret);
    const response = await oauth.authorizationCodeGrantRequest(
      ...[server, client, proof, parameters, redirectUri, verifier, options] as const,
    );
    const result = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, response, { ...options, [oauth.jwksCache]: this.#keys });
    const token = oauth.getValidatedIdTokenClaims(result)!;
    if (server.userinfo_endpoint === undefined) return token;
    // Some providers tell addresses and groups only here.
    const more = await oauth.userInfoRequest(server, client, result.access_token, options);
    return merged(token, await oauth.processUserInfoResponse(server, client, token.sub, more));
  }

  /** Where a browser ends the session with the provider; `undefined` if it has no such address. @throws {ClessError} */
  async signOutUrl(clientId: string): Promise<URL | undefined> {
    const { end_session_endpoint: endpoint } = await this.#server();
    if (endpoint === undefined) return undefined;
    const url = this.#endpoint(endpoint, "end_session_endpoint");
    url.searchParams.set("client_id", clientId);
    return url;
  }

  #validate(
    server: oauth.AuthorizationServer,
    client: oauth.Client,
    answer: URLSearchParams,
    state: string,
  ): URLSearchParams {
    try {
      return oauth.validateAuthResponse(server, client, answer, state);
    } catch (error) {
      if (!(error instanceof oauth.AuthorizationResponseError)) throw error;
      throw new RefusedByProvider(error.error, { cause: error });
    }
  }

  /** A URL that browsers are sent to. */
  #endpoint(text: string | undefined, name: string): URL {
    const url = URL.parse(text ?? "");
    if (url === null || url.protocol !== "https:" && !(this.#isLocal && url.protocol === "http:")) {
      log.warning("the provider for sign-in names no address with https:", { issuer: this.#issuer.href, name });
      throw new ClessError("upstream_failed", "The provider for sign-in is not set up right");
    }
    return url;
  }

  get #isLocal(): boolean {
    return this.#issuer.protocol === "http:";
  }

  /** What the provider says of itself. @throws {ClessError} `upstream_failed` */
  async #server(): Promise<oauth.AuthorizationServer> {
    const nowMs = this.#clock.now();
    if (nowMs >= this.#readMs + FRESH_MS && nowMs >= this.#nextMs) {
      this.#reading ??= this.#read().finally(() => this.#reading = undefined);
    }
    if (this.#metadata === undefined) await this.#reading;
    if (this.#metadata === undefined) throw this.#error!;
    return this.#metadata;
  }

  /** Reads the metadata; never rejects. */
  async #read(): Promise<void> {
    const issuer = this.#issuer.href;
    try {
      const response = await oauth.discoveryRequest(this.#issuer, this.#options());
      this.#metadata = await oauth.processDiscoveryResponse(this.#issuer, response);
      this.#readMs = this.#clock.now();
      if (this.#failures > 0) log.info("the provider for sign-in answers again", { issuer });
      this.#failures = 0;
    } catch (error) {
      const backOffMs = Math.min(BACK_OFF_MS * 2 ** this.#failures++, MAX_BACK_OFF_MS);
      this.#nextMs = this.#clock.now() + backOffMs;
      this.#error = new ClessError("upstream_failed", "The provider for sign-in does not answer");
      log.warning("cannot read what the provider for sign-in needs", { issuer, reason: reasonOf(error) });
    }
  }

  #options() {
    return {
      [oauth.allowInsecureRequests]: this.#isLocal,
      [oauth.customFetch]: (url: string, { method, headers, body }: Sent) =>
        askServer(
          new URL(url),
          { method, headers: Object.entries(headers), body: body?.toString() },
          { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES },
          this.#clock,
        ),
    };
  }
}

/** The claims of both. The address and whether it is verified come from the same one. */
function merged(token: Claims, more: Claims): Claims {
  const { email, email_verified } = token["email"] === undefined ? more : token;
  return { ...more, ...token, email, email_verified };
}

/** What the library asks to be sent. */
interface Sent {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: { toString(): string } | null | undefined;
}

/** How the client proves to the provider who it is: RFC 8414, section 2, on what is missing. */
function proofOf(
  { token_endpoint_auth_methods_supported: methods = ["client_secret_basic"] }: oauth.AuthorizationServer,
  secret: string | undefined,
): oauth.ClientAuth {
  if (secret === undefined) return oauth.None();
  const isPost = methods.includes("client_secret_post") && !methods.includes("client_secret_basic");
  return isPost ? oauth.ClientSecretPost(secret) : oauth.ClientSecretBasic(secret);
}

/** Why a sign-in has failed, for the log: what the provider says, or the library. */
export function reasonOf(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) {
    return [error.error, error.error_description].filter(Boolean).join(": ");
  }
  return messageOf(error);
}
