import { ClessError, messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { isNavigation, problem } from "../../http/problem.ts";
import { pathOf } from "../../http/request_head.ts";
import type { OidcSettings } from "../../model/access.ts";
import type { Authenticator, GateRequest, Outcome } from "../authenticator.ts";
import { CALLBACK_PATH, FINISH_PATH, isFor, onlyFor, queryOf, SIGN_OUT_PATH } from "./addresses.ts";
import { dropOwnCookies, SignInCookies } from "./cookies.ts";
import { beforeSignOut, failed, notAllowed, redirect, refused, signedOut, tooLate } from "./pages.ts";
import { identityOf, mayEnter, type Session, sessionOf } from "./session.ts";
import { openState, type SignIn, type State } from "./sign_in.ts";

const log = logger("access");

/** How long a person may take at the provider. */
const ATTEMPT_MS = 10 * 60_000;
/** A longer target is not kept in the cookie of a sign-in. */
const MAX_TARGET = 1500;
/** This many sign-ins of a service may wait for the provider at once. */
const MAX_FINISHING = 50;
/** At most this many sessions are remembered; the oldest are forgotten. */
const MAX_OPENED = 256;

/** What is kept of a sign-in in a cookie of the browser that has begun it, sealed. */
interface Attempt {
  readonly verifier: string;
  readonly nonce: string;
  /** Where the browser was going. */
  readonly target: string;
}

/**
 * Lets people sign in with an OpenID provider, by the authorization code flow with PKCE:
 * https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth. The session is a sealed cookie, and so is each
 * sign-in that is under way: nothing of strangers is kept in memory.
 */
export class OidcAuthenticator implements Authenticator {
  readonly headers: readonly string[] = [];
  readonly #service: string;
  readonly #settings: OidcSettings;
  readonly #signIn: SignIn;
  readonly #isAlone: boolean;
  /** Sessions that were opened lately, by origin and cookie, so that a page with many images opens one once. */
  readonly #opened = new Map<string, Session>();
  #finishing = 0;

  /** @param isAlone Whether the service has no other way to prove who a client is. */
  constructor(service: string, settings: OidcSettings, signIn: SignIn, isAlone: boolean) {
    this.#service = service;
    this.#settings = settings;
    this.#signIn = signIn;
    this.#isAlone = isAlone;
  }

  /** Takes the cookies from what the app gets, and answers requests for cless's own paths, which need no proof. */
  prepare(asked: GateRequest): Promise<Response> | undefined {
    const { head } = asked;
    dropOwnCookies(head.headers);
    if (isFor(head, CALLBACK_PATH, FINISH_PATH)) return this.#finish(asked);
    if (isFor(head, SIGN_OUT_PATH)) return this.#signOut(asked);
    return undefined;
  }

  check(asked: GateRequest): Outcome | Promise<Outcome> {
    const { head, request } = asked;
    try {
      const origin = this.#signIn.addresses.originOf(head);
      const sealed = cookiesOf(origin).session(request);
      const known = sealed === undefined ? undefined : this.#known(origin, sealed);
      return known === undefined ? this.#look(asked, origin) : this.#outcomeOf(known);
    } catch (error) {
      return this.#refusal(error, request);
    }
  }

  async #look({ head, request }: GateRequest, origin: string): Promise<Outcome> {
    try {
      const session = await this.#session(request, origin);
      if (session !== undefined) return this.#outcomeOf(session);
      if (isNavigation(request, head)) return { response: await this.#begin(request, origin, head.target) };
      if (!this.#isAlone) return undefined; // a program can use the other way
      throw new ClessError("unauthorized", "This service needs sign-in, in a browser");
    } catch (error) {
      return this.#refusal(error, request);
    }
  }

  /** Without HTTPS or without the provider, nobody can sign in. Then another way in counts, if there is one. */
  #refusal(error: unknown, request: Request): Outcome {
    if (!(error instanceof ClessError)) throw error;
    return this.#isAlone ? { response: problem(error, request) } : undefined;
  }

  #outcomeOf(session: Session): Outcome {
    return mayEnter(session, this.#settings.allow)
      ? { identity: identityOf(session) }
      : { response: notAllowed(session.user) };
  }

  /** The session of a request, unless it has ended. */
  async #session(request: Request, origin: string): Promise<Session | undefined> {
    const sealed = cookiesOf(origin).session(request);
    if (sealed === undefined) return undefined;
    const known = this.#known(origin, sealed);
    if (known !== undefined) return known;
    const { now, sealer } = this.#signIn;
    const session = await sealer.open("session", this.#sessionContext(origin), sealed) as Session | undefined;
    if (session === undefined || session.endsMs <= now()) return undefined;
    this.#opened.set(`${origin} ${sealed}`, session);
    if (this.#opened.size > MAX_OPENED) this.#opened.delete(this.#opened.keys().next().value!);
    return session;
  }

  /** A session that was opened before. */
  #known(origin: string, sealed: string): Session | undefined {
    const session = this.#opened.get(`${origin} ${sealed}`);
    return session !== undefined && session.endsMs > this.#signIn.now() ? session : undefined;
  }

  /** A session is for one service at one address, with one client of one provider. */
  #sessionContext(origin: string): string[] {
    const { clientId, issuer } = this.#settings;
    return [this.#service, origin, issuer, clientId];
  }

  /** Sends a browser to the provider. */
  async #begin(request: Request, origin: string, target: string): Promise<Response> {
    const { addresses, now, providers, sealer } = this.#signIn;
    const { clientId, issuer } = this.#settings;
    const provider = await providers.of(issuer);
    const id = newId(now());
    const sealedState = await sealer.seal("state", [], this.#state(id, origin));
    const redirectUri = addresses.callbackOf(origin);
    const { url, verifier, nonce } = await provider.begin({ clientId, redirectUri, state: sealedState });
    const attempt: Attempt = { verifier, nonce, target: shortTarget(target) };
    const cookies = cookiesOf(origin);
    return redirect(url.href, [
      ...cookies.excess(request).map((old) => cookies.endAttempt(old)),
      cookies.setAttempt(id, await sealer.seal("attempt", [this.#service, origin, id], attempt), ATTEMPT_MS / 1000),
    ]);
  }

  #state(id: string, origin: string): State {
    return { id, service: this.#service, origin, endsMs: this.#signIn.now() + ATTEMPT_MS };
  }

  /** Ends a sign-in: the browser comes back from the provider. */
  async #finish({ head, request }: GateRequest): Promise<Response> {
    onlyFor(head.method, "GET");
    const { addresses, now, sealer } = this.#signIn;
    const origin = addresses.originOf(head);
    const query = queryOf(head);
    const cookies = cookiesOf(origin);
    const state = query.get("state") ?? "";
    const begun = await openState(this.#signIn, state);
    const sealed = begun?.service === this.#service && begun.origin === origin
      ? cookies.attempt(request, begun.id)
      : undefined;
    const attempt = sealed === undefined
      ? undefined
      : await sealer.open("attempt", [this.#service, origin, begun!.id], sealed) as Attempt | undefined;
    if (attempt === undefined) {
      // The person has gone back to this page.
      return await this.#session(request, origin) === undefined ? tooLate() : redirect(`${origin}/`);
    }
    if (this.#finishing >= MAX_FINISHING) {
      throw new ClessError("overloaded", "Too many people sign in at this moment", { retryAfterS: 1 });
    }
    this.#finishing++;
    try {
      const session = await this.#exchange(query, { ...attempt, state, redirectUri: addresses.callbackOf(origin) });
      if ("refused" in session) return session.refused;
      const { user } = session;
      if (mayEnter(session, this.#settings.allow)) log.debug("signed in", { service: this.#service, user });
      else log.warning("an account is not allowed", { service: this.#service, user });
      const line = await sealer.seal("session", this.#sessionContext(origin), session);
      // The target comes from this service's own address, and the whole URL keeps it there, whatever it looks like.
      return redirect(origin + attempt.target, [
        cookies.setSession(line, Math.floor((session.endsMs - now()) / 1000)),
        cookies.endAttempt(begun!.id),
      ]);
    } finally {
      this.#finishing--;
    }
  }

  async #exchange(
    query: URLSearchParams,
    attempt: Attempt & { readonly state: string; readonly redirectUri: string },
  ): Promise<Session | { readonly refused: Response }> {
    const { now, providers } = this.#signIn;
    const { allow, clientId, issuer } = this.#settings;
    const provider = await providers.of(issuer);
    const { reasonOf, RefusedByProvider } = await import("./provider.ts");
    try {
      const claims = await provider.finish(query, { clientId, ...attempt }, attempt, await this.#secret());
      return sessionOf(claims, allow, now());
    } catch (error) {
      const reason = reasonOf(error);
      log.warning("a sign-in has failed", { service: this.#service, issuer, reason });
      return { refused: error instanceof RefusedByProvider ? refused(reason) : failed() };
    }
  }

  async #secret(): Promise<string | undefined> {
    const { clientSecret } = this.#settings;
    if (clientSecret === undefined) return undefined;
    // A file that was piped to `cless secret set` often ends with a line break.
    return (await this.#signIn.secrets.value(clientSecret.replace(/^secret:/, ""))).replace(/\r?\n$/, "");
  }

  /**
   * Signs out by a POST of this service's own page, so that no other site can sign people out. A GET gets a page with
   * the button.
   */
  async #signOut({ head, request }: GateRequest): Promise<Response> {
    onlyFor(head.method, "GET", "POST");
    const origin = this.#signIn.addresses.originOf(head);
    if (head.method === "GET") {
      const session = await this.#session(request, origin);
      return beforeSignOut(session?.user);
    }
    if (!isOwnForm(request, origin)) throw new ClessError("forbidden", "Another site cannot sign people out");
    const cookies = [cookiesOf(origin).endSession()];
    const url = await this.#providersSignOut();
    return url === undefined ? signedOut(cookies) : redirect(url.href, cookies);
  }

  /** Where the provider ends its own session; `undefined` if it cannot be asked now. */
  async #providersSignOut(): Promise<URL | undefined> {
    const { clientId, issuer } = this.#settings;
    try {
      return await (await this.#signIn.providers.of(issuer)).signOutUrl(clientId);
    } catch (error) {
      log.warning("cannot end the session with the provider", { issuer, reason: messageOf(error) });
      return undefined;
    }
  }
}

/** The outcome for a request that gets an error, unless another way lets it pass. */
function cookiesOf(origin: string): SignInCookies {
  return new SignInCookies(origin.startsWith("https:"));
}

/** An id that sorts by its time. */
function newId(nowMs: number): string {
  const random = crypto.getRandomValues(new Uint8Array(12)).toBase64({ alphabet: "base64url" });
  return `${nowMs.toString(36).padStart(9, "0")}-${random}`;
}

function shortTarget(target: string): string {
  return [target, pathOf(target)].find(({ length }) => length <= MAX_TARGET) ?? "/";
}

/** Whether a form was sent by a page of this service, or by no browser: https://www.w3.org/TR/fetch-metadata/ */
function isOwnForm({ headers }: Request, origin: string): boolean {
  const [site, from] = [headers.get("sec-fetch-site"), headers.get("origin")];
  return site === null ? from === null || from === origin : site === "same-origin";
}
