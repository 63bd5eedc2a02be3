import type { Config } from "../base/config.ts";
import { parseHostname } from "../model/host.ts";
import { type PublicUrl, urlBelow, urlOfHost } from "../model/public_url.ts";
import { tagLabel } from "../model/service.ts";
import type { ServiceMap } from "./service_map.ts";

/** The hostname of the admin API for this machine alone. */
export const LOCAL_ADMIN = "admin.localhost";

type Domains = Pick<Config, "domain" | "publicUrl">;

/** The domains in which each service has the address `NAME.DOMAIN`. */
export function baseDomains(config: Domains): string[] {
  return [...namedDomains(config), "localhost"];
}

/** The hostnames of the admin API; they are reserved. */
export function adminHostnames(config: Domains): string[] {
  return [...namedDomains(config).map((domain) => `admin.${domain}`), LOCAL_ADMIN];
}

/** The domain, and that of the public URL if it is another one. */
function namedDomains({ domain, publicUrl }: Domains): string[] {
  return publicUrl === undefined || publicUrl.domain === domain ? [domain] : [domain, publicUrl.domain];
}

/** What a hostname that cless serves leads to. cless itself and custom domains count as declared. */
export type HostKind = "declared" | "convention" | "tag";

type HostsConfig = Domains & Pick<Config, "domainGiven" | "oidcHost">;

/** The hostnames that this cless serves, and the URLs of its services. */
export class Hosts {
  readonly #config: HostsConfig;
  readonly #services: Pick<ServiceMap, "find" | "hasDomain">;
  readonly #convention: { knows(label: string): boolean } | undefined;
  /** The hostnames of cless itself. */
  readonly #reserved: ReadonlySet<string>;
  /** The domains that were given; `undefined` for any domain. */
  readonly #own: readonly string[] | undefined;
  #port = 80;

  /** @param convention `undefined` if only declared services are served. */
  constructor(
    config: HostsConfig,
    services: Pick<ServiceMap, "find" | "hasDomain">,
    convention: { knows(label: string): boolean } | undefined,
  ) {
    this.#config = config;
    this.#services = services;
    this.#convention = convention;
    this.#own = config.domainGiven ? namedDomains(config) : undefined;
    const { oidcHost } = config;
    this.#reserved = new Set([
      ...namedDomains(config).flatMap((domain) => [domain, `admin.${domain}`]),
      ...oidcHost === undefined ? [] : [oidcHost],
    ]);
  }

  listenOn(port: number): void {
    this.#port = port;
  }

  /** The URL of a service, or of the revision that has a tag. All printed URLs come from here. */
  urlOf(service: string, tag?: string): string {
    return urlBelow(this.#base(), tag === undefined ? service : tagLabel(tag, service));
  }

  /**
   * What a hostname leads to, to judge by what is in memory; `undefined` if cless does not serve it. If a domain was
   * given, only names exactly one label below it count, and custom domains: anybody can make up others that lead to a
   * service too, since only the first label names it. Without a domain, names below every domain count.
   */
  kindOf(name: string): HostKind | undefined {
    const hostname = parseHostname(name);
    if (hostname === undefined) return undefined;
    if (this.#reserved.has(hostname.name) || this.#services.hasDomain(hostname.name)) return "declared";
    const { label } = hostname;
    if (hostname.name === label) return undefined;
    if (this.#own?.every((domain) => hostname.name !== `${label}.${domain}`)) return undefined;
    const route = this.#services.find(hostname);
    if (route === undefined) return this.#convention?.knows(label) ? "convention" : undefined;
    if (route.convention) return "convention";
    return label === route.name ? "declared" : "tag";
  }

  /**
   * Whether the operator has named a hostname: custom domains, and names one label below the given domain or
   * `localhost`. Of all others that lead to a service, a stranger may be the owner.
   */
  isNamed(name: string): boolean {
    if (this.#services.hasDomain(name)) return true;
    const dot = name.indexOf(".");
    return dot > 0 && [...this.#own ?? [], "localhost"].includes(name.slice(dot + 1));
  }

  /**
   * Where clients reach a service: its URL, and one for each of its custom domains. @param domains These domains.
   */
  originsOf(service: string, domains: readonly string[]): string[] {
    return [this.urlOf(service), ...domains.map((domain) => urlOfHost(this.#base(), domain))];
  }

  #base(): PublicUrl {
    const { domain, domainGiven, publicUrl } = this.#config;
    return publicUrl ?? { scheme: "http", domain: domainGiven ? domain : "localhost", port: this.#port };
  }
}
