import { ClessError } from "../../base/errors.ts";
import { hostOf, pathOf, type RequestHead } from "../../http/request_head.ts";
import { isLocalName } from "../../model/host.ts";
import type { PublicUrl } from "../../model/public_url.ts";

const BASE = "/.well-known/cless/oidc/";
/** Where a provider sends browsers back to: on a service's own host, or on the one host for all services. */
export const CALLBACK_PATH = `${BASE}callback`;
/** Where the one host for all services sends browsers on to, on the service's host. */
export const FINISH_PATH = `${BASE}finish`;
/** Where people sign out, on the service's host. */
export const SIGN_OUT_PATH = `${BASE}sign-out`;

/** What {@linkcode SignInAddresses} work with. */
export interface AddressOptions {
  readonly hosts: {
    /** Whether the operator has named a hostname. Any client can make up others that lead to a service too. */
    isNamed(name: string): boolean;
    /** Where clients reach a service with these custom domains. */
    originsOf(service: string, domains: readonly string[]): string[];
  };
  readonly publicUrl: PublicUrl | undefined;
  /** The one host to which providers send browsers back; `undefined` for each service's own. */
  readonly callbackHost: string | undefined;
}

/** The addresses at which people can sign in. */
export class SignInAddresses {
  readonly #options: AddressOptions;

  constructor(options: AddressOptions) {
    this.#options = options;
  }

  /**
   * The scheme, name and port at which the client sees the service.
   *
   * @throws {ClessError} `forbidden` if nobody can sign in there: without HTTPS, except on localhost; or at a name that
   * cless was not told of, since who owns that name would get the code of the sign-in.
   */
  originOf(head: RequestHead): string {
    const { hostname: { name }, secure } = head;
    if (!secure && !isLocalName(name)) {
      throw new ClessError("forbidden", "Sign-in needs HTTPS, and this request did not come over HTTPS");
    }
    if (!this.#options.hosts.isNamed(name)) {
      throw new ClessError("forbidden", `Nobody can sign in at ${name}, which is no address of this service`);
    }
    const { publicUrl } = this.#options;
    const usual = secure ? 443 : 80;
    // What else listens on the machine must not get the code of a sign-in, so a client cannot choose the port.
    const port = isLocalName(name)
      ? Number(/:(\d+)$/.exec(hostOf(head))?.[1] ?? usual)
      : publicUrl?.scheme === "https"
      ? publicUrl.port
      : usual;
    return `${secure ? "https" : "http"}://${name}${port === usual ? "" : `:${port}`}`;
  }

  /** Whether browsers may be sent on to an origin. */
  has(origin: string): boolean {
    return this.#options.hosts.isNamed(new URL(origin).hostname);
  }

  /** Why nobody can sign in at a service's addresses; `undefined` if people can. @param domains Its custom domains. */
  problemOf(service: string, domains: readonly string[]): string | undefined {
    const plain = this.#options.hosts.originsOf(service, domains).map((origin) => new URL(origin))
      .find(({ hostname, protocol }) => protocol === "http:" && !isLocalName(hostname));
    return plain &&
      `needs HTTPS at ${plain.hostname}: run \`cless https on\`, or name the address of your own proxy with ` +
        "--public-url https://…; without that, people can sign in only below localhost";
  }

  /** The addresses at which the provider of a service's sign-in must know it. @param domains Its custom domains. */
  callbacksOf(service: string, domains: readonly string[]): string[] {
    const origins = this.#options.hosts.originsOf(service, domains);
    return [...new Set(origins.map((origin) => this.callbackOf(origin)))];
  }

  /** The address that the provider sends browsers back to, for one of a service's origins. */
  callbackOf(origin: string): string {
    const url = new URL(CALLBACK_PATH, origin);
    if (this.#options.callbackHost !== undefined) url.hostname = this.#options.callbackHost;
    return url.href;
  }
}

/** Whether a request is for one of these paths, with any query. */
export function isFor({ target }: RequestHead, ...paths: readonly string[]): boolean {
  return target.startsWith(BASE) && paths.includes(pathOf(target));
}

/** The query of a request. */
export function queryOf({ target }: RequestHead): URLSearchParams {
  const at = target.indexOf("?");
  return new URLSearchParams(at === -1 ? "" : target.slice(at + 1));
}

/** @throws {ClessError} `method_not_allowed` if a request for one of cless's own paths has another method. */
export function onlyFor(method: string, ...allowed: readonly string[]): void {
  if (allowed.includes(method)) return;
  const allow = allowed.join(", ");
  throw new ClessError("method_not_allowed", `This path of cless takes only ${allow}`, { allow });
}
