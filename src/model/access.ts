/** How a service asks another one whether a request may pass. */
export interface ForwardAuth {
  /** Where the other service answers. */
  readonly url: string;
  /**
   * The headers of its answer that tell the app who the client is, in lower case. The same headers of clients are
   * removed.
   */
  readonly headers: readonly string[];
}

/** The headers by which common servers for sign-in name the client. */
export const DEFAULT_FORWARD_HEADERS: readonly string[] = [
  ...["remote-user", "remote-email", "remote-groups", "remote-name"],
  ...["x-auth-user", "x-auth-email", "x-auth-groups"],
];

/** How people sign in with an OpenID provider. */
export interface OidcSettings {
  readonly issuer: string;
  readonly clientId: string;
  /** `secret:NAME`, the name of a secret; missing for a public client. */
  readonly clientSecret?: string | undefined;
  /** Who may enter: e-mail addresses, `*@DOMAIN` or `group:NAME`; empty for everybody whom the provider knows. */
  readonly allow: readonly string[];
}

/** Who may use a service. */
export interface AccessSettings {
  /** Addresses and ranges of clients that always may. */
  readonly allow: readonly string[];
  /** The hashes of passwords by user. */
  readonly basic: Readonly<Record<string, string>>;
  /** Whether the app gets the password too. */
  readonly pass: boolean;
  readonly forward?: ForwardAuth | undefined;
  readonly oidc?: OidcSettings | undefined;
  /** Paths that everybody may use: exact ones, or ending in `/*` with everything below. */
  readonly except: readonly string[];
}

/** Everybody may use the service. */
export const OPEN: AccessSettings = Object.freeze({ allow: [], basic: {}, pass: false, except: [] });

/** Whether everybody may use the service. */
export function isOpen({ allow, basic, forward, oidc }: AccessSettings): boolean {
  return allow.length === 0 && Object.keys(basic).length === 0 && forward === undefined && oidc === undefined;
}

/** How much a service accepts. */
export interface RequestLimits {
  /** How many requests per second in the long run; missing for any number. */
  readonly requestsPerSecond?: number | undefined;
  /** How many requests may come at once; missing for as many as there are in a second, at least 1. */
  readonly burst?: number | undefined;
  /** Whether each client address has these limits for itself, or all clients share them. */
  readonly per: "address" | "service";
  /** The largest body of a request, bytes; missing for any size. */
  readonly maxBody?: number | undefined;
}

/** Whether a service accepts any number of requests of any size. */
export function isUnlimited({ requestsPerSecond, maxBody }: RequestLimits): boolean {
  return requestsPerSecond === undefined && maxBody === undefined;
}

/** Any number of requests of any size. */
export const UNLIMITED: RequestLimits = Object.freeze({ per: "address" });
