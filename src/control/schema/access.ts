import type { z } from "zod";
import type { AccessSettings, RequestLimits } from "../../model/access.ts";
import { DEFAULT_FORWARD_HEADERS, isOpen, isUnlimited } from "../../model/access.ts";
import { defined } from "../../model/defined.ts";
import { formatMemory, parseMemory } from "../../model/memory.ts";
import type * as field from "./access_fields.ts";

/** Who may use a service, in JSON. */
export type AccessJson = z.output<typeof field.access>;
/** How much a service accepts, in JSON. */
export type LimitsJson = z.output<typeof field.limits>;

/** Reads who may use a service, with the defaults; the fields are in a fixed order. */
export function readAccess(json: AccessJson): AccessSettings {
  const { allow = [], basic = {}, pass = false, forward, oidc, except = [] } = json;
  const { url, headers = DEFAULT_FORWARD_HEADERS } = typeof forward === "object" ? forward : { url: forward };
  return {
    allow: [...new Set(allow)],
    basic,
    pass,
    ...defined({
      forward: url === undefined
        ? undefined
        : { url, headers: [...new Set(headers.map((name) => name.toLowerCase()))] },
      oidc: oidc && defined({ ...oidc, allow: [...new Set(oidc.allow)] }),
    }),
    except: [...new Set(except)],
  };
}

/** Converts for {@linkcode readAccess}; `undefined` if everybody may use the service. */
export function showAccess(access: AccessSettings): AccessJson | undefined {
  if (isOpen(access)) return undefined;
  const { allow, basic, pass, forward, oidc, except } = access;
  const isDefault = forward?.headers.join() === DEFAULT_FORWARD_HEADERS.join();
  return defined({
    allow: allow.length > 0 ? [...allow] : undefined,
    basic: Object.keys(basic).length > 0 ? { ...basic } : undefined,
    pass: pass || undefined,
    forward: forward && (isDefault ? forward.url : { url: forward.url, headers: [...forward.headers] }),
    oidc: oidc && { ...oidc, allow: [...oidc.allow] },
    except: except.length > 0 ? [...except] : undefined,
  });
}

/** Reads how much a service accepts, with the defaults. */
export function readLimits({ requestsPerSecond, burst, per = "address", maxBody }: LimitsJson): RequestLimits {
  return defined({ requestsPerSecond, burst, per, maxBody: maxBody === undefined ? undefined : parseMemory(maxBody) });
}

/** Converts for {@linkcode readLimits}; `undefined` if the service accepts any number of requests of any size. */
export function showLimits(limits: RequestLimits): LimitsJson | undefined {
  if (isUnlimited(limits)) return undefined;
  const { requestsPerSecond, burst, per, maxBody } = limits;
  return defined({
    ...{ requestsPerSecond, burst },
    per: requestsPerSecond === undefined ? undefined : per,
    maxBody: maxBody === undefined ? undefined : formatMemory(maxBody),
  });
}
