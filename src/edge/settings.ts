import { parseHostname } from "../model/host.ts";

/** Let's Encrypt's authority for tests: https://letsencrypt.org/docs/staging-environment/ */
export const STAGING_URL = "https://acme-staging-v02.api.letsencrypt.org/directory";

/** What the edge was told about HTTPS. */
export interface EdgeSettings {
  readonly domain: string;
  /** Where the authority writes to about certificates that end. */
  readonly email?: string;
  /** A certificate of the operator's own. */
  readonly own?: OwnCertificate;
  /** The directory of the authority; by default Caddy's choice: Let's Encrypt, then ZeroSSL. */
  readonly acmeUrl?: string;
  /** The absolute path of the root certificate that the authority's own HTTPS has. */
  readonly acmeRoot?: string;
  /** Whether `admin.<domain>` answers everybody. */
  readonly admin: boolean;
}

/** A certificate that no authority is asked for, in two files with absolute paths. */
export interface OwnCertificate {
  readonly certificate: string;
  readonly key: string;
  /** The hostnames that it covers; the first label may be `*`. */
  readonly names: readonly string[];
}

/** What has no meaning of its own in a Caddyfile, a unit or an environment file. */
const PLAIN = /^[^\s"'`{}#%$\\\p{Cc}]+$/u;

/** Reads the domain. @throws {RangeError} */
export function parseDomain(text: string): string {
  const hostname = parseHostname(text);
  if (hostname === undefined || !hostname.name.includes(".") || text.includes(":")) {
    throw new RangeError("expected a domain name such as example.org");
  }
  return hostname.name;
}

/** Reads an address of e-mail. @throws {RangeError} */
export function parseEmail(text: string): string {
  if (PLAIN.test(text) && /^[^@]+@[^@]+\.[^@]+$/.test(text)) return text;
  throw new RangeError("expected an address of e-mail such as me@example.org");
}

/** Reads the directory of an authority. @throws {RangeError} */
export function parseAcmeUrl(text: string): string {
  if (PLAIN.test(text) && URL.parse(text)?.protocol === "https:") return text;
  throw new RangeError(`expected a URL such as ${STAGING_URL}`);
}

/** Reads a path whose text can be written into the files of the edge. @throws {RangeError} */
export function parsePlainPath(text: string): string {
  if (PLAIN.test(text)) return text;
  throw new RangeError("expected a path without spaces, quotes and the characters { } # % $ \\");
}
