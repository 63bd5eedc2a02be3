import type { Identity } from "../authenticator.ts";

/** How long a session lasts, whatever happens in it. Then the provider is asked again, mostly without a question. */
const SESSION_MS = 12 * 3_600_000;
/** How much of the groups a session has, since it is a cookie of at most 4 KB; those that `allow` names come first. */
const MAX_GROUPS_BYTES = 1500;
const MAX_GROUP_BYTES = 200;
/** RFC 5321, section 4.5.3.1.3, with the brackets. */
const MAX_EMAIL = 254;
/** OpenID Connect Core, section 2: `sub` has at most 255 ASCII characters. */
const MAX_NAME = 255;

/** What a header can carry without doubt. */
const PLAIN = /^[!-~](?:[ -~]*[!-~])?$/;

/** A person who has signed in to a service. */
export interface Session {
  /** The provider's own id of the account. */
  readonly sub: string;
  readonly user: string;
  /** Only if the provider has verified it. */
  readonly email?: string;
  readonly groups: readonly string[];
  /** Wall-clock time, ms since 1970. */
  readonly endsMs: number;
}

/** What a provider says of an account: https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims */
export type Claims = Readonly<Record<string, unknown>>;

/**
 * Makes a session of what the provider says. A name or an address that a header cannot carry is left out, and `user` is
 * `sub` then.
 *
 * @throws {RangeError} If `sub` is not as the standard says.
 */
export function sessionOf(claims: Claims, allow: readonly string[], nowMs: number): Session {
  const { sub, preferred_username: name, email, email_verified: verified, groups } = claims;
  if (!isPlain(sub, MAX_NAME)) throw new RangeError("the provider's claim `sub` is not plain text");
  // Some providers write the flag as text.
  const isVerified = verified === true || verified === "true";
  return {
    sub,
    user: isPlain(name, MAX_NAME) ? name : sub,
    ...isVerified && isPlain(email, MAX_EMAIL) ? { email } : {},
    groups: chosenGroups(groups, allow),
    endsMs: nowMs + SESSION_MS,
  };
}

/** Whether an account may enter. @param allow See {@linkcode OidcSettings}. */
export function mayEnter({ email, groups }: Session, allow: readonly string[]): boolean {
  if (allow.length === 0) return true;
  const address = email?.toLowerCase();
  const domain = address?.slice(address.lastIndexOf("@"));
  return allow.some((entry) => {
    if (entry.startsWith("group:")) return groups.includes(entry.slice("group:".length));
    const wanted = entry.toLowerCase();
    return wanted.startsWith("*@") ? domain === wanted.slice(1) : address === wanted;
  });
}

/** What the app learns of a person. Groups that a header cannot carry, since it separates them by commas, are left out. */
export function identityOf({ user, email, groups }: Session): Identity {
  return { user, email, groups: groups.filter((group) => PLAIN.test(group) && !group.includes(",")) };
}

function isPlain(value: unknown, max: number): value is string {
  return typeof value === "string" && value.length <= max && PLAIN.test(value);
}

/** The groups that a session has room for. @param claim What the provider says: a group or a list of groups. */
function chosenGroups(claim: unknown, allow: readonly string[]): string[] {
  const groups = (Array.isArray(claim) ? claim : [claim]).filter((group) => typeof group === "string");
  const wanted = groups.filter((group) => allow.includes(`group:${group}`));
  let bytes = 0;
  return [...new Set([...wanted, ...groups])].filter((group) => {
    const size = new TextEncoder().encode(JSON.stringify(group)).length + 1;
    if (group === "" || size > MAX_GROUP_BYTES || bytes + size > MAX_GROUPS_BYTES) return false;
    bytes += size;
    return true;
  });
}
