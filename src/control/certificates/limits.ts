import { DAY_MS } from "../../model/time.ts";
import type { HostKind } from "../../routing/hosts.ts";
import type { CertificateName } from "../records.ts";

/** The time in which new names are counted. */
const WINDOW_MS = 7 * DAY_MS;
/**
 * How many new names a domain may have within {@linkcode WINDOW_MS}. Let's Encrypt makes certificates for 50:
 * https://letsencrypt.org/docs/rate-limits/#new-certificates-per-registered-domain. The rest is for certificates that
 * are made without cless.
 */
const WEEKLY_LIMIT = 40;
/**
 * A new name of this kind is granted while the domain has had fewer new names than this, of any kind. So the last ten
 * are for declared names alone, and the ten before them are not for tags.
 */
const LIMITS: Readonly<Record<HostKind, number>> = { declared: WEEKLY_LIMIT, convention: 30, tag: 20 };
/**
 * A name is remembered for this time after it was last asked for: the validity of a certificate. Until then, another
 * certificate for it is a renewal, which does not count: https://letsencrypt.org/docs/rate-limits/#limit-exemptions-for-renewals
 */
const REMEMBERED_MS = 90 * DAY_MS;

/** The plural of each kind, for messages. */
const PLURALS: Readonly<Record<HostKind, string>> = {
  declared: "declared names",
  convention: "services that are not declared",
  tag: "tags",
};

/** How many new names a domain has had lately. */
export interface DomainCount {
  readonly domain: string;
  readonly newNames: number;
  readonly limit: number;
  /** When the first of them no longer counts; wall-clock time, ms since 1970. */
  readonly resetsAt: number;
}

/**
 * The domain that a name counts for: its last two labels. This is the domain that was registered, or a larger group
 * where a registry sells names deeper, as below `co.uk`. A larger group has the limit of one domain, so none of its
 * domains gets too many names. The exact rule would need the Public Suffix List, which has 10,000 entries and changes every week.
 */
export function domainOf(name: string): string {
  return name.split(".").slice(-2).join(".");
}

/**
 * Why a new name is not granted now; `undefined` if it is. @param now Wall-clock time, ms since 1970, as in the names.
 */
export function weeklyRefusal(
  granted: Iterable<CertificateName>,
  { domain, kind }: Pick<CertificateName, "domain" | "kind">,
  now: number,
): string | undefined {
  const [count] = countDomains(Iterator.from(granted).filter((name) => name.domain === domain), now);
  const limit = LIMITS[kind];
  if (count === undefined || count.newNames < limit) return undefined;
  return `${domain} has had ${count.newNames} new names in 7 days, and ${PLURALS[kind]} get no more than ${limit} of ` +
    `the ${WEEKLY_LIMIT}; the first of them stops counting at ${new Date(count.resetsAt).toISOString()}`;
}

/** Counts the new names of each domain that has any, in the order of the domains. */
export function countDomains(granted: Iterable<CertificateName>, now: number): DomainCount[] {
  const byDomain = Map.groupBy(
    // After the machine's clock was set back, names from the future do not count for ever.
    Iterator.from(granted).filter(({ grantedAt }) => Math.abs(now - grantedAt) < WINDOW_MS),
    ({ domain }) => domain,
  );
  return [...byDomain].map(([domain, names]) => ({
    domain,
    newNames: names.length,
    limit: WEEKLY_LIMIT,
    resetsAt: Math.min(...names.map(({ grantedAt }) => grantedAt)) + WINDOW_MS,
  })).sort((a, b) => a.domain < b.domain ? -1 : 1);
}

/** Whether a name was asked for lately, so that a certificate for it is a renewal. */
export function isRemembered({ askedAt }: Pick<CertificateName, "askedAt">, now: number): boolean {
  return Math.abs(now - askedAt) < REMEMBERED_MS;
}
