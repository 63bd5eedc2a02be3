import type { Manifest } from "./manifest.ts";
import type { ParsedService } from "../schema/schema.ts";

/** A service as far as its domains matter. */
export interface DomainOwner {
  readonly name: string;
  readonly domains?: readonly string[];
}

/**
 * The domains that services of a manifest get from others, by who gets them: those that another one has now, and gives up
 * by the same manifest.
 *
 * @param services As they are now.
 * @param going The names of those that are deleted.
 */
export function domainMoves(
  manifest: Manifest,
  services: readonly DomainOwner[],
  going: ReadonlySet<string>,
): Map<string, ReadonlySet<string>> {
  const owners = new Map(services.flatMap(({ name, domains = [] }) => domains.map((domain) => [domain, name])));
  const moves = new Map<string, ReadonlySet<string>>();
  for (const [name, { service: { domains = [] } }] of manifest) {
    const moving = domains.filter((domain) => {
      const owner = owners.get(domain);
      if (owner === undefined || owner === name) return false;
      const kept = manifest.get(owner)?.service.domains;
      return going.has(owner) || (kept !== undefined && !kept.includes(domain));
    });
    if (moving.length > 0) moves.set(name, new Set(moving));
  }
  return moves;
}

/** A service without some of its domains. */
export function withoutDomains(declared: ParsedService, without: ReadonlySet<string> = new Set()): ParsedService {
  const { service } = declared;
  if (service.domains === undefined || without.size === 0) return declared;
  return { ...declared, service: { ...service, domains: service.domains.filter((domain) => !without.has(domain)) } };
}

/** A service with more domains than it declares. */
export function withMoreDomains(declared: ParsedService, more: readonly string[]): ParsedService {
  const { service } = declared;
  if (service.domains === undefined || more.length === 0) return declared;
  return { ...declared, service: { ...service, domains: [...service.domains, ...more] } };
}
