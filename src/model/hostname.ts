/** A hostname that names a service. */
export interface Hostname {
  /** Lower case, without port and trailing dot. */
  readonly name: string;
  /** The first label, which names the service. */
  readonly label: string;
}

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = new RegExp(`^((${LABEL})(?:\\.${LABEL})*)\\.?(?::(\\d{0,5}))?$`, "i");
// A last label of digits only, or in hexadecimal, makes an IPv4 address: https://url.spec.whatwg.org/#ends-in-a-number-checker
const IPV4 = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/**
 * Reads the value of a Host header (or `:authority`).
 *
 * Letters, digits and hyphens only, no hyphen at either end of a label, at most 63 characters per label and 253 in
 * all (RFC 1123, section 2.1); IP addresses are refused.
 *
 * @returns The hostname, or `undefined` where the value is none.
 */
export function parseHostname(value: string): Hostname | undefined {
  const match = HOST.exec(value);
  if (match === null) return undefined;
  const name = match[1]!.toLowerCase();
  if (name.length > 253 || IPV4.test(name) || Number(match[3] ?? 0) > 65535) return undefined;
  return { name, label: match[2]!.toLowerCase() };
}

const SERVICE_NAME = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

/**
 * Whether a label may name a service: `--` separates a tag from a name, and `admin` is the admin API's host.
 */
export function isServiceName(label: string): boolean {
  return SERVICE_NAME.test(label) && !label.includes("--") && label !== "admin";
}
