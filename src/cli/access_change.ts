import type { ServiceJson } from "../admin/operations/services.ts";
import { parsePasswordHash } from "../access/password_hash.ts";
import { UsageError } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { parseRanges } from "../model/ip.ts";
import { parseMemory } from "../model/memory.ts";
import { type Call, checked, parseNumber, parseWhole } from "./verb.ts";

/** What `--unset` resets of who may use a service, how much it accepts, and maintenance. */
export const ACCESS_UNSETS = [
  ...["access", "allow", "basic", "basic-pass", "forward-auth", "oidc", "oidc-allow", "open-path"],
  ...["limits", "rate", "burst", "max-body", "maintenance"],
] as const;

type AccessJson = NonNullable<ServiceJson["access"]>;
type LimitsJson = NonNullable<ServiceJson["limits"]>;

/** What a deploy changes in who may use a service, how much it accepts, and maintenance. */
export interface AccessChange {
  /** To add. */
  readonly allow: readonly string[];
  readonly basic: Readonly<Record<string, string>>;
  readonly except: readonly string[];
  readonly oidcAllow: readonly string[];
  /** To replace, as far as they are given. */
  readonly pass?: boolean;
  readonly forward?: string;
  readonly oidc: Partial<Omit<NonNullable<AccessJson["oidc"]>, "allow">>;
  readonly limits: LimitsJson;
  readonly maintenance?: string;
}

/** Reads the flags. No mistake contains a hash. */
export function readAccessChange(call: Call): AccessChange {
  const pass = call.flags.get("basic-pass");
  const secret = call.text("oidc-client-secret");
  return defined({
    allow: call.read("allow", checked((text) => parseRanges([text]))),
    basic: call.pairs("basic", "USER=HASH", checkHash),
    except: call.texts("open-path"),
    oidcAllow: call.texts("oidc-allow"),
    pass: typeof pass === "boolean" ? pass : undefined,
    forward: call.text("forward-auth"),
    oidc: defined({
      issuer: call.text("oidc-issuer"),
      clientId: call.text("oidc-client-id"),
      clientSecret: secret === undefined || secret.startsWith("secret:") ? secret : `secret:${secret}`,
    }),
    limits: defined({
      requestsPerSecond: call.read("rate", parseNumber)[0],
      burst: call.read("burst", parseWhole)[0],
      per: call.read("rate-per", parsePer)[0],
      maxBody: call.read("max-body", checked(parseMemory))[0],
    }),
    maintenance: call.text("maintenance"),
  });
}

function checkHash(user: string, hash: string): void {
  // A hash has = in it.
  if (user.startsWith("$")) throw new UsageError("--basic needs USER=HASH: it begins with a hash");
  try {
    parsePasswordHash(hash);
  } catch {
    const rule = "that cless password prints, in single quotes, since it has $ in it";
    throw new UsageError(`--basic: what follows ${user}= is not a whole hash; it needs one ${rule}`);
  }
}

function parsePer(text: string): "address" | "service" {
  if (text !== "address" && text !== "service") throw new RangeError("expected address or service");
  return text;
}

/** The fields of a service that a change makes; without those that stay. `before` is `undefined` for a new service. */
export function accessFields(
  before: Pick<ServiceJson, "access" | "limits"> | undefined,
  change: AccessChange,
  unset: readonly string[],
): { access?: AccessJson; limits?: LimitsJson; maintenance?: string } {
  const access = accessAfter(unset.includes("access") ? {} : before?.access ?? {}, change, unset);
  const limits = limitsAfter(unset.includes("limits") ? {} : before?.limits ?? {}, change.limits, unset);
  const isSame = (one: unknown, other: unknown = {}) => JSON.stringify(one) === JSON.stringify(other);
  return defined({
    access: isSame(access, before?.access) ? undefined : access,
    limits: isSame(limits, before?.limits) ? undefined : limits,
    maintenance: change.maintenance ?? (unset.includes("maintenance") ? "" : undefined),
  });
}

function accessAfter(before: AccessJson, change: AccessChange, unset: readonly string[]): AccessJson {
  const kept = <T>(flag: string, value: T): T | undefined => unset.includes(flag) ? undefined : value;
  const basic = { ...kept("basic", before.basic), ...change.basic };
  const hasUsers = Object.keys(basic).length > 0;
  const forward = kept("forward-auth", before.forward);
  const oidc = kept("oidc", before.oidc);
  const { forward: url = typeof forward === "object" ? forward.url : forward } = change;
  const accounts = added(kept("oidc-allow", oidc?.allow), change.oidcAllow);
  const hasOidc = oidc !== undefined || accounts !== undefined || Object.keys(change.oidc).length > 0;
  return defined({
    allow: added(kept("allow", before.allow), change.allow),
    basic: hasUsers ? basic : undefined,
    // Without users, it has no meaning, and is refused.
    pass: change.pass ?? (hasUsers ? kept("basic-pass", before.pass) : undefined),
    forward: typeof forward === "object" ? { ...forward, url: url! } : url,
    oidc: hasOidc ? { ...oidc, ...change.oidc, allow: accounts ?? [] } as AccessJson["oidc"] : undefined,
    except: added(kept("open-path", before.except), change.except),
  });
}

function added(before: readonly string[] = [], more: readonly string[]): string[] | undefined {
  const all = [...new Set([...before, ...more])];
  return all.length === 0 ? undefined : all;
}

function limitsAfter(before: LimitsJson, change: LimitsJson, unset: readonly string[]): LimitsJson {
  const { burst, maxBody, per, requestsPerSecond } = before;
  const rate = unset.includes("rate") ? {} : defined({
    requestsPerSecond,
    burst: unset.includes("burst") ? undefined : burst,
    per,
  });
  return { ...rate, ...defined({ maxBody: unset.includes("max-body") ? undefined : maxBody }), ...change };
}
