import type { ServiceJson } from "../admin/operations/services.ts";
import { formatMemory } from "../model/memory.ts";
import { plainText } from "./text.ts";

/** Who may use a service. The history has only the names of the users. */
export type ShownAccess = Omit<NonNullable<ServiceJson["access"]>, "basic"> & {
  readonly basic?: Readonly<Record<string, string>> | readonly string[] | undefined;
};

/** How much a service accepts. The history has the size in bytes. */
export type ShownLimits = Omit<NonNullable<ServiceJson["limits"]>, "maxBody"> & {
  readonly maxBody?: string | number | undefined;
};

/** Lists the ways into a service, without hashes of passwords: `from 10.0.0.0/8, or with a password of alice, bob`. */
export function accessText({ allow = [], basic = [], forward, oidc }: ShownAccess = {}): string {
  const users = Array.isArray(basic) ? basic : Object.keys(basic);
  const { allow: accounts = [], issuer } = oidc ?? {};
  const ways = [
    allow.length > 0 && `from ${allow.join(", ")}`,
    users.length > 0 && `with a password of ${users.join(", ")}`,
    forward !== undefined && `if ${typeof forward === "string" ? forward : forward.url} agrees`,
    issuer !== undefined && `signed in at ${issuer}${accounts.length === 0 ? "" : ` as ${accounts.join(", ")}`}`,
  ].filter((way) => way !== false);
  return ways.length === 0 ? "everybody" : plainText(ways.join(", or "));
}

/** Lists the limits of a service: `20 requests per second and address, 40 at once; bodies of 20m`. */
export function limitsText({ burst, maxBody, per, requestsPerSecond }: ShownLimits = {}): string {
  const size = typeof maxBody === "number" ? formatMemory(maxBody) : maxBody;
  const limits = [
    requestsPerSecond !== undefined &&
    `${requestsPerSecond} requests per second${per === "service" ? "" : " and address"}` +
      (burst === undefined ? "" : `, ${burst} at once`),
    size !== undefined && `bodies of ${size}`,
  ].filter((limit) => limit !== false);
  return limits.join("; ") || "-";
}
